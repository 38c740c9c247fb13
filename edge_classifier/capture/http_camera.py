"""Cameras behind an HTTP address: single pictures, and MJPEG.

What FFmpeg reads until a picture ends it keeps in memory, and a server may never end it. So
pictures are read here, each with a limit of bytes, pixels and time; FFmpeg gets films only.
"""

import http.client
import io
import time
from collections.abc import Callable

from edge_classifier.capture.opencv import StreamSource, why_refused
from edge_classifier.core.frame import Frame
from edge_classifier.core.network.camera_address import mask
from edge_classifier.errors import CameraError, PictureError, TooManyPixelsError
from edge_classifier.http_connection import Deadline, TooLargeError, get, read_whole
from edge_classifier.protocols import Clock
from edge_classifier.vision.jpeg_frames import MOST_PIXELS, decode_jpeg

# Of one picture: many times what a camera's has.
MOST_BYTES = 30_000_000
# What may stand before and between the pictures of a stream.
_MOST_HEADER_BYTES = 64_000
_CHUNK = 65_536
# A single picture that was waited for has so long at least; below the reader's patience.
_LEAST_S = 2.0
_JPEG = b"\xff\xd8"


class HttpSource:
    """An ``http`` or ``https`` address. ``url`` may hold user and password.

    One that gives a single picture is asked for it again every ``picture_s``.
    """

    live = True

    def __init__(
        self,
        url: str,
        *,
        open_timeout_s: float,
        read_timeout_s: float,
        picture_s: float = 0.0,
        clock: Clock = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._shown, self._clock, self._sleep = url, mask(url), clock, sleep
        self._open_timeout_s, self._read_timeout_s = open_timeout_s, read_timeout_s
        # Longer than that, a camera counts as lost.
        self._picture_s = min(picture_s, read_timeout_s)
        self._deadline = Deadline(clock)
        self._answer: http.client.HTTPResponse | None = None
        self._parts: _Parts | None = None
        self._film: StreamSource | None = None
        self._asked_at = 0.0
        # Read when it was opened, and not grabbed yet.
        self._first = b""
        self._picture = b""

    def open(self) -> str:
        """Connect, and look at the first picture."""
        self._deadline.allow(self._open_timeout_s)
        try:
            self._ask()
            if self._film is None:
                self._first = self._next_picture()
        except TimeoutError as error:
            within = f"within {self._open_timeout_s:g} s"
            remedy = f"It did not answer {within}."
            if self._answer is not None:
                remedy = f"It answered, and {self._what_came()} {within}."
            raise CameraError(self._shown, "cannot be opened", remedy) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise why_refused(self._url) from error
        if self._film is not None:
            return self._film.open()
        try:
            height, width = self._decode(self._first).pixels.shape[:2]
        except PictureError:
            # Some cameras begin with one that is damaged.
            return "MJPG" if self._parts else "pictures"
        return f"{width}x{height} {'MJPG' if self._first.startswith(_JPEG) else 'pictures'}"

    def grab(self) -> None:
        """Wait for the next picture."""
        if self._film is not None:
            return self._film.grab()
        if self._first:
            self._picture, self._first = self._first, b""
            return None
        self._deadline.allow(self._read_timeout_s)
        try:
            if self._parts is None:
                # Ask for the next picture of an address that gives one at a time.
                wait_s = max(0.0, self._asked_at + self._picture_s - self._clock())
                self._sleep(wait_s)
                self._deadline.allow(max(_LEAST_S, self._read_timeout_s - wait_s))
                self.close()
                self._ask()
                if self._parts or self._film:
                    raise CameraError(self._shown, "gives something else than it did before")
            self._picture = self._next_picture()
        except TimeoutError as error:
            problem = f"{self._what_came()} for {self._read_timeout_s:g} s"
            remedy = "Is the network slow, or the camera stuck?"
            raise CameraError(self._shown, problem, remedy) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            remedy = "Was it switched off?"
            raise CameraError(self._shown, "sends no pictures any more", remedy) from error
        return None

    def retrieve(self) -> Frame:
        """Decode the picture that was grabbed; in RGB."""
        if self._film is not None:
            return self._film.retrieve()
        try:
            return self._decode(self._picture)
        except PictureError as error:
            raise CameraError(self._shown, "sent a damaged picture") from error

    def close(self) -> None:
        """Let go of it."""
        if self._film is not None:
            self._film.close()
        if self._answer is not None:
            self._answer.close()
        self._film, self._answer, self._parts = None, None, None

    def _ask(self) -> None:
        """Ask the server, and see by its answer what comes."""
        self._asked_at = self._clock()
        answer = self._answer = get(self._url, self._deadline)
        if answer.status != http.client.OK:
            problem = f"answers with HTTP status {answer.status}, and gives no video"
            raise CameraError(self._shown, problem, "Check path, user and password.")
        kind = answer.headers.get_content_maintype()
        if kind == "multipart":
            self._parts = _Parts(answer, answer.headers.get_boundary("") or "")
        elif kind == "text":
            problem = "answers with a page, and gives no video"
            raise CameraError(self._shown, problem, "Check path, user and password.")
        elif kind != "image":
            self.close()
            self._film = StreamSource(
                self._url,
                # What is left of it; both together are one call.
                open_timeout_s=round(max(0.1, self._deadline.left_s), 1),
                read_timeout_s=self._read_timeout_s,
                clock=self._clock,
            )

    def _what_came(self) -> str:
        """Instead of a picture."""
        if self._parts and self._parts.empty:
            return "sent only empty pictures"
        return "sent no picture"

    def _next_picture(self) -> bytes:
        """Raises OSError where the server ends it."""
        if self._answer is None:
            raise CameraError(self._shown, "is not open")
        try:
            if self._parts:
                return self._parts.next()
            return read_whole(self._answer, MOST_BYTES)
        except TooLargeError as error:
            raise CameraError(
                self._shown,
                f"sends a picture of more than {MOST_BYTES // 1_000_000} MB",
                "Is it the address of a picture or of MJPEG?",
            ) from error

    def _decode(self, picture: bytes) -> Frame:
        """Raises PictureError, and CameraError for one that is too large to be decoded."""
        try:
            if picture.startswith(_JPEG):
                return decode_jpeg(self._shown, picture)
            # Late: cameras that send JPEG, as nearly all do, do not pay for Pillow.
            from edge_classifier.vision.pictures import load_picture

            stream = io.BytesIO(picture)
            return load_picture(self._shown, stream=stream, pixel_limit=MOST_PIXELS).frame
        except TooManyPixelsError as error:
            remedy = "Set it to smaller pictures."
            raise CameraError(self._shown, error.problem, remedy) from error


class _Parts:
    """The pictures of a ``multipart/x-mixed-replace`` stream."""

    def __init__(self, answer: http.client.HTTPResponse, boundary: str) -> None:
        self._answer, self._received = answer, bytearray()
        # Many servers state the boundary with the dashes that belong before it.
        self._boundary = b"--" + boundary.strip().lstrip("-").encode("latin-1", "replace")
        # Empty parts since the last picture.
        self.empty = 0

    def next(self) -> bytes:
        """The next part that is not empty. Raises ConnectionError at the end of the stream."""
        while True:
            self._skip_behind(self._boundary)
            head = self._skip_behind(b"\n\r\n", b"\n\n")
            if body := self._body(_stated_length(head)):
                self.empty = 0
                return body
            self.empty += 1

    def _skip_behind(self, *marks: bytes) -> bytes:
        """What stands before the first of ``marks``."""
        searched = 0
        longest = max(map(len, marks))
        while True:
            found = [
                (place, len(mark))
                for mark in marks
                if (place := self._received.find(mark, searched)) >= 0
            ]
            if found:
                place, length = min(found)
                before = bytes(self._received[:place])
                del self._received[: place + length]
                return before
            searched = max(0, len(self._received) - longest)
            if searched > _MOST_HEADER_BYTES:
                raise ConnectionError
            self._receive()

    def _body(self, stated: int | None) -> bytes:
        """Up to the next boundary; a length that is stated lets it be had before that comes."""
        searched = 0
        while True:
            end = self._received.find(self._boundary, searched)
            if end < 0 and stated is not None and len(self._received) >= stated:
                end = stated
            if end >= 0:
                body = bytes(self._received[: end if stated is None else min(end, stated)])
                del self._received[:end]
                return body.rstrip(b"\r\n") if stated is None else body
            searched = max(0, len(self._received) - len(self._boundary))
            if len(self._received) > MOST_BYTES:
                raise TooLargeError
            self._receive()

    def _receive(self) -> None:
        chunk = self._answer.read1(_CHUNK)
        if not chunk:
            raise ConnectionError
        self._received += chunk


def _stated_length(head: bytes) -> int | None:
    for line in head.splitlines():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return None
