"""A network camera on this machine: RTSP, by GStreamer's server in a process of its own."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.mjpeg import Colour
from tests.ports import free_port
from tests.system.machine import REMEDY

H264 = (
    "videoconvert ! video/x-raw,format=I420"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay"
)
H265 = (
    "videoconvert ! video/x-raw,format=I420"
    " ! x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph265pay"
)
# By way of RGB, because JPEG is in full range, and from YUV the range would stay the limited one.
MJPEG = (
    "videoconvert ! video/x-raw,format=RGB"
    " ! videoconvert ! video/x-raw,format=I420,colorimetry=(string)1:4:0:0"
    " ! jpegenc quality=95 ! rtpjpegpay"
)
# What it shows from left to right, in the upper half: white, yellow, cyan, green, magenta, red,
# blue.
BARS: tuple[Colour, ...] = (
    *((255, 255, 255), (0, 255, 255), (255, 255, 0), (0, 255, 0)),
    *((255, 0, 255), (0, 0, 255), (255, 0, 0)),
)
PYTHON = "/usr/bin/python3"
_SERVER = Path(__file__).with_name("rtsp_server.py")
_PACKAGES = """
import gi
for name in ("Gst", "GstRtsp", "GstRtspServer"):
    gi.require_version(name, "1.0")
"""


def need_server() -> None:
    """Skip the test where the system's Python has no RTSP server."""
    done = subprocess.run(
        [PYTHON, "-c", _PACKAGES], capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode:
        pytest.skip(f"GStreamer's RTSP server is missing: {REMEDY}")


class RtspCamera:
    """Shows bars, or what it is told, on a port that stays its own through all its lives."""

    def __init__(
        self, *, video: str = H264, login: str = "", digest: bool = False, transport: str = ""
    ) -> None:
        self.port = free_port()
        self.transport = transport
        self._settings = {
            "port": self.port,
            "video": video,
            "login": login,
            "digest": digest,
            "transport": transport,
        }
        self._sees = "bars"
        self._server: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/stream"

    def start(self) -> None:
        """Switch it on; returns when it answers."""
        self._server = subprocess.Popen(
            [PYTHON, _SERVER, json.dumps(self._settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout
        assert self._server.stdout.readline() == "ready\n"
        self._say(self._sees)

    def kill(self) -> None:
        """Switch it off without a word."""
        if self._server is not None:
            self._server.kill()
            self._server.communicate()
            self._server = None

    def stall(self) -> None:
        """Its network interface still answers, and it does not."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def show(self, colour: Colour) -> None:
        """Nothing but this colour; in its next lives, too."""
        blue, green, red = colour
        self._say(str(0xFF000000 | red << 16 | green << 8 | blue))

    def show_bars(self) -> None:
        self._say("bars")

    def show_nothing(self) -> None:
        """No pictures come any more; the sound does."""
        self._say("nothing")

    def _say(self, line: str) -> None:
        self._sees = line
        if self._server is not None:
            assert self._server.stdin
            print(line, file=self._server.stdin, flush=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._server
        self._server.send_signal(number)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
