"""Counts per day and label, as bars: where each part of the chart is, in percent of its size."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from edge_classifier.web.models import Label, Record
from edge_classifier.web.templatetags.words import label_name

# How often a label, by its id, was seen on a day.
Counts = Mapping[tuple[date, int], int]
_DAYS = 30
_MOST_SERIES = 6
# Of the room of a day, what stays free beside its bar.
_GAP = 0.2
_STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Series:
    """One label, or all others together: ``label`` is None then."""

    number: int
    label: Label | None
    # For people.
    name: str
    total: int
    # Its part of every bar, as SVG draws it: ``d`` of a path.
    path: str


@dataclass(frozen=True, slots=True)
class ChartBar:
    """One day."""

    day: date
    x: float
    width: float
    left: str
    # The part of the axis that is its own.
    room: str
    middle: str
    total: int
    # One a series, also those that are 0; the first is at the bottom.
    counts: list[int]
    # All of it in words.
    text: str
    # Whether its day is written below it; there is no room for all.
    is_named: bool


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A line across, and the count that it stands for."""

    y: str
    count: int


@dataclass(frozen=True, slots=True)
class Chart:
    """All of it."""

    first: date
    last: date
    total: int
    series: list[Series]
    bars: list[ChartBar]
    lines: list[ChartLine]


def of_last_days(
    records: QuerySet[Record], since: datetime | None, until: datetime | None
) -> Chart | None:
    """The chart of the last days of ``records``, which are between the two; None without any.

    ``until`` is the first moment that does not belong to them.
    """
    last = timezone.localdate()
    if until:
        last = min(last, timezone.localdate(until - timedelta(microseconds=1)))
    first = last - timedelta(days=_DAYS - 1)
    if since:
        first = max(first, timezone.localdate(since))
    found = counts(records, first, last)
    return chart(found, shown_labels(found), gettext("others"), first, last) if found else None


def counts(records: QuerySet[Record], first: date, last: date) -> Counts:
    """How often each label was seen on each day, as corrected where it was. One query.

    Grouped by the columns of the index ``record_day`` in their order, so that nothing is sorted.
    """
    rows = records.filter(day__range=(first, last)).order_by("day", "label_id", "truth_id")
    found: Counter[tuple[date, int]] = Counter()
    for day, label, truth, count in rows.values_list("day", "label_id", "truth_id").annotate(
        count=Count("*")
    ):
        found[day, truth or label] += count
    return found


def ranked(found: Counts) -> list[int]:
    """The labels, the most frequent first."""
    totals: Counter[int] = Counter()
    for (_, label), count in found.items():
        totals[label] += count
    return sorted(totals, key=lambda label: (-totals[label], label))


def chart(found: Counts, shown: Sequence[Label], others: str, first: date, last: date) -> Chart:
    """The chart of these days: a series for each label in ``shown``, one for the rest.

    Geometry is in percent. What a page writes often is text already: templates take their time
    with numbers.
    """
    # Of each day, the counts of the labels that are shown, and of all others at the end.
    place = {label.id: number for number, label in enumerate(shown)}
    days: dict[date, list[int]] = defaultdict(lambda: [0] * (len(shown) + 1))
    for (day, label_id), count in found.items():
        days[day][place.get(label_id, -1)] += count
    names = [*(label_name(label) for label in shown), others]
    if not any(counts[-1] for counts in days.values()):
        names.pop()
    step, top = scale(max((sum(day) for day in days.values()), default=0))
    bars = _bars(days, names, first, last)
    labels = [*shown, None]
    series = [
        Series(n, labels[n], name, sum(bar.counts[n] for bar in bars), path(bars, n, top))
        for n, name in enumerate(names)
    ]
    lines = [ChartLine(f"{100 - 100 * n / top:.2f}", n) for n in range(step, top + 1, step)]
    return Chart(first, last, sum(found.values()), series, bars, lines)


def path(bars: list[ChartBar], number: int, top: int) -> str:
    """The parts of one series, on top of those before it."""
    parts = []
    for bar in bars:
        if count := bar.counts[number]:
            y = 100 - 100 * sum(bar.counts[: number + 1]) / top
            corner = f"M{bar.x:.2f} {y:.2f}"
            parts.append(f"{corner}h{bar.width:.2f}v{100 * count / top:.2f}h-{bar.width:.2f}z")
    return "".join(parts)


def scale(most: int) -> tuple[int, int]:
    """A round step of at most five lines, and the end of the axis above ``most``."""
    step, power = 1, 1
    while most > 5 * step:
        step = next((unit * power for unit in _STEPS if most <= 5 * unit * power), 10 * power)
        power *= 10
    return step, max(1, -(-most // step)) * step


def _bars(
    days: Mapping[date, list[int]], names: list[str], first: date, last: date
) -> list[ChartBar]:
    size = (last - first).days + 1
    room, every = 100 / size, -(-size // 6)
    bars = []
    for number in range(size):
        day = first + timedelta(days=number)
        counts = days.get(day, [0] * len(names))[: len(names)]
        parts = (f"{name} {count}" for name, count in zip(names, counts, strict=True) if count)
        bars.append(
            ChartBar(
                day,
                x=(number + _GAP / 2) * room,
                width=room * (1 - _GAP),
                left=f"{number * room:.2f}",
                room=f"{room:.2f}",
                middle=f"{(number + 0.5) * room:.2f}",
                total=sum(counts),
                counts=counts,
                text=f"{day}: {', '.join(parts)}",
                is_named=(size - 1 - number) % every == 0,
            )
        )
    return bars


def shown_labels(found: Counts) -> list[Label]:
    """The labels that have a series of their own. One query."""
    ids = ranked(found)[:_MOST_SERIES]
    labels = Label.objects.in_bulk(ids)
    return [labels[label] for label in ids if label in labels]
