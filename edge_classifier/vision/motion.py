"""Whether a frame differs from the last classified one, at a hundredth of the network's cost."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.config.settings import MotionSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame

# Width and height of what is compared; a person at the far end of a room is still a few pixels.
_SIZE = 64, 48
_CONVERSIONS = {ColourOrder.RGB: cv2.COLOR_RGB2GRAY, ColourOrder.BGR: cv2.COLOR_BGR2GRAY}

# Shape (height, width).
Grey = NDArray[np.uint8]


def small_grey(frame: Frame, size: tuple[int, int]) -> Grey:
    """``frame`` in grey, ``size`` (width, height) large."""
    # Each pixel is the mean of four: a few samples are enough to halve the sensor's noise.
    twice = 2 * size[0], 2 * size[1]
    samples = cv2.resize(frame.pixels, twice, interpolation=cv2.INTER_NEAREST)
    small = cv2.resize(samples, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(small, _CONVERSIONS[frame.order]), np.uint8)


class MotionGate:
    """Compares each frame with the last classified one. For one camera and one thread.

    How long a still scene may go unclassified (``max_interval_s``) is the caller's to watch: it
    knows the time of the last classification.
    """

    def __init__(self, motion: MotionSettings) -> None:
        self._difference = motion.difference
        self._enough = motion.area * _SIZE[0] * _SIZE[1]
        self._seen: tuple[Frame, Grey] | None = None
        self._classified: Grey | None = None

    def moved(self, frame: Frame) -> bool:
        """Whether enough pixels changed. True for the first frame there is."""
        grey = self._grey(frame)
        if self._classified is None:
            return True
        changed = cv2.absdiff(grey, self._classified) >= self._difference
        return int(np.count_nonzero(changed)) >= self._enough

    def classified(self, frame: Frame) -> None:
        """From now on compare with ``frame``."""
        self._classified = self._grey(frame)

    def _grey(self, frame: Frame) -> Grey:
        """``frame`` small and grey; the last one is kept, as it is asked for twice."""
        if self._seen is None or self._seen[0] is not frame:
            self._seen = frame, small_grey(frame, _SIZE)
        return self._seen[1]
