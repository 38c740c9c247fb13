"""A thread for slow work beside the main loop."""

import logging
import threading
from collections.abc import Callable, Mapping
from queue import Full, Queue
from typing import Any

_log = logging.getLogger(__name__)

# Jobs that may wait: people ask by hand, so more is a mistake.
MAX_WAITING = 16

# Called with the outcome of a change: what is new, or why nothing changed.
Done = Callable[[Mapping[str, Any] | Exception], None]


class BackgroundThread:
    """Does one job after another beside the main loop; a job reports its outcome itself."""

    def __init__(self, name: str) -> None:
        self._jobs: Queue[Callable[[], None]] = Queue(MAX_WAITING)
        # A daemon thread: a loader that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Start to work."""
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """Queue a job; False when too many are waiting."""
        try:
            self._jobs.put_nowait(job)
        except Full:
            return False
        return True

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:  # noqa: BLE001 (a bug in one job must not end all later ones)
                _log.exception("a job in the background failed")
