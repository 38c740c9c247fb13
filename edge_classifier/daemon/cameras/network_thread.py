"""Networks beside the main loop: where there are several, a slow one keeps no other waiting."""

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.classifier import ScoredFrame
from edge_classifier.daemon.cameras.frame_scorer import FrameScorer
from edge_classifier.protocols import Clock


class PendingInference:
    """One frame on its way through a network."""

    def __init__(
        self, scorer: FrameScorer, captured: CapturedFrame, age_ms: float, began_s: float
    ) -> None:
        self.scorer, self.captured, self.age_ms, self.began_s = scorer, captured, age_ms, began_s
        self.is_done = False
        self._scored: ScoredFrame | Exception | None = None

    def run(self) -> None:
        """In the network's thread."""
        try:
            self._scored = self.scorer.score(self.captured)
        except Exception as error:  # noqa: BLE001 (raised where the frame is waited for)
            self._scored = error
        self.is_done = True

    def scored(self) -> ScoredFrame:
        """What came of it, once it is done. Raises what went wrong."""
        if isinstance(self._scored, Exception):
            raise self._scored
        if self._scored is None:
            raise RuntimeError("the network is not done with it")
        return self._scored


class NetworkThread:
    """Runs one network for all of its cameras, a frame after the other.

    A camera has one frame at a time here, so that they come by turns. ``wake`` is called when the
    network is done with one.
    """

    def __init__(self, name: str, wake: Callable[[], None], clock: Clock = time.monotonic) -> None:
        self._wake, self._clock = wake, clock
        self._waiting: SimpleQueue[PendingInference | None] = SimpleQueue()
        # A daemon thread: a network that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=f"network-{name}", daemon=True)
        self._thread.start()

    def submit(
        self, scorer: FrameScorer, captured: CapturedFrame, age_ms: float
    ) -> PendingInference:
        """Have the network run on a frame."""
        pending = PendingInference(scorer, captured, age_ms, self._clock())
        self._waiting.put(pending)
        return pending

    def end(self) -> None:
        """No more frames will come."""
        self._waiting.put(None)

    def has_ended(self, within_s: float) -> bool:
        """Whether the thread has ended, in time."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while pending := self._waiting.get():
            pending.run()
            self._wake()
