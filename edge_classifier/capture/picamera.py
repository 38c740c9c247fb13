"""The Raspberry Pi's own cameras, through picamera2. Its ISP does the resizing."""

import os
from contextlib import suppress
from importlib import import_module
from typing import Any

from edge_classifier.capture.formats import KNOWN, near_size, to_frame
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.camera_address import describe, picamera_number
from edge_classifier.core.frame import Frame
from edge_classifier.errors import CameraError

_STREAM = "lores"
# One that is read, one that is filled, and two for a reader that is late.
_BUFFERS = 4
_DEFAULT_SIZE = 1280, 720
_INSTALL = (
    "Install it with `apt install python3-picamera2`, and make the virtual environment with "
    "--system-site-packages: libcamera comes with the system only."
)


class PicameraSource:
    """``picamera2:NUMBER``; frames come from the ``lores`` stream, near ``near_px``.

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
            self._picamera = _constructed(kind, self._number)
            # OpenCV converts from BT.601, and main streams from 1280x720 up are not by default.
            self._configure(colour_spaces.Smpte170m())
            self._picamera.start()
        except Exception as error:
            remedy = "See `rpicam-hello --list-cameras`; only one program can use a camera."
            raise CameraError(self._shown, f"cannot be opened ({error})", remedy) from error
        if self._format not in KNOWN:
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
        near = near_size(size, share[::-1] if self._camera.rotate % 180 else share, self._near_px)
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


def _constructed(kind: Any, number: int) -> Any:
    """``kind(number)``; where that fails, picamera2 leaves one end of a pipe open each time."""
    camera = kind.__new__(kind)
    try:
        camera.__init__(number)
    except Exception:
        if not camera.is_open:
            os.close(camera.notifyme_w)
        raise
    return camera
