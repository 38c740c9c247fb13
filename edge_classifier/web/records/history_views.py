"""Everything that was seen: found, counted, exported."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_safe

from edge_classifier.errors import UsageError
from edge_classifier.web.accounts.roles import Role, requires, visible
from edge_classifier.web.models import Label, Record
from edge_classifier.web.records import exports, keyset
from edge_classifier.web.records import history_chart as charts
from edge_classifier.web.records.delete_views import delete
from edge_classifier.web.records.filters import Filter, FilterForm

__all__ = ["chart", "delete", "export_csv", "export_json", "page"]

_SIZE = 24
# More are not counted: it would take its time, and nobody reads that many.
_COUNTED = 2_000
_CHART_DAYS = 30
_FEW = 100


@require_safe
@requires(Role.VIEWER)
def page(request: HttpRequest) -> HttpResponse:
    """A part of the list; 400 and what is wrong with the filter or the place."""
    form = FilterForm(request.GET)
    context = {"form": form, "labels": _labels(), "new": _new(request), "today": _today()}
    try:
        places = {name: _place(request, name) for name in ("before", "after")}
    except UsageError:
        context["wrong"] = gettext("This is no place in the list. Begin at its top.")
        return render(request, "records/history.html", context, status=HTTPStatus.BAD_REQUEST)
    if not form.is_valid():
        context["wrong"] = gettext("The filter cannot be used as it is.")
        return render(request, "records/history.html", context, status=HTTPStatus.BAD_REQUEST)
    chosen = form.filter()
    records, count = _counted(visible(request), chosen)
    context["count"] = _told(count)
    context["page"] = keyset.page(records, _SIZE, **places)
    return render(request, "records/history.html", context)


@require_safe
@requires(Role.VIEWER)
def chart(request: HttpRequest) -> HttpResponse:
    """Counts per day and label; apart from the list, which need not wait for them.

    With ``part``, for the script of the list, it is the chart alone.
    """
    form = FilterForm(request.GET)
    if not form.is_valid():
        return redirect(f"{reverse('history')}?{request.GET.urlencode()}")
    chosen = form.filter()
    context = {"form": form, "chart": _chart(chosen.apply(visible(request)), chosen)}
    name = "history_chart" if "part" in request.GET else "history_chart_page"
    return render(request, f"records/{name}.html", context)


@require_safe
@requires(Role.VIEWER)
def export_csv(request: HttpRequest) -> HttpResponse:
    """What is filtered, as CSV."""
    return _export(request, exports.as_csv, "csv", "text/csv; charset=utf-8")


@require_safe
@requires(Role.VIEWER)
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
    return StreamingHttpResponse(
        lines(rows),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _place(request: HttpRequest, name: str) -> keyset.Position | None:
    token = request.GET.get(name)
    return keyset.Position.parse(token) if token else None


def _today() -> str:
    return timezone.localdate().isoformat()


def _labels() -> SafeString:
    """What has been seen, for the filter to suggest; hundreds, so no loop of the template's."""
    seen = Label.objects.exclude(first_seen=None).values_list("name", "chinese")
    return format_html_join("", '<option value="{}">{}</option>', seen)


def _new(request: HttpRequest) -> list[Label]:
    """Labels that were seen today for the first time, in what one may see."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    seen = visible(request).filter(label=OuterRef("pk")).order_by()
    named = Label.objects.exclude(name=Label.UNKNOWN)
    return list(named.filter(Exists(seen), first_seen__gte=midnight))


def _counted(records: QuerySet[Record], chosen: Filter) -> tuple[QuerySet[Record], int]:
    """Those of ``records`` that are meant, as they are found the quickest; how many, up to a limit.

    A few are found again by their ids: no index has every condition in it.
    """
    found = chosen.apply(records)
    ids = list(found.order_by().values_list("id", flat=True)[: _FEW + 1])
    if len(ids) <= _FEW:
        return Record.objects.filter(id__in=ids), len(ids)
    count = found.order_by().values("id")[: _COUNTED + 1].count()
    return chosen.apply(records, is_frequent=count > _COUNTED), count


def _told(count: int) -> str:
    if count > _COUNTED:
        return gettext("more than %(count)s records") % {"count": f"{_COUNTED:,}"}
    return ngettext("%(count)s record", "%(count)s records", count) % {"count": f"{count:,}"}


def _chart(records: QuerySet[Record], chosen: Filter) -> charts.Chart | None:
    """The last days of what is filtered; None without any."""
    last = timezone.localdate()
    if chosen.until:
        last = min(last, timezone.localdate(chosen.until - timedelta(microseconds=1)))
    first = last - timedelta(days=_CHART_DAYS - 1)
    if chosen.since:
        first = max(first, timezone.localdate(chosen.since))
    counts = charts.counts(records, first, last)
    if not counts:
        return None
    return charts.chart(counts, charts.shown_labels(counts), gettext("others"), first, last)
