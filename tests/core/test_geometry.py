"""Where a picture lands in the model's input."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.contract import Contract, Crop
from edge_classifier.core.geometry import (
    HALVE_FROM,
    SNAP,
    Box,
    Placement,
    box_around,
    halvings,
    place,
)

SQUARE = (224, 224)
WIDE = (320, 240)
TALL = (240, 320)
Size = tuple[int, int]

SIDES = st.integers(1, 5000)
MODEL_SIDES = st.integers(1, 512)
FRACTIONS = st.floats(0.01, 1)
CHECKED = settings(deadline=None, max_examples=200)


@pytest.mark.parametrize(
    ("picture", "model", "fraction", "source"),
    [
        ((256, 256), SQUARE, 0.875, Box(16, 16, 224, 224)),
        ((224, 224), SQUARE, 1.0, Box(0, 0, 224, 224)),
        ((500, 400), SQUARE, 0.875, Box(75, 25, 350, 350)),
        ((400, 500), SQUARE, 0.875, Box(25, 75, 350, 350)),
        ((1280, 720), SQUARE, 0.875, Box(325, 45, 630, 630)),
        ((501, 400), SQUARE, 1.0, Box(50, 0, 400, 400)),
        ((475, 475), SQUARE, 0.875, Box(29, 29, 416, 416)),
        ((552, 552), SQUARE, 0.875, Box(34, 34, 483, 483)),
        ((240, 240), SQUARE, 0.97, Box(3, 3, 233, 233)),
        ((1000, 1000), WIDE, 0.875, Box(62, 172, 875, 656)),
        ((640, 480), TALL, 0.875, Box(162, 30, 315, 420)),
        ((1, 5000), SQUARE, 0.875, Box(0, 2499, 1, 1)),
        ((5000, 1), SQUARE, 0.875, Box(2499, 0, 1, 1)),
        ((5000, 1), (512, 1), 1.0, Box(2244, 0, 512, 1)),
        ((1, 1), SQUARE, 0.875, Box(0, 0, 1, 1)),
        ((1, 1), (512, 1), 0.01, Box(0, 0, 1, 1)),
        ((1, 1), SQUARE, 5e-324, Box(0, 0, 1, 1)),
        ((2, 2), SQUARE, 0.01, Box(0, 0, 1, 1)),
    ],
)
def test_place_center_takes_the_middle_of_the_model_s_shape(
    picture: Size, model: Size, fraction: float, source: Box
) -> None:
    contract = Contract(*model, crop=Crop.CENTER, crop_fraction=fraction)
    assert place(*picture, contract) == Placement(source, Box(0, 0, *model))


@pytest.mark.parametrize(
    ("picture", "model", "fraction", "source"),
    [
        ((640, 480), SQUARE, 0.875, Box(96, 16, 448, 448)),
        ((480, 640), SQUARE, 0.875, Box(16, 96, 448, 448)),
        ((1920, 1080), SQUARE, 0.875, Box(512, 92, 896, 896)),
        ((640, 480), SQUARE, 1.0, Box(96, 16, 448, 448)),
        ((448, 448), SQUARE, 1.0, Box(0, 0, 448, 448)),
        ((448, 448), SQUARE, 0.94, Box(0, 0, 448, 448)),
        ((640, 480), WIDE, 1.0, Box(0, 0, 640, 480)),
        ((700, 600), WIDE, 0.9, Box(30, 60, 640, 480)),
        ((600, 700), TALL, 0.95, Box(60, 30, 480, 640)),
    ],
)
def test_place_center_near_a_power_of_two_takes_exactly_that_multiple(
    picture: Size, model: Size, fraction: float, source: Box
) -> None:
    contract = Contract(*model, crop=Crop.CENTER, crop_fraction=fraction)
    assert place(*picture, contract) == Placement(source, Box(0, 0, *model))


@pytest.mark.parametrize(
    ("picture", "model", "source"),
    [
        ((426, 500), SQUARE, Box(0, 37, 426, 426)),
        ((500, 426), SQUARE, Box(37, 0, 426, 426)),
        ((447, 448), SQUARE, Box(0, 0, 447, 447)),
        ((900, 860), SQUARE, Box(20, 0, 860, 860)),
        ((630, 500), WIDE, Box(0, 14, 630, 472)),
    ],
)
def test_place_center_multiple_larger_than_the_picture_is_not_taken(
    picture: Size, model: Size, source: Box
) -> None:
    """Cutting it off on one side only would squeeze the picture."""
    contract = Contract(*model, crop=Crop.CENTER, crop_fraction=1.0)
    assert place(*picture, contract) == Placement(source, Box(0, 0, *model))


@pytest.mark.parametrize("picture", [(640, 480), (1, 5000), (5000, 1), (1, 1), (224, 224)])
@pytest.mark.parametrize("model", [SQUARE, WIDE, TALL, (1, 1)])
def test_place_squash_takes_all_onto_all(picture: Size, model: Size) -> None:
    contract = Contract(*model, crop=Crop.SQUASH, crop_fraction=0.5)
    assert place(*picture, contract) == Placement(Box(0, 0, *picture), Box(0, 0, *model))


@pytest.mark.parametrize(
    ("picture", "model", "target"),
    [
        ((224, 224), SQUARE, Box(0, 0, 224, 224)),
        ((640, 480), SQUARE, Box(0, 28, 224, 168)),
        ((480, 640), SQUARE, Box(28, 0, 168, 224)),
        ((100, 100), WIDE, Box(40, 0, 240, 240)),
        ((100, 100), TALL, Box(0, 40, 240, 240)),
        ((640, 480), WIDE, Box(0, 0, 320, 240)),
        ((640, 480), TALL, Box(0, 70, 240, 180)),
        ((1, 5000), SQUARE, Box(111, 0, 1, 224)),
        ((5000, 1), SQUARE, Box(0, 111, 224, 1)),
        ((5000, 1), WIDE, Box(0, 119, 320, 1)),
        ((1, 1), SQUARE, Box(0, 0, 224, 224)),
        ((1, 1), WIDE, Box(40, 0, 240, 240)),
        ((3, 2), (1, 1), Box(0, 0, 1, 1)),
    ],
)
def test_place_letterbox_puts_all_between_bars(picture: Size, model: Size, target: Box) -> None:
    contract = Contract(*model, crop=Crop.LETTERBOX, crop_fraction=0.5)
    assert place(*picture, contract) == Placement(Box(0, 0, *picture), target)


def inside(box: Box, width: int, height: int) -> bool:
    """At least one pixel, and all of them in a frame of ``width`` x ``height``."""
    across = 0 <= box.x < box.right <= width
    return across and 0 <= box.y < box.bottom <= height


def centred(box: Box, width: int, height: int) -> bool:
    """Margins of opposite sides differ by one pixel at most."""
    across = width - box.right - box.x
    return 0 <= across <= 1 and 0 <= height - box.bottom - box.y <= 1


@given(SIDES, SIDES, MODEL_SIDES, MODEL_SIDES, st.sampled_from(Crop), FRACTIONS)
@CHECKED
def test_place_any_picture_gives_centred_boxes_inside_their_frames(
    width: int, height: int, model_width: int, model_height: int, crop: Crop, fraction: float
) -> None:
    contract = Contract(model_width, model_height, crop=crop, crop_fraction=fraction)
    placement = place(width, height, contract)
    assert inside(placement.source, width, height)
    assert inside(placement.target, model_width, model_height)
    assert centred(placement.source, width, height)
    assert centred(placement.target, model_width, model_height)


@given(SIDES, SIDES, MODEL_SIDES, MODEL_SIDES, FRACTIONS)
@CHECKED
def test_place_center_keeps_the_model_s_aspect_to_a_pixel(
    width: int, height: int, model_width: int, model_height: int, fraction: float
) -> None:
    contract = Contract(model_width, model_height, crop=Crop.CENTER, crop_fraction=fraction)
    source = place(width, height, contract).source
    of_width = (source.width - 1) / model_width, (source.width + 1) / model_width
    of_height = (source.height - 1) / model_height, (source.height + 1) / model_height
    # There is one multiple of the model's size that is within a pixel of both sides.
    assert max(of_width[0], of_height[0]) <= min(of_width[1], of_height[1])


@given(SIDES, SIDES, st.integers(8, 512), st.floats(0.5, 2), FRACTIONS)
@CHECKED
def test_place_center_keeps_the_fraction_but_for_what_a_multiple_takes(
    width: int, height: int, model_width: int, aspect: float, fraction: float
) -> None:
    model_height = max(1, round(model_width / aspect))
    contract = Contract(model_width, model_height, crop=Crop.CENTER, crop_fraction=fraction)
    source = place(width, height, contract).source
    multiple = min(width / model_width, height / model_height) * fraction
    for side, ideal in (
        (source.width, multiple * model_width),
        (source.height, multiple * model_height),
    ):
        assert abs(side - ideal) <= SNAP * ideal + 2


@given(SIDES, SIDES, MODEL_SIDES, MODEL_SIDES)
@CHECKED
def test_place_letterbox_keeps_the_picture_s_aspect_to_half_a_pixel(
    width: int, height: int, model_width: int, model_height: int
) -> None:
    target = place(width, height, Contract(model_width, model_height, crop=Crop.LETTERBOX)).target
    ideal_width = min(model_width, model_height * width / height)
    ideal_height = min(model_height, model_width * height / width)
    assert abs(target.width - max(1, ideal_width)) <= 0.5
    assert abs(target.height - max(1, ideal_height)) <= 0.5
    assert target.width == model_width or target.height == model_height


@pytest.mark.parametrize(
    ("source", "target", "times"),
    [
        (224, 224, 0),
        (223, 224, 0),
        (448, 224, 0),
        (449, 224, 1),
        (630, 224, 1),
        (896, 224, 1),
        (897, 224, 1),
        (898, 224, 2),
        (1792, 224, 2),
        (3584, 224, 3),
        (1, 224, 0),
        (1, 1, 0),
        (3, 1, 1),
        (5000, 1, 11),
    ],
)
def test_halvings_leave_a_rest_that_bilinear_can_take(source: int, target: int, times: int) -> None:
    assert halvings(source, target) == times


@given(SIDES, MODEL_SIDES)
@CHECKED
def test_halvings_any_sizes_are_as_few_as_will_do_and_never_miss_the_target(
    source: int, target: int
) -> None:
    times = halvings(source, target)
    assert source >> times <= HALVE_FROM * target
    assert times == 0 or source >> (times - 1) > HALVE_FROM * target
    assert times == 0 or source >> times >= target


def test_box_edges_are_just_outside_it() -> None:
    box = Box(3, 5, 7, 11)
    assert (box.right, box.bottom) == (10, 16)


WHOLE = Box(0, 0, 640, 480)


@pytest.mark.parametrize(
    ("inner", "aspect", "expected"),
    [
        # In the middle, by its longer side.
        (Box(300, 200, 100, 60), 1.0, Box(300, 180, 100, 100)),
        (Box(300, 200, 60, 100), 2.0, Box(230, 200, 200, 100)),
        (Box(300, 200, 60, 100), 0.5, Box(300, 190, 60, 120)),
        # Never smaller than the least side, ...
        (Box(300, 200, 10, 10), 1.0, Box(285, 185, 40, 40)),
        (Box(300, 200, 10, 10), 2.0, Box(265, 185, 80, 40)),
        # ... moved where the edge is near, and as large as there is room.
        (Box(0, 470, 10, 10), 1.0, Box(0, 440, 40, 40)),
        (Box(10, 0, 600, 100), 1.0, Box(70, 0, 480, 480)),
    ],
)
def test_box_around_something_has_the_wanted_shape_and_lies_within(
    inner: Box, aspect: float, expected: Box
) -> None:
    assert box_around(inner, WHOLE, 1.0, 40, aspect) == expected


@given(
    st.integers(1, 700), st.integers(1, 700), st.floats(0.2, 5), st.floats(1, 2), st.integers(1, 99)
)
def test_box_around_anything_lies_within(
    width: int, height: int, aspect: float, grow: float, least_px: int
) -> None:
    whole = Box(0, 0, width, height)
    box = box_around(Box(width // 2, height // 3, 1, 1), whole, grow, least_px, aspect)
    assert box.x >= 0 <= box.y
    assert box.width >= 1
    assert box.height >= 1
    assert box.right <= width
    assert box.bottom <= height
