"""The page of one record, at its size, and its picture."""

from uuid import UUID

from django.contrib.auth.views import redirect_to_login
from django.db import DatabaseError
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from edge_classifier.errors import EdgeClassifierError, PictureError
from edge_classifier.web.accounts.roles import visible
from edge_classifier.web.database_away import is_away
from edge_classifier.web.models import Picture, Record
from edge_classifier.web.records import keyset, picture_storage, timeline
from edge_classifier.web.records.display import shown, with_relations
from edge_classifier.web.records.filters import Filter, FilterForm

# What is at the address of an event's last picture never changes, and is nobody else's business.
FOR_EVER = "private, max-age=31536000, immutable"
_NEXT_COMES = "private, max-age=5"
_AN_HOUR = "private, max-age=3600"
_NOT_NOW = "no-store"


@require_safe
def record(request: HttpRequest, key: UUID) -> HttpResponse:
    """All that is known of one record; the next ones are those of the filter in the address."""
    found = with_relations(visible(request)).filter(key=key).first()
    if found is None and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if found is None:
        raise Http404
    form = FilterForm(request.GET)
    # Of everything, none has to be counted first; a filter that is wrong is none.
    is_list = form.is_valid() and bool(form.given())
    field: keyset.Field = "score" if request.GET.get("order") == "score" else "at"
    seen = visible(request)
    records = form.filter().find(seen, field)[0] if is_list else Filter().parts(seen)
    newer, older = keyset.neighbours(records, keyset.Position.of(found, field), field)
    context = {
        "shown": shown(found),
        "newer": newer,
        "older": older,
        "query": form.query() if is_list else "",
        "given": form.given() if is_list else (),
        "day": timeline.day_title(timezone.localdate(found.at)),
        "address": request.build_absolute_uri(request.path),
    }
    return render(request, "records/record.html", context)


@require_safe
def picture(request: HttpRequest, key: UUID) -> HttpResponse:
    """The JPEG of one record; who keeps it has what it shows and when in its name."""
    found, of, caching = _picture(request, key)
    name = slugify(of.label.name) or "picture"
    moment = f"{timezone.localtime(of.at):%Y%m%d-%H%M%S}"
    return jpeg_response(
        picture_storage.picture_name(found.sha256), f"{name}-{moment}.jpg", caching
    )


@require_safe
def thumbnail(request: HttpRequest, key: UUID) -> HttpResponse:
    """The same, small; of a snapshot it is made when it is first looked at."""
    found, _, caching = _picture(request, key)
    name = picture_storage.thumbnail_name(found.sha256)
    try:
        if not picture_storage.exists(name):
            jpeg = picture_storage.read(picture_storage.picture_name(found.sha256))
            picture_storage.put_thumbnail(found.sha256, request.services.worker.thumbnail(jpeg))
    except PictureError:
        return _placeholder(_AN_HOUR)
    # No worker, no room, or a database that does not answer, just now.
    except (EdgeClassifierError, OSError, DatabaseError) as error:
        if isinstance(error, DatabaseError) and not is_away(error):
            raise
        return _placeholder(_NOT_NOW)
    return jpeg_response(name, f"{key}-small.jpg", caching)


def _picture(request: HttpRequest, key: UUID) -> tuple[Picture, Record, str]:
    """The picture, what it is of, and how long a browser may keep it."""
    told = ("picture", "source", "verdict", "detail", "duration_s", "recorded_at", "at", "label")
    records = visible(request).select_related("picture", "label").only(*told)
    found = records.filter(key=key).first()
    if found is None or found.picture is None:
        raise Http404
    is_last = found.keeps_picture(timezone.now())
    return found.picture, found, FOR_EVER if is_last else _NEXT_COMES


def jpeg_response(name: str, shown_name: str, caching: str) -> HttpResponse:
    """A file of storage, read while it is sent. Raises Http404 and StorageError."""
    try:
        file = picture_storage.open_file(name)
    except FileNotFoundError as error:
        raise Http404 from error
    response = FileResponse(file, content_type="image/jpeg", filename=shown_name)
    response["Cache-Control"] = caching
    return response


def _placeholder(caching: str) -> HttpResponse:
    response = redirect(static("web/no-picture.svg"))
    response["Cache-Control"] = caching
    return response
