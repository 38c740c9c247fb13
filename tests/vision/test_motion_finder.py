"""What is looked at in a scene, and what is not."""

from collections.abc import Iterable

import numpy as np
import pytest

from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import Box
from edge_classifier.vision.motion_finder import MotionFinder
from tests.vision.scenes import (
    SIZE,
    Pixels,
    ground,
    lit,
    noisy,
    rained,
    shifted,
    texture,
    with_thing,
)

LEFT, TOP = 700, 300


def found(
    pictures: Iterable[Pixels], finder: MotionFinder | None = None, every_s: float = 0.2
) -> list[Box | None]:
    """What a finder says of each, with a sensor's noise."""
    finder = finder or MotionFinder()
    return [
        finder.find(noisy(pixels, number), number * every_s)
        for number, pixels in enumerate(pictures)
    ]


def is_around(box: Box, side: int, left: int = LEFT, top: int = TOP) -> bool:
    """Whether ``box`` has all of a thing but its rim, and not much more."""
    rim = max(8, 0.1 * side)
    inside = box.x <= left + rim and box.y <= top + rim
    inside = inside and box.right >= left + side - rim and box.bottom >= top + side - rim
    return inside and box.height <= max(112, 1.35 * side)


def comes(side: int, seed: int = 7) -> list[Pixels]:
    """Nothing, and then a thing."""
    empty = ground()
    return [empty, empty, empty, with_thing(empty, LEFT, TOP, side, seed)]


@pytest.mark.parametrize("side", [150, 200, 280])
def test_what_is_looked_at_ends_where_the_thing_ends(side: int) -> None:
    *_, box = found(comes(side))
    assert box is not None
    # One small pixel is 8 of the frame; what differs is blurred by as much at each side.
    assert abs(box.width - side) <= 12
    assert abs(box.x - LEFT) <= 10
    assert abs(box.y - TOP) <= 10


def test_first_frame_and_a_still_scene_are_looked_at_as_a_whole() -> None:
    assert found([ground()] * 20) == [None] * 20


@pytest.mark.parametrize("sigma", [0, 4, 10])
def test_noise_does_not_move(sigma: float) -> None:
    finder, empty = MotionFinder(), ground()
    assert not any(finder.find(noisy(empty, n, sigma), n / 5) for n in range(20))


@pytest.mark.parametrize("side", [120, 200, 300])
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_thing_that_comes_is_found(side: int, seed: int) -> None:
    *_, moving = found(comes(side, seed))
    assert moving is not None
    assert is_around(moving, side)


def test_thing_that_goes_on_moving_is_followed() -> None:
    empty = ground()
    steps = [with_thing(empty, 200 + 25 * step, TOP, 160) for step in range(12)]
    moves = found([empty, empty, *steps])[2:]
    for step, moving in enumerate(moves):
        assert moving is not None
        assert is_around(moving, 160, 200 + 25 * step)


def test_thing_that_stands_still_is_looked_at_for_a_while_and_then_belongs_to_the_scene() -> None:
    empty, finder = ground(), MotionFinder()
    there = with_thing(empty, LEFT, TOP, 200)
    looks = found([empty] * 3 + [there] * 240, finder, every_s=0.5)
    first_10_s, last_10_s = looks[4:24], looks[-20:]
    assert all(moving and is_around(moving, 200) for moving in first_10_s)
    assert last_10_s == [None] * 20


def test_of_two_things_the_larger_is_looked_at_and_not_now_one_now_the_other() -> None:
    empty = ground()
    both = [
        with_thing(with_thing(empty, LEFT, TOP, 220), 100 + 9 * step, 60, 200, seed=9)
        for step in range(8)
    ]
    moves = found([empty, empty, *both])[2:]
    assert all(moving and is_around(moving, 220) for moving in moves)


@pytest.mark.parametrize(("gain", "offset"), [(0.7, 8), (1.15, 0), (1.4, 5), (1.0, 30)])
def test_light_that_is_switched_is_not_something_that_moves(gain: float, offset: float) -> None:
    # What is overexposed is another picture.
    empty = lit(ground(), 0.6)
    other = lit(empty, gain, offset)
    assert not any(found([empty] * 3 + [other] * 5))
    assert not any(found([other] * 3 + [empty] * 5))


