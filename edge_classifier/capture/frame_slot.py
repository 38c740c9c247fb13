"""Where a camera's thread and the pipeline meet: the newest frame, and how the camera is."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_classifier.core.events import Moment
from edge_classifier.core.frame import Frame, Prepared
from edge_classifier.protocols import Clock

Prepare = Callable[[Frame], Prepared]

# Seconds that a camera must have been back for its next failure to count as the first.
STEADY_S = 10.0
# Longest wait without looking round.
_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame, and when it was captured."""

    frame: Frame
    at: Moment
    # Counts the frames that were decoded, from 1: a gap is frames that nobody took.
    number: int
    # The frame as the network wants it, if somebody has said how.
    prepared: Prepared | None = None
    # Counts how often the camera was opened: another number is a gap in what was seen.
    connection: int = 0


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How a camera is, for people and for its availability."""

    # Frames come. Only a first frame makes it so.
    online: bool
    # Why it is not; empty while it is.
    reason: str
    # Monotonic seconds since when it is online, or is not.
    since: float
    # What the source said of itself when it was opened, e.g. ``640x480 MJPG 30 fps``.
    description: str
    # How often it could be opened.
    opened: int
    # How often it could not, or was lost.
    failures: int
    # Frames that were decoded, and overtaken by a newer one before they were taken.
    dropped: int
    # Calls into its driver that have not returned long after their time limit.
    hung: int
    # A file or folder has been shown to its end; nothing more will come.
    ended: bool


class ReaderReplaced(Exception):  # noqa: N818 (a message, not a failure)
    """It is no longer this reader's turn: it closes its source and ends."""


class FrameSlot:
    """Shared between the readers of one camera and the pipeline; any thread may call any method.

    A reader gives its turn with each call. A reader whose driver call hung is deposed; when the
    call returns after all, its turn is over and ``ReaderReplaced`` is raised before anything is
    touched. ``wake`` is called when there is something new; it must not block.
    """

    def __init__(self, wake: Callable[[], None], clock: Clock, utc: Clock = time.time) -> None:
        # Monotonic seconds: frames captured before are of no use to the pipeline.
        self.wanted_from = 0.0
        # What the reader makes of each frame, in its thread, before it puts it.
        self.prepare: Prepare | None = None
        self.online = False
        self.ended = False
        # Failures in a row.
        self.setbacks = 0
        self._wake, self._clock, self._utc = wake, clock, utc
        self._changed = threading.Condition()
        self._turn = 0
        self._slot: tuple[Frame, Moment | None, int, Prepared | None] | None = None
        self._number = self._dropped = self._opened = self._failures = 0
        self._since = clock()
        self._reason, self._description = "not opened yet", ""

    # The reader's side.

    def opened(self, turn: int, description: str) -> None:
        """The source says that it is open. That proves nothing: some say so of dead cameras."""
        with self._changed:
            self._require(turn)
            self._opened += 1
            self._description = description

    def put(
        self, turn: int, frame: Frame, at: Moment | None, prepared: Prepared | None = None
    ) -> None:
        """Here is the newest frame. Without ``at`` it counts as captured when it is taken."""
        with self._changed:
            self._require(turn)
            self._dropped += self._slot is not None
            self._number += 1
            self._slot = frame, at, self._number, prepared
            self._turn_to(online=True, reason="")
        self._wake()

    def wait_taken(self, turn: int) -> None:
        """Return when the frame on the desk was taken: for sources that lose no frame."""
        while self._is_left(turn):
            self._wake()

    def lost(self, turn: int, reason: str) -> None:
        """The camera cannot be opened, or gives no frames any more."""
        with self._changed:
            self._require(turn)
            self._lose(reason)
        self._wake()

    def end(self, turn: int, reason: str) -> None:
        """Everything was shown."""
        with self._changed:
            self._require(turn)
            self.ended = True
            self._turn_to(online=False, reason=reason)
        self._wake()

    def pause(self, turn: int, seconds: float) -> None:
        """Wait, or as long as it is still this reader's turn."""
        with self._changed:
            self._changed.wait_for(lambda: turn != self._turn, seconds)
            self._require(turn)

    def require(self, turn: int) -> None:
        """Raise Cut if the turn is over."""
        with self._changed:
            self._require(turn)

    # The pipeline's side.

    def next_turn(self) -> int:
        """End the present reader's turn, and begin one for another."""
        with self._changed:
            self._turn += 1
            self._changed.notify_all()
            return self._turn

    def depose(self, reason: str) -> None:
        """The reader hangs: its turn is over, and the camera is lost."""
        with self._changed:
            self._turn += 1
            self._lose(reason)
        self._wake()

    def say(self, reason: str) -> None:
        """The camera is offline, for this reason."""
        with self._changed:
            changed = self._turn_to(online=False, reason=reason)
        if changed:
            self._wake()

    def take(self) -> CapturedFrame | None:
        """The newest frame that was not taken yet; none before ``wanted_from``."""
        with self._changed:
            if self._slot is None or self._clock() < self.wanted_from:
                return None
            (frame, at, number, prepared), self._slot = self._slot, None
            connection = self._opened
            self._changed.notify_all()
            if at is not None and at.monotonic < self.wanted_from:
                self._dropped += 1
                return None
        at = at or Moment(self._utc(), self._clock())
        return CapturedFrame(frame, at, number, prepared, connection)

    def status(self, hung: int) -> CameraStatus:
        """A consistent picture of now."""
        with self._changed:
            return CameraStatus(
                self.online,
                self._reason,
                self._since,
                self._description,
                self._opened,
                self._failures,
                self._dropped,
                hung,
                self.ended,
            )

    # Only with the lock held.

    def _require(self, turn: int) -> None:
        if turn != self._turn:
            raise ReaderReplaced

    def _lose(self, reason: str) -> None:
        steady = self.online and self._clock() - self._since >= STEADY_S
        self.setbacks = 1 if steady else self.setbacks + 1
        self._failures += 1
        self._dropped += self._slot is not None
        self._slot = None  # An offline camera gives no frames.
        self._turn_to(online=False, reason=reason)

    def _turn_to(self, *, online: bool, reason: str) -> bool:
        """Whether that is news."""
        if (online, reason) == (self.online, self._reason):
            return False
        if online != self.online:
            self._since = self._clock()
        self.online, self._reason = online, reason
        return True

    def _is_left(self, turn: int) -> bool:
        """Whether the frame still lies there, now that it is wanted or a while has passed."""
        with self._changed:
            until_wanted_s = self.wanted_from - self._clock()
            wait_s = min(until_wanted_s, _WAIT_S) if until_wanted_s > 0 else _WAIT_S
            self._changed.wait_for(lambda: self._slot is None or turn != self._turn, wait_s)
            self._require(turn)
            return self._slot is not None
