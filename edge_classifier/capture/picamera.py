"""The Raspberry Pi's own cameras, through picamera2. Its ISP does the resizing."""

import os
from contextlib import suppress
from importlib import import_module
from math import ceil
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.network.camera_address import describe, picamera_number
from edge_classifier.errors import CameraError

_STREAM = "lores"
# One that is read, one that is filled, and two for a reader that is late.
_BUFFERS = 4
_DEFAULT_SIZE = 1280, 720
_INSTALL = (
    "Install it with `apt install python3-picamera2`, and make the virtual environment with "
    "--system-site-packages: libcamera comes with the system only."
)


class _Format(NamedTuple):
    """A pixel format of libcamera."""

    # What comes out.
    order: ColourOrder
    # None: the pixels are as wanted.
    conversion: int | None


# The names are libcamera's, of which "RGB888" is blue, green, red in memory: they are read from the
# word's high end (picamera2#848).
_FORMATS = {
    "RGB888": _Format(ColourOrder.BGR, None),
    "BGR888": _Format(ColourOrder.RGB, None),
    "MJPEG": _Format(ColourOrder.RGB, None),
    "XRGB8888": _Format(ColourOrder.BGR, cv2.COLOR_BGRA2BGR),
    "XBGR8888": _Format(ColourOrder.RGB, cv2.COLOR_RGBA2RGB),
    "YUV420": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_I420),
    "YVU420": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_YV12),
    "NV12": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_NV12),
    "NV21": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_NV21),
    "YUYV": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_YUYV),
    "YVYU": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_YVYU),
    "UYVY": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_UYVY),
}
KNOWN_FORMATS = tuple(_FORMATS)


class PicameraSource:
    """``picamera2:NUMBER``; frames come from the ``lores`` stream.

    Where the whole frame is looked at, it is near ``near_px``, else as large as was asked for.

    picamera2 raises whatever libcamera and the kernel lead it to, so that every call into it is
    guarded by ``except Exception``.
    """

    live = True

    def __init__(self, camera: CameraSettings, near_px: int) -> None:
        self._number = picamera_number(camera.source) or 0
        self._shown = describe(camera.source)
        self._camera, self._near_px = camera, near_px
        self._picamera: Any = None
        self._request: Any = None
        self._format = ""
        self._size = 0, 0

    def open(self) -> str:
        """Configure the camera and start it."""
        try:
            colour_spaces = import_module("libcamera").ColorSpace
            kind = import_module("picamera2").Picamera2
        except ImportError as error:
            raise CameraError(self._shown, f"needs picamera2 ({error})", _INSTALL) from error
        try:
            # kind(number); where that fails, picamera2 leaves one end of a pipe open each time.
            camera = kind.__new__(kind)
            try:
                camera.__init__(self._number)
            except Exception:
                if not camera.is_open:
                    os.close(camera.notifyme_w)
                raise
            self._picamera = camera
            # OpenCV converts from BT.601, and main streams from 1280x720 up are not by default.
            self._configure(colour_spaces.Smpte170m())
            self._picamera.start()
        except Exception as error:
            remedy = "See `rpicam-hello --list-cameras`; only one program can use a camera."
            raise CameraError(self._shown, f"cannot be opened ({error})", remedy) from error
        if self._format not in KNOWN_FORMATS:
            raise CameraError(self._shown, f"sends {self._format}, which is not known here")
        return f"{self._size[0]}x{self._size[1]} {self._format}"

    def grab(self) -> None:
        """Wait for the next frame; it stays in the camera's memory."""
        self._release()
        try:
            job = self._picamera.capture_request(wait=False)
            self._request = job.get_result(timeout=self._camera.read_timeout_s)
        except TimeoutError as error:
            problem = f"gave no frame for {self._camera.read_timeout_s:g} s"
            remedy = "Check the ribbon cable at both ends."
            raise CameraError(self._shown, problem, remedy) from error
        except Exception as error:
            raise CameraError(self._shown, f"gives no frames ({error})") from error

    def retrieve(self) -> Frame:
        """Copy the frame out of the camera's memory."""
        try:
            return to_frame(self._request.make_array(_STREAM), self._format, self._size)
        except Exception as error:
            raise CameraError(self._shown, f"sent a damaged picture ({error})") from error

    def close(self) -> None:
        """Stop the camera, as far as it lets itself be stopped."""
        self._release()
        picamera, self._picamera = self._picamera, None
        if picamera is not None:
            with suppress(Exception):  # It was lost, and is opened anew.
                picamera.close()

    def _configure(self, colour_space: Any) -> None:
        """Ask for sizes, and read back what the driver made of them."""
        wanted = self._camera.width, self._camera.height
        size = wanted if all(wanted) else _DEFAULT_SIZE
        region = self._camera.region
        share = region.width, region.height
        if self._camera.look == "whole":
            turned = self._camera.rotate % 180
            near = lores_size(size, share[::-1] if turned else share, self._near_px)
        else:
            # What is cut out of the frame must have the sensor's detail.
            near = size[0] - size[0] % 2, size[1] - size[1] % 2
        # YUV420 is the one format that the lores stream of every Pi can have.
        asked = self._picamera.create_video_configuration(
            main={"size": size},
            lores={"size": near, "format": "YUV420"},
            colour_space=colour_space,
            buffer_count=_BUFFERS,
        )
        self._picamera.configure(asked)
        made = self._picamera.camera_configuration()[_STREAM]
        self._format, self._size = str(made["format"]), tuple(made["size"])

    def _release(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.release()


def to_frame(array: NDArray[np.uint8], name: str, size: tuple[int, int]) -> Frame:
    """``array`` of format ``name`` as a frame of ``size`` (width, height).

    ``array`` is as picamera2's ``make_array`` shapes it: (height, width, 3 or 4) for RGB,
    (height * 3 / 2, stride) for planar YUV, (height, stride / 2, 2) for packed YUV. Rows of YUV
    may be longer than the picture; the rest is cut off. Raises KeyError for an unknown format.
    """
    order, conversion = _FORMATS[name]
    pixels = array if conversion is None else cv2.cvtColor(array, conversion)
    return Frame(np.asarray(pixels, np.uint8)[: size[1], : size[0]], order)


def lores_size(size: tuple[int, int], share: tuple[float, float], near_px: int) -> tuple[int, int]:
    """Even width and height, in the ratio of ``size`` and not above it, for the ISP to resize to.

    So large that the shorter side of the part that is classified, ``share`` of width and height,
    has 8/7 of ``near_px``: of that, models take the central 7/8, which then needs no resizing
    but a copy. Larger frames would cost memory traffic and be shrunk again.
    """
    shorter = min(size[0] * share[0], size[1] * share[1])
    scale = min(1.0, near_px * 8 / 7 / shorter)
    # Rounded up, but not beyond ``size``.
    width, height = (max(2, min(2 * ceil(full * scale / 2), full - full % 2)) for full in size)
    return width, height
