"""What a camera's thread does: open the source, read it, and when it is lost open it again."""

import logging
from collections.abc import Callable
from contextlib import suppress
from traceback import format_tb
from typing import TypeVar

import cv2
import numpy as np

from edge_classifier.capture.dead_pictures import DeadPictureDetector
from edge_classifier.capture.frame_slot import FrameSlot, ReaderReplaced
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.backoff import pause_s
from edge_classifier.core.events import Moment
from edge_classifier.core.frame import Frame
from edge_classifier.errors import CameraError, EndOfFrames
from edge_classifier.protocols import Clock, FrameSource

# Seconds above its time limit after which a driver call counts as hung: most drivers keep time
# limits of their own, and then say what is wrong.
GRACE_S = 3.0
CLOSE_S = 5.0

MakeSource = Callable[[], FrameSource]
Result = TypeVar("Result")
_log = logging.getLogger(__name__)

_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


class CameraReader:
    """Reads one camera until it is replaced. ``run`` belongs into a thread of its own."""

    def __init__(
        self,
        name: str,
        make_source: MakeSource,
        camera: CameraSettings,
        slot: FrameSlot,
        number: int,
        dead_pictures: DeadPictureDetector,
        *,
        stood_still: Callable[[float], bool] = lambda _since_s: False,
        clock: Clock,
        utc: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        """``number``: this reader's at ``slot``.

        ``stood_still``: whether this process did not run for a while since a monotonic second.
        """
        self._name, self._make_source, self._camera = name, make_source, camera
        self._slot, self._number, self._dead_pictures = slot, number, dead_pictures
        self._clock, self._utc, self._random = clock, utc, random
        self._stood_still = stood_still
        # What the driver is doing, and the monotonic second by which it should be done.
        self._driver_call: tuple[str, float] | None = None
        self._damaged_since: float | None = None

    def hung_call(self, now_s: float) -> str:
        """What the driver has not come back from, long after its limit; empty: nothing."""
        call = self._driver_call
        return call[0] if call is not None and now_s > call[1] + GRACE_S else ""

    def run(self) -> None:
        """Open and read, again and again with back-off, until replaced or at the end of a file."""
        with suppress(ReaderReplaced):
            while not self._slot.ended:
                failures, max_s = self._slot.failures_in_a_row, self._camera.retry_max_s
                self._slot.pause(self._number, pause_s(failures, self._random(), max_s=max_s))
                self._read_until_lost()

    def _read_until_lost(self) -> None:
        try:
            source = self._make_source()
            self._dead_pictures.restart()
            self._damaged_since = None
            try:
                description = self._call_driver("opening", source.open, self._camera.open_timeout_s)
                self._slot.mark_opened(self._number, description)
                while True:
                    self._read_frame(source)
            finally:
                self._call_driver("closing", source.close, CLOSE_S)
        except ReaderReplaced:
            raise
        except EndOfFrames as end:
            self._slot.wait_until_taken(self._number)
            self._slot.mark_ended(self._number, str(end))
        except CameraError as error:
            self._slot.mark_lost(self._number, str(error))
        except Exception as error:  # noqa: BLE001 (else an unexpected error of a driver ends the thread)
            # The text stays out, of the log, too: it may hold an address with a password.
            kind, where = type(error).__name__, "".join(format_tb(error.__traceback__))
            _log.debug("%s: unexpected %s\n%s", self._name, kind, where)
            reason = f"{self._name}: its driver failed unexpectedly ({kind})"
            self._slot.mark_lost(self._number, reason)

    def _read_frame(self, source: FrameSource) -> None:
        """Wait for a frame, and pass it on if it is wanted, whole, and neither black nor frozen."""
        self._call_driver("reading", source.grab, self._camera.read_timeout_s)
        at = Moment(self._utc(), self._clock())
        slot = self._slot
        is_wanted = not source.live or slot.wants(at.monotonic)
        # Decoding is what costs; a camera that is offline shows by a frame that it is back.
        if source.live and self._dead_pictures.lost:
            decodes = at.monotonic >= self._dead_pictures.next_check_s
        else:
            decodes = is_wanted or any(taker.wants(at.monotonic) for taker in slot.takers)
        frame = self._decode(source) if decodes else None
        if frame is None:
            return
        if source.live:
            self._require_alive(frame, at.monotonic)
            if self._dead_pictures.lost:
                return
        if is_wanted:
            prepared = slot.prepare(frame) if slot.prepare else None
            if not source.live:
                slot.wait_until_taken(self._number)
            slot.put_frame(self._number, frame, at if source.live else None, prepared)
        slot.give_away(
            self._number, frame, at if source.live else Moment(self._utc(), self._clock())
        )

    def _require_alive(self, frame: Frame, at_s: float) -> None:
        dead = self._dead_pictures.check(frame.pixels, at_s)
        if dead == "black":
            raise CameraError(
                self._name,
                f"the picture has been black for {self._camera.black_s:g} s",
                "Is the lens covered, or its shutter closed? black_s = 0 allows it.",
            )
        if dead:
            raise CameraError(
                self._name,
                f"the picture has been frozen for {self._camera.frozen_s:g} s",
                "Switch the camera off and on again. frozen_s = 0 allows it.",
            )

    def _decode(self, source: FrameSource) -> Frame | None:
        """None for a damaged frame, which is counted: some cameras send one now and then."""
        try:
            frame = self._call_driver("reading", source.retrieve, self._camera.read_timeout_s)
        except CameraError:
            self._slot.count_damaged(self._number)
            now_s = self._clock()
            self._damaged_since = now_s if self._damaged_since is None else self._damaged_since
            if now_s - self._damaged_since >= self._camera.read_timeout_s:
                raise
            return None
        self._damaged_since = None
        return upright(frame, self._camera.rotate)

    def _call_driver(self, doing: str, call: Callable[[], Result], limit_s: float) -> Result:
        """``call``, watched by ``hung_call``; raises ReaderReplaced if it was given up since."""
        began = self._clock()
        self._driver_call = doing, began + limit_s
        try:
            return call()
        except CameraError as error:
            if not self._stood_still(began):
                raise
            # Its time ran out while nobody looked.
            problem = "this program stood still, and opens the camera again"
            raise CameraError(self._name, problem) from error
        finally:
            self._driver_call = None
            self._slot.require_current(self._number)


def upright(frame: Frame, degrees: int) -> Frame:
    """``frame`` turned clockwise by 0, 90, 180 or 270 degrees."""
    if not degrees:
        return frame
    return Frame(np.asarray(cv2.rotate(frame.pixels, _TURNS[degrees]), np.uint8), frame.order)
