"""Cameras, streams and video files through OpenCV.

``isOpened`` proves nothing (it stays true for a camera that was unplugged), so success is a frame.
"""

import os
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from edge_classifier.capture.native_libraries import V4L2_WAIT_S, configure_native_libraries
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.network.camera_address import PICTURES, describe, mask
from edge_classifier.errors import CameraError, EndOfFrames, PictureError
from edge_classifier.files import is_file, is_folder, may_be_there, why_missing
from edge_classifier.protocols import Clock
from edge_classifier.vision.eight_bits import eight_bits
from edge_classifier.vision.jpeg_frames import decode_jpeg

_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_Y16 = cv2.VideoWriter.fourcc(*"Y16 ")
# Damaged pictures in a row that a stream may send; a dead one fails as often within a moment.
_MAX_DAMAGED = 10
_PROBE_S = 1.0
# Where a connection shows more of a failure; the other schemes always have a port.
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}


class _VideoSource:
    """What devices, streams and files share: a ``cv2.VideoCapture`` with plain errors."""

    live = True

    def __init__(self, shown: str) -> None:
        # What messages call it.
        self._shown = shown
        self._capture: cv2.VideoCapture | None = None
        # JPEGs come as they are: only then can one that was cut short be told.
        self._is_undecoded = False

    def retrieve(self) -> Frame:
        """Decode the frame that was grabbed; in BGR, as OpenCV has it, or a JPEG in RGB."""
        try:
            good, pixels = self._opened_capture().retrieve()
        except cv2.error as error:
            raise CameraError(self._shown, "sent a damaged picture") from error
        if not good:
            raise CameraError(self._shown, "sent a damaged picture")
        if self._is_undecoded and pixels.dtype == np.uint8 and 1 in pixels.shape[:2]:
            try:
                return decode_jpeg(self._shown, pixels.tobytes())
            except PictureError as error:
                raise CameraError(self._shown, "sent a damaged picture") from error
        if pixels.dtype == np.uint16:
            grey = eight_bits(pixels.reshape(pixels.shape[:2])).pixels
            return Frame(np.repeat(grey[:, :, np.newaxis], 3, axis=2), ColourOrder.BGR)
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise CameraError(self._shown, "sent a damaged picture")
        return Frame(np.asarray(pixels, np.uint8), ColourOrder.BGR)

    def close(self) -> None:
        """Let go of it."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _opened_capture(self) -> cv2.VideoCapture:
        if self._capture is None:
            raise CameraError(self._shown, "is not open")
        return self._capture

    def _keep_if_open(self, capture: cv2.VideoCapture, remedy: str) -> str:
        """Keep ``capture`` and describe it; raises CameraError when it is not open."""
        if not capture.isOpened():
            capture.release()
            raise CameraError(self._shown, "cannot be opened", remedy)
        self._capture = capture
        width, height = (
            int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        kind = "".join(chr(byte) for byte in code.to_bytes(4, "little") if 32 < byte < 127)
        fps = capture.get(cv2.CAP_PROP_FPS)
        words = [f"{width}x{height}", kind, f"{fps:.4g} fps" if 0 < fps <= 1000 else ""]
        return " ".join(word for word in words if word)


class DeviceSource(_VideoSource):
    """A camera that the kernel knows, e.g. ``/dev/video0``.

    ``size`` is the width and height to ask for; 0 leaves the camera its own.
    """

    def __init__(
        self,
        device: str,
        *,
        size: tuple[int, int],
        read_timeout_s: float,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(device)
        self._clock = clock
        self._device, self._size, self._read_timeout_s = device, size, read_timeout_s

    def open(self) -> str:
        """Open the device and ask for a size; it may choose another."""
        if not may_be_there(Path(self._device)):
            remedy = "Is it plugged in? ls /dev/video*"
            raise CameraError(self._shown, "there is no such camera", remedy)
        if not os.access(self._device, os.R_OK | os.W_OK):
            remedy = "Add the user to the group video."
            raise CameraError(self._shown, "may not be opened by this user", remedy)
        _silence_libraries()
        capture = cv2.VideoCapture(self._device, cv2.CAP_V4L2)
        if capture.isOpened():
            self._choose_format(capture)
        description = self._keep_if_open(
            capture, "Another program may be using it, or it is no camera: v4l2-ctl --list-devices"
        )
        code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        if code in (_MJPG, _Y16):
            self._is_undecoded = bool(capture.set(cv2.CAP_PROP_CONVERT_RGB, 0))
        return f"{description}, stretched to 8 bits" if code == _Y16 else description

    def grab(self) -> None:
        """Wait for the next frame."""
        capture, began = self._opened_capture(), self._clock()
        while True:
            waited_from = self._clock()
            if capture.grab():
                return
            # OpenCV gives up sooner than this camera's limit; a camera that has gone fails at once.
            now = self._clock()
            if now - waited_from < V4L2_WAIT_S / 2 or now - began >= self._read_timeout_s:
                remedy = "Was it unplugged? Check cable and power."
                raise CameraError(self._shown, "gives no frames any more", remedy)

    def _choose_format(self, capture: cv2.VideoCapture) -> None:
        # USB 2 is too narrow for 30 plain 640x480 frames a second of two cameras; MJPG also is
        # decoded only when the frame is wanted. A camera without it keeps what it has.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        for key, pixels in zip(
            (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), self._size, strict=True
        ):
            if pixels:
                capture.set(key, pixels)


class StreamSource(_VideoSource):
    """RTSP, films over HTTP, and what else FFmpeg takes. ``url`` may hold user and password."""

    def __init__(
        self,
        url: str,
        *,
        open_timeout_s: float,
        read_timeout_s: float,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(mask(url))
        self._url, self._clock = url, clock
        self._open_timeout_s, self._read_timeout_s = open_timeout_s, read_timeout_s

    def open(self) -> str:
        """Connect, and find out what comes."""
        _silence_libraries()
        began = self._clock()
        capture = cv2.VideoCapture(
            self._url,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * self._open_timeout_s)),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * self._read_timeout_s)),
                # Each further decoder thread holds one frame back, and takes memory.
                *(cv2.CAP_PROP_N_THREADS, 1),
            ],
        )
        if not capture.isOpened() and self._clock() - began < self._open_timeout_s:
            raise why_refused(self._url)
        description = self._keep_if_open(
            capture, f"It did not answer within {self._open_timeout_s:g} s."
        )
        if int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF == _MJPG:
            self._is_undecoded = bool(capture.set(cv2.CAP_PROP_FORMAT, -1))
        return description

    def grab(self) -> None:
        """Wait for the next picture that is not damaged."""
        capture, began = self._opened_capture(), self._clock()
        for _ in range(_MAX_DAMAGED):
            if capture.grab():
                return
            if self._clock() - began >= self._read_timeout_s:
                problem = f"sent no picture for {self._read_timeout_s:g} s"
                raise CameraError(self._shown, problem, "Is the network slow, or the camera stuck?")
        raise CameraError(self._shown, "sends no pictures any more", "Was it switched off?")


def why_refused(url: str) -> CameraError:
    """Why ``url`` could not be opened: OpenCV does not know, but a connection shows it."""
    shown = mask(url)
    try:
        parts = urlsplit(url)
        address = parts.hostname or "", parts.port or _PORTS.get(parts.scheme.lower(), 0)
        if parts.scheme.lower() in _PORTS:
            socket.create_connection(address, _PROBE_S).close()
    except TimeoutError:
        return CameraError(shown, "does not answer", "Is it switched on?")
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or "no valid address"
        return CameraError(shown, f"cannot be reached ({cause})", "Check the address.")
    return CameraError(shown, "answers, but gives no video", "Check path, user and password.")


class FileSource(_VideoSource):
    """A video file, for trials: every frame in turn, as fast as they are taken.

    The pace is the pipeline's rate limit, not the file's own.
    """

    live = False

    def __init__(self, path: str, *, loop: bool) -> None:
        super().__init__(describe(path))
        self._path, self._loop = path, loop

    def open(self) -> str:
        """Open the file at its beginning."""
        path = Path(self._path)
        if is_folder(path):
            raise CameraError(self._shown, "is a folder", f"Write {PICTURES}{self._shown}")
        if not is_file(path):
            raise CameraError(self._shown, why_missing(path, "file"))
        _silence_libraries()
        parameters = [cv2.CAP_PROP_N_THREADS, 1]
        capture = cv2.VideoCapture(self._path, cv2.CAP_FFMPEG, parameters)
        return self._keep_if_open(
            capture, "It is no video, or of a kind that FFmpeg does not know."
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as the file states them."""
        capture = self._opened_capture()
        keys = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
        width, height = (int(capture.get(key)) for key in keys)
        return width, height

    @property
    def position_s(self) -> float:
        """When the frame that was grabbed is shown, counted from the beginning."""
        return self._opened_capture().get(cv2.CAP_PROP_POS_MSEC) / 1000

    def grab(self) -> None:
        """The next frame, after the last one the first."""
        if self._opened_capture().grab():
            return
        if not self._loop:
            raise EndOfFrames(self._shown, "was shown to its end")
        # Not every kind of file can be wound back.
        self.close()
        self.open()
        if not self._opened_capture().grab():
            raise CameraError(self._shown, "has no frame that can be decoded")


def _silence_libraries() -> None:
    """Keep OpenCV and FFmpeg off standard error.

    What matters is raised, and they would show addresses with passwords.
    """
    configure_native_libraries()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
