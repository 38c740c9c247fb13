"""A camera whose picture stays black: its lens is covered, or it only seems to work."""

import numpy as np
from numpy.typing import NDArray

# Every eighth row and column is looked at.
_STEP = 8
# Video's black level: some cameras send it as it is.
_DARK = 16
# Levels between the darkest and the brightest sample: less than a dark room's noise.
_FLAT = 8


def is_black(pixels: NDArray[np.uint8]) -> bool:
    """Whether there is nothing in the picture: all of it dark, and all of it alike."""
    samples = pixels[::_STEP, ::_STEP]
    brightest = int(samples.max())
    return brightest <= _DARK and brightest - int(samples.min()) < _FLAT


class BlackFrameDetector:
    """Watches for a picture that stays black, at little cost. Outlives the camera's connections.

    ``lost`` says that it was black for so long that the camera counts as lost, and stays until a
    picture shows something: a camera that is black again after reopening has not come back.
    """

    # Seconds between two checks.
    CHECK_S = 0.5

    def __init__(self, limit_s: float) -> None:
        self.lost = False
        self.next_check_s = 0.0
        self._limit_s = limit_s
        self._since: float | None = None

    def restart(self) -> None:
        """A new connection: it gets the whole time again before it is given up."""
        self.next_check_s = 0.0
        self._since = None

    def check(self, pixels: NDArray[np.uint8], at_s: float) -> bool:
        """Whether this connection has been black for the limit; ``at_s`` is monotonic."""
        if not self._limit_s or at_s < self.next_check_s:
            return False
        self.next_check_s = at_s + self.CHECK_S
        if not is_black(pixels):
            self._since, self.lost = None, False
            return False
        self._since = at_s if self._since is None else self._since
        expired = at_s - self._since >= self._limit_s
        self.lost = self.lost or expired
        return expired
