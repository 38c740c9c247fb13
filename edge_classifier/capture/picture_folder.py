"""A folder of pictures in place of a camera, for demos, trials and benchmarks."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from edge_classifier.core.frame import Frame
from edge_classifier.errors import CameraError, EdgeClassifierError, EndOfFrames, MissingFileError
from edge_classifier.protocols import Clock
from edge_classifier.vision.pictures import find_pictures, load_picture

# Frames per second of a picture that is shown for a while.
FPS = 10
# Decoded pictures that are kept, so that a benchmark measures no decoding.
CACHE_BYTES = 8_000_000
# Size, and when it was written.
FileVersion = tuple[int, int]
_log = logging.getLogger(__name__)


class PictureFolderSource:
    """Shows a folder's or a glob's pictures one after another; in each round those there are then.

    With ``picture_s`` it is live: a camera in front of which each picture is held for so many
    seconds. Without, every picture is one frame, made when it is asked for. What cannot be
    decoded is left out and counted in ``skipped``. Frames are not to be written to: the same
    memory is shown again. JPEGs are decoded at the smallest size from ``at_least`` (width,
    height) up.
    """

    def __init__(
        self,
        reference: str,
        *,
        loop: bool,
        picture_s: float,
        at_least: tuple[int, int] = (0, 0),
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.skipped = 0
        self._reference, self._loop, self._picture_s = reference, loop, picture_s
        self._at_least = at_least if all(at_least) else None
        self._clock, self._sleep = clock, sleep
        self._names: list[str] = []
        self._next = 0
        # In this round.
        self._shown = 0
        self._frame: Frame | None = None
        self._shown_since = 0.0
        # By name, with size and time of the file: a picture may be replaced.
        self._cache: dict[str, tuple[FileVersion, Frame]] = {}
        self._undecodable: dict[str, FileVersion] = {}
        self._cached_bytes = 0

    @property
    def live(self) -> bool:
        """Whether each picture is shown for a while."""
        return self._picture_s > 0

    def open(self) -> str:
        """Look for pictures, by name in order."""
        self._look_for_pictures()
        return f"{len(self._names)} picture{'s' if len(self._names) > 1 else ''}"

    def grab(self) -> None:
        """The next picture, or the same one for as long as it is shown."""
        if self.live and self._frame is not None:
            self._sleep(1 / FPS)
            if self._clock() - self._shown_since < self._picture_s:
                return
        frame = None
        while frame is None:
            if self._next >= len(self._names):
                if not self._shown:
                    raise CameraError(self._reference, "none of its pictures can be decoded")
                if not self._loop:
                    raise EndOfFrames(self._reference, "every picture was shown")
                # Pictures may have come since, or gone.
                self._look_for_pictures()
                self._next = self._shown = 0
            self._next += 1
            frame = self._decodable(self._names[self._next - 1])
        self._shown += 1
        self._frame, self._shown_since = frame, self._clock()

    def retrieve(self) -> Frame:
        """The picture, in RGB."""
        if self._frame is None:
            raise CameraError(self._reference, "no picture was grabbed yet")
        return self._frame

    def close(self) -> None:
        """Forget what was decoded."""
        self._cache.clear()
        self._frame = None

    def _decodable(self, name: str) -> Frame | None:
        """The picture; None if it cannot be decoded, which is told once for each file."""
        version: FileVersion = 0, 0
        with suppress(OSError):
            found = Path(name).stat()
            version = found.st_size, found.st_mtime_ns
        cached_version, cached = self._cache.get(name, (None, None))
        if cached is not None and cached_version == version:
            return cached
        if self._undecodable.get(name) == version:
            return None
        try:
            frame = load_picture(name, at_least=self._at_least).frame
        except EdgeClassifierError as error:
            _log.warning("%s", error)
            self.skipped += 1
            self._undecodable[name] = version
            return None
        if cached is not None:
            self._cached_bytes -= cached.pixels.nbytes
            del self._cache[name]
        if self._cached_bytes + frame.pixels.nbytes <= CACHE_BYTES:
            self._cached_bytes += frame.pixels.nbytes
            self._cache[name] = version, frame
        return frame

    def _look_for_pictures(self) -> None:
        try:
            self._names = list(find_pictures([self._reference]))
        except MissingFileError as error:
            raise CameraError(error.subject, error.problem, "Put pictures there.") from error
        # What has gone is forgotten.
        for name in (self._undecodable.keys() | self._cache.keys()).difference(self._names):
            self._undecodable.pop(name, None)
            if cached := self._cache.pop(name, None):
                self._cached_bytes -= cached[1].pixels.nbytes
