"""What pages ask of the tally: how many, when first, when last, at what hour.

A record counts as its true label where a reviewer has told that, else as the predicted one. What
was rejected, or glimpsed only, counts nowhere unless rows are asked for it.
"""

from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from django.conf import settings
from django.db.models import CharField, ExpressionWrapper, F, Q, QuerySet, Sum
from django.utils import timezone

from edge_classifier.web.accounts.roles import AccessLevel, access_level_of
from edge_classifier.web.models import Record, User
from edge_classifier.web.tally.tables import DayTally, HourTally
from edge_classifier.web.tally.triggers import shift_s

# Of records and of the tally.
SEEN = ~Q(source=Record.Source.GLIMPSE) & ~Q(verdict=Record.Verdict.REJECTED)
TallyRow = TypeVar("TallyRow", DayTally, HourTally)
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
    return _outermost(_events(camera_id), label_id, "day", ("at", "id"))


def last_of(label_id: int, camera_id: int | None = None) -> Record | None:
    """The last one, likewise."""
    return _outermost(_events(camera_id), label_id, "-day", ("-at", "-id"))


def first_seen(label_id: int) -> datetime | None:
    """When this label was first seen, by whomever; None: never, as far as records go back."""
    found = _outermost(SEEN, label_id, "day", ("at", "id"))
    return found.at if found else None


def _events(camera_id: int | None) -> Q:
    of_camera = Q() if camera_id is None else Q(camera=camera_id)
    return Q(SEEN, of_camera, source=Record.Source.EVENT)


def _outermost(meant: Q, label_id: int, by_day: str, order: tuple[str, str]) -> Record | None:
    """The tally has its day, so that what does not count is not read for ever."""
    sums = DayTally.objects.filter(meant, label=label_id).order_by(by_day).values("day")
    if not (found := sums.annotate(total=Sum("count")).filter(total__gt=0).first()):
        return None
    # A day wider than it was: the server may have had another time zone.
    midnight = timezone.make_aware(datetime.combine(found["day"], datetime.min.time()))
    near = Q(at__gte=midnight - _DAY, at__lt=midnight + 2 * _DAY)
    outermost = []
    # Each by an index that has it at its end.
    for counted in (Q(label=label_id, truth=None), Q(truth=label_id)):
        one = Record.objects.filter(counted, near, meant).order_by(*order).first()
        outermost += [one] if one else []
    pick = min if by_day == "day" else max
    return pick(outermost, key=lambda one: (one.at, one.pk), default=None)


def by_day(rows: QuerySet[DayTally]) -> Counter[tuple[date, int]]:
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


def by_hour(rows: QuerySet[HourTally]) -> dict[tuple[datetime, int], int]:
    """How often each label was seen in each hour, which is told by its beginning. One query."""
    sums = rows.order_by().values_list("hour", "label").annotate(total=Sum("count"))
    return {(begin_of(hour), label): total for hour, label, total in sums if total}


def by_hour_of_day(rows: QuerySet[HourTally]) -> list[int]:
    """How many were in each of the 24 hours of the clock, midnight first. One query."""
    found: Counter[int] = Counter()
    sums = rows.order_by().values_list("hour").annotate(total=Sum("count"))
    zone, shift = timezone.get_current_timezone(), shift_s(settings.TIME_ZONE)
    for hour, total in sums:
        found[datetime.fromtimestamp(hour * _HOUR_S - shift, zone).hour] += total
    return [found[hour] for hour in range(_HOURS)]


def begin_of(hour: int) -> datetime:
    """When an hour of ``HourTally`` began."""
    return datetime.fromtimestamp(hour * _HOUR_S - shift_s(settings.TIME_ZONE), UTC)


def hour_of(moment: datetime) -> int:
    """The hour of ``HourTally`` in which ``moment`` is."""
    return int(moment.timestamp() + shift_s(settings.TIME_ZONE)) // _HOUR_S
