"""Moving pictures: bursts of frames that daemons send while somebody here looks at a camera.

A daemon sends a burst for a few seconds only. While it has a viewer, the request is repeated; with
the last viewer that ends, and the burst by itself a moment later. All viewers of a camera share
one burst, and each takes its frames at its own rate.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import UnavailableError
from edge_classifier.mqtt.codec.burst_frames import (
    MAX_RATE_FPS,
    MIN_RATE_FPS,
    BurstFrame,
    BurstRequest,
    read_burst_frame,
)
from edge_classifier.mqtt.codec.device_payloads import read_response
from edge_classifier.mqtt.codec.json_fields import line

_log = logging.getLogger(__name__)
COMMAND = "burst"
# How long the daemon goes on after the last request, and how often it is asked: one may get lost.
_LEASE_S, _RENEW_S = 6.0, 2.5
# A camera that gives no pictures is asked less often, and a daemon that is older than bursts: that
# is asked for snapshots meanwhile.
_REFUSED_RENEW_S, _OLDER_RENEW_S, _SNAPSHOT_S = 10.0, 60.0, 10.0
# Without an answer and without a frame for so long, that is said.
_SILENCE_S = 6.0
# Likewise without a frame alone: a camera may give one in twenty seconds.
_NO_FRAME_S = 30.0
# Viewers of all cameras together, and of these of one owner.
MOST_VIEWERS, MOST_EACH = 64, 24
# Whoever asks for the newest frame again and again is gone after this.
_WATCH_S = 4.0
_MAX_REASON = 300

Key = tuple[str, str]


class BurstBroker(Protocol):
    """The connection over which bursts are asked for and come. For any thread; nothing waits."""

    def ask_burst(self, device: str, body: Mapping[str, Any], transaction: str) -> None:
        """Send ``request/burst``, if there is a connection; its answer comes by itself."""

    def ask_snapshot(self, device: str, camera: str) -> None:
        """Send ``request/snapshot``, if there is a connection."""

    def listen_to_burst(self, device: str, camera: str, *, is_wanted: bool) -> None:
        """Have the frames of a camera sent here, or no more."""


@dataclass(eq=False)
class _Viewer:
    """Somebody who looks."""

    owner: object
    wanted: BurstRequest
    # Whoever asks again and again instead of holding it open is gone after that.
    until_s: float = inf
    # When it may have the next frame, and the number of the last that it had.
    due_s: float = -inf
    seen: int = 0


@dataclass(eq=False)
class _Burst:
    """One camera's, with its viewers."""

    transaction: str = field(default_factory=lambda: secrets.token_hex(8))
    viewers: list[_Viewer] = field(default_factory=list)
    frame: BurstFrame | None = None
    number: int = 0
    asked_at_s: float = -inf
    snapshot_at_s: float = -inf
    # What was asked last.
    asked: BurstRequest | None = None
    # When the last frame came, or the first viewer; likewise the last answer.
    frame_at_s: float = -inf
    answer_at_s: float = -inf
    # Why there are no frames, as the daemon says; empty: none is known.
    refusal: str = ""

    def wanted(self) -> BurstRequest:
        """What is enough for every viewer."""
        wanted = [one.wanted for one in self.viewers]
        return BurstRequest(
            seconds=_LEASE_S,
            rate_fps=max(one.rate_fps for one in wanted),
            longest_px=max(one.longest_px for one in wanted),
            max_bytes=max(one.max_bytes for one in wanted),
        )


class BurstView:
    """One viewer's frames. For one thread at a time."""

    def __init__(self, bursts: "Bursts", key: Key, viewer: _Viewer) -> None:
        self._bursts, self._key, self._viewer = bursts, key, viewer

    def next_frame(self, timeout_s: float) -> BurstFrame | None:
        """The newest frame that this viewer has not had, as soon as its rate allows it.

        None: there was none within ``timeout_s``; ``problem`` may say why.
        """
        return self._bursts.next_frame(self._key, self._viewer, timeout_s)

    @property
    def problem(self) -> str:
        """Why no frames come; empty: they do, or will."""
        return self._bursts.problem(*self._key)

    @property
    def is_unsupported(self) -> bool:
        """Whether the daemon is older than bursts."""
        return is_unsupported(self.problem)


