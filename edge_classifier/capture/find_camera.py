"""Finds a camera on this machine, for whoever has not said which."""

import ctypes
import fcntl
import os
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from edge_classifier.core.network.camera_address import PICTURES, device_of, is_stream
from edge_classifier.errors import CameraError
from edge_classifier.files import is_folder, may_be_there
from edge_classifier.vision.pictures import SUFFIXES

# _IOR('V', 0, struct v4l2_capability) of linux/videodev2.h, and its flags.
_VIDIOC_QUERYCAP = 0x80685600
_VIDEO_CAPTURE, _DEVICE_CAPS = 0x00000001, 0x80000000
# Drivers of USB cameras. Those of the Raspberry Pi's own cameras give pixels of the sensor, which
# only libcamera makes pictures of.
_USB = "uvcvideo"
_RAW = ("unicam", "rp1-cfe", "bm2835 mmal")
_NAME = "edge-classify watch SOURCE takes rtsp://..., http://..., a video or a folder of pictures."


class VideoDevice(NamedTuple):
    """What the kernel says of ``/dev/video0``."""

    driver: str
    # Whether it gives frames; most devices of a Raspberry Pi encode, or give metadata.
    is_camera: bool


class _Capability(ctypes.Structure):
    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", ctypes.c_uint32),
        ("capabilities", ctypes.c_uint32),
        ("device_caps", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32 * 3),
    )


def first_camera(
    devices: Callable[[], Iterable[Path]] = lambda: Path("/dev").glob("video*"),
    describe: Callable[[Path], VideoDevice | None] | None = None,
    count_picameras: Callable[[], int] | None = None,
) -> str:
    """The source of the first camera: USB before the Raspberry Pi's own, before all others.

    Raises CameraError where there is none, or none that this user may open.
    """
    describe, count_picameras = describe or video_device, count_picameras or picameras
    names = sorted(devices(), key=lambda path: (len(path.name), path.name))
    found = [(str(path), describe(path)) for path in names]
    cameras = [(path, device.driver) for path, device in found if device and device.is_camera]
    usb = [path for path, driver in cameras if driver == _USB]
    if usb:
        return usb[0]
    if count_picameras():
        return "picamera2"
    others = [path for path, driver in cameras if not driver.startswith(_RAW)]
    if others:
        return others[0]
    if names and all(device is None for _, device in found):
        problem = "may not be opened by this user"
        raise CameraError(str(names[0]), problem, "Add the user to the group video.")
    raise CameraError("cameras", "there is none on this machine", f"Plug one in, or: {_NAME}")


def video_device(path: Path) -> VideoDevice | None:
    """What the kernel says; None: this user may not ask."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    capability = _Capability()
    try:
        fcntl.ioctl(descriptor, _VIDIOC_QUERYCAP, capability)
    except OSError:
        return VideoDevice("", is_camera=False)
    finally:
        os.close(descriptor)
    all_caps, own_caps = capability.capabilities, capability.device_caps
    caps = own_caps if all_caps & _DEVICE_CAPS else all_caps
    return VideoDevice(capability.driver.decode("ascii", "replace"), bool(caps & _VIDEO_CAPTURE))


def picameras() -> int:
    """How many cameras libcamera knows; 0 where picamera2 is not installed."""
    if find_spec("picamera2") is None:
        return 0
    try:
        return len(import_module("picamera2").Picamera2.global_camera_info())
    except Exception:  # noqa: BLE001 (libcamera raises whatever the kernel leads it to)
        return 0


def source_for_settings(source: str) -> str:
    """A folder or a picture as settings name it; anything else, and what is so already, as it is.

    Paths become whole: the daemon need not be started here.
    """
    if is_stream(source) or not may_be_there(Path(source)) or device_of(source):
        return source
    whole = str(Path(source).resolve())
    is_pictures = is_folder(Path(source)) or Path(source).suffix.lower() in SUFFIXES
    return f"{PICTURES}{whole}" if is_pictures else whole
