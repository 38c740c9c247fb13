"""Threads that go on after an error that nobody foresaw, and what the page does in one."""

import logging
import random as random_module
import threading
import time
from collections.abc import Callable

from edge_classifier.core.backoff import pause_s
from edge_classifier.core.sentence import Sentence

_log = logging.getLogger(__name__)
_MAX_PAUSE_S = 30.0
# Work that has gone on for so long after an error is well again.
_STEADY_S = 10.0


class GuardedThread:
    """Does ``work`` until that returns by itself; begins it again, with back-off, when it raises.

    ``problem`` is for any thread. ``random`` gives numbers from [0, 1).
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._name = name
        self._work = work
        self._clock = clock
        self._random = random
        self._ending = threading.Event()
        self._error = ""
        self._resumed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def problem(self) -> str:
        """Why the work is not done, or was not a moment ago; empty: all is well."""
        if not self._thread.is_alive():
            return Sentence("the thread {name} does not run", name=self._name)
        resumed_at = self._resumed_at
        is_steady = resumed_at is not None and self._clock() - resumed_at >= _STEADY_S
        return "" if is_steady else self._error

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self) -> None:
        """Do not begin the work again. Whoever calls this lets the work itself return, too."""
        self._ending.set()

    def join(self, within_s: float) -> None:
        """Wait for the end."""
        self._thread.join(within_s)

    def _run(self) -> None:
        failures = 0
        while True:
            began = self._clock()
            try:
                self._work()
            except Exception as error:  # noqa: BLE001 (a thread's end would be seen by nobody)
                failures = 1 if self._clock() - began >= _STEADY_S else failures + 1
                pause = pause_s(failures, self._random(), max_s=_MAX_PAUSE_S)
                self._resumed_at = None
                self._error = f"the thread {self._name} failed ({type(error).__name__}: {error})"
                _log.exception("the thread %s failed, and goes on in %.1f s", self._name, pause)
            else:
                return
            if self._ending.wait(pause):
                return
            self._resumed_at = self._clock()


class BackgroundWork:
    """What the page does in a guarded thread of its own, from ``start`` to ``stop``.

    Whoever derives from it works in ``_run``, and returns soon after ``_stopped`` is set.
    """

    def __init__(self, thread_name: str) -> None:
        self._stopped = threading.Event()
        self._thread = GuardedThread(thread_name, self._run)

    @property
    def problem(self) -> str:
        """Why the work is not done; empty: all is well."""
        return self._thread.problem

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, within_s: float = 5.0) -> None:
        """Stop. What takes longer ends with the process: each of its steps is complete."""
        self._stopped.set()
        self._thread.end()
        self._thread.join(within_s)

    def _run(self) -> None:
        raise NotImplementedError
