"""How sharp a frame is."""

import cv2
import numpy as np
import pytest

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.samples import FOLDER
from edge_classifier.vision.sharpness import sharpness

PHOTOGRAPHS = sorted(FOLDER.glob("*.jpg"))


def photograph(path: object, width: int) -> "np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]":
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert pixels is not None
    height = round(pixels.shape[0] * width / pixels.shape[1])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_sharpness_of_a_frame_is_more_than_of_the_same_with_motion_blur(
    path: object, width: int
) -> None:
    pixels = photograph(path, width)
    length = width // 40
    blurred = cv2.filter2D(pixels, -1, np.full((1, length), 1 / length))
    ratio = sharpness(Frame(pixels, ColourOrder.BGR)) / sharpness(
        Frame(blurred, ColourOrder.BGR)  # type: ignore[arg-type]
    )
    assert ratio > 1.5


def test_sharpness_is_of_the_box_alone() -> None:
    pixels = np.zeros((400, 600, 3), np.uint8)
    pixels[100:200, 100:200] = np.random.default_rng(1).integers(0, 256, (100, 100, 3), np.uint8)
    frame = Frame(pixels, ColourOrder.RGB)
    assert sharpness(frame, RelativeBox(0.5, 0.5, 0.5, 0.5)) == 0
    assert sharpness(frame, RelativeBox(1 / 6, 0.25, 1 / 6, 0.25)) > sharpness(frame) > 0


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1)])
def test_sharpness_of_the_smallest_frames_is_nothing(size: tuple[int, int]) -> None:
    frame = Frame(np.full((*size, 3), 7, np.uint8), ColourOrder.BGR)
    assert sharpness(frame) == sharpness(frame, RelativeBox(0.99, 0.99, 0.01, 0.01)) == 0
