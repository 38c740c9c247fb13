"""Counts per day and label, as bars: where each part of the chart is, in percent of its size."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta

from django.db.models import Count, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from edge_classifier.web.accounts.roles import visible_to
from edge_classifier.web.models import Label, LabelDayTally, Record, User
from edge_classifier.web.records.filters import Filter
from edge_classifier.web.tally import counts as tally
from edge_classifier.web.templatetags.words import label_name

# How often a label, by its id, was seen on a day.
Counts = Mapping[tuple[date, int], int]
_DAYS = 30
MOST_SERIES = 6
# In place of a label: all that have no series of their own.
_OTHERS = 0
# Of the room of a day, what stays free beside its bar.
_GAP = 0.2
_STEPS = (1, 2, 5)
# Rows of an index that are counted in some hundredths of a second.
_READABLE = 100_000


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
    # Whether it begins later than was asked for, as there are too many records to count.
    is_cut: bool = False


def of_last_days(chosen: Filter, user: User) -> Chart | None:
    """The chart of the last days of what ``chosen`` means and ``user`` may see; None without any.

    What the tally cannot tell is counted from the records, as many whole days as can be read at
    once: the chart begins later then.
    """
    last = timezone.localdate()
    if chosen.until:
        last = min(last, timezone.localdate(chosen.until - timedelta(microseconds=1)))
    first = begin = last - timedelta(days=_DAYS - 1)
    if chosen.since:
        first = begin = max(first, timezone.localdate(chosen.since))
    records, rows = chosen.apply(visible_to(user)), None
    if chosen.is_in_tally:
        # Of days that begin or end between midnights, as only a part is meant, the tally knows
        # nothing.
        edges = {timezone.localtime(edge) for edge in (chosen.since, chosen.until) if edge}
        cut = {edge.date() for edge in edges if edge.time() != time.min}
        parts = {day for day in cut if first <= day <= last}
        found = Counter({key: n for day in parts for key, n in counts(records, day, day).items()})
        rows = chosen.sums(user).filter(day__range=(first, last)).exclude(day__in=parts)
    elif (few := chosen.rows_if_few(visible_to(user), "day", "label_id", "truth_id")) is not None:
        # One by one: a database that groups them reads all records of these days.
        places = ((day, truth or label) for day, label, truth in few if first <= day <= last)
        found = Counter(places)
    else:
        begin = _first_of_readable(first, last)
        found = counts(records, begin, last)
    totals = tally.by_label(rows) if rows is not None else Counter[int]()
    for (_, label), count in found.items():
        totals[label] += count
    if not totals:
        return None
    labels = by_shown_name(totals)
    shown, found = most_seen(totals, labels), merged(found, labels)
    if rows is not None:
        found.update(tallied(rows, shown, labels))
    return chart(found, shown, gettext("others"), begin, last, is_cut=begin > first)


def tallied(
    rows: tally.Days, shown: Sequence[Label], labels: Mapping[int, Label]
) -> Counter[tuple[date, int]]:
    """The counts of what is ``shown``, and of each day how many others there are. Two queries.

    ``labels``: of all labels of ``rows``, as ``by_shown_name`` has them.
    """
    first = {label.pk for label in shown}
    members = [pk for pk, label in labels.items() if label.pk in first]
    found = merged(tally.by_day(rows.filter(label__in=members)), labels)
    rest = tally.of_each_day(rows)
    for (day, _), count in found.items():
        rest[day] -= count
    found.update({(day, _OTHERS): count for day, count in rest.items() if count > 0})
    return found


def _first_of_readable(first: date, last: date) -> date:
    """The first of the last whole days that have ``_READABLE`` records together, or of one."""
    days = tally.of_each_day(LabelDayTally.objects.filter(day__range=(first, last)))
    total = 0
    for day in sorted(days, reverse=True):
        total += days[day]
        if total > _READABLE and day < last:
            return day + timedelta(days=1)
    return first


def counts(records: QuerySet[Record], first: date, last: date) -> Counter[tuple[date, int]]:
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


def by_shown_name(found: Collection[int]) -> dict[int, Label]:
    """Each label's first one of those that a reader takes for the same. One query.

    Two may have the same Chinese name, or differ in capitals only, and the filter by a name finds
    both.
    """
    first: dict[str, Label] = {}
    labels = Label.objects.filter(pk__in=found).order_by("pk")
    labels = labels.only("name", "chinese")
    return {one.pk: first.setdefault(label_name(one).lower(), one) for one in labels}


def merged(found: Counts, labels: Mapping[int, Label]) -> Counter[tuple[date, int]]:
    """``found`` with what ``labels`` has the same label for as one."""
    sums = Counter(found)
    others = {label: one.pk for label, one in labels.items() if one.pk != label}
    # Mostly there are none, and thousands of counts.
    for place in [place for place in found if place[1] in others] if others else ():
        sums[place[0], others[place[1]]] += sums.pop(place)
    return sums


def by_first(totals: Mapping[int, int], labels: Mapping[int, Label]) -> Counter[int]:
    """How often each label was seen, with what ``labels`` has the same label for as one."""
    found: Counter[int] = Counter()
    for label, count in totals.items():
        found[labels[label].pk if label in labels else label] += count
    return found


def most_seen(totals: Mapping[int, int], labels: Mapping[int, Label]) -> list[Label]:
    """The labels that have a series of their own, the most frequent first."""
    sums = by_first(totals, labels)
    ranked = sorted(sums, key=lambda label: (-sums[label], label))[:MOST_SERIES]
    return [labels[label] for label in ranked if label in labels]


def chart(
    found: Counts,
    shown: Sequence[Label],
    others: str,
    first: date,
    last: date,
    *,
    is_cut: bool = False,
) -> Chart:
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
    return Chart(first, last, sum(found.values()), series, bars, lines, is_cut)


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
