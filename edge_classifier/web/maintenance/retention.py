"""Retention: deletes the oldest records when they are too old or too many.

The oldest are those that were recorded first. What a device's clock says counts for nothing here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.expressions import Combinable

from edge_classifier.web.config.settings import RetentionSettings
from edge_classifier.web.models import EventPicture, LessonPicture, Picture, Record
from edge_classifier.web.records.deletion import STEP, delete

_GB = 1_000_000_000
_UNREVIEWED = Q(verdict=Record.Verdict.NONE)


@dataclass(frozen=True, slots=True)
class Surplus:
    """What alone is above a limit, and stays, because retention may not delete it."""

    # Reviewed ones, where they are more than ``max_records``; else 0.
    records: int
    # Of pictures of reviewed records, of lessons, and of those that wait for their event, where
    # they are more than ``max_gb``; else 0.
    picture_bytes: int

    @property
    def picture_gb(self) -> float:
        """The same in units of 10^9."""
        return self.picture_bytes / _GB


def too_old(retention: RetentionSettings, now: datetime) -> QuerySet[Record]:
    """What is older than ``days`` at ``now``, and may be deleted."""
    if not retention.days:
        return Record.objects.none()
    before = now - timedelta(days=retention.days)
    return _candidates(retention).filter(recorded_at__lt=before)


def apply(retention: RetentionSettings, now: datetime, share: float = 1.0) -> int:
    """Delete what has to go at ``now``, and say how many records they were.

    For their age alone no more go than ``share`` of all records. What may not be deleted is not
    counted: else it would push out all others, however new.
    """
    candidates = _candidates(retention)
    old = too_old(retention, now)
    if share < 1:
        most = int(share * Record.objects.count())
        old = _oldest(old, most) if most else Record.objects.none()
    gone = delete(old)
    if retention.max_records and (excess := candidates.count() - retention.max_records) > 0:
        gone += delete(_oldest(candidates, excess))
    if retention.max_gb:
        gone += _down_to_bytes(retention)
    return gone


def surplus(retention: RetentionSettings) -> Surplus | None:
    """What is above a limit after ``apply`` has deleted all that it may; None: nothing."""
    records = picture_bytes = 0
    if retention.max_records:
        records = Record.objects.count() - _candidates(retention).count()
    if retention.max_gb:
        # ``exclude`` takes those that fulfil all of these conditions.
        picture_bytes = _bytes(Picture.objects.exclude(*_goes_with_candidates(retention, "pk")))
    found = Surplus(
        records if records > retention.max_records else 0,
        picture_bytes if picture_bytes > retention.max_gb * _GB else 0,
    )
    return found if found.records or found.picture_bytes else None


def _candidates(retention: RetentionSettings) -> QuerySet[Record]:
    return Record.objects.all() if retention.reviewed else Record.objects.filter(_UNREVIEWED)


def _goes_with_candidates(retention: RetentionSettings, picture: str) -> list[Combinable]:
    """Conditions for a row: nothing but candidates uses the picture that it names ``picture``.

    Others are reviewed records, lessons, and snapshots that wait for their event, which whoever
    may publish can send.
    """
    others: list[QuerySet[Any]] = [EventPicture.objects.all(), LessonPicture.objects.all()]
    if not retention.reviewed:
        others.append(Record.objects.exclude(_UNREVIEWED))
    return [~Exists(rows.filter(picture=OuterRef(picture))) for rows in others]


def _down_to_bytes(retention: RetentionSettings) -> int:
    """Delete records until the pictures that only candidates use are within ``max_gb``."""
    candidates = _candidates(retention)
    is_used = Exists(candidates.filter(picture=OuterRef("pk")))
    pictures = Picture.objects.filter(is_used, *_goes_with_candidates(retention, "pk"))
    freeing = candidates.filter(*_goes_with_candidates(retention, "picture"), picture__isnull=False)
    gone = 0
    # The sum reads both tables, so it is not made anew for each step.
    while (excess := _bytes(pictures) - round(retention.max_gb * _GB)) > 0:
        while excess > 0:
            sizes = list(freeing.order_by("id").values_list("picture_id", "picture__size")[:STEP])
            # All of them were reviewed, or deleted by somebody else, since they were counted.
            if not sizes:
                return gone
            count = enough(sizes, excess)
            gone += delete(_oldest(freeing, count))
            excess -= sum(dict(sizes[:count]).values())
    return gone


def _bytes(pictures: QuerySet[Picture]) -> int:
    return pictures.aggregate(all=Sum("size"))["all"] or 0


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
    """The ``count`` oldest of ``records``, as a query without a slice. Ids are given in order."""
    last = records.order_by("id").values_list("id", flat=True)[count - 1 : count].first()
    return records if last is None else records.filter(id__lte=last)
