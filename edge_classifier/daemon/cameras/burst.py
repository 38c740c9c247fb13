"""Bursts of one camera: some of its frames as small JPEGs, for whoever looks now."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf

from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.core.events import CameraState
from edge_classifier.core.frame import Frame
from edge_classifier.mqtt.codec.burst_frames import BurstRequest
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.protocols import Clock
from edge_classifier.vision.jpeg import at_most, jpeg_with_comment

# Requests that are in force together; of more the one that ends first is forgotten.
_MOST_REQUESTS = 16
# A frame that is early by this share of the pause is taken: the next one would be far too late.
_EARLY = 0.25


@dataclass(frozen=True, slots=True)
class _Lease:
    """A request, and until when it is in force."""

    until_s: float
    wanted: BurstRequest


class CameraBurst:
    """What is asked of one camera, together one burst. Belongs to the main loop's thread.

    A second request prolongs it, and of each figure the largest counts while its request is in
    force. Frames become JPEGs in the publisher's thread, and only those that can be sent.
    """

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._leases: list[_Lease] = []
        self._due_s = -inf

    def ask(self, wanted: BurstRequest) -> BurstRequest:
        """Take a request; what is in force now, all together. 0 seconds end all that is."""
        now_s = self._clock()
        if not wanted.seconds:
            self._leases = []
            return wanted
        leases = [*self._in_force(now_s), _Lease(now_s + wanted.seconds, wanted)]
        self._leases = sorted(leases, key=lambda one: one.until_s)[-_MOST_REQUESTS:]
        return self._together(now_s)

    def end(self) -> None:
        """The camera gives no pictures any more."""
        self._leases = []

    def offer(self, captured: CapturedFrame, state: Callable[[], CameraState]) -> None:
        """Send a frame, with what its camera shows, if it is time for one."""
        at_s = captured.at.monotonic
        self._leases = self._in_force(at_s)
        if not self._leases:
            return
        wanted = self._together(at_s)
        pause_s = 1.0 / wanted.rate_fps
        if at_s < self._due_s - _EARLY * pause_s:
            return
        self._due_s = (self._due_s if at_s - self._due_s < pause_s else at_s) + pause_s
        encode = partial(_encode, captured.frame, wanted)
        self._publisher.put_burst_frame(state(), captured.at.utc, encode)

    def _in_force(self, now_s: float) -> list[_Lease]:
        return [one for one in self._leases if one.until_s > now_s]

    def _together(self, now_s: float) -> BurstRequest:
        asked = [one.wanted for one in self._leases]
        return BurstRequest(
            seconds=max(one.until_s for one in self._leases) - now_s,
            rate_fps=max(one.rate_fps for one in asked),
            longest_px=max(one.longest_px for one in asked),
            max_bytes=max(one.max_bytes for one in asked),
        )


def _encode(frame: Frame, wanted: BurstRequest, max_bytes: int | None, comment: str) -> bytes:
    """In at most ``max_bytes``, if the broker has a limit. Raises ValueError where nothing fits."""
    most = wanted.max_bytes if max_bytes is None else min(wanted.max_bytes, max_bytes)
    return jpeg_with_comment(at_most(frame, wanted.longest_px), most, comment)
