"""Where a camera's thread and the pipeline meet: the newest frame, and how the camera is."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge_classifier.core.events import Moment
from edge_classifier.core.frame import Frame, PreprocessedFrame
from edge_classifier.protocols import Clock

Prepare = Callable[[Frame], PreprocessedFrame]

# Seconds that a camera must have been back for its next failure to count as the first.
STEADY_S = 10.0
# Longest wait without a check.
_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame, and when it was captured."""

    frame: Frame
    at: Moment
    # Counts the frames that were decoded, from 1: a gap is frames that nobody took.
    number: int
    # The frame as the network wants it, if there is a ``prepare``.
    prepared: PreprocessedFrame | None = None
    # Which opening of the camera it is from: another number is a gap in what was seen.
    opening: int = 0


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
    # Frames that were damaged or cut short, and left out.
    damaged: int
    # Calls into its driver that have not returned long after their time limit.
    hung: int
    # A file or folder has been shown to its end; nothing more will come.
    ended: bool


class FrameSupply(Protocol):
    """What a pipeline asks of its camera."""

    wanted_from: float
    prepare: Prepare | None

    @property
    def status(self) -> CameraStatus:
        """How the camera is."""

    def take_frame(self) -> CapturedFrame | None:
        """The newest frame that was not taken yet."""


class FrameTaker(Protocol):
    """Somebody else who gets frames of this camera, in the reader's thread."""

    def wants(self, at_s: float) -> bool:
        """Whether a frame that is captured at this monotonic second is of use."""

    def put(self, frame: Frame, at: Moment, opening: int) -> None:
        """Take a frame, which is not to be written into."""

    def forget(self) -> None:
        """The camera is lost."""


class ReaderReplaced(Exception):  # noqa: N818 (a message, not a failure)
    """Another reader has this one's place: it closes its source and ends."""


