"""History: the list of all records, its chart, exports, deletion; and the page of one record."""

import logging
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db import DatabaseError
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from edge_classifier.errors import EdgeClassifierError, PictureError, StorageError, UsageError
from edge_classifier.web.accounts.roles import AccessLevel, access_level_of, requires, visible
from edge_classifier.web.models import Label, Picture, Record
from edge_classifier.web.records import (
    deletion,
    exports,
    filters,
    history_chart,
    keyset,
    picture_storage,
)
from edge_classifier.web.records.display import shown, with_relations
from edge_classifier.web.records.downloads import download
from edge_classifier.web.records.filters import Filter, FilterForm

_log = logging.getLogger(__name__)
# Records on one page of the list, and of those that are to be deleted.
_LISTED, _SHOWN_BEFORE_DELETION = 24, 12
# Labels that are named as new, and characters that names are looked for with.
_MOST_NEW, _LONGEST_TEXT = 30, 200
# What is at a picture's address never changes, and is nobody else's business.
_FOR_EVER = "private, max-age=31536000, immutable"
_AN_HOUR = "private, max-age=3600"
_NOT_NOW = "no-store"


@require_safe
@requires(AccessLevel.VIEWER)
def history(request: HttpRequest) -> HttpResponse:
    """A page of the list; 400 and what is wrong with the filter or the place."""
    form = FilterForm(request.GET)
    typed = form.offer_names()
    new = _labels_first_seen_today(request)
    context: dict[str, Any] = {
        "form": form,
        "names": {f"{field}s": _options(field) for field in typed},
        "new": new[:_MOST_NEW],
        "has_more_new": len(new) > _MOST_NEW,
        "today": timezone.localdate().isoformat(),
    }
    housekeeping = request.services.housekeeping
    if housekeeping and access_level_of(request.user) >= AccessLevel.ADMINISTRATOR:
        context["surplus"], context["spared"] = housekeeping.surplus, housekeeping.spared
        context["retention"] = request.services.settings.retention
    try:
        positions = {
            name: keyset.Position.parse(request.GET[name]) if request.GET.get(name) else None
            for name in ("before", "after")
        }
    except UsageError:
        context["wrong"] = gettext("This is not a place in the list. Start at its top.")
        return render(request, "records/history.html", context, status=HTTPStatus.BAD_REQUEST)
    if not form.is_valid():
        context["wrong"] = gettext("The filter cannot be used as it is.")
        return render(request, "records/history.html", context, status=HTTPStatus.BAD_REQUEST)
    records, count = form.filter().find(visible(request))
    text = ngettext("%(count)s record", "%(count)s records", count)
    if count > filters.COUNT_LIMIT:
        text, count = gettext("more than %(count)s records"), filters.COUNT_LIMIT
    context["count"] = text % {"count": f"{count:,}"}
    context["page"] = keyset.page(records, _LISTED, **positions)
    return render(request, "records/history.html", context)


@require_safe
@requires(AccessLevel.VIEWER)
def names(request: HttpRequest) -> HttpResponse:
    """Options for a field of the filter that contain what was typed into it."""
    field = request.GET.get("field", "")
    if field not in ("device", "camera", "label"):
        raise Http404
    return HttpResponse(_options(field, request.GET.get("text", "")[:_LONGEST_TEXT]))


def _options(field: str, text: str = "") -> SafeString:
    found = filters.names_like(field, text, filters.MOST_OFFERED)
    return format_html_join("", '<option value="{}">{}</option>', found)


