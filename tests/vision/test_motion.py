import numpy as np
import pytest
from numpy.typing import NDArray

from edge_classifier.config.settings import MotionSettings, Region
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.vision.camera_preprocess import region_of
from edge_classifier.vision.motion import MotionGate
from tests.fake_source import plain

SIZE = 640, 480


def gate(difference: int = 20, area: float = 0.005) -> MotionGate:
    return MotionGate(MotionSettings(enabled=True, difference=difference, area=area))


def with_block(frame: Frame, side: int, level: int) -> Frame:
    pixels = frame.pixels.copy()
    pixels[100 : 100 + side, 200 : 200 + side] = level
    return Frame(pixels, frame.order)


def noise(frame: Frame, sigma: float, seed: int) -> Frame:
    random = np.random.default_rng(seed)
    noisy = frame.pixels + random.normal(0, sigma, frame.pixels.shape)
    return Frame(np.clip(noisy, 0, 255).astype(np.uint8), frame.order)


def test_moved_for_the_first_frame_is_true() -> None:
    assert gate().moved(plain(90, SIZE))


def test_moved_for_the_same_scene_is_false() -> None:
    motion = gate()
    motion.classified(plain(90, SIZE))
    assert not motion.moved(plain(90, SIZE))


@pytest.mark.parametrize(("sigma", "seed"), [(5, 0), (5, 1), (10, 2), (10, 3)])
def test_moved_for_sensor_noise_is_false(sigma: float, seed: int) -> None:
    motion = gate()
    motion.classified(noise(plain(90, SIZE), sigma, seed))
    assert not motion.moved(noise(plain(90, SIZE), sigma, seed + 100))


@pytest.mark.parametrize(("side", "moved"), [(20, False), (80, True)])
def test_moved_depends_on_the_share_of_the_picture_that_changed(side: int, moved: bool) -> None:
    motion = gate(area=0.01)  # Of 640 x 480: a square of 55 pixels.
    still = plain(90, SIZE)
    motion.classified(still)
    assert motion.moved(with_block(still, side, 200)) is moved


@pytest.mark.parametrize(("level", "moved"), [(109, False), (110, True), (70, True), (71, False)])
def test_moved_depends_on_the_difference_in_grey_levels(level: int, moved: bool) -> None:
    motion = gate(difference=20)
    motion.classified(plain(90, SIZE))
    assert motion.moved(plain(level, SIZE)) is moved


def test_moved_compares_with_the_last_classified_frame_and_not_the_last_seen() -> None:
    motion = gate()
    motion.classified(plain(90, SIZE))
    # A scene that changes slowly must not slip by in small steps.
    assert [motion.moved(plain(level, SIZE)) for level in (98, 106, 114)] == [False, False, True]
    motion.classified(plain(114, SIZE))
    assert not motion.moved(plain(118, SIZE))


def test_moved_for_another_size_or_order_compares_all_the_same() -> None:
    motion = gate()
    colour: NDArray[np.uint8] = np.full((480, 640, 3), (200, 90, 30), np.uint8)
    motion.classified(Frame(colour, ColourOrder.RGB))
    smaller = np.ascontiguousarray(colour[::2, ::2, ::-1])
    assert not motion.moved(Frame(smaller, ColourOrder.BGR))
    assert motion.moved(Frame(smaller, ColourOrder.RGB))


def test_moved_within_a_region_ignores_the_rest() -> None:
    motion, left = gate(), Region(width=0.25)
    still = plain(90, SIZE)
    motion.classified(region_of(still, left))
    assert not motion.moved(region_of(with_block(still, 200, 200), left))
    assert motion.moved(region_of(with_block(still, 200, 200), Region(left=0.25, width=0.5)))


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        (Region(), (0, 0, 640, 480)),
        (Region(left=0.5, width=0.5), (320, 0, 320, 480)),
        (Region(left=0.25, top=0.5, width=0.5, height=0.25), (160, 240, 320, 120)),
        (Region(left=1 / 3, width=2 / 3), (213, 0, 427, 480)),
        (Region(left=0.999999, top=0.999999, width=0.000001, height=0.000001), (639, 479, 1, 1)),
    ],
)
def test_region_of_a_frame_is_a_view_of_its_part(
    region: Region, expected: tuple[int, int, int, int]
) -> None:
    pixels = np.zeros((480, 640, 3), np.uint8)
    part = region_of(Frame(pixels, ColourOrder.BGR), region)
    left, top, width, height = expected
    part.pixels[:] = 7
    assert (part.width, part.height, part.order) == (width, height, ColourOrder.BGR)
    assert int((pixels == 7).sum()) == width * height * 3
    assert bool((pixels[top : top + height, left : left + width] == 7).all())
