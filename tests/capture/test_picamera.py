"""The adapter against a camera of its kind that is written here, and formats against colours."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_classifier.capture.picamera import KNOWN_FORMATS, PicameraSource, lores_size, to_frame
from edge_classifier.config.settings import CameraSettings, Region
from edge_classifier.core.contract import ColourOrder
from edge_classifier.errors import CameraError

WIDTH, HEIGHT, STRIDE = 36, 24, 64
Pixels = NDArray[np.uint8]
COLOURS = {"red": (200, 30, 40), "green": (30, 180, 60), "blue": (40, 50, 220), "grey": (128,) * 3}


def luma_chroma(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    """Y, Cb, Cr of red, green, blue by ITU-R BT.601 in limited range."""
    red, green, blue = (level / 255 for level in colour)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    values = 16 + 219 * luma, 128 + 112 * (blue - luma) / 0.886, 128 + 112 * (red - luma) / 0.701
    y, cb, cr = (round(value) for value in values)
    return y, cb, cr


def planar(colour: tuple[int, int, int], stride: int, *planes: int) -> Pixels:
    """As make_array gives YUV420 and YVU420: rows as long as the stride, padded with nonsense."""
    values = luma_chroma(colour)
    luma: Pixels = np.full((HEIGHT, stride), 77, np.uint8)
    luma[:, :WIDTH] = values[0]
    halves = []
    for plane in planes:
        half: Pixels = np.full((HEIGHT // 2, stride // 2), 77, np.uint8)
        half[:, : WIDTH // 2] = values[plane]
        halves.append(half.reshape(-1, stride))
    return np.concatenate([luma, *halves])


def interleaved(colour: tuple[int, int, int], *planes: int) -> Pixels:
    """As make_array gives NV12 and NV21: the padding is cut off, and rows are not contiguous."""
    values = luma_chroma(colour)
    array: Pixels = np.full((HEIGHT * 3 // 2, STRIDE), 77, np.uint8)
    array[:HEIGHT, :WIDTH] = values[0]
    array[HEIGHT:, :WIDTH:2] = values[planes[0]]
    array[HEIGHT:, 1:WIDTH:2] = values[planes[1]]
    return array[:, :WIDTH]


def packed(colour: tuple[int, int, int], *order: int) -> Pixels:
    """As make_array gives YUYV and its like: two bytes a pixel."""
    values = luma_chroma(colour)
    array: Pixels = np.full((HEIGHT, STRIDE, 2), 77, np.uint8)
    array[:, :WIDTH] = np.array([values[plane] for plane in order], np.uint8).reshape(2, 2)[
        [0, 1] * (WIDTH // 2)
    ]
    return array


def rgb(colour: tuple[int, int, int], channels: str) -> Pixels:
    levels = {"R": colour[0], "G": colour[1], "B": colour[2], "X": 255}
    return np.full(
        (HEIGHT, WIDTH, len(channels)), [levels[channel] for channel in channels], np.uint8
    )


# Format to what make_array gives for one colour.
ARRAYS: dict[str, Callable[[tuple[int, int, int]], Pixels]] = {
    "YUV420": lambda colour: planar(colour, WIDTH, 1, 2),
    "YUV420 padded": lambda colour: planar(colour, STRIDE, 1, 2),
    "YVU420": lambda colour: planar(colour, STRIDE, 2, 1),
    "NV12": lambda colour: interleaved(colour, 1, 2),
    "NV21": lambda colour: interleaved(colour, 2, 1),
    "YUYV": lambda colour: packed(colour, 0, 1, 0, 2),
    "YVYU": lambda colour: packed(colour, 0, 2, 0, 1),
    "UYVY": lambda colour: packed(colour, 1, 0, 2, 0),
    # libcamera reads names from the word's high end.
    "RGB888": lambda colour: rgb(colour, "BGR"),
    "BGR888": lambda colour: rgb(colour, "RGB"),
    "XRGB8888": lambda colour: rgb(colour, "BGRX"),
    "XBGR8888": lambda colour: rgb(colour, "RGBX"),
    "MJPEG": lambda colour: rgb(colour, "RGB"),
}


def test_arrays_of_every_known_format_are_tried() -> None:
    assert {name.partition(" ")[0] for name in ARRAYS} == set(KNOWN_FORMATS)


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
@pytest.mark.parametrize("name", ARRAYS)
def test_to_frame_of_a_format_has_the_right_colours(
    name: str, colour: tuple[int, int, int]
) -> None:
    frame = to_frame(ARRAYS[name](colour), name.partition(" ")[0], (WIDTH, HEIGHT))
    assert (frame.width, frame.height) == (WIDTH, HEIGHT)
    seen = frame.pixels if frame.order is ColourOrder.RGB else frame.pixels[:, :, ::-1]
    assert np.abs(seen.astype(int) - colour).max() <= 3


@pytest.mark.parametrize(
    ("size", "share", "near_px", "expected"),
    [
        ((640, 480), (1, 1), 224, (342, 256)),
        ((1280, 720), (1, 1), 224, (456, 256)),
        ((480, 640), (1, 1), 224, (256, 342)),
        ((640, 480), (0.5, 1), 224, (512, 384)),
        ((1280, 720), (0.5, 0.5), 224, (912, 512)),
        ((640, 480), (0.1, 0.1), 224, (640, 480)),
        ((640, 480), (1, 1), 512, (640, 480)),
        ((641, 481), (1, 1), 512, (640, 480)),
        ((640, 480), (1, 1), 96, (148, 110)),
    ],
)
def test_near_size_holds_the_model_and_little_more(
    size: tuple[int, int], share: tuple[float, float], near_px: int, expected: tuple[int, int]
) -> None:
    assert lores_size(size, share, near_px) == expected


@given(st.integers(16, 4000), st.integers(16, 4000), st.integers(16, 640))
def test_near_size_of_any_camera_is_even_and_within_it(
    width: int, height: int, near_px: int
) -> None:
    made = lores_size((width, height), (1, 1), near_px)
    assert all(side % 2 == 0 and side >= 2 for side in made)
    assert made[0] <= width
    assert made[1] <= height


class FakePicamera:
    """What picamera2.Picamera2 does, as far as the adapter asks."""

    made: "FakePicamera"
    broken = False
    busy = False
    format = "YUV420"

    def __init__(self, number: int) -> None:
        self.is_open = False
        self.pipe, self.notifyme_w = os.pipe()
        self.number = number
        self.started = self.closed = False
        # Requests that were not given back.
        self.out = 0
        if self.busy:
            os.close(self.pipe)
            raise RuntimeError("Camera __init__ sequence did not complete.")
        FakePicamera.made = self
        self.is_open = True

    def create_video_configuration(self, **settings: Any) -> dict[str, Any]:
        return settings

    def configure(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        width, height = asked["lores"]["size"]
        # As real hardware, it gives another format, and a size that it can have.
        size = width - width % 32, height
        self.lores = {"format": self.format, "size": size, "stride": size[0]}

    def camera_configuration(self) -> dict[str, Any]:
        return {"main": {}, "lores": self.lores}

    def start(self) -> None:
        self.started = True

    def capture_request(self, *, wait: bool) -> "FakePicamera":
        assert not wait
        return self

    def get_result(self, timeout: float) -> "FakePicamera":
        if self.broken:
            raise TimeoutError(timeout)
        self.out += 1
        assert self.out == 1, "the request before was not given back"
        return self

    def make_array(self, stream: str) -> Pixels:
        assert stream == "lores"
        width, height = self.lores["size"]
        return np.full((height * 3 // 2, width), 128, np.uint8)

    def release(self) -> None:
        self.out -= 1

    def close(self) -> None:
        self.closed = True
        os.close(self.pipe)
        os.close(self.notifyme_w)
        if self.broken:
            raise RuntimeError("Failed to stop")


class ColorSpace:
    @staticmethod
    def Smpte170m() -> str:  # noqa: N802
        return "SMPTE170M"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera]:
    class Picamera(FakePicamera):
        """One for each test, which may break it."""

    picamera2, libcamera = ModuleType("picamera2"), ModuleType("libcamera")
    picamera2.__dict__["Picamera2"] = Picamera
    libcamera.__dict__["ColorSpace"] = ColorSpace
    monkeypatch.setitem(sys.modules, "picamera2", picamera2)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    return Picamera


def source(setting: str = "picamera2:1", **settings: Any) -> PicameraSource:
    return PicameraSource(CameraSettings(source=setting, **settings), 224)


def test_picamera_without_picamera2_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libcamera", None)
    with pytest.raises(CameraError, match=r"apt install python3-picamera2.*--system-site"):
        source().open()


def test_picamera_reads_back_what_the_driver_made_of_its_wishes(fake: type[FakePicamera]) -> None:
    fake.format = "NV12"
    camera = source(look="whole")
    assert camera.open() == "448x256 NV12"
    made = FakePicamera.made
    assert (made.number, made.started) == (1, True)
    assert made.asked["main"]["size"] == (1280, 720)
    assert made.asked["lores"] == {"size": (456, 256), "format": "YUV420"}
    assert made.asked["colour_space"] == "SMPTE170M"
    camera.grab()
    frame = camera.retrieve()
    assert (frame.width, frame.height) == (448, 256)
    camera.close()
    assert made.closed


@pytest.mark.parametrize("look", ["motion", "both"])
def test_picamera_that_is_to_look_closely_gives_all_the_pixels_that_were_asked_for(
    fake: type[FakePicamera], look: str
) -> None:
    camera = source(look=look, width=1281, height=721, region=Region(height=0.5))
    camera.open()
    assert FakePicamera.made.asked["lores"]["size"] == (1280, 720)
    camera.close()


def test_picamera_of_a_turned_region_asks_for_enough_of_it(fake: type[FakePicamera]) -> None:
    # The upper half of the turned picture is the left or right half of the sensor's.
    camera = source(look="whole", rotate=90, region=Region(height=0.5), width=1280, height=720)
    camera.open()
    assert FakePicamera.made.asked["lores"]["size"] == (512, 288)
    camera.close()


def test_picamera_gives_every_request_back(fake: type[FakePicamera]) -> None:
    camera = source()
    camera.open()
    for _ in range(5):
        camera.grab()
    camera.close()
    assert FakePicamera.made.out == 0


def test_picamera_without_frames_says_so_and_closes_whatever_close_raises(
    fake: type[FakePicamera],
) -> None:
    camera = source(read_timeout_s=2)
    camera.open()
    fake.broken = True
    with pytest.raises(CameraError, match=r"no frame for 2 s.*ribbon cable"):
        camera.grab()
    camera.close()
    camera.close()
    assert FakePicamera.made.closed


def test_picamera_of_an_unknown_format_is_refused(fake: type[FakePicamera]) -> None:
    fake.format = "SRGGB10"
    camera = source()
    with pytest.raises(CameraError, match="SRGGB10"):
        camera.open()
    camera.close()
    assert FakePicamera.made.closed


def test_picamera_that_is_busy_leaves_no_file_open(fake: type[FakePicamera]) -> None:
    fake.busy = True
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(10):
        camera = source("picamera2")
        with pytest.raises(CameraError, match="only one program"):
            camera.open()
        camera.close()
    assert len(list(descriptors.iterdir())) == before
