"""A network camera on this machine: MJPEG over HTTP that can be killed, stalled, and come back."""

import base64
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from tests.ports import free_port
from tests.waiting import eventually

# Blue, green, red.
Colour = tuple[int, int, int]

_BOUNDARY = b"frame"


def jpeg(colour: Colour, size: tuple[int, int] = (320, 240)) -> bytes:
    """A plain picture of ``size`` (width, height)."""
    pixels = np.full((size[1], size[0], 3), colour, np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1])


class MjpegCamera:
    """Serves ``picture`` again and again to whoever asks, on a port that stays its own."""

    def __init__(self, *, fps: float = 25, login: str = "") -> None:
        self.picture = jpeg((200, 120, 40))
        self.fps = fps
        # USER:PASSWORD that is asked for.
        self.login = login
        # Connections stay open, and nothing comes.
        self.stalled = False
        # So many of the next pictures are damaged.
        self.garbage = 0
        # Every picture is cut off behind so many of its bytes; None: none is.
        self.cut_at: int | None = None
        # One picture for each request, and no stream.
        self.is_still = False
        # What a part states beyond its picture's bytes.
        self.overstated = 0
        self.sent = 0
        self.connections = 0
        self._clients: set[object] = set()
        self._server: _Server | None = None
        self._thread = threading.Thread()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream.mjpg"

    def start(self) -> None:
        """Listen; each time on the same port."""
        self._server = _Server(("127.0.0.1", self.port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def kill(self) -> None:
        """Refuse connections from now on, and break those there are."""
        server, self._server = self._server, None
        if server is not None:
            server.ending.set()
            server.shutdown()
            server.server_close()
            self._thread.join()

    def joined(self, client: object) -> None:
        self._clients.add(client)
        self.connections += 1

    def left(self, client: object) -> None:
        self._clients.discard(client)

    @property
    def watchers(self) -> int:
        """Connections that are open now."""
        return len(self._clients)

    def next_picture(self) -> bytes:
        self.sent += 1
        if self.cut_at is not None:
            return self.picture[: self.cut_at]
        if self.garbage:
            self.garbage -= 1
            return b"\xff\xd8" + b"not a picture at all" * 40 + b"\xff\xd9"
        return self.picture

    def allows(self, authorization: str) -> bool:
        wanted = "Basic " + base64.b64encode(self.login.encode()).decode()
        return not self.login or authorization == wanted

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        eventually(lambda: self.watchers == 0)


class _Server(ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], camera: MjpegCamera) -> None:
        self.camera = camera
        self.ending = threading.Event()
        super().__init__(address, _Handler)

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        self.camera.left(request)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        camera = self.server.camera
        if not camera.allows(self.headers.get("Authorization", "")):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.end_headers()
            return
        camera.joined(self.connection)
        # The watcher may go.
        with suppress(OSError):
            self._stream(camera)

    def _stream(self, camera: MjpegCamera) -> None:
        self.send_response(200)
        if camera.is_still:
            picture = camera.next_picture()
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(picture)))
            self.end_headers()
            self.wfile.write(picture)
            return
        boundary = _BOUNDARY.decode()
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={boundary}")
        self.end_headers()
        while not self.server.ending.wait(1 / camera.fps):
            if camera.stalled:
                continue
            picture = camera.next_picture()
            length = len(picture) + camera.overstated
            head = f"Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
            self.wfile.write(b"--" + _BOUNDARY + b"\r\n" + head.encode() + picture + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: standard error is the test's."""
