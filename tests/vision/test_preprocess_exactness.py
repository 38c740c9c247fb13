"""Views, single pixels, halving, plain colours and bars come out exactly."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.contract import ColourOrder, Contract, Crop, Interpolation
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import place
from edge_classifier.core.quantization import (
    dequantize,
)
from tests.vision.preprocess_reference import (
    PLAIN,
    STORAGES,
    Pixels,
    Real,
    Size,
    Storage,
    assert_close,
    contract_for,
    every_crop,
    every_interpolation,
    every_storage,
    grey,
    noise,
    run,
    smooth,
)

VIEWS: dict[str, Callable[[Pixels], Pixels]] = {
    "cut out of a larger one": lambda whole: whole[7:60, 11:90],
    "mirrored": lambda whole: whole[:, ::-1],
    "upside down": lambda whole: whole[::-1],
    "channels swapped": lambda whole: whole[:, :, ::-1],
    "every other pixel": lambda whole: whole[::2, ::2],
    "turned": lambda whole: whole.transpose(1, 0, 2),
    "three of four channels": lambda whole: np.dstack([whole, whole[:, :, :1]])[:, :, :3],
}


@pytest.mark.parametrize("view", VIEWS)
@every_crop
@pytest.mark.parametrize("order", ColourOrder)
def test_preprocessor_frame_that_is_a_view_gives_what_its_copy_gives(
    view: str, crop: Crop, order: ColourOrder
) -> None:
    pixels = VIEWS[view](noise(100, 75))
    assert not pixels.flags.c_contiguous
    contract = Contract(10, 8, crop=crop)
    of_view = run(PLAIN, contract, Frame(pixels, order))
    of_copy = run(PLAIN, contract, Frame(np.ascontiguousarray(pixels), order))
    np.testing.assert_array_equal(of_view, of_copy)


@every_storage
@every_crop
@every_interpolation
def test_preprocessor_single_pixel_fills_what_it_covers(
    storage: Storage, crop: Crop, interpolation: Interpolation
) -> None:
    contract = contract_for(storage, Contract(6, 6, crop=crop, interpolation=interpolation))
    tensor = run(storage, contract, Frame(np.array([[[10, 20, 30]]], np.uint8)))
    assert (tensor == tensor[0, 0]).all()
    assert_close(tensor, (np.array([10, 20, 30]) - contract.mean) / contract.std, storage, 0.0)


def halving_and_area(frame: Frame, contract: Contract) -> tuple[Real, Real]:
    """What both make of the frame, without the bars of a letterbox."""
    box = place(frame.width, frame.height, contract).target
    halving, area = (
        run(PLAIN, replace(contract, interpolation=how), frame).astype(np.float64)
        for how in (Interpolation.HALVING, Interpolation.AREA)
    )
    rows, columns = slice(box.y, box.bottom), slice(box.x, box.right)
    assert np.ptp(area[rows, columns]) > 150, "a picture without contrast proves nothing"
    return halving[rows, columns], area[rows, columns]


@pytest.mark.parametrize("crop", [Crop.SQUASH, Crop.LETTERBOX])
@pytest.mark.parametrize("size", [(640, 480), (1024, 512), (416, 416)])
@pytest.mark.parametrize("model", [(32, 32), (48, 32)])
def test_preprocessor_halving_that_comes_out_even_agrees_with_area_on_smooth_pictures(
    crop: Crop, size: Size, model: Size
) -> None:
    halving, area = halving_and_area(Frame(smooth(*size)), Contract(*model, crop=crop))
    assert np.abs(halving - area).max() <= 3


@every_crop
@pytest.mark.parametrize("size", [(640, 480), (481, 641), (450, 447), (1280, 720)])
@pytest.mark.parametrize("model", [(32, 32), (48, 32)])
def test_preprocessor_halving_that_leaves_odd_rows_out_agrees_with_area_to_one_model_pixel(
    crop: Crop, size: Size, model: Size
) -> None:
    halving, area = halving_and_area(Frame(smooth(*size)), Contract(*model, crop=crop))
    steepest = np.abs(np.diff(area, axis=0)).max() + np.abs(np.diff(area, axis=1)).max()
    off = np.abs(halving - area)
    assert off.max() <= steepest
    assert off.mean() <= 6


def test_preprocessor_halving_by_powers_of_two_is_the_mean_of_each_block() -> None:
    pixels = noise(64, 32)
    blocks = pixels.reshape(8, 4, 16, 4, 3).mean(axis=(1, 3))
    tensor = run(PLAIN, Contract(16, 8, crop=Crop.SQUASH), Frame(pixels))
    assert np.abs(tensor - blocks).max() <= 1.5


def test_preprocessor_fine_stripes_become_grey_where_bilinear_alone_would_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 255
    stripes[:, 1::4] = 255

    def contrast(interpolation: Interpolation) -> int:
        contract = Contract(9, 9, crop=Crop.SQUASH, interpolation=interpolation)
        return int(np.ptp(run(PLAIN, contract, Frame(stripes))))

    assert contrast(Interpolation.HALVING) < 30
    assert contrast(Interpolation.AREA) < 80
    assert contrast(Interpolation.LINEAR) > 200


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.sampled_from(Crop),
    st.sampled_from(Interpolation),
    st.sampled_from(ColourOrder),
)
@settings(deadline=None, max_examples=200)
def test_preprocessor_picture_of_one_colour_stays_exactly_that_colour(
    size: Size,
    model: Size,
    colour: tuple[int, ...],
    crop: Crop,
    interpolation: Interpolation,
    order: ColourOrder,
) -> None:
    contract = Contract(*model, crop=crop, interpolation=interpolation)
    pixels = np.full((size[1], size[0], 3), colour, np.uint8)
    tensor = run(PLAIN, contract, Frame(pixels, order))
    box = place(*size, contract).target
    seen = tensor[box.y : box.bottom, box.x : box.right]
    expected = colour if order is ColourOrder.RGB else colour[::-1]
    assert (seen == expected).all()


@pytest.mark.parametrize("value", range(0, 256, 5))
@every_interpolation
def test_preprocessor_picture_of_one_grey_stays_exactly_that_grey(
    value: int, interpolation: Interpolation
) -> None:
    contract = Contract(13, 13, crop=Crop.SQUASH, interpolation=interpolation)
    pixels = np.full((50, 31, 3), value, np.uint8)
    assert (run(PLAIN, contract, Frame(pixels)) == value).all()


@pytest.mark.parametrize("size", [(40, 10), (10, 40), (5000, 1), (1, 5000)])
@pytest.mark.parametrize("order", ColourOrder)
@every_storage
def test_preprocessor_letterbox_bars_are_real_zero(
    size: Size, order: ColourOrder, storage: Storage
) -> None:
    contract = contract_for(storage, Contract(16, 16, crop=Crop.LETTERBOX))
    tensor = run(storage, contract, Frame(np.full((size[1], size[0], 3), 255, np.uint8), order))
    box = place(*size, contract).target
    bars = np.ones((16, 16), bool)
    bars[box.y : box.bottom, box.x : box.right] = False
    assert bars.any()
    real = dequantize(tensor, storage.quantization)
    # Bars are whole pixel values: nearer than half of one cannot be asked of each mean.
    assert (np.abs(real[bars]) <= 0.5 / np.array(storage.std) + 1e-6).all()
    assert not (np.abs(real[~bars]) <= 0.5).any()


@pytest.mark.parametrize("storage", ["uint8-copy", "int8-xor"])
def test_preprocessor_letterbox_bars_of_a_pixel_storage_are_its_zero_point(storage: str) -> None:
    chosen = STORAGES[storage]
    tensor = run(chosen, Contract(16, 16, crop=Crop.LETTERBOX), Frame(noise(40, 10)))
    assert (tensor[0] == chosen.quantization.zero_point).all()
    assert (tensor[-1] == chosen.quantization.zero_point).all()


def test_preprocessor_letterbox_bars_with_a_mean_of_whole_pixels_are_exactly_zero() -> None:
    storage = replace(STORAGES["float-table"], mean=(124, 116, 104))
    for order in ColourOrder:
        contract = Contract(16, 16, crop=Crop.LETTERBOX, colour_order=ColourOrder.BGR)
        tensor = run(storage, contract, Frame(noise(40, 10), order))
        assert (tensor[:6] == 0).all()
        assert (tensor[-6:] == 0).all()


@pytest.mark.parametrize(("mean", "pixel"), [(-20.0, 0), (300.0, 255)])
def test_preprocessor_letterbox_mean_no_pixel_can_show_takes_the_nearest(
    mean: float, pixel: int
) -> None:
    storage = replace(STORAGES["float-table"], mean=grey(mean), std=grey(1.0))
    tensor = run(storage, Contract(16, 16, crop=Crop.LETTERBOX), Frame(noise(40, 10)))
    assert (tensor[0] == pixel - mean).all()