@pytest.mark.parametrize(("gain", "offset"), [(0.8, 5), (1.2, 0), (1.0, 20)])
def test_thing_that_comes_with_other_light_is_found_all_the_same(
    gain: float, offset: float
) -> None:
    *before, there = comes(200)
    *_, moving = found([*before, lit(there, gain, offset)])
    assert moving is not None
    assert is_around(moving, 200)


def test_lamp_at_one_side_leaves_nothing_to_look_at_for_long() -> None:
    empty = ground()
    lamp = np.linspace(1.2, 1.8, SIZE[0], dtype=np.float32)[None, :, None]
    bright = np.clip(empty * lamp, 0, 255).astype(np.uint8)
    *_, last = found([empty] * 3 + [bright] * 150)
    assert last is None


def test_light_of_the_day_is_followed() -> None:
    empty = ground()
    assert not any(found([lit(empty, 1, level) for level in range(0, 60, 2)], every_s=2))


def test_camera_that_shakes_sees_nothing_move_but_what_does() -> None:
    random = np.random.default_rng(5)
    empty = ground()
    there = with_thing(empty, LEFT, TOP, 200)
    shakes = [tuple(int(step) for step in random.integers(-4, 5, 2)) for _ in range(14)]
    before = [shifted(empty, *shake) for shake in shakes[:10]]
    after = [shifted(there, *shake) for shake in shakes[10:]]
    looks = found([*before, *after])
    assert not any(looks[:10])
    assert all(moving and is_around(moving, 200) for moving in looks[10:])


def test_while_the_camera_turns_the_whole_is_looked_at() -> None:
    empty = ground()
    there = with_thing(empty, LEFT, TOP, 200)
    turns = [shifted(there, 150 * step, 0) for step in range(1, 8)]
    looks = found([empty, empty, there, *turns])
    assert looks[2] is not None
    # Or at as much of it as a square can have.
    assert all(moving is None or moving.height == SIZE[1] for moving in looks[4:])


def test_rain_is_not_looked_at_but_what_comes_through_it_is() -> None:
    empty = ground()
    there = with_thing(empty, LEFT, TOP, 220)
    before = [rained(empty, seed) for seed in range(10)]
    after = [rained(there, seed) for seed in range(10, 13)]
    looks = found([*before, *after])
    assert not any(looks[:10])
    assert all(moving and is_around(moving, 220) for moving in looks[10:])


def test_thing_that_moves_in_its_place_is_no_reason_to_look_at_a_part_of_it() -> None:
    empty = ground()
    thing = texture(7, 400, 400)
    pictures = []
    for step in (0, 0, 0, 8):
        there = empty.copy()
        there[100 + step : 500 + step, 300:700] = thing
        pictures.append(there)
    *_, moving = found(pictures)
    assert moving is None


@pytest.mark.parametrize(("left", "top"), [(0, 0), (1130, 570), (0, 570), (1130, 0)])
def test_box_at_the_edge_lies_within_the_frame(left: int, top: int) -> None:
    empty = ground()
    *_, moving = found([empty, empty, with_thing(empty, left, top, 150)])
    assert moving is not None
    assert min(moving.x, moving.y) >= 0
    assert moving.right <= SIZE[0]
    assert moving.bottom <= SIZE[1]
    assert is_around(moving, 150, left, top)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
def test_box_has_the_shape_of_the_networks_input(aspect: float) -> None:
    *_, moving = found(comes(160), MotionFinder(aspect))
    assert moving is not None
    assert moving.width / moving.height == pytest.approx(aspect, rel=0.02)
    assert min(moving.width, moving.height) >= 112


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (64, 48), (480, 640), (3000, 20)])
def test_frame_of_any_size_is_looked_at_within_its_bounds(size: tuple[int, int]) -> None:
    finder = MotionFinder()
    for number in range(6):
        frame = noisy(texture(number, *size), number)
        moving = finder.find(frame, number)
        assert moving is None or (
            moving.right <= size[0] and moving.bottom <= size[1] and moving.x >= 0
        )


def test_frame_of_another_size_begins_anew() -> None:
    finder = MotionFinder()
    assert found(comes(200), finder)[-1] is not None
    upright = Frame(np.ascontiguousarray(ground().swapaxes(0, 1)), noisy(ground(), 0).order)
    assert finder.find(upright, 10) is None
