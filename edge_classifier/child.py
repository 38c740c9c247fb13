"""Child processes that run a module of Python, because native code can crash, hang or stay.

The parent calls ``run``, or ``command`` and ``environment`` for a child that lives longer, and
``error_of``; the child calls ``answer_stream``, ``limit_memory`` and ``error_line``.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edge_classifier.core.sentence import Sentence, from_json, to_json
from edge_classifier.errors import EdgeClassifierError, UnavailableError
from edge_classifier.files import nameless_file

# Bytes from the end of standard error: more than the last line of any library.
_TAIL = 65_536
_LINE_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended, and what it wrote."""

    # Empty after exit code 0.
    problem: str
    # None: it was late, or did not start. Negative: the signal that ended it.
    code: int | None = None
    output: bytes = b""
    messages: str = ""


def run(
    module: str,
    *arguments: str,
    time_limit_s: float,
    given: bytes = b"",
    folder: Path | None = None,
    passed: Sequence[int] = (),
) -> Ended:
    """Run ``module`` in ``folder`` with ``given`` on standard input; it is killed when it is late.

    ``passed`` are file descriptors that it gets under the same numbers. Does not wait for processes
    that a library of the child has started and left behind.
    """
    # A pipe would fill.
    with nameless_file("output") as output, nameless_file("messages") as messages:
        try:
            code = subprocess.run(
                command(module, *arguments),
                input=given,
                stdout=output,
                stderr=messages,
                env=environment(),
                cwd=folder,
                timeout=time_limit_s,
                pass_fds=passed,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            late = Sentence("took longer than {seconds} s", seconds=f"{time_limit_s:g}")
            return Ended(late, messages=tail(messages))
        except OSError as error:
            return Ended(Sentence("cannot be started ({cause})", cause=error.strerror))
        output.seek(0)
        words = tail(messages)
        return Ended(ending(code, words) if code else "", code, output.read(), words)


def command(module: str, *arguments: str) -> list[str]:
    """``-P``: a stranger's folder must not slip modules of its own into the child."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """This process' own with ``more``; the child finds this package however its parent did."""
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def tail(messages: BinaryIO) -> str:
    """The end of what a child wrote on standard error."""
    length = messages.seek(0, os.SEEK_END)
    messages.seek(max(0, length - _TAIL))
    return messages.read().decode("utf-8", "replace").strip()


def ending(code: int, messages: str) -> str:
    """A child's end in words, with the last of its own."""
    if code < 0:
        return Sentence("crashed ({signal})", signal=signal.Signals(-code).name)
    last = messages.splitlines()[-1:]
    said = last[0][:_LINE_LIMIT] if last else Sentence("no message")
    return Sentence("failed (exit code {code}: {said})", code=code, said=said)


def error_line(error: BaseException) -> str:
    """JSON: what is wrong and what to do, for a parent to tell in any language; and the cause."""
    parts = (error.problem, error.remedy) if isinstance(error, EdgeClassifierError) else (error, "")
    causes: list[BaseException] = [error]
    while causes[-1].__cause__:
        causes.append(causes[-1].__cause__)
    number = next((one.errno for one in causes if isinstance(one, OSError)), None)
    return json.dumps({"error": [to_json(part) for part in parts], "errno": number})


def error_of(ended: Ended, subject: str) -> UnavailableError:
    """Why a child ended without a result: as its ``error_line`` has it, or else how it ended."""
    for line in ended.messages.splitlines():
        # Not an object, or another one.
        with suppress(ValueError, KeyError, TypeError):
            told = json.loads(line)
            found = UnavailableError(subject, *map(from_json, told["error"]))
            if number := told["errno"]:
                found.__cause__ = OSError(number, os.strerror(number))
            return found
    return UnavailableError(subject, ended.problem)


def answer_stream() -> BinaryIO:
    """In the child: standard output by another number.

    From now on, a library that prints does so on standard error, and not into an answer.
    """
    answers = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(answers, "wb")


def limit_memory(size: int) -> None:
    """In the child: no more than ``size`` bytes of address space, and no core dump.

    The hard limit stays, because a child of the child may have a higher limit of its own. Where
    the machine has no memory left, the kernel is to end this process, not the one that waits.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
