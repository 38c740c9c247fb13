"""The main loop: the only user of the network, and the only place where the daemon's state changes.

Whatever else wants something done (a signal, a request over MQTT, a model that has been loaded)
posts it, and it is done between two frames. So nothing here needs a lock.
"""

import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, Full, Queue

from edge_classifier.daemon.cameras.camera_pipeline import CameraPipeline
from edge_classifier.protocols import Clock

# Actions that may wait to be done between frames.
_MAX_POSTED = 256
# Longest sleep without a frame: the tasks of each second go on beside dark cameras.
_IDLE_S = 0.5
_PERIODIC_S = 1.0

Action = Callable[[], None]


class MainLoop:
    """Has each camera's newest frame processed by turns."""

    def __init__(
        self,
        pipelines: Callable[[], Iterable[CameraPipeline]],
        *,
        every_second: Callable[[], None],
        on_progress: Callable[[], None],
        clock: Clock = time.monotonic,
    ) -> None:
        """``pipelines``: those of now."""
        self._pipelines = pipelines
        self._every_second = every_second
        self._on_progress = on_progress
        self._clock = clock
        self._posted: Queue[Action] = Queue(_MAX_POSTED)
        self._awake = threading.Event()
        self._stopping = False
        self._periodic_due = -float("inf")

    def wake(self) -> None:
        """A camera has a frame or other news. Any thread may call it."""
        self._awake.set()

    def post(self, action: Action) -> bool:
        """Have ``action`` done between two frames; False when too much is waiting. Any thread."""
        try:
            self._posted.put_nowait(action)
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
        """Work until ``stop``."""
        while not self._stopping:
            if not self.run_once():
                self._awake.wait(_IDLE_S)
            # Cleared before looking, so that what comes while looking is seen in the next turn.
            self._awake.clear()

    def run_once(self) -> bool:
        """Do what was posted, and process a frame of each camera; whether there was any."""
        # Those of now: what they post themselves waits for the next turn.
        for _ in range(self._posted.qsize()):
            try:
                self._posted.get_nowait()()
            except Empty:
                break
        any_frame = False
        for pipeline in self._pipelines():
            if pipeline.process_frame():
                any_frame = True
                self._on_progress()
        if self._clock() >= self._periodic_due:
            self._periodic_due = self._clock() + _PERIODIC_S
            self._every_second()
        self._on_progress()
        return any_frame
