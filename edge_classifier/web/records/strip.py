"""The calendar strip above the list: how much was seen on each day, and what."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, pgettext

from edge_classifier.web.models import Label
from edge_classifier.web.records import history_chart
from edge_classifier.web.records.history_chart import Chart, ChartBar
from edge_classifier.web.records.timeline import day_title
from edge_classifier.web.tally import counts as tally
from edge_classifier.web.tally.counts import Days
from edge_classifier.web.templatetags.words import label_name

DAYS = 35
_DAY = timedelta(days=1)
# The end of a span is the first moment after it.
_INSTANT = timedelta(microseconds=1)
_MOST_TOTALS = 12


@dataclass(frozen=True, slots=True)
class StripDay:
    """One day of it: a link to what was seen then."""

    bar: ChartBar
    # How much was seen, as a day has room for: 12k. All of it is in ``text``.
    count: str
    # Its number, and of the first day of a month that month.
    name: str
    # With what was seen, in words.
    text: str
    address: str
    is_chosen: bool


class Total(NamedTuple):
    """How often one label was seen on the days that were chosen, or on all of the strip."""

    # Of its colour in the bars.
    number: int
    name: str
    times: int


@dataclass(frozen=True, slots=True)
class Strip:
    """All of it. What is unknown is told apart, as it is no sight of anything."""

    chart: Chart
    days: list[StripDay]
    # The days that ``totals`` are of, in words.
    span: str
    # The most frequent labels; of how many, and how often all of them were seen.
    totals: list[Total]
    kinds: int
    count: int
    unknown: int
    # Addresses of the weeks before, and of those after unless it is today.
    earlier: str
    later: str


def window(since: datetime | None, until: datetime | None) -> tuple[date, date]:
    """The first and the last day that are shown beside what was chosen: to today if that fits."""
    today = timezone.localdate()
    begin = timezone.localdate(since) if since else today
    end = timezone.localdate(until - _INSTANT) if until else today
    last = today
    if min(begin, end) <= today - DAYS * _DAY:
        around = max(0, DAYS - 1 - (end - begin).days) // 2 if since else 0
        last = min(today, end + around * _DAY)
    return last - (DAYS - 1) * _DAY, last


def of_each_day(rows: Days, days: Sequence[date]) -> Counter[date]:
    """How much of what is known was seen on each of ``days``. One query."""
    return tally.of_each_day(rows.filter(day__in=days).exclude(label__name=Label.UNKNOWN))


def _span(first: date, last: date) -> str:
    if first == last:
        return day_title(first)
    # Translators: Django's letters for a date: 23 November.
    between = {"first": first, "last": last}
    days = {name: date_format(day, pgettext("date", "j F")) for name, day in between.items()}
    return gettext("%(first)s to %(last)s") % days


def strip(
    rows: Days,
    chosen: tuple[datetime | None, datetime | None],
    address: Callable[[date, date], str],
    *,
    is_apart: bool,
) -> Strip:
    """The strip of ``rows``, with the days between the two of ``chosen`` as chosen.

    ``address``: of what was seen from one day to another. ``is_apart``: "unknown" is no bar.
    """
    first, last = window(*chosen)
    since, until = chosen
    begin = max(first, timezone.localdate(since)) if since else first
    end = min(last, timezone.localdate(until - _INSTANT)) if until else last
    rows = rows.filter(day__range=(first, last))
    found = tally.by_label(rows)
    # What a reader takes for the same label is one.
    labels = history_chart.by_shown_name(found)
    apart = [pk for pk, one in labels.items() if is_apart and one.name == Label.UNKNOWN]
    of_chosen = found
    if (begin, end) != (first, last):
        of_chosen = tally.by_label(rows.filter(day__range=(begin, end)))
    unknown = sum(of_chosen.pop(label, 0) for label in apart)
    for label in apart:
        found.pop(label, None)
    totals = history_chart.by_first(of_chosen, labels)
    series = history_chart.most_seen(found, labels)
    sightings = history_chart.tallied(rows.exclude(label__in=apart), series, labels)
    place = {label.pk: number for number, label in enumerate(series)}
    chart = history_chart.chart(sightings, series, gettext("others"), first, last)
    days = [
        StripDay(
            bar,
            str(bar.total or "") if bar.total < 10_000 else f"{bar.total // 1000}k",
            date_format(bar.day, pgettext("date", "M") if bar.day.day == 1 else "j"),
            f"{day_title(bar.day)}: {bar.text.partition(': ')[2] or gettext('nothing')}",
            address(bar.day, bar.day),
            since is not None and begin <= bar.day <= end,
        )
        for bar in chart.bars
    ]
    return Strip(
        chart,
        days,
        _span(begin, end),
        [
            Total(place.get(label, history_chart.MOST_SERIES), label_name(labels[label]), count)
            for label, count in totals.most_common(_MOST_TOTALS)
            if label in labels
        ],
        len(totals),
        totals.total(),
        unknown,
        address(first - DAYS * _DAY, first - _DAY),
        address(last + _DAY, last + DAYS * _DAY) if last < timezone.localdate() else "",
    )