class FrameSlot:
    """Shared between the readers of one camera and the pipeline; any thread may call any method.

    Each reader has a number, which it gives with each call. A reader whose driver call hung is
    replaced; when the call returns after all, ``ReaderReplaced`` is raised before anything is
    touched. ``wake`` is called when there is something new; it must not block.
    """

    def __init__(
        self, wake: Callable[[], None], clock: Clock, utc: Callable[[], float] = time.time
    ) -> None:
        # Monotonic seconds: frames captured before are of no use to the pipeline.
        self.wanted_from = 0.0
        # What the reader makes of each frame, in its thread, before it stores it here.
        self.prepare: Prepare | None = None
        # Exchanged as a whole, as other threads go through them.
        self.takers: tuple[FrameTaker, ...] = ()
        self.online = False
        self.ended = False
        self.failures_in_a_row = 0
        self._wake, self._clock, self._utc = wake, clock, utc
        self._changed = threading.Condition()
        self._reader = 0
        self._newest: tuple[Frame, Moment | None, int, PreprocessedFrame | None] | None = None
        self._number = self._dropped = self._damaged = self._opened = self._failures = 0
        self._since = clock()
        self._reason, self._description = "not opened yet", ""

    # The reader's side.

    def mark_opened(self, reader: int, description: str) -> None:
        """The source says that it is open. That proves nothing: some say so of dead cameras."""
        with self._changed:
            self._require_current(reader)
            self._opened += 1
            self._description = description

    def wants(self, at_s: float) -> bool:
        """Whether the pipeline has use for a frame that is captured at this monotonic second.

        Always while the camera is offline: a first frame shows that it is back.
        """
        return not self.online or at_s >= self.wanted_from

    def give_away(self, reader: int, frame: Frame, at: Moment) -> None:
        """Let others have ``frame`` who want it."""
        for taker in self.takers:
            if taker.wants(at.monotonic):
                with self._changed:
                    self._require_current(reader)
                    opening = self._opened
                taker.put(frame, at, opening)

    def put_frame(
        self,
        reader: int,
        frame: Frame,
        at: Moment | None,
        prepared: PreprocessedFrame | None = None,
    ) -> None:
        """Store the newest frame. Without ``at`` it counts as captured when it is taken."""
        with self._changed:
            self._require_current(reader)
            self._dropped += self._newest is not None
            self._number += 1
            self._newest = frame, at, self._number, prepared
            self._set_online(online=True, reason="")
        self._wake()

    def wait_until_taken(self, reader: int) -> None:
        """Return when the newest frame was taken: for sources that lose no frame."""
        while True:
            with self._changed:
                # Not beyond the moment from which it is wanted: then the pipeline is woken.
                until_wanted_s = self.wanted_from - self._clock()
                wait_s = min(until_wanted_s, _WAIT_S) if until_wanted_s > 0 else _WAIT_S
                self._changed.wait_for(
                    lambda: self._newest is None or reader != self._reader, wait_s
                )
                self._require_current(reader)
                if self._newest is None:
                    return
            self._wake()

    def count_damaged(self, reader: int) -> None:
        """A frame came that cannot be decoded, and was left out."""
        with self._changed:
            self._require_current(reader)
            self._damaged += 1

    def mark_lost(self, reader: int, reason: str) -> None:
        """The camera cannot be opened, or gives no frames any more."""
        with self._changed:
            self._require_current(reader)
            self._count_failure(reason)
        self._wake()

    def mark_ended(self, reader: int, reason: str) -> None:
        """Everything was shown."""
        with self._changed:
            self._require_current(reader)
            self.ended = True
            self._set_online(online=False, reason=reason)
        self._wake()

    def pause(self, reader: int, seconds: float) -> None:
        """Wait, until the reader is replaced at the latest."""
        with self._changed:
            self._changed.wait_for(lambda: reader != self._reader, seconds)
            self._require_current(reader)

    def require_current(self, reader: int) -> None:
        """Raise ReaderReplaced if another reader is at work."""
        with self._changed:
            self._require_current(reader)

    # The side of ``CameraCapture``.

    def replace_reader(self) -> int:
        """Shut out the current reader; the number of the next one."""
        with self._changed:
            self._reader += 1
            self._changed.notify_all()
            return self._reader

    def shut_out_hung_reader(self, reason: str) -> None:
        """The reader hangs in its driver: the camera is lost."""
        with self._changed:
            self._reader += 1
            self._count_failure(reason)
        self._wake()

    def set_offline(self, reason: str) -> None:
        """The camera is offline, for this reason."""
        with self._changed:
            changed = self._set_online(online=False, reason=reason)
        if changed:
            self._wake()

    def take_frame(self) -> CapturedFrame | None:
        """The newest frame that was not taken yet; none before ``wanted_from``."""
        with self._changed:
            if self._newest is None or self._clock() < self.wanted_from:
                return None
            (frame, at, number, prepared), self._newest = self._newest, None
            opening = self._opened
            self._changed.notify_all()
            if at is not None and at.monotonic < self.wanted_from:
                self._dropped += 1
                return None
        at = at or Moment(self._utc(), self._clock())
        return CapturedFrame(frame, at, number, prepared, opening)

    def status(self, hung: int) -> CameraStatus:
        """A consistent picture of now; ``hung`` is what the slot cannot know."""
        with self._changed:
            return CameraStatus(
                online=self.online,
                reason=self._reason,
                since=self._since,
                description=self._description,
                opened=self._opened,
                failures=self._failures,
                dropped=self._dropped,
                damaged=self._damaged,
                hung=hung,
                ended=self.ended,
            )

    # Only with the lock held.

    def _require_current(self, reader: int) -> None:
        if reader != self._reader:
            raise ReaderReplaced

    def _count_failure(self, reason: str) -> None:
        steady = self.online and self._clock() - self._since >= STEADY_S
        self.failures_in_a_row = 1 if steady else self.failures_in_a_row + 1
        self._failures += 1
        # An offline camera gives no frames.
        self._dropped += self._newest is not None
        self._newest = None
        for taker in self.takers:
            taker.forget()
        self._set_online(online=False, reason=reason)

    def _set_online(self, *, online: bool, reason: str) -> bool:
        """Whether that is news."""
        if (online, reason) == (self.online, self._reason):
            return False
        if online != self.online:
            self._since = self._clock()
        self.online, self._reason = online, reason
        return True
