"""Web servers that are no good cameras: what they cost, and what is said of them."""

import base64
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from edge_classifier.capture.http_camera import MOST_BYTES
from tests.mjpeg import MjpegCamera, jpeg
from tests.waiting import eventually
from tests.watch import PATIENT_S, Watch

# What sockets and the kernel hold besides.
_BUFFERS = 20_000_000
Behaviour = Callable[["_Handler"], None]


class Server(ThreadingHTTPServer):
    """Answers every request by ``behaviour``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behaviour: Behaviour = lambda handler: handler.answer("image/jpeg", jpeg((9, 9, 200)))
        self.ending = threading.Event()
        # Bytes of the answers that have ended.
        self.sent: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/video"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.count = 0
        # The camera's reader may go.
        with suppress(OSError):
            self.server.behaviour(self)
        self.server.sent.append(self.count)

    def begin(self, kind: str, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def answer(self, kind: str, body: bytes, status: int = 200, **headers: str) -> None:
        self.begin(kind, status, **headers)
        self.write(body)

    def write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.count += len(data)

    def for_ever(self, data: bytes, every_s: float = 0) -> None:
        while not self.server.ending.wait(every_s):
            self.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: standard error is the test's."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.ending.set()
        server.shutdown()
        thread.join()


MULTIPART = "multipart/x-mixed-replace; boundary=--end"
ZEROS = bytes(65_536)


def endless(kind: str, beginning: bytes) -> Behaviour:
    def behave(handler: _Handler) -> None:
        handler.begin(kind)
        handler.write(beginning)
        handler.for_ever(ZEROS)

    return behave


ENDLESS = {
    "picture": endless("image/jpeg", b"\xff\xd8"),
    "part": endless(MULTIPART, b"--end\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8"),
    "stated part": endless(MULTIPART, b"--end\r\nContent-Length: 99999999999\r\n\r\n\xff\xd8"),
    "part's header": endless(MULTIPART, b"--end\r\nX-Padding: "),
    "no boundary": endless("multipart/x-mixed-replace", b""),
    "film": endless("video/x-motion-jpeg", b"\xff\xd8"),
    "unknown": endless("application/octet-stream", b"\x89PNG\r\n\x1a\n"),
    "page": endless("text/html", b"<html>"),
}


@pytest.mark.parametrize("behaviour", ENDLESS.values(), ids=ENDLESS.keys())
def test_picture_that_never_ends_is_given_up_after_a_limit_of_bytes(
    server: Server, behaviour: Behaviour
) -> None:
    server.behaviour = behaviour
    with Watch(server.url) as watch:
        eventually(lambda: watch.capture.status.failures >= 2)
        status = watch.capture.status
    assert status.hung == 0
    assert "Unplug" not in status.reason
    eventually(lambda: server.sent)
    assert max(server.sent) < MOST_BYTES + _BUFFERS


def test_picture_that_never_ends_is_said_to_be_too_large(server: Server) -> None:
    server.behaviour = ENDLESS["picture"]
    with Watch(server.url) as watch:
        eventually(lambda: "more than 30 MB" in watch.capture.status.reason)


def test_cameras_that_never_end_a_picture_do_not_hold_up_one_that_does(server: Server) -> None:
    server.behaviour = ENDLESS["picture"]
    with MjpegCamera() as camera, ExitStack() as stack:
        bad = [stack.enter_context(Watch(server.url)) for _ in range(6)]
        good = stack.enter_context(Watch(camera.url, read_timeout_s=PATIENT_S))
        eventually(good.is_online)
        number = good.number
        eventually(lambda: good.number > number + 50)
        eventually(lambda: all(watch.capture.status.failures > 1 for watch in bad))
        assert good.onlines == [True]
        assert [watch.capture.status.hung for watch in bad] == [0] * len(bad)


def drip(beginning: bytes, drop: bytes) -> Behaviour:
    def behave(handler: _Handler) -> None:
        handler.write(beginning)
        handler.for_ever(drop, 0.2)

    return behave


HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: "
_SILENT, _PARTS = "It did not answer", "It answered, and sent no picture"
DRIPS = {
    "status": (drip(b"HTTP/1.0 200 ", b"K"), _SILENT),
    "headers": (drip(b"HTTP/1.0 200 OK\r\n", b"X"), _SILENT),
    "picture": (drip(HEAD + b"image/jpeg\r\n\r\n\xff\xd8", b"\0"), _PARTS),
    "part": (drip(HEAD + MULTIPART.encode() + b"\r\n\r\n--end\r\n\r\n\xff\xd8", b"\0"), _PARTS),
    "empty parts": (
        drip(HEAD + MULTIPART.encode() + b"\r\n\r\n", b"--end\r\n\r\n"),
        "It answered, and sent only empty pictures",
    ),
}


@pytest.mark.parametrize(("behaviour", "said"), DRIPS.values(), ids=DRIPS.keys())
def test_server_that_sends_byte_by_byte_is_given_up_in_time(
    server: Server, behaviour: Behaviour, said: str
) -> None:
    server.behaviour = behaviour
    began = time.monotonic()
    with Watch(server.url, open_timeout_s=1) as watch:
        eventually(lambda: f"{said} within 1 s" in watch.capture.status.reason)
        assert time.monotonic() - began > 0.8
        assert watch.capture.status.hung == 0


def png(side: int) -> bytes:
    return bytes(cv2.imencode(".png", np.zeros((side, side, 4), np.uint16))[1])


def part(picture: bytes) -> bytes:
    return b"--end\r\nContent-Type: image/jpeg\r\n\r\n" + picture + b"\r\n--end\r\n"


@pytest.mark.parametrize("kind", ["image/png", "image/jpeg", MULTIPART])
def test_picture_of_too_many_pixels_is_refused_with_the_limit(server: Server, kind: str) -> None:
    picture = png(7000) if kind == "image/png" else jpeg((1, 2, 3), (7000, 7000))
    body = part(picture) if kind == MULTIPART else picture
    server.behaviour = lambda handler: handler.answer(kind, body)
    with Watch(server.url) as watch:
        eventually(watch.has_failed)
        reason = watch.capture.status.reason
        assert watch.onlines == [False]
    assert "7000 x 7000 pixels; 36 million are allowed" in reason
    assert "--max-megapixels" not in reason


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (lambda handler: handler.answer("text/plain", b"no", 401), "HTTP status 401"),
        (lambda handler: handler.answer("text/plain", b"no", 404), "HTTP status 404"),
        (lambda handler: handler.answer("text/html", b"<html>"), "answers with a page"),
        (lambda handler: handler.answer("a/b", b"", 302, Location="/"), "gives no video"),
        (lambda handler: handler.answer("a/b", b"", 302, Location="file:/x"), "gives no video"),
        (lambda handler: handler.write(b"no HTTP at all\r\n\r\n"), "gives no video"),
    ],
)
def test_server_that_is_no_camera_is_told(
    server: Server, behaviour: Behaviour, reason: str
) -> None:
    server.behaviour = behaviour
    with Watch(server.url) as watch:
        eventually(lambda: reason in watch.capture.status.reason)
        assert "Check path, user and password" in watch.capture.status.reason


def test_picture_behind_a_redirection_is_shown(server: Server) -> None:
    def behave(handler: _Handler) -> None:
        if handler.path == "/video":
            handler.answer("text/html", b"", 302, Location="/there?channel=1")
        elif handler.path == "/there?channel=1":
            handler.answer("image/png", png(64))

    server.behaviour = behave
    with Watch(server.url) as watch:
        eventually(watch.is_online)
        assert watch.capture.status.description == "64x64 pictures"


@pytest.mark.parametrize("challenge", ["Basic", "Digest"])
def test_camera_with_a_login_gets_it_as_it_asks(server: Server, challenge: str) -> None:
    seen: list[str] = []

    def behave(handler: _Handler) -> None:
        given = handler.headers.get("Authorization", "")
        seen.append(given)
        if given.startswith(challenge):
            handler.answer("image/jpeg", jpeg((1, 2, 200)))
        else:
            wanted = f'{challenge} realm="camera", nonce="abc", qop="auth"'
            handler.answer("text/html", b"", 401, WWW_Authenticate=wanted)

    server.behaviour = behave
    with Watch(server.url, "ad:p@ss w/rd:%41") as watch:
        eventually(watch.is_online)
    if challenge == "Basic":
        assert base64.b64decode(seen[1].split()[1]) == b"ad:p@ss w/rd:%41"
    else:
        assert re.search('username="ad".*uri="/video".*response="[0-9a-f]{32}"', seen[1])
