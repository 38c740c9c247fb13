"""A camera whose picture stays black or freezes: it only seems to work."""

import zlib

import numpy as np
from numpy.typing import NDArray

# Every eighth row and column is looked at.
_STEP = 8
# Video's black level: some cameras send it as it is.
_DARK = 16
# Levels between the darkest and the brightest sample: less than a dark room's noise.
_FLAT = 8
# So many looks in a row must differ before a camera's frames are known to have noise.
_NOISY_LOOKS = 5


def is_black(pixels: NDArray[np.uint8]) -> bool:
    """Whether there is nothing in the picture: all of it dark, and all of it alike."""
    samples = pixels[::_STEP, ::_STEP]
    brightest = int(samples.max())
    return brightest <= _DARK and brightest - int(samples.min()) < _FLAT


class DeadPictureDetector:
    """Watches for a picture that stays black or frozen, at little cost. Outlives connections.

    A sensor's noise makes each frame differ from the one before. A camera whose frames did, and
    which then sends one and the same for ``frozen_s``, is frozen. A source that has no noise, such
    as a test picture or an address whose picture changes now and then, never counts as frozen.

    ``lost`` says that the camera counts as lost for such a picture, and stays until another one
    comes: a camera that is black or frozen again after reopening has not come back.
    """

    # Seconds between two checks.
    CHECK_S = 0.5

    def __init__(self, black_s: float, frozen_s: float) -> None:
        """Seconds until the camera counts as lost; 0: never."""
        self.lost = False
        self.next_check_s = 0.0
        self._black_s, self._frozen_s = black_s, frozen_s
        self._black_since: float | None = None
        self._same_since: float | None = None
        # Of the last picture, and how many in a row were another one than before.
        self._checksum: int | None = None
        self._changes = 0

    def restart(self) -> None:
        """A new connection: it gets the whole time again before it is given up."""
        self.next_check_s = 0.0
        self._black_since = self._same_since = None

    def check(self, pixels: NDArray[np.uint8], at_s: float) -> str:
        """``black`` or ``frozen`` when this connection has been so for the limit, else empty.

        ``at_s`` is monotonic.
        """
        if at_s < self.next_check_s or not (self._black_s or self._frozen_s):
            return ""
        self.next_check_s = at_s + self.CHECK_S
        black = is_black(pixels)
        before, self._checksum = self._checksum, zlib.crc32(pixels[::_STEP].tobytes())
        if before != self._checksum:
            self._changes += 1
        elif self._changes < _NOISY_LOOKS:
            # What is not noisy begins to count anew.
            self._changes = 0
        # A black picture has no noise to speak of, and a limit of its own.
        same = before == self._checksum and not black
        self._black_since = _since(self._black_since, at_s) if black else None
        self._same_since = _since(self._same_since, at_s) if same else None
        if _is_over(self._black_since, self._black_s, at_s):
            self.lost = True
            return "black"
        if self._changes >= _NOISY_LOOKS and _is_over(self._same_since, self._frozen_s, at_s):
            self.lost = True
            return "frozen"
        if not same and not (black and self._black_s):
            self.lost = False
        return ""


def _since(begun_s: float | None, at_s: float) -> float:
    return at_s if begun_s is None else begun_s


def _is_over(since: float | None, limit_s: float, at_s: float) -> bool:
    return bool(limit_s) and since is not None and at_s - since >= limit_s
