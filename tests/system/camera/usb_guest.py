"""What is tried on a USB camera with the kernel's own driver, in a machine that has it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from edge_classifier.capture.opencv import DeviceSource
from tests.system.camera.usb_camera import SIZES, UsbCamera
from tests.system.camera.v4l2_guest import BARS, GUEST_READ_S, Chosen, first_frame, is_right
from tests.waiting import eventually
from tests.watch import PATIENT_S, Watch


def plugged_in() -> UsbCamera:
    """It shows the bars."""
    return UsbCamera(np.array([BARS], np.uint8).repeat(90, axis=0).repeat(20, axis=1))


@contextmanager
def watched(read_timeout_s: float = GUEST_READ_S) -> Iterator[tuple[UsbCamera, Watch]]:
    with (
        plugged_in() as camera,
        Watch(camera.device, read_timeout_s=read_timeout_s) as watch,
    ):
        eventually(watch.is_online)
        yield camera, watch


def camera_is_asked_for_mjpeg_and_its_colours_are_right() -> None:
    with plugged_in() as camera:
        for size in SIZES:
            source = DeviceSource(camera.device, size=size, read_timeout_s=10)
            description, frame = first_frame(source)
            assert description == f"{size[0]}x{size[1]} MJPG 30 fps", description
            assert (frame.pixels.shape[1], frame.pixels.shape[0]) == size
            assert is_right(frame), frame.pixels[200, ::40]


def colours_of_plain_pictures_are_right() -> None:
    with plugged_in() as camera:
        source = Chosen(camera.device, size=(0, 0), read_timeout_s=10)
        source.kind = "YUYV"
        description, frame = first_frame(source)
        assert description == "640x480 YUYV 10 fps", description
        assert is_right(frame), frame.pixels[200, ::40]


def camera_can_be_opened_by_a_name_that_it_keeps() -> None:
    """As udev's links in /dev/v4l/by-id are."""
    link = Path("/dev/front-door")
    with plugged_in() as camera:
        link.symlink_to(camera.device)
        with Watch(str(link), read_timeout_s=PATIENT_S) as watch:
            eventually(watch.is_online)
        link.unlink()


def unplugged_camera_is_lost_at_once_and_comes_back() -> None:
    with watched(PATIENT_S) as (camera, watch):
        name = camera.device
        camera.unplug()
        eventually(watch.is_offline)
        eventually(lambda: "there is no such camera" in watch.capture.status.reason)
        camera.plug_in()
        assert camera.device == name, "the number was still in use"
        eventually(watch.is_online)
        assert watch.onlines == [True, False, True]
        assert watch.capture.status.hung == 0


def stalled_camera_is_lost_in_time_and_comes_back() -> None:
    with watched() as (camera, watch):
        camera.stalled = True
        eventually(watch.is_offline)
        assert watch.silent_s > GUEST_READ_S - 0.2
        assert watch.capture.status.hung == 0
        opened = watch.capture.status.opened
        eventually(lambda: watch.capture.status.opened > opened + 1, within_s=60)
        camera.stalled = False
        eventually(watch.is_online)
        assert watch.onlines == [True, False, True]


def camera_that_sends_a_damaged_picture_now_and_then_stays_online() -> None:
    with watched(PATIENT_S) as (camera, watch):
        for _ in range(3):
            camera.garbage = 2
            eventually(lambda: camera.garbage == 0)
            eventually(partial(watch.is_beyond, watch.captured))
        assert watch.onlines == [True]


STORIES: dict[str, Callable[[], None]] = {
    story.__name__: story
    for story in (
        camera_is_asked_for_mjpeg_and_its_colours_are_right,
        colours_of_plain_pictures_are_right,
        camera_can_be_opened_by_a_name_that_it_keeps,
        unplugged_camera_is_lost_at_once_and_comes_back,
        stalled_camera_is_lost_in_time_and_comes_back,
        camera_that_sends_a_damaged_picture_now_and_then_stays_online,
    )
}
