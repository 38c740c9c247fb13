"""What was recorded of one camera lately: for its chart and its last pictures."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from typing import NamedTuple
from uuid import UUID

from django.core.cache import cache

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.web.live.score_history import OLDEST_S, ScorePoint
from edge_classifier.web.models import Record

# Of one camera; and seconds for which they are not asked for again.
_MOST_EVENTS, _KEPT_S = 300, 5


class PastEvent(NamedTuple):
    """One recorded event."""

    at: datetime
    label: str
    chinese: str
    score: float
    # How long it stayed; None: it does, or its device does not tell.
    duration_s: float | None
    key: UUID
    has_picture: bool


def past_events(device: str, camera: str, now: float) -> list[PastEvent]:
    """The newest of a day, the oldest first; what a reviewer has rejected is none."""
    name = f"live-past-{device}-{camera}"
    found: list[PastEvent] | None = cache.get(name)
    if found is None:
        since = datetime.fromtimestamp(now - OLDEST_S, UTC)
        rows = (
            Record.objects.filter(
                camera__device=device, camera__name=camera, source=Record.Source.EVENT
            )
            .filter(at__gte=since)
            .exclude(verdict=Record.Verdict.REJECTED)
            .order_by("-at", "-id")
            .values_list(
                "at", "label__name", "label__chinese", "score", "duration_s", "key", "picture"
            )
        )
        found = [
            PastEvent(at, label, chinese, score, duration_s, key, picture is not None)
            for at, label, chinese, score, duration_s, key, picture in rows[:_MOST_EVENTS]
        ]
        found.reverse()
        cache.set(name, found, _KEPT_S)
    return found


def before(events: Sequence[PastEvent], points: list[ScorePoint]) -> list[ScorePoint]:
    """``points``, which are in order of time, and before them what was recorded earlier."""
    first = points[0].at if points else float("inf")
    told = []
    for one, following in zip_longest(events, events[1:]):
        at = one.at.timestamp()
        told.append(ScorePoint(at, one.label, one.score))
        end = at + (one.duration_s or 0)
        is_over = one.duration_s is not None and one.label != UNKNOWN
        # What ends as the next one comes has no gap behind it.
        if is_over and (following is None or end < following.at.timestamp()):
            told.append(ScorePoint(end, UNKNOWN, 0.0))
    return [*(point for point in told if point.at < first), *points]
