"""What is shown when there is nothing else to show."""

import sys
from http import HTTPStatus

from django.core.exceptions import TooManyFilesSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader

from edge_classifier.errors import OutputError, StorageError
from edge_classifier.web.database_away import is_away
from edge_classifier.web.full_disk import NO_ROOM, is_full

_SOON_S = 30


def passes(error: BaseException | None) -> bool:
    """Whether a database or storage is away for a while, or a disk full, which is no bug."""
    return isinstance(error, StorageError | OutputError) or is_away(error) or is_full(error)


def csrf_failure(request: HttpRequest, **_: str) -> HttpResponse:
    """A form without its secret: an old page as a rule, else another site's doing."""
    return render(request, "403_csrf.html", status=403)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django refuses; too many files are what people may send by mistake."""
    too_many = isinstance(exception, TooManyFilesSent)
    context = {"most": request.services.settings.uploads.at_once if too_many else None}
    return render(request, "400.html", context, status=400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 (Django names it)
    """No page is there. Django's own view reads the form first, which may be a broken one."""
    return render(request, "404.html", status=404)


def server_error(_request: HttpRequest) -> HttpResponse:
    """A bug, a full disk, or a database or storage that is away. The log alone has the details.

    Nothing that could fail as well is asked for: neither the user nor the database.
    """
    error = sys.exc_info()[1]
    if passes(error):
        has_no_room = is_full(error)
        context = {
            "no_room": NO_ROOM if has_no_room else "",
            "is_unwritable": isinstance(error, OutputError),
            "is_storage": isinstance(error, StorageError),
        }
        status = HTTPStatus.INSUFFICIENT_STORAGE if has_no_room else HTTPStatus.SERVICE_UNAVAILABLE
        response = HttpResponse(loader.get_template("503.html").render(context), status=status)
        response["Retry-After"] = str(_SOON_S)
        return response
    return HttpResponse(loader.get_template("500.html").render(), status=500)
