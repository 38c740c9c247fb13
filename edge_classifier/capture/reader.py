"""What a camera's thread does: open the source, read it, and when it is lost open it again."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from edge_classifier.capture.frame_slot import FrameSlot, ReaderReplaced
from edge_classifier.capture.pixels import BlackFrameDetector, upright
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.backoff import pause_s
from edge_classifier.core.events import Moment
from edge_classifier.core.frame import Frame
from edge_classifier.errors import CameraError, EndOfFrames
from edge_classifier.protocols import Clock, Source

# Seconds above its time limit after which a driver call counts as hung: most drivers keep time
# limits of their own, and then say what is wrong.
GRACE_S = 3.0
CLOSE_S = 5.0

MakeSource = Callable[[], Source]
Result = TypeVar("Result")
_log = logging.getLogger(__name__)


class CameraReader:
    """Reads one camera until its turn is over. ``run`` belongs into a thread of its own."""

    def __init__(
        self,
        name: str,
        make_source: MakeSource,
        camera: CameraSettings,
        desk: FrameSlot,
        turn: int,
        blackness: BlackFrameDetector,
        *,
        clock: Clock,
        utc: Clock,
        chance: Callable[[], float],
    ) -> None:
        self._name, self._make_source, self._camera = name, make_source, camera
        self._desk, self._turn, self._black = desk, turn, blackness
        self._clock, self._utc, self._chance = clock, utc, chance
        self._call: tuple[str, float] | None = None
        self._bad_since: float | None = None

    def hangs_in(self, now_s: float) -> str:
        """What the driver has not come back from, long after its limit; empty: nothing."""
        call = self._call
        return call[0] if call is not None and now_s > call[1] + GRACE_S else ""

    def run(self) -> None:
        """Open and read, again and again with back-off, until cut off or at the end of a file."""
        with suppress(ReaderReplaced):
            while not self._desk.ended:
                setbacks, most_s = self._desk.setbacks, self._camera.retry_max_s
                self._desk.pause(self._turn, pause_s(setbacks, self._chance(), max_s=most_s))
                self._attempt()

    def _attempt(self) -> None:
        try:
            self._session()
        except ReaderReplaced:
            raise
        except EndOfFrames as end:
            self._desk.wait_taken(self._turn)
            self._desk.end(self._turn, str(end))
        except CameraError as error:
            self._desk.lost(self._turn, str(error))
        except Exception as error:  # noqa: BLE001 (else an unknown driver's mood ends the thread)
            # The text stays out: it may hold an address with a password.
            kind = type(error).__name__
            _log.debug("%s: unexpected %s", self._name, kind, exc_info=True)
            self._desk.lost(self._turn, f"{self._name}: its driver failed unexpectedly ({kind})")

    def _session(self) -> None:
        source = self._make_source()
        self._black.begin()
        self._bad_since = None
        try:
            description = self._limited("opening", source.open, self._camera.open_timeout_s)
            self._desk.opened(self._turn, description)
            while True:
                self._next(source)
        finally:
            self._limited("closing", source.close, CLOSE_S)

    def _next(self, source: Source) -> None:
        self._limited("reading", source.grab, self._camera.read_timeout_s)
        at = Moment(self._utc(), self._clock())
        if source.live and not self._is_wanted(at.monotonic):
            return
        frame = self._decoded(source)
        if frame is None:
            return
        if source.live and not self._is_shown(frame, at.monotonic):
            return
        prepare = self._desk.prepare
        prepared = prepare(frame) if prepare else None
        if not source.live:
            self._desk.wait_taken(self._turn)
        self._desk.put(self._turn, frame, at if source.live else None, prepared)

    def _is_wanted(self, at_s: float) -> bool:
        if self._black.lost:
            return at_s >= self._black.next_look_s
        return not self._desk.online or at_s >= self._desk.wanted_from

    def _decoded(self, source: Source) -> Frame | None:
        """None for a damaged frame: some cameras send one now and then."""
        try:
            frame = self._limited("reading", source.retrieve, self._camera.read_timeout_s)
        except CameraError:
            now = self._clock()
            self._bad_since = now if self._bad_since is None else self._bad_since
            if now - self._bad_since >= self._camera.read_timeout_s:
                raise
            return None
        self._bad_since = None
        return upright(frame, self._camera.rotate)

    def _is_shown(self, frame: Frame, at_s: float) -> bool:
        """Whether the frame counts; raises CameraError when it has been black for too long."""
        if self._black.look(frame.pixels, at_s):
            raise CameraError(
                self._name,
                f"the picture has been black for {self._camera.black_s:g} s",
                "Is the lens covered, or its shutter closed? black_s = 0 allows it.",
            )
        return not self._black.lost

    def _limited(self, doing: str, call: Callable[[], Result], limit_s: float) -> Result:
        """``call``, watched by ``hangs_in``; raises Cut if it returned after being given up."""
        self._call = doing, self._clock() + limit_s
        try:
            return call()
        finally:
            self._call = None
            self._desk.require(self._turn)
