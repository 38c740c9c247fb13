"""The best frame of what a camera sees, as a JPEG."""

from collections.abc import Callable
from math import inf, log2

from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.vision.sharpness import sharpness

# Twice the variance of the Laplacian is worth so much of a score: motion blur costs 0.1 to 0.2.
_SHARPNESS_WEIGHT = 0.05
# What a frame must be better by, as each one costs a JPEG.
_GAIN = 0.03
# Looking at a frame takes some 0.1 to 0.3 ms and a JPEG ten times that, in which no other camera's
# frame is classified: three times a second is enough for what passes.
_EVERY_S = 0.3
# A score below the best one's by this is not made good by sharpness.
_HOPELESS = 0.2


class BestPicture:
    """Keeps one picture, encoded: the frames themselves are too large to be kept."""

    def __init__(self, above: float = -inf) -> None:
        """``above``: the score that one frame must have had that was sent before a restart."""
        self._score = above
        self._quality = self._offered_at = -inf
        self._jpeg: bytes | None = None

    def offer(
        self,
        frame: Frame,
        box: RelativeBox | None,
        score: float,
        at_s: float,
        encode: Callable[[], bytes],
    ) -> None:
        """Keep ``frame`` if it is the best until now: by its score, and by how sharp it is.

        ``at_s``: when it was captured. Of a fast camera a few frames a second are looked at.
        """
        if at_s - self._offered_at < _EVERY_S:
            return
        self._offered_at = at_s
        if score <= self._score - (0.0 if self.is_empty else _HOPELESS):
            return
        quality = score + _SHARPNESS_WEIGHT * log2(max(1.0, sharpness(frame, box)))
        if quality < self._quality + _GAIN:
            return
        self._score, self._quality = max(score, self._score), quality
        self._jpeg = encode()

    @property
    def is_empty(self) -> bool:
        """Whether there never was one."""
        return self._quality == -inf

    @property
    def is_new(self) -> bool:
        """Whether there is one that has not been taken."""
        return self._jpeg is not None

    def take(self) -> bytes | None:
        """The best one until now; None if it has been taken, or there is none."""
        jpeg, self._jpeg = self._jpeg, None
        return jpeg
