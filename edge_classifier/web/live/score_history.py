"""The last scores of one camera, small enough for thousands of cameras, and their chart. Pure."""

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

MOST_POINTS = 120
# A device whose clock is wrong would squeeze its chart to nothing.
OLDEST_S = 86400.0
# Units of the chart's drawing; the page stretches it.
WIDTH, HEIGHT = 240, 48


class ScorePoint(NamedTuple):
    """What a camera showed at one moment."""

    # UTC seconds.
    at: float
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class ScoreChart:
    """Paths of an SVG of ``WIDTH`` by ``HEIGHT``."""

    # Score over time, 0 at the bottom and 1 at the top.
    line: str
    # A short line at each moment at which the label became another.
    ticks: str
    # UTC seconds at the left.
    start: float


class ScoreHistory:
    """At most ``MOST_POINTS`` points in order of time, 28 bytes each."""

    def __init__(self) -> None:
        self._times = array("d")
        self._scores = array("f")
        self._labels: list[str] = []

    def add(self, point: ScorePoint, now: float) -> bool:
        """Put ``point`` in its place, late or not; False if it is there already, or too old.

        An event and the state that it led to tell the same moment.
        """
        place = bisect_right(self._times, point.at)
        is_full = len(self._times) >= MOST_POINTS
        if point.at < now - OLDEST_S or (is_full and place == 0):
            return False
        if place and self._times[place - 1] == point.at:
            return False
        self._times.insert(place, point.at)
        self._scores.insert(place, point.score)
        # One object for all points that show the same label.
        same = (known for known in reversed(self._labels) if known == point.label)
        self._labels.insert(place, next(same, point.label))
        if is_full:
            del self._times[0], self._scores[0], self._labels[0]
        return True

    @property
    def points(self) -> list[ScorePoint]:
        """The oldest first."""
        return [
            ScorePoint(*one) for one in zip(self._times, self._labels, self._scores, strict=True)
        ]


def chart(points: list[ScorePoint], now: float) -> ScoreChart | None:
    """A drawing of ``points`` up to ``now``; None while there is nothing to compare."""
    if len(points) < 2:
        return None
    start = points[0].at
    span = max(now - start, 1.0)
    places = [round(WIDTH * min(1.0, (point.at - start) / span), 1) for point in points]
    heights = [round(HEIGHT * (1 - point.score), 1) for point in points]
    line = " ".join(f"L{x:g} {y:g}" for x, y in zip(places, heights, strict=True))
    turns = (
        x
        for x, (before, after) in zip(places[1:], pairwise(points), strict=True)
        if before.label != after.label
    )
    ticks = " ".join(f"M{x:g} {HEIGHT}V{HEIGHT - 5}" for x in turns)
    return ScoreChart(f"M{line[1:]} H{WIDTH}", ticks, start)


def recent(points: list[ScorePoint], most: int = 3) -> list[ScorePoint]:
    """The last labels before the present one, newest first, each with when it came."""
    firsts = [
        after
        for before, after in zip([None, *points], points, strict=False)
        if before is None or before.label != after.label
    ]
    return firsts[-2::-1][:most]
