"""One record: its page, its picture, its thumbnail."""

from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.http import require_safe

from edge_classifier.errors import EdgeClassifierError, PictureError
from edge_classifier.web.accounts.roles import visible
from edge_classifier.web.models import Picture, Record
from edge_classifier.web.records import picture_storage as store
from edge_classifier.web.records.display import shown

# What is at a picture's address never changes, and is nobody else's business.
_FOR_EVER = "private, max-age=31536000, immutable"
_AN_HOUR = "private, max-age=3600"
_NOT_NOW = "no-store"


def with_relations(request: HttpRequest) -> QuerySet[Record]:
    """The records that whoever asks may see, with all that a page shows of them."""
    return visible(request).select_related(
        "label", "picture", "camera", "owner", "truth", "reviewer"
    )


@require_safe
def page(request: HttpRequest, key: UUID) -> HttpResponse:
    """All that is known of one record."""
    found = with_relations(request).filter(key=key).first()
    if found is None and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if found is None:
        raise Http404
    return render(request, "records/record.html", {"shown": shown(found)})


@require_safe
def picture(request: HttpRequest, key: UUID) -> HttpResponse:
    """The JPEG of one record."""
    found = _picture(request, key)
    return _jpeg(store.picture_name(found.sha256), f"{key}.jpg")


@require_safe
def thumbnail(request: HttpRequest, key: UUID) -> HttpResponse:
    """The same, small; of a snapshot it is made when it is first looked at."""
    found = _picture(request, key)
    name = store.thumbnail_name(found.sha256)
    try:
        if not default_storage.exists(name):
            jpeg = store.read(store.picture_name(found.sha256))
            store.put_file(name, request.services.worker.thumbnail(jpeg))
    except PictureError:
        return _placeholder(_AN_HOUR)
    except (EdgeClassifierError, OSError):  # No worker, or no room, just now.
        return _placeholder(_NOT_NOW)
    return _jpeg(name, f"{key}-small.jpg")


def _picture(request: HttpRequest, key: UUID) -> Picture:
    found = visible(request).select_related("picture").only("picture").filter(key=key).first()
    if found is None or found.picture is None:
        raise Http404
    return found.picture


def _jpeg(name: str, shown_name: str) -> HttpResponse:
    """A file of storage, read while it is sent."""
    try:
        file = default_storage.open(name, "rb")
    except FileNotFoundError as error:
        raise Http404 from error
    response = FileResponse(file, content_type="image/jpeg", filename=shown_name)
    response["Cache-Control"] = _FOR_EVER
    return response


def _placeholder(caching: str) -> HttpResponse:
    response = redirect(static("web/no-picture.svg"))
    response["Cache-Control"] = caching
    return response
