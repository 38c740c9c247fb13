"""History: the list of all records, its chart, exports, deletion."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import Max, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from edge_classifier.errors import StorageError, UsageError
from edge_classifier.web.accounts.roles import AccessLevel, access_level_of, requires, visible
from edge_classifier.web.models import Label, LabelDayTally, Record
from edge_classifier.web.records import (
    deletion,
    exports,
    filters,
    history_chart,
    keyset,
    strip,
    timeline,
)
from edge_classifier.web.records.display import Addresses, as_visits, with_relations
from edge_classifier.web.records.downloads import download
from edge_classifier.web.records.filtering.names import MOST_OFFERED, names_like, similar_labels
from edge_classifier.web.records.filters import Filter, FilterForm
from edge_classifier.web.tally import counts as tally
from edge_classifier.web.wording import explained

_log = logging.getLogger(__name__)
# Cards on one page of the list, which fill rows of two, three, four or six; and records, of which
# several may be on a card.
_CARDS, _LISTED = 24, 96
_SHOWN_BEFORE_DELETION = 12
# Labels that are named as new, and characters that names are looked for with.
_MOST_NEW, _LONGEST_TEXT = 30, 200
# Labels of a day that are looked at for those.
_MOST_ASKED = 500


@require_safe
@requires(AccessLevel.VIEWER)
def history(request: HttpRequest) -> HttpResponse:
    """A page of the list; 400 and what is wrong with the filter or the place."""
    form = FilterForm(request.GET)
    form.offer_names()
    new = _labels_first_seen_today(request)
    context: dict[str, Any] = {
        "form": form,
        "new": new[:_MOST_NEW],
        "has_more_new": len(new) > _MOST_NEW,
        "today": timezone.localdate().isoformat(),
    }
    housekeeping = request.services.housekeeping
    if housekeeping and access_level_of(request.user) >= AccessLevel.ADMINISTRATOR:
        context["surplus"], context["spared"] = housekeeping.surplus, housekeeping.spared
        context["retention"] = request.services.settings.retention
    kind = request.GET.get("kind", "")
    # Each with its name, and this page's address with it.
    kinds = [(value, text, _changed(request, kind=value)) for value, text in filters.KINDS]
    context |= {"kind": kind, "kinds": kinds, "spans": _spans(request)}
    context |= {
        "given": _given(request, form),
        "to": f"?{query}" if (query := form.query()) else "",
    }
    field: keyset.Field = "score" if request.GET.get("order") == "score" else "at"
    try:
        before, after = (
            keyset.Position.parse(given, field) if (given := request.GET.get(name)) else None
            for name in ("before", "after")
        )
    except UsageError:
        context["wrong"] = gettext("This is not a place in the list. Start at its top.")
        return render(request, "records/history.html", context, status=HTTPStatus.BAD_REQUEST)
    if form.has_error("label", filters.NO_SUCH_LABEL) and len(form.errors) == 1:
        similar = similar_labels(request.GET["label"].strip()[:_LONGEST_TEXT])
        context["similar"] = [(name, _changed(request, label=name)) for name in similar]
        context["no_label"] = request.GET["label"]
        return render(request, "records/history.html", context)
    if not form.is_valid():
        context["wrong"] = gettext("The filter cannot be used as it is.")
        return render(request, "records/history.html", context, status=HTTPStatus.BAD_REQUEST)
    context |= _listed(request, form.filter(), context["to"], field, before, after)
    return render(request, "records/history.html", context)


def _listed(
    request: HttpRequest,
    chosen: Filter,
    to: str,
    field: keyset.Field,
    before: keyset.Position | None,
    after: keyset.Position | None,
) -> dict[str, Any]:
    """A page of what is meant, with its headings and how many there are of all.

    ``to``: the filter, as it stands behind the address of each record.
    """
    sums = chosen.sums(request.user)
    records, count = chosen.find(visible(request), field, sums)
    text = ngettext("%(count)s record", "%(count)s records", count)
    if count > filters.COUNT_LIMIT:
        text, count = gettext("more than %(count)s records"), filters.COUNT_LIMIT
    addresses = Addresses(to)
    if field == "score":
        page = keyset.page(records, _CARDS, as_visits, before=before, after=after, field=field)
        days = timeline.without_headings(page.records, addresses)
    else:
        headings = timeline.Headings(
            by_hour=timeline.is_short(chosen.since, chosen.until, timezone.now()),
            is_quiet=chosen.labels is None,
        )
        fitting = partial(headings.fitting, most=_CARDS)
        page = keyset.page(records, _LISTED, as_visits, before=before, after=after, fitting=fitting)
        days = headings.days(page.records, addresses)
    found: dict[str, Any] = {"count": text % {"count": f"{count:,}"}, "page": page}
    if chosen.labels is not None:
        found["about"] = Label.objects.filter(pk__in=chosen.labels)
    if chosen.is_in_tally and page.records:
        counted = strip.of_each_day(sums, [day.day for day in days if day.day])
        days = [replace(day, count=counted.get(day.day) if day.day else None) for day in days]
        found["is_in_tally"] = True
    return found | {"days": days}


@require_safe
@requires(AccessLevel.VIEWER)
def calendar(request: HttpRequest) -> HttpResponse:
    """How much was seen on each day, as links; apart from the list, which need not wait for it.

    With ``part``, for the script of the list, it is the strip alone.
    """
    form = FilterForm(request.GET)
    if not form.is_valid() or not (chosen := form.filter()).is_in_tally:
        return redirect(f"{reverse('history-chart')}?{request.GET.urlencode()}")
    # Who looks for what is unknown wants to see how often it was.
    is_apart = chosen.labels is None

    def address(since: date, until: date) -> str:
        return _changed(request, since=since.isoformat(), until=until.isoformat())

    sums = chosen.sums(request.user)
    made = strip.strip(sums, (chosen.since, chosen.until), address, is_apart=is_apart)
    context = {
        "strip": made,
        "totals": [(total, _changed(request, label=total.name)) for total in made.totals],
        "to": f"?{query}" if (query := form.query()) else "",
    }
    name = "strip" if "part" in request.GET else "strip_page"
    return render(request, f"records/{name}.html", context)


def _changed(request: HttpRequest, **changes: str) -> str:
    """The address of the top of the same list, with other parameters; "" takes one away."""
    changes = {"before": "", "after": "", "part": "", **changes}
    kept = [(name, values) for name, values in request.GET.lists() if name not in changes]
    params = [*kept, *((name, value) for name, value in changes.items() if value)]
    return f"{reverse('history')}?{urlencode(params, doseq=True)}" if params else reverse("history")


def _spans(request: HttpRequest) -> list[tuple[str, str, bool]]:
    """What people ask for most: its name, its address, and whether it is shown now."""
    today = timezone.localdate()
    yesterday, week = today - timedelta(days=1), today - timedelta(days=6)
    spans = (
        (gettext("Any time"), "", ""),
        (gettext("Today"), today.isoformat(), ""),
        (gettext("Yesterday"), yesterday.isoformat(), yesterday.isoformat()),
        (gettext("7 days"), week.isoformat(), ""),
    )
    here = request.GET.get("since", ""), request.GET.get("until", "")
    return [
        (text, _changed(request, since=since, until=until), here == (since, until))
        for text, since, until in spans
    ]


def _given(request: HttpRequest, form: FilterForm) -> list[tuple[str, str]]:
    """Each condition in words, and the address without it."""
    found = []
    for name, _value in form.given():
        if name in ("kind", "order", "since", "until"):
            continue
        text = f"{form.fields[name].label}: {form.shown(name)}"
        found.append((text, _changed(request, **{name: ""})))
    spans = [name for name in ("since", "until") if request.GET.get(name)]
    if spans:
        days = [request.GET[name].replace("T", " ") for name in spans]
        told = [f"{form.fields[name].label}: {day}" for name, day in zip(spans, days, strict=True)]
        text = days[0] if len(days) > len(set(days)) else ", ".join(told)
        found.append((text, _changed(request, since="", until="")))
    return found


@require_safe
@requires(AccessLevel.VIEWER)
def names(request: HttpRequest) -> HttpResponse:
    """Options for a field of the filter that contain what was typed into it."""
    field = request.GET.get("field", "")
    if field not in ("device", "camera", "label"):
        raise Http404
    text = request.GET.get("text", "")[:_LONGEST_TEXT]
    found = names_like(field, text, MOST_OFFERED)
    return HttpResponse(format_html_join("", '<option value="{}">{}</option>', found))


def _labels_first_seen_today(request: HttpRequest) -> list[Label]:
    """Of those in what one may see; one more than is shown."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    named = Label.objects.filter(first_seen__gte=midnight).exclude(name=Label.UNKNOWN)
    # On most days, nothing more is to be asked.
    if not (new := list(named[:_MOST_ASKED])):
        return []
    rows = LabelDayTally.objects.filter(tally.SEEN, day__gte=midnight.date(), label__in=new)
    seen = tally.by_label(tally.visible_to(request.user, rows))
    return [label for label in new if label.pk in seen][: _MOST_NEW + 1]


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
    if chosen.kind == "all":
        # What was only glimpsed is not counted with what was seen.
        chosen = replace(chosen, kind="")
    made = history_chart.of_last_days(chosen, request.user)
    name = "history_chart" if "part" in request.GET else "history_chart_page"
    return render(
        request, f"records/{name}.html", {"form": form, "chart": made, "kind": chosen.kind}
    )


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

    records = exports.walk(chosen.parts(visible(request)))
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
        messages.error(request, explained(error))
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
            # A card of several visits sends all of them as one.
            keys = [UUID(key) for text in request.POST.getlist("key") for key in text.split(",")]
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
        "shown": keyset.fetch([records], keyset.NEWEST, _SHOWN_BEFORE_DELETION, with_relations),
        "what": request.POST["what"],
        "keys": request.POST.getlist("key"),
        "given": form.given(),
        "last": last,
        "back": back,
    }
    return render(request, "records/history_delete.html", context)


def _last_id() -> int:
    return Record.objects.aggregate(last=Max("id"))["last"] or 0
