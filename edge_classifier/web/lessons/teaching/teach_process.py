"""``edge-classify teach`` as a child process: its limits, its progress, its end."""

import json
import os
import resource
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from edge_classifier.child import Ended, command, ending, environment
from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import UnavailableError
from edge_classifier.files import nameless_file

SUBJECT = "the process that teaches"
# Memory pools of threads that it does not have would use up its address space.
_FEW_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
# The daemon and the page go first.
_NICENESS = 10
# Bytes of a file that it writes: models and reports are far smaller.
_FILE_LIMIT = 256_000_000
_LONGEST_LINE, _KEPT_LINES = 65_536, 200
# Of what it prints, as JSON: 20,000 pictures take 6 MB.
_MOST_OUTPUT = 64_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is, as ``edge-classify teach --progress-json`` tells it."""

    # ``pictures``, ``learning``, ``writing``, ``report``; before that ``starting``.
    stage: str
    done: int
    of: int


class TeachProcess:
    """One run. Only ``kill`` may be called by other threads."""

    def __init__(self, *arguments: str, memory_mb: int) -> None:
        """Start it. Raises UnavailableError."""
        self._lock = threading.Lock()
        self._problem = ""
        self._output = nameless_file("output")
        try:
            self._process = subprocess.Popen(
                command("edge_classifier", "teach", *arguments, "--json", "--progress-json"),
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.PIPE,
                env=environment(**_FEW_THREADS),
                start_new_session=True,  # Ctrl-C is the page's business; and a group to end.
            )
        except OSError as error:
            self._output.close()
            problem = Sentence("cannot be started ({cause})", cause=error.strerror)
            raise UnavailableError(SUBJECT, problem) from error
        # From here, as the command knows of no limits; it has hardly begun to start.
        pid = self._process.pid
        with suppress(OSError):  # It has ended already.
            _, hard = resource.prlimit(pid, resource.RLIMIT_AS)
            resource.prlimit(pid, resource.RLIMIT_AS, (memory_mb << 20, hard))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (_FILE_LIMIT, _FILE_LIMIT))
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
            os.setpriority(os.PRIO_PROCESS, pid, _NICENESS)

    def wait(self, told: Callable[[Step], None], time_limit_s: float) -> Ended:
        """How it ended, and what it printed; ``told`` gets each step before. Frees all it has."""
        with self._output:
            messages = "\n".join(self._follow(told, time_limit_s))
            code = self._process.returncode
            problem = self._problem or (ending(code, messages) if code else "")
            return Ended(problem, code, self.output(), messages)

    def _follow(self, told: Callable[[Step], None], time_limit_s: float) -> deque[str]:
        """Wait for its end; what it said that is no progress."""
        problem = Sentence("took longer than {minutes} minutes", minutes=round(time_limit_s / 60))
        late = threading.Timer(time_limit_s, self.kill, [problem])
        late.daemon = True
        lines: deque[str] = deque(maxlen=_KEPT_LINES)
        try:
            late.start()
            errors = self._process.stderr
            while errors and (said := errors.readline(_LONGEST_LINE)):
                line = said.decode("utf-8", "replace").rstrip()
                if step := _step(line):
                    told(step)
                else:
                    lines.append(line)
            self._process.wait()
        except RuntimeError as error:  # A child that nobody watches could take for ever.
            self.kill(Sentence("cannot be watched ({cause})", cause=str(error)))
        finally:
            late.cancel()
            # Whatever broke off above.
            self.kill("")
            self._process.wait()
            if self._process.stderr:
                self._process.stderr.close()
        return lines

    def output(self) -> bytes:
        """What it has printed until now."""
        size = min(os.fstat(self._output.fileno()).st_size, _MOST_OUTPUT)
        # Not ``seek``: the child writes at the same place of the same open file.
        return os.pread(self._output.fileno(), size, 0)

    def kill(self, problem: str) -> None:
        """Kill it and what it has started; ``wait`` then tells ``problem``."""
        with self._lock:
            # Its number is its own until ``wait`` has waited for it.
            if self._process.returncode is None:
                self._problem = self._problem or problem
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)


def _step(line: str) -> Step | None:
    """The progress in ``line``; None: it is something else."""
    if not line.startswith("{"):
        return None
    try:
        found = json.loads(line)
        return Step(str(found["stage"]), int(found["done"]), int(found["of"]))
    except (ValueError, KeyError, TypeError):
        return None
