"""The child process of the worker: its start, its limits in time, its end."""

import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import Any

from edge_classifier.child import command, ending, environment, tail
from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import UnavailableError
from edge_classifier.files import nameless_file
from edge_classifier.web.worker.messages import Message, receive, send

_MODULE = "edge_classifier.web.worker.child"
_NAME = "the process that reads pictures"
# Memory pools of threads that it does not have would use up its address space.
_FEW_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_ENDING_S = 5.0


class WorkerProcess:
    """Answers one question at a time. Only ``kill`` may be called by other threads meanwhile."""

    def __init__(self, memory_mb: int) -> None:
        """Start it. Raises UnavailableError."""
        self._lock = threading.Lock()
        self._late = False
        try:
            self._messages = nameless_file("messages")
            self._process = subprocess.Popen(
                command(_MODULE, str(memory_mb)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                env=environment(**_FEW_THREADS),
                start_new_session=True,  # Ctrl-C is the page's business; and a group to end.
            )
        except OSError as error:
            problem = Sentence("cannot be started ({cause})", cause=error.strerror)
            raise UnavailableError(_NAME, problem) from error

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, question: Message, timeout_s: float) -> Message:
        """Its answer. Raises UnavailableError when there is none; the child has ended then."""
        timer = threading.Timer(timeout_s, self._end_late)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError as error:
            # A child that nobody watches could take for ever.
            problem = Sentence("cannot be watched ({cause})", cause=str(error))
            raise UnavailableError(_NAME, problem, Sentence("Try again.")) from error
        try:
            send(_pipe(self._process.stdin), question)
            return receive(_pipe(self._process.stdout))
        except (OSError, EOFError, ValueError) as error:
            self._wait()
            code = self._process.returncode
            if self._late:
                how: str = Sentence("took longer than {seconds} s", seconds=f"{timeout_s:g}")
            elif code is None:
                how = Sentence("sent something that is not an answer")
            else:
                how = ending(code, tail(self._messages))
            self.end()
            remedy = Sentence("Try again, or another picture.")
            raise UnavailableError(_NAME, how, remedy) from error
        finally:
            timer.cancel()

    def _end_late(self) -> None:
        self._late = True
        self.kill()

    def kill(self) -> None:
        """Kill it and what it has started; ``ask`` then raises at once."""
        with self._lock:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it, and give back all that it had. May be called again."""
        self.kill()
        self._wait()
        for pipe in (self._process.stdin, self._process.stdout, self._messages):
            with suppress(OSError):  # What was not yet sent cannot be.
                _pipe(pipe).close()

    def _wait(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)


def _pipe(stream: Any) -> Any:
    """The type of Popen's streams allows for None, which ours never are."""
    return stream
