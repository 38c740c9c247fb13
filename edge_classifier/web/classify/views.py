"""Uploading pictures, and the results."""

import logging
from dataclasses import dataclass
from http import HTTPStatus

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods

from edge_classifier.errors import EdgeClassifierError, PictureError, StorageError
from edge_classifier.web.accounts.roles import AccessLevel, access_level_of, remember_own, visible
from edge_classifier.web.classify import uploads
from edge_classifier.web.full_disk import NO_ROOM, is_full
from edge_classifier.web.models import Record, User
from edge_classifier.web.records.display import shown, with_relations
from edge_classifier.web.records.keys import keys_in
from edge_classifier.web.wording import translated

_log = logging.getLogger(__name__)
_FIELD = "pictures"
_SOURCE = Record.Source("upload")
# In requests of our script, which puts results into the page that is there; and in answers.
_FRAGMENT = "X-Fragment"


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that was not classified, and why."""

    name: str
    text: str
    status: HTTPStatus
    wait_s: int = 0


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The form, and the results that ``?records=KEY,KEY`` names, of those that one may see.

    POST classifies.
    """
    if request.method == "POST":
        return _upload(request)
    named = dict.fromkeys(keys_in(request.GET.get("records", "").split(",")))
    wanted = list(named)[: request.services.settings.uploads.at_once]
    found = with_relations(visible(request)).in_bulk(wanted, field_name="key") if wanted else {}
    return _page(request, [found[key] for key in wanted if key in found], [])


def _upload(request: HttpRequest) -> HttpResponse:
    """Classify all pictures of the form; what is wrong with one does not stop the others."""
    settings = request.services.settings
    if (
        access_level_of(request.user) < AccessLevel.VIEWER
        and not settings.access.allow_anonymous_uploads
    ):
        return redirect_to_login(reverse("classify"))
    files = request.FILES.getlist(_FIELD)
    # Known once the files have been read.
    too_large = gettext("This file is larger than %(limit)s MB.") % {
        "limit": f"{settings.uploads.max_mb:g}"
    }
    failures = [
        Failure(name, too_large, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        for name in getattr(request, "too_large", [])
    ]
    if refusal := _refusal(request, files, failures):
        failures, files = [refusal], []
    records = []
    for file in files:
        result = _classify_and_save(request, file)
        if isinstance(result, Failure):
            failures.append(result)
        else:
            records.append(result)
    if request.headers.get(_FRAGMENT):
        response = render(request, "classify/results.html", _results(records, failures))
        response[_FRAGMENT] = "1"
        return _with_status(response, records, failures)
    if not records:
        return _page(request, [], failures)
    # A page behind a redirect, as something was saved.
    for failure in failures:
        messages.error(request, f"{failure.name}: {failure.text}")
    if len(records) == 1:
        return redirect("record", key=records[0].key)
    keys = ",".join(str(record.key) for record in records)
    return redirect(f"{reverse('classify')}?{urlencode({'records': keys})}")


def _refusal(
    request: HttpRequest, files: list[UploadedFile], failures: list[Failure]
) -> Failure | None:
    """Why none of ``files`` is looked at; None: they are."""
    if not files and not failures:
        return Failure("", gettext("Choose a picture first."), HTTPStatus.BAD_REQUEST)
    if not files:
        return None
    wait_s = request.services.throttle.allow_uploads(request, len(files), _owner(request))
    if wait_s is None:
        return None
    minutes = -(-wait_s // 60)
    text = ngettext(
        "Too many pictures within an hour. Come back in %(minutes)s minute.",
        "Too many pictures within an hour. Come back in %(minutes)s minutes.",
        minutes,
    ) % {"minutes": minutes}
    return Failure("", text, HTTPStatus.TOO_MANY_REQUESTS, wait_s)


def _classify_and_save(request: HttpRequest, file: UploadedFile) -> Record | Failure:
    """The record of one file, or why there is none."""
    try:
        found = uploads.classify_upload(file, request.services)
        saved = uploads.save(found, source=_SOURCE, owner=_owner(request))
    except PictureError as error:
        what = {"problem": translated(error.problem)}
        text = gettext("This picture cannot be taken: it %(problem)s.") % what
        return Failure(file.name or "", text, HTTPStatus.UNPROCESSABLE_ENTITY)
    except EdgeClassifierError as error:
        detail = error.detail if isinstance(error, StorageError) else ""
        _log.warning("an upload was not classified: %s %s", error, detail)
        if is_full(error):
            return Failure(file.name or "", str(NO_ROOM), HTTPStatus.INSUFFICIENT_STORAGE)
        # Without its subject, which may be a path of this machine.
        what = {"problem": translated(error.problem)}
        text = gettext("Just now it does not work (%(problem)s).") % what
        return Failure(file.name or "", text, HTTPStatus.SERVICE_UNAVAILABLE)
    remember_own(request, saved.key)
    return saved


def _owner(request: HttpRequest) -> User | None:
    return request.user if request.user.is_authenticated else None


def _page(request: HttpRequest, records: list[Record], failures: list[Failure]) -> HttpResponse:
    settings = request.services.settings
    context = {
        **_results(records, failures),
        "uploads": settings.uploads,
        "max_bytes": str(int(settings.uploads.max_mb * 1e6)),
        "per_hour": settings.access.anonymous_uploads_per_hour,
    }
    return _with_status(render(request, "classify/classify.html", context), records, failures)


def _results(records: list[Record], failures: list[Failure]) -> dict[str, object]:
    return {"results": [shown(record) for record in records], "failures": failures}


def _with_status(
    response: HttpResponse, records: list[Record], failures: list[Failure]
) -> HttpResponse:
    """The status of the first failure, if there is no result."""
    if failures and not records:
        response.status_code = failures[0].status
        if failures[0].wait_s:
            response["Retry-After"] = str(failures[0].wait_s)
    return response
