"""What is too old or too much goes, the oldest first."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet, Sum

from edge_classifier.web.models import Picture, Record
from edge_classifier.web.records.deletion import STEP, delete
from edge_classifier.web.records.keyset import OLDEST
from edge_classifier.web.settings import RetentionSettings

_log = logging.getLogger(__name__)
_GB = 1_000_000_000


def apply(retention: RetentionSettings, now: datetime) -> int:
    """Delete what has to go at ``now``, and say how many records they were."""
    candidates = Record.objects.all()
    if not retention.reviewed:
        candidates = candidates.filter(verdict=Record.Verdict.NONE)
    gone = 0
    if retention.days:
        gone += delete(candidates.filter(at__lt=now - timedelta(days=retention.days)))
    if retention.max_records:
        gone += _down_to(candidates, retention.max_records)
    if retention.max_gb:
        gone += _down_to_bytes(candidates, round(retention.max_gb * _GB))
    return gone


def _down_to(candidates: QuerySet[Record], most: int) -> int:
    excess = Record.objects.count() - most
    return delete(_oldest(candidates, excess)) if excess > 0 else 0


def _down_to_bytes(candidates: QuerySet[Record], most: int) -> int:
    """Delete records with pictures until all pictures have at most ``most`` bytes together."""
    candidates = candidates.filter(picture__isnull=False)
    gone = 0
    while (excess := _bytes() - most) > 0:
        sizes = list(candidates.order_by(*OLDEST).values_list("picture_id", "picture__size")[:STEP])
        if not sizes:
            _log.warning(
                "pictures of records that stay are %d bytes above retention.max_gb", excess
            )
            break
        gone += delete(_oldest(candidates, enough(sizes, excess)))
    return gone


def _bytes() -> int:
    return Picture.objects.aggregate(all=Sum("size"))["all"] or 0


def enough(pictures: Sequence[tuple[int, int]], excess: int) -> int:
    """How many of these records free ``excess`` bytes, each a picture's id and its size.

    A picture is freed with the last record that shows it. All of them, if they are too few.
    """
    last_use = {picture: number for number, (picture, _) in enumerate(pictures)}
    freed = 0
    for number, (picture, size) in enumerate(pictures):
        freed += size if last_use[picture] == number else 0
        if freed >= excess:
            return number + 1
    return len(pictures)


def _oldest(records: QuerySet[Record], count: int) -> QuerySet[Record]:
    """The ``count`` oldest of ``records``, as a query that is no slice."""
    last = records.order_by(*OLDEST).values_list("at", "id")[count - 1 : count].first()
    if last is None:
        return records
    at, number = last
    return records.filter(Q(at__lt=at) | Q(at=at, id__lte=number))