def _labels_first_seen_today(request: HttpRequest) -> list[Label]:
    """Of those in what one may see; one more than is shown."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    seen = visible(request).filter(label=OuterRef("pk")).order_by()
    named = Label.objects.exclude(name=Label.UNKNOWN)
    return list(named.filter(Exists(seen), first_seen__gte=midnight)[: _MOST_NEW + 1])


@require_safe
@requires(AccessLevel.VIEWER)
def chart(request: HttpRequest) -> HttpResponse:
    """Counts per day and label; apart from the list, which need not wait for them.

    With ``part``, for the script of the list, it is the chart alone.
    """
    form = FilterForm(request.GET)
    if not form.is_valid():
        return redirect(f"{reverse('history')}?{request.GET.urlencode()}")
    chosen = form.filter()
    made = history_chart.of_last_days(chosen.apply(visible(request)), chosen.since, chosen.until)
    name = "history_chart" if "part" in request.GET else "history_chart_page"
    return render(request, f"records/{name}.html", {"form": form, "chart": made})


@require_safe
@requires(AccessLevel.VIEWER)
def export_csv(request: HttpRequest) -> HttpResponse:
    """What is filtered, as CSV."""
    return _export(request, exports.as_csv, "csv", "text/csv; charset=utf-8")


@require_safe
@requires(AccessLevel.VIEWER)
def export_json(request: HttpRequest) -> HttpResponse:
    """What is filtered, as JSON."""
    return _export(request, exports.as_json, "json", "application/json")


def _export(
    request: HttpRequest,
    lines: Callable[[Iterable[dict[str, Any]]], Iterator[str]],
    ending: str,
    content_type: str,
) -> HttpResponse:
    try:
        chosen = Filter.parse(request.GET)
    except UsageError as error:
        text, status = str(error), HTTPStatus.BAD_REQUEST
        return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")

    def address(record: Record) -> str:
        return str(request.build_absolute_uri(reverse("picture", args=[record.key])))

    records = exports.walk(chosen.apply(visible(request)))
    rows = (exports.row(record, address) for record in records)
    name = f"history-{timezone.localtime():%Y%m%d-%H%M%S}.{ending}"
    return download(request, lines(rows), name, content_type)


@require_POST
@requires(AccessLevel.VIEWER)
def delete(request: HttpRequest) -> HttpResponse:
    """Ask, and on ``confirmed`` delete, of what one may. Nothing goes unasked.

    ``what=selected``: the records of all ``key``. ``what=all``: those of the filter in the other
    fields, up to the id ``last``.
    """
    form = FilterForm(request.POST)
    back = f"{reverse('history')}?{form.query()}"
    try:
        records = _to_delete(request, form)
        if "confirmed" not in request.POST:
            return _ask_whether_to_delete(request, form, records, back)
        count = deletion.delete(records)
    except UsageError as error:
        messages.error(request, error.problem)
    except StorageError as error:
        _log.warning("a picture cannot be deleted: %s", error.detail)
        messages.error(
            request, gettext("A picture could not be deleted just now. It is tried again later.")
        )
    else:
        text = ngettext("%(count)s record was deleted.", "%(count)s records were deleted.", count)
        messages.success(request, text % {"count": f"{count:,}"})
    return redirect(back)


def _to_delete(request: HttpRequest, form: FilterForm) -> QuerySet[Record]:
    """What is meant, of what one may delete. Raises UsageError."""
    mine, what = deletion.deletable_by(request.user), request.POST.get("what")
    if what == "selected":
        try:
            keys = [UUID(key) for key in request.POST.getlist("key")]
        except ValueError as error:
            raise UsageError("delete", gettext("There is no such record.")) from error
        return mine.filter(key__in=keys)
    if what != "all" or not form.is_valid():
        raise UsageError("delete", gettext("It is not clear what is to be deleted."))
    # What comes while one is asked is newer, and stays.
    given = request.POST.get("last", "")
    is_id = given.isascii() and given.isdecimal() and len(given) < 19
    return form.filter().apply(mine).filter(id__lte=int(given) if is_id else _last_id())


def _ask_whether_to_delete(
    request: HttpRequest, form: FilterForm, records: QuerySet[Record], back: str
) -> HttpResponse:
    """The page that says how many go. Raises UsageError when there are none."""
    last = _last_id()
    records = records.filter(id__lte=last)
    count = records.count()
    if not count:
        raise UsageError("delete", gettext("Nothing is selected that you may delete."))
    context = {
        "count": count,
        "reviewed": records.exclude(verdict=Record.Verdict.NONE).count(),
        "shown": keyset.fetch(records, keyset.NEWEST, _SHOWN_BEFORE_DELETION),
        "what": request.POST["what"],
        "keys": request.POST.getlist("key"),
        "given": form.given(),
        "last": last,
        "back": back,
    }
    return render(request, "records/history_delete.html", context)


def _last_id() -> int:
    return Record.objects.aggregate(last=Max("id"))["last"] or 0


@require_safe
def record(request: HttpRequest, key: UUID) -> HttpResponse:
    """All that is known of one record."""
    found = with_relations(visible(request)).filter(key=key).first()
    if found is None and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    if found is None:
        raise Http404
    return render(request, "records/record.html", {"shown": shown(found)})


@require_safe
def picture(request: HttpRequest, key: UUID) -> HttpResponse:
    """The JPEG of one record."""
    found = _picture(request, key)
    return _jpeg(picture_storage.picture_name(found.sha256), f"{key}.jpg")


@require_safe
def thumbnail(request: HttpRequest, key: UUID) -> HttpResponse:
    """The same, small; of a snapshot it is made when it is first looked at."""
    found = _picture(request, key)
    name = picture_storage.thumbnail_name(found.sha256)
    try:
        if not picture_storage.exists(name):
            jpeg = picture_storage.read(picture_storage.picture_name(found.sha256))
            picture_storage.put_thumbnail(found.sha256, request.services.worker.thumbnail(jpeg))
    except PictureError:
        return _placeholder(_AN_HOUR)
    # No worker, no room, or a database that does not answer, just now.
    except (EdgeClassifierError, OSError, DatabaseError):
        return _placeholder(_NOT_NOW)
    return _jpeg(name, f"{key}-small.jpg")


def _picture(request: HttpRequest, key: UUID) -> Picture:
    found = visible(request).select_related("picture").only("picture").filter(key=key).first()
    if found is None or found.picture is None:
        raise Http404
    return found.picture


def _jpeg(name: str, shown_name: str) -> HttpResponse:
    """A file of storage, read while it is sent. Raises Http404 and StorageError."""
    try:
        file = picture_storage.open_file(name)
    except FileNotFoundError as error:
        raise Http404 from error
    response = FileResponse(file, content_type="image/jpeg", filename=shown_name)
    response["Cache-Control"] = _FOR_EVER
    return response


def _placeholder(caching: str) -> HttpResponse:
    response = redirect(static("web/no-picture.svg"))
    response["Cache-Control"] = caching
    return response
