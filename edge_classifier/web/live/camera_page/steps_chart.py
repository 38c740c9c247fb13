"""What a camera has shown over time, as steps: a lane a label, filled while it was there. Pure.

Between two points nothing is drawn that was not told: a label and its score hold until the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.web.live.score_history import ScorePoint

# Labels with a lane of their own, and pixels of a lane.
MOST_LANES, LANE_PX = 5, 26
# Seconds between two times below the chart, of which there are six at most.
_PAUSES_S = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
_MOST_TIMES = 6
# A chart of a few seconds would be one colour.
_SHORTEST_S = 60.0


class LabelStep(NamedTuple):
    """One rectangle of SVG: hundredths of the width, and pixels of the lane."""

    left: str
    width: str
    top: str
    height: str


@dataclass(slots=True)
class Lane:
    """One label."""

    label: str
    # How long it was there altogether, and how often it came.
    total_s: float = 0.0
    visits: int = 0
    steps: list[LabelStep] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StepsChart:
    """The lanes, the label that was there longest first."""

    start: datetime
    end: datetime
    lanes: tuple[Lane, ...]
    # Labels for which there was no room.
    left_out: int
    # Where which time of day is, in hundredths of the width.
    times: tuple[tuple[str, datetime], ...]


def steps_chart(points: Sequence[ScorePoint], now: float, local: tzinfo) -> StepsChart | None:
    """A chart of ``points``, which are in order of time, up to ``now``; None without any."""
    if not points:
        return None
    start = min(points[0].at, now - _SHORTEST_S)
    span = now - start
    lanes: dict[str, Lane] = {}
    before = ""
    ends = [*(point.at for point in points[1:]), now]
    for point, end in zip(points, ends, strict=True):
        if point.label != UNKNOWN and end > point.at:
            lane = lanes.setdefault(point.label, Lane(point.label))
            lane.visits += point.label != before
            lane.total_s += end - point.at
            # As high as the score, and never too flat to be seen.
            height = max(3.0, LANE_PX * point.score)
            lane.steps.append(
                LabelStep(
                    f"{100 * (point.at - start) / span:.2f}%",
                    f"{max(0.3, 100 * (end - point.at) / span):.2f}%",
                    f"{LANE_PX - height:.1f}",
                    f"{height:.1f}",
                )
            )
        before = point.label
    found = sorted(lanes.values(), key=lambda lane: -lane.total_s)
    return StepsChart(
        datetime.fromtimestamp(start, UTC),
        datetime.fromtimestamp(now, UTC),
        tuple(found[:MOST_LANES]),
        max(0, len(found) - MOST_LANES),
        tuple(_times(start, now, local)),
    )


def _times(start: float, now: float, local: tzinfo) -> list[tuple[str, datetime]]:
    """Whole minutes or hours of the day, as many as fit."""
    span = now - start
    pause = next((one for one in _PAUSES_S if span / one <= _MOST_TIMES), _PAUSES_S[-1])
    offset = datetime.fromtimestamp(now, local).utcoffset() or timedelta()
    shift = offset.total_seconds()
    at = ((start + shift) // pause + 1) * pause - shift
    found = []
    while at < now:
        share = 100 * (at - start) / span
        # At the edges the text would be cut off.
        if 4 < round(share, 2) < 96:
            found.append((f"{share:.2f}%", datetime.fromtimestamp(at, UTC)))
        at += pause
    return found
