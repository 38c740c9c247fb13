"""What pages ask of the tally: how many, when first, when last, at what hour.

A record counts as its true label where a reviewer has told that, else as the predicted one. What
was rejected, or glimpsed only, counts nowhere unless rows are asked for it.
"""

from collections import Counter
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import TypeAlias, TypeVar

from django.conf import settings
from django.db.models import (
    Case,
    CharField,
    ExpressionWrapper,
    F,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    When,
)
from django.db.models.functions import Mod
from django.utils import timezone

from edge_classifier.web.accounts.roles import AccessLevel, access_level_of
from edge_classifier.web.models import Record, User
from edge_classifier.web.tally.tables import DayTally, HourTally, LabelDayTally
from edge_classifier.web.tally.triggers import shift_s

# Of records and of the tally.
SEEN = ~Q(source=Record.Source.GLIMPSE) & ~Q(verdict=Record.Verdict.REJECTED)
TallyRow = TypeVar("TallyRow", DayTally, LabelDayTally, HourTally)
# Sums of days: of each camera, or of all together.
Days: TypeAlias = QuerySet[DayTally] | QuerySet[LabelDayTally]
_HOURS, _HOUR_S = 24, 3600
_DAY = timedelta(days=1)


def visible_to(user: User, rows: QuerySet[TallyRow]) -> QuerySet[TallyRow]:
    """Those of the records that ``user`` may see: of a viewer, what cameras saw and their own."""
    if access_level_of(user) >= AccessLevel.REVIEWER:
        return rows
    return rows.filter(Q(source__in=Record.CAMERA_SOURCES) | Q(owner=user))


def counted_as(labels: Collection[int]) -> Q:
    """Records that count as one of these labels."""
    return Q(truth__in=labels) | Q(truth=None, label__in=labels)


def first_of(label_id: int, camera_id: int | None = None) -> Record | None:
    """The first event ever that counts as this label, of one camera or of all."""
    return _outermost(label_id, "day", ("at", "id"), str(Record.Source.EVENT), camera_id)


def last_of(label_id: int, camera_id: int | None = None) -> Record | None:
    """The last one, likewise."""
    return _outermost(label_id, "-day", ("-at", "-id"), str(Record.Source.EVENT), camera_id)


def first_seen(label_id: int) -> datetime | None:
    """When this label was first seen, by whomever; None: never, as far as records go back."""
    found = _outermost(label_id, "day", ("at", "id"))
    return found.at if found else None


def _outermost(
    label_id: int,
    by_day: str,
    order: tuple[str, str],
    source: str = "",
    camera_id: int | None = None,
) -> Record | None:
    """The tally has its day, so that what does not count is not read for ever."""
    meant = SEEN & Q(source=source) if source else SEEN
    rows = LabelDayTally.objects.filter(meant, label=label_id)
    if camera_id is not None:
        meant &= Q(camera=camera_id)
        rows = DayTally.objects.filter(meant, label=label_id)
    sums = rows.order_by(by_day).values("day")
    if not (found := sums.annotate(total=Sum("count")).filter(total__gt=0).first()):
        return None
    # A day wider than it was: the server may have had another time zone.
    midnight = timezone.make_aware(datetime.combine(found["day"], datetime.min.time()))
    near = Q(at__gte=midnight - _DAY, at__lt=midnight + 2 * _DAY)
    outermost = []
    # Each by an index that has it at its end.
    for counted in (Q(label=label_id, truth=None), Q(truth=label_id)):
        records = Record.objects.filter(counted, near, meant).only("key", "at")
        one = records.order_by(*order).first()
        outermost += [one] if one else []
    pick = min if by_day == "day" else max
    return pick(outermost, key=lambda one: (one.at, one.pk), default=None)


def by_label(rows: Days) -> Counter[int]:
    """How often each label was seen. One query."""
    sums = rows.order_by().values_list("label").annotate(total=Sum("count"))
    return Counter({label: total for label, total in sums if total > 0})


def of_each_day(rows: Days) -> Counter[date]:
    """How much was seen on each day. One query."""
    sums = rows.order_by().values_list("day").annotate(total=Sum("count"))
    return Counter({day: total for day, total in sums if total > 0})


def by_day(rows: Days) -> Counter[tuple[date, int]]:
    """How often each label was seen on each day. One query."""
    # There are thousands of rows of few days: each day is made a date once, and not in every row.
    written = ExpressionWrapper(F("day"), CharField())
    sums = rows.order_by().values_list(written, "label").annotate(total=Sum("count"))
    found = [row for row in sums if row[2] > 0]
    # SQLite has a date as text.
    days = {
        day: date.fromisoformat(day) if isinstance(day, str) else day
        for day in {day for day, _, _ in found}
    }
    return Counter({(days[day], label): total for day, label, total in found})


def by_hour_of_day(rows: QuerySet[HourTally], since: datetime) -> list[int]:
    """How many were in each of the 24 hours of the clock since then, midnight first. One query."""
    begin = int(since.timestamp()) // _HOUR_S
    first, *later = _clock_changes(begin, int(timezone.now().timestamp()) // _HOUR_S + 1)
    # The database adds up, as a year has 8,760 hours.
    by_clock = Case(
        *(When(hour__gte=hour, then=F("hour") + ahead) for hour, ahead in reversed(later)),
        default=F("hour") + first[1],
    )
    of_day = ExpressionWrapper(Mod(by_clock, _HOURS), IntegerField())
    sums = rows.filter(hour__gte=begin).order_by().values_list(of_day)
    found = dict(sums.annotate(total=Sum("count")))
    return [found.get(hour, 0) for hour in range(_HOURS)]


def _clock_changes(begin: int, end: int) -> list[tuple[int, int]]:
    """By how many hours the clock on the wall is ahead of the tally's, from which of those on."""
    zone, shift = timezone.get_current_timezone(), shift_s(settings.TIME_ZONE)

    def ahead(hour: int) -> int:
        offset = datetime.fromtimestamp(hour * _HOUR_S - shift, zone).utcoffset()
        # Above zero, as what is left by a division is for a database.
        return int(offset.total_seconds() - shift) // _HOUR_S % _HOURS if offset else 0

    changes = [(begin, ahead(begin))]
    for day in range(begin + _HOURS, end + _HOURS, _HOURS):
        if ahead(day) != changes[-1][1]:
            after = ahead(day)
            first = next(hour for hour in range(day - _HOURS, day + 1) if ahead(hour) == after)
            changes.append((first, after))
    return changes
