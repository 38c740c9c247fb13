"""Programs that run for a while: a broker, the page, whatever else is started."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

HOST = "127.0.0.1"
COMMAND = (sys.executable, "-m", "edge_classifier")


@contextmanager
def broker() -> Iterator[int]:
    """A mosquitto for this machine alone; its port."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin"
    program = shutil.which("mosquitto", path=search)
    if not program:
        raise SystemExit("mosquitto is not installed (apt install mosquitto)")
    port = free_port()
    with process([program, "-p", str(port)]):
        await_port(port)
        yield port


@contextmanager
def served(settings: Sequence[str]) -> Iterator[str]:
    """The page; its address."""
    port = free_port()
    options = [part for line in settings for part in ("--set", line)]
    with process([*COMMAND, "web", "--port", str(port), *options]):
        await_port(port)
        yield f"http://{HOST}:{port}"


@contextmanager
def process(command: Sequence[str]) -> Iterator[None]:
    """``command``, for as long as it is needed; what it says is not."""
    silent = subprocess.DEVNULL
    started = subprocess.Popen(command, stdout=silent, stderr=silent)
    try:
        yield
    finally:
        started.terminate()
        started.wait(30)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def await_port(port: int, within_s: float = 60) -> None:
    """Return when somebody listens on it. Raises SystemExit."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nobody listens on port {port}")
