"""Pages of a list that begin after a known record: the last one is as quick as the first."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db.models import Q, QuerySet

from edge_classifier.errors import UsageError
from edge_classifier.web.models import Record
from edge_classifier.web.records.display import with_relations

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOKEN = re.compile(r"(\d{1,16})\.(\d{1,18})", re.ASCII)
NEWEST = ("-at", "-id")
OLDEST = ("at", "id")


class Position(NamedTuple):
    """Where a record is in the order of time."""

    at: datetime
    id: int

    @classmethod
    def of(cls, record: Record) -> "Position":
        """That of ``record``."""
        return cls(record.at, record.id)

    @classmethod
    def parse(cls, token: str) -> "Position":
        """The position that was written as ``token``. Raises UsageError."""
        found = _TOKEN.fullmatch(token)
        if not found:
            raise UsageError(
                "page", f"{token[:40]!r} is not a place in the list", "Start at its top."
            )
        return cls(_EPOCH + timedelta(microseconds=int(found[1])), int(found[2]))

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.id}"


def older(records: QuerySet[Record], than: Position) -> QuerySet[Record]:
    """Those before ``than``. The first condition is what SQLite can use an index for."""
    return records.filter(Q(at__lte=than.at), Q(at__lt=than.at) | Q(id__lt=than.id))


def newer(records: QuerySet[Record], than: Position) -> QuerySet[Record]:
    """Those after ``than``."""
    return records.filter(Q(at__gte=than.at), Q(at__gt=than.at) | Q(id__gt=than.id))


def fetch(records: QuerySet[Record], order: tuple[str, str], size: int) -> list[Record]:
    """The first ``size`` in this order, with what belongs to them.

    Two queries: where no index has the order, numbers are sorted and not whole rows.
    """
    ids = list(records.order_by(*order).values_list("id", flat=True)[:size])
    return list(with_relations(Record.objects.filter(id__in=ids)).order_by(*order))


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, the newest first, and how to go on from there."""

    records: list[Record]
    older: Position | None
    newer: Position | None


def page(
    records: QuerySet[Record],
    size: int,
    *,
    before: Position | None = None,
    after: Position | None = None,
) -> Page:
    """The ``size`` newest of ``records``; or those next to ``before``, or to ``after``."""
    if after:
        found = fetch(newer(records, after), OLDEST, size + 1)
        if len(found) > size:  # Else it is the top of the list, and shown in full.
            shown = found[:size][::-1]
            return Page(shown, Position.of(shown[-1]), Position.of(shown[0]))
        before = None
    found = fetch(older(records, before) if before else records, NEWEST, size + 1)
    shown = found[:size]
    return Page(
        shown,
        Position.of(shown[-1]) if len(found) > size else None,
        Position.of(shown[0]) if before and shown else None,
    )
