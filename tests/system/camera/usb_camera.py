"""A USB camera (UVC), plugged in over USB/IP: the kernel's own drivers take it for a real one.

It has 640x480 and 1280x720 in two formats, plain (YUYV, 10 fps) and MJPEG (30 fps), and sends its
pictures in bulk transfers. Needs root, and the drivers vhci-hcd and uvcvideo.
"""

import socket
import struct
import threading
import time
from collections import deque
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.waiting import eventually

SIZES = ((640, 480), (1280, 720))
# By format; the first is plain, the second MJPEG.
_FPS = {1: 10, 2: 30}
_PORT, _HIGH_SPEED = 0, 3
_HUB = Path("/sys/devices/platform/vhci_hcd.0")
_SUBMIT, _UNLINK, _SUBMITTED, _UNLINKED = 1, 2, 3, 4
_RESET, _STALLED = -104, -32  # ECONNRESET, EPIPE
_HEADER = struct.Struct(">5I")
_DEVICE = bytes((18, 1, 0, 2, 0xEF, 2, 1, 64, 0x6B, 0x1D, 2, 1, 0, 1, 0, 0, 0, 1))
_YUY2 = b"YUY2\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
_PROBE = struct.Struct("<HBBI5HII")


def _descriptor(*parts: bytes | int) -> bytes:
    """With its length before it."""
    body = b"".join(part if isinstance(part, bytes) else bytes((part,)) for part in parts)
    return bytes((len(body) + 1,)) + body


def _frames(kind: int, fps: int) -> bytes:
    """The sizes of one format."""
    found = b""
    for number, (width, height) in enumerate(SIZES, 1):
        most, interval = 2 * width * height, 10_000_000 // fps
        numbers = struct.pack("<HHIIIIBI", width, height, 0, 0, most, interval, 1, interval)
        found += _descriptor(0x24, kind, number, 0, numbers)
    return found


def _configuration() -> bytes:
    terminals = _descriptor(0x24, 2, 1, b"\x01\x02", 0, 0, bytes(6), 3, bytes(3))
    terminals += _descriptor(0x24, 3, 2, b"\x01\x01", 0, 1, 0)
    control = struct.pack("<HHI", 0x0100, 13 + len(terminals), 1_000_000)
    colours = _descriptor(0x24, 0x0D, 1, 1, 4)
    plain = _descriptor(0x24, 4, 1, len(SIZES), _YUY2, 16, 1, 0, 0, 0, 0)
    jpeg = _descriptor(0x24, 6, 2, len(SIZES), 1, 1, 0, 0, 0, 0)
    formats = plain + _frames(5, _FPS[1]) + colours + jpeg + _frames(7, _FPS[2]) + colours
    length = struct.pack("<H", 15 + len(formats))
    parts = (
        _descriptor(0x0B, 0, 2, 0x0E, 3, 0, 0),
        _descriptor(4, 0, 0, 0, 0x0E, 1, 0, 0),
        _descriptor(0x24, 1, control, 1, 1) + terminals,
        _descriptor(4, 1, 0, 1, 0x0E, 2, 0, 0),
        _descriptor(0x24, 1, 2, length, 0x81, 0, 2, 0, 0, 0, 1, 0, 0) + formats,
        _descriptor(5, 0x81, 2, b"\x00\x02", 0),
    )
    whole = b"".join(parts)
    return _descriptor(2, struct.pack("<H", 9 + len(whole)), 2, 1, 0, 0x80, 50) + whole


