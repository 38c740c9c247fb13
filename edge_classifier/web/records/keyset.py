"""Pages of a list that begin after a known record: the last one is as quick as the first."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from django.db.models import F, Q, QuerySet

from edge_classifier.errors import UsageError
from edge_classifier.web.models import Record
from edge_classifier.web.records.display import Visit
from edge_classifier.web.records.filtering.among import Among

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOKENS = {
    "at": re.compile(r"(\d{1,16})\.(\d{1,18})", re.ASCII),
    "score": re.compile(r"(\d(?:\.\d{1,20})?(?:e-\d{1,3})?)\.(\d{1,18})", re.ASCII),
}
# What a list is in the order of, the highest first.
Field = Literal["at", "score"]
NEWEST = ("-at", "-id")
# Records in parts that have none in common, each of which an index has in the order of time: so
# the first ones of all are found by reading the first ones of each.
Parts = Sequence[QuerySet[Record]]
Row = TypeVar("Row", Record, Visit)
Reading = Callable[[QuerySet[Record]], Iterable[Row]]
# How far one with a picture is looked for.
_NEAR = 20


class Position(NamedTuple):
    """Where a record is in the order of a field."""

    value: datetime | float
    id: int

    @classmethod
    def of(cls, record: Record | Visit, field: Field = "at") -> "Position":
        """That of ``record``."""
        return cls(getattr(record, field), record.id)

    @classmethod
    def parse(cls, token: str, field: Field = "at") -> "Position":
        """The position that was written as ``token``. Raises UsageError."""
        found = _TOKENS[field].fullmatch(token)
        if not found:
            raise UsageError(
                "page", f"{token[:40]!r} is not a place in the list", "Start at its top."
            )
        if field == "score":
            return cls(float(found[1]), int(found[2]))
        return cls(_EPOCH + timedelta(microseconds=int(found[1])), int(found[2]))

    def __str__(self) -> str:
        if isinstance(self.value, float):
            return f"{self.value!r}.{self.id}"
        return f"{(self.value - _EPOCH) // timedelta(microseconds=1)}.{self.id}"


def older(records: QuerySet[Record], than: Position, field: Field = "at") -> QuerySet[Record]:
    """Those behind ``than``. The first condition is what SQLite can use an index for."""
    within, behind = Q(**{f"{field}__lte": than.value}), Q(**{f"{field}__lt": than.value})
    return records.filter(within, behind | Q(id__lt=than.id))


def newer(records: QuerySet[Record], than: Position, field: Field = "at") -> QuerySet[Record]:
    """Those ahead of ``than``."""
    within, ahead = Q(**{f"{field}__gte": than.value}), Q(**{f"{field}__gt": than.value})
    return records.filter(within, ahead | Q(id__gt=than.id))


def fetch(records: Parts, order: tuple[str, str], size: int, read: Reading[Row]) -> list[Row]:
    """What ``read`` reads of the first ``size`` in this order.

    A query for each part and one more: where no index has the order, numbers are sorted and not
    whole rows.
    """
    ids = [row[1] for row in _first(records, order, size)]
    return list(read(Record.objects.filter(Among(F("id"), ids)).order_by(*order)))


def _first(
    records: Parts, order: tuple[str, str], size: int, *columns: str
) -> list[tuple[Any, ...]]:
    """Value of the order's field, id and ``columns`` of the first ``size`` of all parts."""
    field, is_falling = order[0].removeprefix("-"), order[0].startswith("-")
    rows: list[tuple[Any, ...]] = []
    for part in records:
        rows += part.order_by(*order).values_list(field, "id", *columns)[:size]
    return sorted(rows, key=itemgetter(0, 1), reverse=is_falling)[:size]


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some records, the newest or the highest first, and how to go on from there."""

    records: list[Row]
    older: Position | None
    newer: Position | None


def page(
    records: Parts,
    size: int,
    read: Reading[Row],
    *,
    before: Position | None = None,
    after: Position | None = None,
    field: Field = "at",
    fitting: Callable[[list[Row]], int] = len,
) -> Page[Row]:
    """What ``read`` reads of the ``size`` highest; or of those next to ``before``, or ``after``.

    ``fitting``: how many of them, from their beginning, there is room for; one at least.
    """
    if after:
        rest = [newer(part, after, field) for part in records]
        found = fetch(rest, (field, "id"), size + 1, read)
        shown = found[: fitting(found[:size])]
        if len(found) > len(shown):  # Else it is the top of the list, and shown in full.
            shown.reverse()
            return Page(shown, Position.of(shown[-1], field), Position.of(shown[0], field))
        before = None
    rest = [older(part, before, field) if before else part for part in records]
    found = fetch(rest, (f"-{field}", "-id"), size + 1, read)
    shown = found[: fitting(found[:size])]
    return Page(
        shown,
        Position.of(shown[-1], field) if len(found) > len(shown) else None,
        Position.of(shown[0], field) if before and shown else None,
    )


class Neighbour(NamedTuple):
    """A record beside another one."""

    key: UUID
    has_picture: bool


def neighbours(
    records: Parts, position: Position, field: Field = "at"
) -> tuple[Neighbour | None, Neighbour | None]:
    """The records next to ``position``, ahead of it and behind; those of pictures, if near.

    Two queries a part, which read no further than ``_NEAR`` records.
    """
    ahead = [newer(part, position, field) for part in records]
    behind = [older(part, position, field) for part in records]
    return _nearest(ahead, (field, "id")), _nearest(behind, (f"-{field}", "-id"))


def _nearest(records: Parts, order: tuple[str, str]) -> Neighbour | None:
    near = [row[2:] for row in _first(records, order, _NEAR, "key", "picture_id")]
    chosen = next((one for one in near if one[1]), near[0] if near else None)
    return Neighbour(chosen[0], chosen[1] is not None) if chosen else None
