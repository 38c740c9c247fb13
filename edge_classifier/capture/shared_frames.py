"""Frames of another camera, for one that has no device of its own: one lens, several questions."""

import threading
from collections.abc import Callable
from dataclasses import replace

from edge_classifier.capture.camera import CameraCapture
from edge_classifier.capture.frame_slot import CameraStatus, CapturedFrame, Prepare
from edge_classifier.core.events import Moment
from edge_classifier.core.frame import Frame


class SharedFrames:
    """A pipeline's supply of frames that the owner's thread gives away. They are not copied.

    That thread calls ``wants``, ``put`` and ``forget``, the pipeline's the rest; ``status`` is for
    any thread. The owner's reconnects, its failures and the reasons for them show here as well.
    """

    def __init__(
        self,
        owner: str,
        capture: CameraCapture,
        *,
        is_switched_on: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        """``is_switched_on``: whether the owner is; nobody looks through its lens if it is not."""
        # Monotonic seconds, as in FrameSlot.
        self.wanted_from = 0.0
        self.prepare: Prepare | None = None
        self.capture = capture
        self._owner, self._is_switched_on, self._wake = owner, is_switched_on, wake
        self._changed = threading.Lock()
        self._newest: CapturedFrame | None = None
        self._number = self._dropped = 0
        # How often the owner was switched off: a gap in what was seen.
        self._pauses = 0
        self._was_on = True

    @property
    def status(self) -> CameraStatus:
        """How the owner is; offline while it is switched off."""
        status = replace(self.capture.status, dropped=self._dropped)
        if self._is_switched_on():
            return status
        reason = f"{self._owner}, whose frames it takes, is switched off"
        return replace(status, online=False, reason=reason)

    def wants(self, at_s: float) -> bool:
        """Whether a frame that is captured now is of use; monotonic seconds."""
        return at_s >= self.wanted_from and self._is_switched_on()

    def put(self, frame: Frame, at: Moment, opening: int) -> None:
        """Take a frame of the owner, and prepare it for this camera's own network."""
        prepare = self.prepare
        prepared = prepare(frame) if prepare else None
        with self._changed:
            self._dropped += self._newest is not None
            self._number += 1
            self._newest = CapturedFrame(frame, at, self._number, prepared, opening)
        self._wake()

    def forget(self) -> None:
        """The owner is lost: an offline camera gives no frames."""
        with self._changed:
            self._dropped += self._newest is not None
            self._newest = None

    def take_frame(self) -> CapturedFrame | None:
        """The newest frame that was not taken yet, and is wanted."""
        with self._changed:
            captured, self._newest = self._newest, None
            is_on = self._is_switched_on()
            self._pauses += self._was_on and not is_on
            self._was_on = is_on
            if captured is None or not is_on:
                return None
            if captured.at.monotonic < self.wanted_from:
                self._dropped += 1
                return None
            return replace(captured, opening=captured.opening + self._pauses)