def is_unsupported(problem: str) -> bool:
    """Whether a daemon has answered so that is older than bursts."""
    return "no such command" in problem


class Bursts:
    """All bursts that are open. Any thread may call any method."""

    def __init__(
        self,
        broker: BurstBroker,
        *,
        most_viewers: int = MOST_VIEWERS,
        most_each: int = MOST_EACH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._broker = broker
        self._most_viewers, self._most_each = most_viewers, most_each
        self._clock = clock
        self._changed = threading.Condition()
        self._bursts: dict[Key, _Burst] = {}
        # Frames of all bursts: a number stands for one of them only.
        self._count = 0
        self._is_over = False

    @property
    def viewers(self) -> int:
        """How many look, at all cameras together."""
        with self._changed:
            return sum(len(burst.viewers) for burst in self._bursts.values())

    @contextmanager
    def open(
        self,
        device: str,
        camera: str,
        *,
        rate_fps: float = 1.0,
        longest_px: int = 640,
        max_bytes: int = BurstRequest().max_bytes,
        owner: object = None,
    ) -> Iterator[BurstView]:
        """Have frames of a camera as long as this is open.

        ``owner``: whoever looks, an account as a rule; None counts in the sum only. Raises
        UnavailableError when there are too many viewers.
        """
        rate_fps = min(max(rate_fps, MIN_RATE_FPS), MAX_RATE_FPS)
        wanted = BurstRequest(0.0, rate_fps, longest_px, max_bytes)
        viewer, key = _Viewer(owner, wanted), (device, camera)
        self._add(key, viewer)
        try:
            yield BurstView(self, key, viewer)
        finally:
            self._remove(key, viewer)

    def next_frame(self, key: Key, viewer: _Viewer, timeout_s: float) -> BurstFrame | None:
        """See ``BurstView``."""
        until_s = self._clock() + timeout_s
        with self._changed:
            while not self._is_over:
                burst, now_s = self._bursts.get(key), self._clock()
                is_due = now_s >= viewer.due_s
                if burst and burst.frame and burst.number > viewer.seen and is_due:
                    viewer.seen, pause_s = burst.number, 1.0 / viewer.wanted.rate_fps
                    on_time = now_s - viewer.due_s < pause_s
                    viewer.due_s = (viewer.due_s if on_time else now_s) + pause_s
                    return burst.frame
                if now_s >= until_s:
                    return None
                wake_s = until_s if is_due else min(until_s, viewer.due_s)
                self._changed.wait(wake_s - now_s)
        return None

    def newest_frame(
        self, device: str, camera: str, wanted: BurstRequest, *, owner: object
    ) -> tuple[int, BurstFrame | None]:
        """The newest frame and its number, without waiting: for whoever asks again soon.

        The burst goes on for some seconds after the last call. Raises UnavailableError when there
        are too many viewers.
        """
        with self._changed:
            key, until_s = (device, camera), self._clock() + _WATCH_S
            burst = self._bursts.get(key)
            for viewer in burst.viewers if burst else ():
                if (viewer.owner, viewer.wanted) == (owner, wanted) and viewer.until_s < inf:
                    viewer.until_s = until_s
                    break
            else:
                self._add(key, _Viewer(owner, wanted, until_s))
            burst = self._bursts[key]
            return burst.number, burst.frame

    def problem(self, device: str, camera: str) -> str:
        """Why a camera that has viewers gives no frames; empty: it does, or will."""
        with self._changed:
            burst = self._bursts.get((device, camera))
            now_s = self._clock()
            if burst is None or burst.refusal:
                return burst.refusal if burst else ""
            if now_s - max(burst.frame_at_s, burst.answer_at_s) > _SILENCE_S:
                return "the daemon does not answer"
            return "no frame comes" if now_s - burst.frame_at_s > _NO_FRAME_S else ""

    def renew(self) -> None:
        """About once a second: repeat the requests that are in force; forget who has gone."""
        with self._changed:
            now_s = self._clock()
            for key, burst in list(self._bursts.items()):
                for viewer in [one for one in burst.viewers if one.until_s < now_s]:
                    self._remove(key, viewer)
            self._ask_due()

    def connected(self) -> None:
        """There is a new connection, which knows of nothing."""
        with self._changed:
            for key, burst in self._bursts.items():
                burst.asked_at_s = -inf
                self._broker.listen_to_burst(*key, is_wanted=True)
            self._ask_due()

    def end(self) -> None:
        """Nobody waits any longer."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def take_frame(self, device: str, camera: str, payload: bytes) -> None:
        """A frame has come; one that makes no sense is left out."""
        with self._changed:
            if (device, camera) not in self._bursts:
                return
        try:
            frame = read_burst_frame(payload)
        except ValueError as error:
            _log.debug("a frame of a burst of %s/%s %s", device, camera, error)
            return
        with self._changed:
            if burst := self._bursts.get((device, camera)):
                burst.frame, burst.refusal = frame, ""
                self._count += 1
                burst.number = self._count
                burst.frame_at_s = self._clock()
                self._changed.notify_all()

    def take_response(self, device: str, payload: bytes) -> None:
        """A daemon answers; the answers of others are none of our business."""
        try:
            found = read_response(payload)
        except ValueError:
            return
        with self._changed:
            for (name, _), burst in self._bursts.items():
                if name == device and burst.transaction == found.get("transaction"):
                    burst.refusal = line(found.get("error"), _MAX_REASON)
                    burst.answer_at_s = self._clock()

    def _add(self, key: Key, viewer: _Viewer) -> None:
        with self._changed:
            owners = [one.owner for burst in self._bursts.values() for one in burst.viewers]
            is_full = len(owners) >= self._most_viewers
            if is_full or (
                viewer.owner is not None and owners.count(viewer.owner) >= self._most_each
            ):
                problem = Sentence("too many moving pictures are open")
                raise UnavailableError("/".join(key), problem, Sentence("Close one of them."))
            if key not in self._bursts:
                now_s = self._clock()
                self._bursts[key] = _Burst(frame_at_s=now_s, answer_at_s=now_s)
                self._broker.listen_to_burst(*key, is_wanted=True)
            burst = self._bursts[key]
            # What was there before it came may be old.
            viewer.seen = burst.number
            burst.viewers.append(viewer)
            self._ask_due()

    def _remove(self, key: Key, viewer: _Viewer) -> None:
        with self._changed:
            burst = self._bursts.get(key)
            if burst is None or viewer not in burst.viewers:
                return
            burst.viewers.remove(viewer)
            if not burst.viewers:
                del self._bursts[key]
                self._broker.listen_to_burst(*key, is_wanted=False)

    # Only with the lock held.

    def _ask_due(self) -> None:
        """Ask for what has to be asked for now: once more, or more than before."""
        now_s = self._clock()
        for (device, camera), burst in self._bursts.items():
            wanted, pause_s = burst.wanted(), _RENEW_S
            if is_unsupported(burst.refusal):
                pause_s = _OLDER_RENEW_S
                if now_s - burst.snapshot_at_s >= _SNAPSHOT_S:
                    burst.snapshot_at_s = now_s
                    self._broker.ask_snapshot(device, camera)
            elif burst.refusal:
                pause_s = _REFUSED_RENEW_S
            # Whether what was asked for is not enough for who has come since.
            is_more = (asked := burst.asked) is None or (
                wanted.rate_fps > asked.rate_fps
                or wanted.longest_px > asked.longest_px
                or wanted.max_bytes > asked.max_bytes
            )
            if now_s - burst.asked_at_s < pause_s and not is_more:
                continue
            burst.asked_at_s, burst.asked = now_s, wanted
            body = {
                "camera": camera,
                "seconds": wanted.seconds,
                "rate": wanted.rate_fps,
                "longest_px": wanted.longest_px,
                "max_bytes": wanted.max_bytes,
            }
            self._broker.ask_burst(device, body, burst.transaction)
