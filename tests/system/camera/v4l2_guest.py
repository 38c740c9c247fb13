"""What is tried on a camera of the kernel's, /dev/video0, in a machine where there is one.

Its driver is vivid, which draws eight bars of colour, has the sizes of a webcam and can be made to
fail.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge_classifier.capture.opencv import DeviceSource
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from tests.waiting import eventually
from tests.watch import PATIENT_S, Watch

DEVICE = "/dev/video0"
# From left to right in blue, green, red: white, yellow, cyan, green, magenta, red, blue, black.
BARS = (
    *((255, 255, 255), (0, 255, 255), (255, 255, 0), (0, 255, 0)),
    *((255, 0, 255), (0, 0, 255), (255, 0, 0), (0, 0, 0)),
)
FORMATS = ("YUYV", "UYVY", "NV12", "NV21", "YU12", "YV12", "RGB3", "BGR3", "XR24")
# What is asked for, and what it gives.
SIZES = {
    (0, 0): (640, 480),
    (320, 240): (320, 180),
    (640, 480): (640, 480),
    (1000, 700): (1280, 720),
    (1280, 720): (1280, 720),
}
# An emulated machine takes a while for the first picture of a camera that it has opened.
GUEST_READ_S = 6.0
_DRIVER = Path("/sys/bus/platform/drivers/vivid")


class Chosen(DeviceSource):
    """With the format of its pixels chosen; the real one takes what OpenCV likes best."""

    kind = ""

    def _choose_format(self, capture: cv2.VideoCapture) -> None:
        assert capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*self.kind))


def control(name: str, value: int) -> None:
    subprocess.run(["v4l2-ctl", "-d", DEVICE, "-c", f"{name}={value}"], check=True)


def unplug() -> None:
    (_DRIVER / "unbind").write_text("vivid.0")


def plug_in() -> None:
    (_DRIVER / "bind").write_text("vivid.0")
    control("test_pattern", 1)  # Bars of full colour.
    control("osd_text_mode", 2)  # And no writing on them.


def with_new_device(story: Callable[[], None]) -> None:
    """Whatever was done to it before."""
    unplug()
    plug_in()
    story()


def is_right(frame: Frame) -> bool:
    height, width = frame.pixels.shape[:2]
    middles = [(2 * number + 1) * width // 16 for number in range(len(BARS))]
    seen = frame.pixels[height // 2, middles].astype(int)
    # JPEGs come in red, green, blue.
    seen = seen[:, ::-1] if frame.order is ColourOrder.RGB else seen
    return bool(np.abs(seen - BARS).max() < 8)


def first_frame(source: DeviceSource) -> tuple[str, Frame]:
    """What the camera says of itself, and shows."""
    try:
        description = source.open()
        source.grab()
        return description, source.retrieve()
    finally:
        source.close()


def colours_are_right_in_every_format() -> None:
    for kind in FORMATS:
        source = Chosen(DEVICE, size=(0, 0), read_timeout_s=10)
        source.kind = kind
        description, frame = first_frame(source)
        assert description == f"640x480 {kind} 30 fps", description
        assert is_right(frame), kind


def size_is_the_nearest_that_there_is() -> None:
    for asked, expected in SIZES.items():
        description, frame = first_frame(DeviceSource(DEVICE, size=asked, read_timeout_s=10))
        width, height = expected
        assert description == f"{width}x{height} BGR3 30 fps", (asked, description)
        assert frame.pixels.shape == (height, width, 3), (asked, frame.pixels.shape)
        assert is_right(frame), asked


def unplugged_camera_is_lost_at_once_and_comes_back() -> None:
    with Watch(DEVICE, read_timeout_s=PATIENT_S) as watch:
        eventually(watch.is_online)
        unplug()
        eventually(watch.is_offline)
        eventually(lambda: "there is no such camera" in watch.capture.status.reason)
        plug_in()
        eventually(watch.is_online)
        eventually(lambda: watch.latest and is_right(watch.latest.frame))
        assert watch.onlines == [True, False, True]
        assert watch.capture.status.hung == 0


def disconnected_camera_is_lost_and_comes_back() -> None:
    """Its file stays all the time."""
    _is_lost_and_comes_back("disconnect")


def failing_camera_is_lost_and_comes_back() -> None:
    _is_lost_and_comes_back("inject_fatal_streaming_error")


def _is_lost_and_comes_back(after: str) -> None:
    with Watch(DEVICE, read_timeout_s=GUEST_READ_S) as watch:
        eventually(watch.is_online)
        control(after, 1)
        eventually(lambda: watch.onlines == [True, False, True])


def stalled_camera_is_lost_in_time_and_is_back_with_a_frame_only() -> None:
    with Watch(DEVICE, read_timeout_s=GUEST_READ_S) as watch:
        eventually(watch.is_online)
        control("percentage_of_dropped_buffers", 100)
        eventually(watch.is_offline)
        assert watch.silent_s > GUEST_READ_S - 0.2
        assert "gives no frames any more" in watch.capture.status.reason
        # It can be opened all the time.
        opened = watch.capture.status.opened
        eventually(lambda: watch.capture.status.opened > opened + 1, within_s=60)
        assert watch.onlines == [True, False]
        control("percentage_of_dropped_buffers", 0)
        eventually(watch.is_online)
        assert watch.onlines == [True, False, True]


def camera_in_use_says_so() -> None:
    with Watch(DEVICE, read_timeout_s=GUEST_READ_S) as watch:
        eventually(watch.is_online)
        with Watch(DEVICE) as second:
            eventually(second.has_failed)
            assert "Another program may be using it" in second.capture.status.reason
        assert watch.is_online()


STORIES: dict[str, Callable[[], None]] = {
    story.__name__: story
    for story in (
        colours_are_right_in_every_format,
        size_is_the_nearest_that_there_is,
        unplugged_camera_is_lost_at_once_and_comes_back,
        disconnected_camera_is_lost_and_comes_back,
        failing_camera_is_lost_and_comes_back,
        stalled_camera_is_lost_in_time_and_is_back_with_a_frame_only,
        camera_in_use_says_so,
    )
}
