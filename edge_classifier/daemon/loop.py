"""The loop: the only user of the network, and the only place where the daemon's state changes.

Whatever else wants something done (a signal, a request over MQTT, a model that has been loaded)
posts it, and it is done between two frames. So nothing here needs a lock.
"""

import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, Full, Queue

from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.frame_result import FrameResult
from edge_classifier.protocols import Clock

# What may wait to be done between frames.
_POSTS = 256
# Longest sleep without a frame: housekeeping and the watchdog go on beside dark cameras.
_IDLE_S = 0.5
_HOUSEKEEPING_S = 1.0

Post = Callable[[], None]


class MainLoop:
    """Takes the newest frame of each camera by turns and hands on what became of it."""

    def __init__(
        self,
        *,
        seen: Callable[[CameraPipeline, FrameResult], None],
        housekeeping: Callable[[], None],
        progress: Callable[[], None],
        clock: Clock = time.monotonic,
    ) -> None:
        self._network: ActiveModel | None = None
        self._lanes: tuple[CameraPipeline, ...] = ()
        self._seen = seen
        self._housekeeping = housekeeping
        self._progress = progress
        self._clock = clock
        self._posts: Queue[Post] = Queue(_POSTS)
        self._awake = threading.Event()
        self._stopping = False
        self._due = -float("inf")

    def take(self, network: ActiveModel, lanes: Iterable[CameraPipeline]) -> None:
        """Let these take over, from the next frame on."""
        self._network, self._lanes = network, tuple(lanes)

    def wake(self) -> None:
        """There is something to look at. Any thread may call it."""
        self._awake.set()

    def post(self, action: Post) -> bool:
        """Have ``action`` done between two frames; False when too much is waiting."""
        try:
            self._posts.put_nowait(action)
        except Full:
            return False
        self._awake.set()
        return True

    def stop(self) -> None:
        """End ``run`` after the frame in hand.

        A signal handler may call it, which is why it takes no lock: it may have interrupted the
        very code that holds it. A sleep ends by itself soon enough.
        """
        self._stopping = True

    def run(self) -> None:
        """Turn until ``stop``."""
        while not self._stopping:
            if not self.turn():
                self._awake.wait(_IDLE_S)
            # Cleared before looking, so that what comes while looking is seen in the next turn.
            self._awake.clear()

    def turn(self) -> bool:
        """Do what is waiting, and look at each camera once; whether there was any frame."""
        self._do_posts()
        busy = self._look()
        if self._clock() >= self._due:
            self._due = self._clock() + _HOUSEKEEPING_S
            self._housekeeping()
        self._progress()
        return busy

    def _look(self) -> bool:
        if self._network is None:
            return False
        busy = False
        for lane in self._lanes:
            outcome = lane.turn(self._network)
            if outcome:
                busy = True
                self._seen(lane, outcome)
                self._progress()
        return busy

    def _do_posts(self) -> None:
        for _ in range(self._posts.qsize()):
            try:
                self._posts.get_nowait()()
            except Empty:
                return
