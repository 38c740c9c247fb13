"""The last scores of one camera, small enough for thousands of cameras. Pure."""

from array import array
from bisect import bisect_right
from typing import NamedTuple

MOST_POINTS = 120
# What is older is on no chart.
OLDEST_S = 86400.0


class ScorePoint(NamedTuple):
    """What a camera showed at one moment."""

    # UTC seconds.
    at: float
    label: str
    score: float


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
