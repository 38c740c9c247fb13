"""A daemon in a process of its own, and a camera to it, to be measured from outside."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from edge_classifier import child
from edge_classifier.errors import UnavailableError

_START_S = 60.0
_STOP_S = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class ProcessReading(NamedTuple):
    """What a daemon has done since it was started."""

    at_s: float
    frames: float
    cpu_s: float
    rss_mb: float
    peak_mb: float


class DaemonTrial:
    """Runs a daemon on ``config``, settings as TOML without [device] and [http]."""

    def __init__(self, config: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.state = Path(self._folder.name, "state")
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self._port = int(found.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None
        file = Path(self._folder.name, "config.toml")
        head = f'[device]\nname = "trial"\nstate_folder = "{self.state}"\n'
        file.write_text(f"{head}[http]\nport = {self._port}\n{config}", "utf-8")
        self._command = child.command("edge_classifier", "run", "--config", str(file))

    def __enter__(self) -> Self:
        # An installed package has its byte code; a checkout must be allowed to keep it.
        environment = child.environment()
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL, env=environment)
        deadline = time.monotonic() + _START_S
        while not self._frames():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.__exit__(None, None, None)
                raise UnavailableError("daemon", "has not seen a frame", "Try edge-classify run")
            time.sleep(0.1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(_STOP_S)
        self._folder.cleanup()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The daemon does nothing meanwhile, so that something else can be timed beside it."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def read(self) -> ProcessReading:
        """Look now."""
        process = Path("/proc", str(self._running().pid))
        # utime and stime are the 14th and 15th field, the second may hold blanks: proc_pid_stat(5)
        times = process.joinpath("stat").read_text("ascii").rpartition(")")[2].split()
        status = process.joinpath("status").read_text("ascii")
        return ProcessReading(
            time.monotonic(),
            self._frames(),
            (int(times[11]) + int(times[12])) / _TICKS,
            _kilobytes(status, "VmRSS") / 1024,
            _kilobytes(status, "VmHWM") / 1024,
        )

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("the trial has not begun")
        return self._process

    def _frames(self) -> float:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}/metrics", timeout=5
            ) as page:
                text = page.read().decode()
        except OSError:
            return 0.0
        return sum(map(float, re.findall(r"frames_total\{[^}]*\} (\S+)", text)))


@contextmanager
def mjpeg_camera(picture: bytes, fps: float) -> Iterator["MjpegCamera"]:
    """A network camera on this machine that shows one JPEG."""
    camera = MjpegCamera(picture, fps)
    try:
        yield camera
    finally:
        camera.close()


class MjpegCamera(ThreadingHTTPServer):
    """Motion JPEG over HTTP, as cheap cameras have it."""

    daemon_threads = True

    def __init__(self, picture: bytes, fps: float) -> None:
        super().__init__(("127.0.0.1", 0), _Stream)
        self.picture, self.pause_s = picture, 1.0 / fps
        # Connections made before this many cuts are broken.
        self.cut = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """For ``source``."""
        return f"http://127.0.0.1:{self.server_port}/stream.mjpg"

    def close(self) -> None:
        """Hang up for good."""
        self.cut += 1
        self.shutdown()
        self.server_close()


class _Stream(BaseHTTPRequestHandler):
    server: MjpegCamera

    def do_GET(self) -> None:
        """Send the picture until the camera is cut off."""
        cut = self.server.cut
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
        data = part % (len(self.server.picture), self.server.picture)
        try:
            while self.server.cut == cut:
                self.wfile.write(data)
                time.sleep(self.server.pause_s)
        except OSError:
            return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


def _kilobytes(status: str, key: str) -> int:
    return int(status.partition(f"{key}:")[2].split(maxsplit=1)[0])