class UsbCamera:
    """Plugged in from ``with`` on. Shows ``picture``, in blue, green and red, resized."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self.picture = picture
        # It is there, and sends nothing.
        self.stalled = False
        # So many of the next pictures are damaged.
        self.garbage = 0
        # What was last agreed on.
        self.format, self.size = 1, SIZES[0]
        self._probe = self._agreed(bytes(_PROBE.size))
        # Number and length of the transfers that wait for pictures.
        self._waiting: deque[tuple[int, int]] = deque()
        self._lock = threading.Lock()
        self._socket = socket.socket()
        self._threads: list[threading.Thread] = []
        self._unplugged = threading.Event()

    def plug_in(self) -> None:
        self._unplugged.clear()
        self._waiting.clear()
        self._socket, kernels = socket.socketpair()
        self._threads = [threading.Thread(target=run) for run in (self._serve, self._film)]
        for thread in self._threads:
            thread.start()
        attach = f"{_PORT} {kernels.fileno()} 1 {_HIGH_SPEED}"
        (_HUB / "attach").write_text(attach)
        kernels.close()
        eventually(lambda: self.device)

    def unplug(self) -> None:
        self._unplugged.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._socket.close()
        eventually(lambda: not self.device)

    @property
    def device(self) -> str:
        """Its file, e.g. /dev/video1; empty while there is none."""
        found = sorted(_HUB.glob("usb*/*/*/video4linux/video*"))
        return f"/dev/{found[0].name}" if found else ""

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._unplugged.is_set():
            self.unplug()

    # What the host asks.

    def _serve(self) -> None:
        stream = self._socket.makefile("rb")
        while len(head := stream.read(48)) == 48:
            command, number, _, inward, endpoint = _HEADER.unpack_from(head)
            length = struct.unpack_from(">i", head, 24)[0]
            if command == _UNLINK:
                self._unlink(number, struct.unpack_from(">I", head, 20)[0])
            elif endpoint:
                with self._lock:
                    self._waiting.append((number, length))
            else:
                data = b"" if inward else stream.read(length)
                self._answer(number, self._control(head[40:], data), len(data))
        stream.close()

    def _unlink(self, number: int, unlinked: int) -> None:
        with self._lock:
            left = deque(one for one in self._waiting if one[0] != unlinked)
            status = _RESET if len(left) < len(self._waiting) else 0
            self._waiting = left
            self._send(_UNLINKED, number, struct.pack(">i24x", status))

    def _answer(self, number: int, data: bytes | None, taken: int = 0) -> None:
        status, data = (_STALLED, b"") if data is None else (0, data)
        result = struct.pack(">5i8x", status, taken or len(data), 0, 0, 0)
        self._send(_SUBMITTED, number, result + data)

    def _send(self, command: int, number: int, rest: bytes) -> None:
        try:
            self._socket.sendall(_HEADER.pack(command, number, 0, 0, 0) + rest)
        except OSError:
            self._unplugged.set()

    def _control(self, setup: bytes, data: bytes) -> bytes | None:
        """The answer to a request; None: it is not supported."""
        kind, request, value, _, length = struct.unpack("<BBHHH", setup)
        if (kind, request) == (0x80, 6):
            found = {1: _DEVICE, 2: _configuration()}.get(value >> 8)
            return found and found[:length]
        if kind & 0x60 == 0x20:
            return self._video_control(request, value >> 8, data)
        return bytes(min(length, 2)) if kind & 0x80 else b""

    def _video_control(self, request: int, selector: int, data: bytes) -> bytes | None:
        if request == 1:
            self._probe = self._agreed(data)
            if selector == 2:
                _, self.format, frame, *_ = _PROBE.unpack(self._probe)
                self.size = SIZES[frame - 1]
            return b""
        return self._probe if request in {0x81, 0x82, 0x83, 0x87} else None

    def _agreed(self, wanted: bytes) -> bytes:
        """What it makes of what is wanted."""
        _, kind, frame, *_ = _PROBE.unpack(wanted[: _PROBE.size])
        kind, frame = kind or 1, frame or 1
        width, height = SIZES[frame - 1]
        most = 2 * width * height
        return _PROBE.pack(1, kind, frame, 10_000_000 // _FPS[kind], 0, 0, 0, 0, 0, most, most + 2)

    # The pictures.

    def _film(self) -> None:
        toggle = 0
        while not self._unplugged.wait(1 / _FPS[self.format]):
            if self._waiting and not self.stalled:
                self._transfer(bytes((2, 0x82 | toggle)) + self._encoded())
                toggle ^= 1

    def _encoded(self) -> bytes:
        if self.garbage:
            self.garbage -= 1
            return b"\xff\xd8" + b"not a picture at all" * 40
        pixels = cv2.resize(self.picture, self.size, interpolation=cv2.INTER_NEAREST)
        if self.format == 1:
            return cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_YUYV).tobytes()
        return bytes(cv2.imencode(".jpg", pixels)[1])

    def _transfer(self, payload: bytes) -> None:
        """In pieces; the last one is short, which is how its end is known."""
        while payload and not self._unplugged.is_set():
            with self._lock:
                if self._waiting:
                    number, length = self._waiting.popleft()
                    piece, payload = payload[:length], payload[length:]
                    self._answer(number, piece)
                    continue
            time.sleep(0.001)
