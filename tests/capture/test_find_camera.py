"""Which camera is taken when nobody has said which."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_classifier.capture.find_camera import VideoDevice, first_camera, video_device
from edge_classifier.errors import CameraError

USB = VideoDevice("uvcvideo", is_camera=True)
METADATA = VideoDevice("uvcvideo", is_camera=False)
CODEC = VideoDevice("bcm2835-codec", is_camera=False)
SENSOR = VideoDevice("unicam", is_camera=True)
LOOPBACK = VideoDevice("v4l2 loopback", is_camera=True)


def found(devices: Mapping[str, VideoDevice | None], picameras: int = 0) -> str:
    paths = [Path("/dev", name) for name in devices]
    return first_camera(lambda: paths, lambda path: devices[path.name], lambda: picameras)


def test_usb_camera_goes_before_all_others_and_the_lowest_number_first() -> None:
    devices = {"video10": USB, "video2": USB, "video1": METADATA, "video0": SENSOR}
    assert found(devices, picameras=1) == "/dev/video2"


def test_raspberry_pis_own_camera_goes_through_libcamera() -> None:
    assert found({"video0": SENSOR, "video10": CODEC}, picameras=2) == "picamera2"


def test_other_cameras_are_taken_last_and_sensors_never() -> None:
    assert found({"video0": SENSOR, "video1": LOOPBACK}) == "/dev/video1"
    with pytest.raises(CameraError, match="there is none on this machine"):
        found({"video0": SENSOR, "video10": CODEC})


def test_no_camera_says_what_else_can_be_watched() -> None:
    with pytest.raises(CameraError, match="edge-classify watch SOURCE takes"):
        found({})


def test_cameras_that_may_not_be_opened_are_not_said_to_be_missing() -> None:
    with pytest.raises(CameraError, match="Add the user to the group video"):
        found({"video0": None, "video1": None})


def test_what_is_no_video_device_is_no_camera(tmp_path: Path) -> None:
    file = tmp_path / "video0"
    file.touch()
    assert video_device(file) == VideoDevice("", is_camera=False)
    assert video_device(tmp_path / "video1") is None
