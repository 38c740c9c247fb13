"""Commands as copies of a process that has loaded what they load: each is a process of its own.

A start of Python that imports the program takes half a second of a core or more, and tests make
thousands of them. Tests of the start itself, and of what memory a process has, start Python.
"""

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self

REPOSITORY = Path(__file__).parent.parent
# What Python and its libraries read when they are started: a copy has that of its original.
_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "OMP_", "OPENBLAS_", "GLIBC_", "MALLOC_")
# What the page imports and what needs no settings of Django to be imported.
_OF_PAGE = (
    "django.contrib.admin",
    "django.contrib.auth.hashers",
    "django.core.handlers.wsgi",
    "django.core.management",
    "waitress",
    "whitenoise.middleware",
    "edge_classifier.web.config.load_settings",
    "edge_classifier.web.startup",
)
# Of a process id and of an exit code, between the two.
_NUMBER_BYTES = 4


class Warm:
    """A copy; what tests use of ``subprocess.Popen``.

    ``site``: what is loaded before, "program" or "page".
    """

    def __init__(
        self,
        arguments: Sequence[str],
        site: str,
        streams: tuple[IO[bytes] | None, IO[bytes], IO[bytes]],
        environment: Mapping[str, str],
        cwd: Path | None,
    ) -> None:
        facts = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "cwd": str(cwd or Path.cwd()),
        }
        self.args = arguments
        self.returncode: int | None = None
        self._end, theirs = socket.socketpair()
        with theirs, TemporaryFile() as request, Path(os.devnull).open("rb") as nothing:
            request.write(json.dumps(facts).encode())
            request.flush()
            files = [file.fileno() for file in (streams[0] or nothing, *streams[1:])]
            given = [request.fileno(), theirs.fileno(), *files]
            socket.send_fds(_original(site), [b"!"], given)
        self._end.settimeout(60)
        self.pid = int.from_bytes(self._end.recv(_NUMBER_BYTES), "little")
        assert self.pid, "the process that is copied has ended"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def __del__(self) -> None:
        self._end.close()

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; negative: the signal that ended it."""
        if self.returncode is None:
            events = select.poll()
            events.register(self._end, select.POLLIN)
            if not events.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
            # It stays there, for other threads that wait.
            code = self._end.recv(_NUMBER_BYTES, socket.MSG_PEEK)
            assert code, "the process that is copied has ended"
            self.returncode = int.from_bytes(code, "little", signed=True)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """To a process that has ended, none."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = Warm | subprocess.Popen[bytes]


def start(
    arguments: Sequence[str],
    *,
    site: str = "program",
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes],
    stderr: IO[bytes],
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    starts_python: bool = False,
    before: Sequence[str] = (),
) -> "Process":
    """``edge-classify`` with ``arguments``; by a start of Python where a copy would be another.

    ``before``: what the command line begins with.
    """
    environment = dict(os.environ if environment is None else environment)
    if not (starts_python or before) and _read_at_start(environment) == _of_original():
        return Warm(arguments, site, (stdin, stdout, stderr), environment, cwd)
    return subprocess.Popen(
        [*before, sys.executable, "-m", "edge_classifier", *arguments],
        stdin=stdin or subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        cwd=cwd,
    )


def run(
    arguments: Sequence[str],
    *,
    site: str = "program",
    stdin: bytes = b"",
    timeout: float = 120,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.CompletedProcess[bytes]":
    """What ``start`` starts, to its end."""
    with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        process = start(
            arguments, site=site, stdin=given, stdout=out, stderr=err, environment=environment
        )
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(arguments), code, out.read(), err.read())


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.startswith(_READ_AT_START)}


def _others(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if not name.startswith(_READ_AT_START)}


@cache
def _of_original() -> dict[str, str]:
    return _read_at_start(os.environ)


@cache
def _original(site: str) -> socket.socket:
    """The process that is copied, which ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", site, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=REPOSITORY,
            env={**_others(os.environ), **_of_original()},
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _load(site: str) -> None:
    """Import what the commands of ``site`` import."""
    from edge_classifier.cli.main import CLASSIFY, COMMANDS, load_command
    from edge_classifier.config import load, schema  # noqa: F401
    from edge_classifier.config.settings import Settings

    if site == "page":
        load_command("web")
        load_command("record")
        for name in _OF_PAGE:
            importlib.import_module(name)
        from edge_classifier.web.config.settings import WebSettings

        schema.adapter(WebSettings)
        return
    schema.adapter(Settings)
    for name in (*COMMANDS, CLASSIFY):
        if name not in {"web", "record", "train"}:
            load_command(name)


def _copies(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Copy this process for each request, and tell how it ended. Returns in each copy."""
    # By their descriptors: process and where its end is told.
    running: dict[int, tuple[int, int]] = {}
    events = select.poll()
    events.register(control, select.POLLIN)
    while True:
        for descriptor, _ in events.poll():
            if descriptor in running:
                events.unregister(descriptor)
                pid, told = running.pop(descriptor)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                _tell(told, code)
                os.close(told)
                os.close(descriptor)
                continue
            message, files, *_ = socket.recv_fds(control, 1, 5)
            if not message:
                os._exit(0)
            request, told, *streams = files
            pid = os.fork()
            if not pid:
                control.detach()
                return json.loads(os.pread(request, 10_000_000, 0)), streams
            _tell(told, pid)
            for file in (request, *streams):
                os.close(file)
            end = os.pidfd_open(pid)
            running[end] = (pid, told)
            events.register(end, select.POLLIN)


def _tell(descriptor: int, number: int) -> None:
    # Nobody may wait for it any more.
    with suppress(BrokenPipeError):
        os.write(descriptor, number.to_bytes(_NUMBER_BYTES, "little", signed=True))


def _become(facts: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Take over what the process that asked would have given a program."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    # Those of the original and of all other copies.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.environ.clear()
    os.environ.update(facts["environment"])
    time.tzset()
    os.chdir(facts["cwd"])
    sys.path[0] = facts["cwd"]
    sys.argv[1:] = facts["arguments"]


if __name__ == "__main__":
    # They go on where it ignores the signal itself, as ``&`` of a shell lets it.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _load(sys.argv[1])
    _become(*_copies(socket.socket(fileno=int(sys.argv[2]))))
    runpy.run_module("edge_classifier", run_name="__main__", alter_sys=True)
