"""One thread for slow work, such as loading a model, beside the pipeline."""

import logging
import threading
from collections.abc import Callable
from queue import Full, Queue

Job = Callable[[], None]

_log = logging.getLogger(__name__)

# Jobs that may wait: people ask by hand, so more is a mistake.
_WAITING = 16


class BackgroundWorker:
    """Does one job after another; a job tells its outcome itself."""

    def __init__(self) -> None:
        self._jobs: Queue[Job] = Queue(_WAITING)
        # A daemon thread: a loader or a driver that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def submit(self, job: Job) -> bool:
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
