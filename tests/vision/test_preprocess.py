"""The fast way from a frame to the input buffer, against a slow and obvious one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder, Contract, Crop, Interpolation, Triple
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import HALVE_FROM, place
from edge_classifier.core.quantization import (
    Array,
    PixelRoute,
    Quantization,
    TensorSpec,
    dequantize,
)
from edge_classifier.vision.preprocess import Preprocessor

Pixels = NDArray[np.uint8]
Real = NDArray[np.float64]
Size = tuple[int, int]

IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Storage:
    """How a model stores its input, and what its contract says of mean and deviation."""

    route: PixelRoute
    dtype: str
    quantization: Quantization
    mean: Triple
    std: Triple


def grey(value: float) -> Triple:
    return value, value, value


STORAGES = {
    "uint8-copy": Storage(
        PixelRoute.COPY, "uint8", Quantization(1 / 128, 128), grey(127.5), grey(127.5)
    ),
    "int8-xor": Storage(
        PixelRoute.FLIP_TOP_BIT, "int8", Quantization(1 / 128, 0), grey(128), grey(128)
    ),
    "int8-table": Storage(
        PixelRoute.TABLE, "int8", Quantization(0.0186, -14), IMAGENET_MEAN, IMAGENET_STD
    ),
    "uint8-table": Storage(
        PixelRoute.TABLE, "uint8", Quantization(0.012566, 131), grey(127.5), grey(127.5)
    ),
    "float-table": Storage(
        PixelRoute.TABLE, "float32", Quantization(), IMAGENET_MEAN, IMAGENET_STD
    ),
}
# Stores pixels as they are, so that a test can look at them.
PLAIN = STORAGES["uint8-copy"]
every_storage = pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES.keys())
every_crop = pytest.mark.parametrize("crop", Crop)
every_interpolation = pytest.mark.parametrize("interpolation", Interpolation)


def contract_for(storage: Storage, contract: Contract) -> Contract:
    return replace(contract, mean=storage.mean, std=storage.std)


def spec_for(storage: Storage, contract: Contract) -> TensorSpec:
    shape = (1, contract.height, contract.width, 3)
    return TensorSpec("picture", shape, np.dtype(storage.dtype), storage.quantization)


def tensor_for(storage: Storage, contract: Contract) -> Array:
    return np.full((contract.height, contract.width, 3), 99, storage.dtype)


def preprocessor_for(storage: Storage, contract: Contract, tensor: Array) -> Preprocessor:
    return Preprocessor(contract_for(storage, contract), spec_for(storage, contract), tensor)


def run(storage: Storage, contract: Contract, frame: Frame) -> Array:
    tensor = tensor_for(storage, contract)
    preprocessor_for(storage, contract, tensor).write(frame)
    return tensor


def noise(width: int, height: int, seed: int = 0) -> Pixels:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, 3), np.uint8)


def smooth(width: int, height: int) -> Pixels:
    """Slow waves, another one in each channel."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(2 * np.pi * (x * a + y * b)) for a, b in ((1, 0.5), (0.5, 1.5), (1, -1))]
    return np.asarray(np.round(127.5 + 120 * np.stack(waves, axis=-1)), np.uint8)


# The reference: the same contract, one idea a function, in real numbers.


def rounded(picture: Real) -> Real:
    return np.asarray(np.floor(picture + 0.5))


def mean_of_pairs(picture: Real, axis: int) -> Real:
    """Of the first and second row or column, the third and fourth; an odd last one is left out."""
    count = picture.shape[axis] // 2
    even, odd = (picture.take(range(first, 2 * count, 2), axis) for first in (0, 1))
    return np.asarray((even + odd) / 2)


def bilinear_weights(source: int, target: int) -> Real:
    """Row t: how much every source pixel gives to target pixel t; centres at half a pixel."""
    weights = np.zeros((target, source))
    for t in range(target):
        at = min(max((t + 0.5) * source / target - 0.5, 0), source - 1)
        left = int(at)
        right = min(left + 1, source - 1)
        weights[t, left] += 1 - (at - left)
        weights[t, right] += at - left
    return weights


def area_weights(source: int, target: int) -> Real:
    """Row t: the share of target pixel t that every source pixel covers."""
    weights = np.zeros((target, source))
    side = source / target
    for t in range(target):
        for s in range(source):
            weights[t, s] = max(0, min((t + 1) * side, s + 1) - max(t * side, s)) / side
    return weights


def apply(weights: Real, picture: Real, axis: int) -> Real:
    return np.moveaxis(np.tensordot(weights, picture, (1, axis)), 0, axis)


def resized(picture: Real, width: int, height: int, interpolation: Interpolation) -> Real:
    sides = height, width
    while interpolation is Interpolation.HALVING:
        large = [axis for axis in (0, 1) if picture.shape[axis] > HALVE_FROM * sides[axis]]
        if not large:
            break
        for axis in large:
            picture = mean_of_pairs(picture, axis)
        picture = rounded(picture)
    if interpolation is Interpolation.AREA:
        for axis in (0, 1):
            if picture.shape[axis] > sides[axis]:
                picture = apply(area_weights(picture.shape[axis], sides[axis]), picture, axis)
        picture = rounded(picture)
    for axis in (0, 1):
        picture = apply(bilinear_weights(picture.shape[axis], sides[axis]), picture, axis)
    return picture


def reference(frame: Frame, contract: Contract) -> Real:
    """The real numbers that ought to enter the network, shape (height, width, 3)."""
    pixels = frame.pixels.astype(np.float64)
    if frame.order is not contract.colour_order:
        pixels = pixels[:, :, ::-1]
    placement = place(frame.width, frame.height, contract)
    source, target = placement.source, placement.target
    region = pixels[source.y : source.bottom, source.x : source.right]
    canvas = np.empty((contract.height, contract.width, 3))
    canvas[:] = np.round(contract.mean)
    canvas[target.y : target.bottom, target.x : target.right] = resized(
        region, target.width, target.height, contract.interpolation
    )
    return (canvas - contract.mean) / contract.std


def assert_close(tensor: Array, expected: Real, storage: Storage, pixels: float = 1.0) -> None:
    """Equal to ``pixels`` of 255 and one step of the tensor, as far as it can store them."""
    step = 0.0
    if storage.quantization:
        step, zero_point = storage.quantization.scale, storage.quantization.zero_point
        limits = np.iinfo(storage.dtype)
        expected = expected.clip(step * (limits.min - zero_point), step * (limits.max - zero_point))
    allowed = pixels / np.array(storage.std) + step + 1e-6
    off = np.abs(dequantize(tensor, storage.quantization) - expected)
    assert (off <= allowed).all(), f"off by {off.max()}, allowed {allowed}"


@every_crop
@every_interpolation
@every_storage
@pytest.mark.parametrize(
    ("size", "model"),
    [
        ((8, 8), (8, 8)),
        ((37, 53), (12, 7)),
        ((64, 64), (8, 8)),
        ((64, 64), (12, 7)),
        ((200, 150), (7, 12)),
        ((100, 9), (8, 8)),
        ((9, 100), (12, 7)),
        ((5, 3), (12, 7)),
        ((3, 5), (8, 8)),
        ((1, 1), (12, 7)),
    ],
)
def test_preprocessor_any_contract_agrees_with_the_slow_reference(
    crop: Crop, interpolation: Interpolation, storage: Storage, size: Size, model: Size
) -> None:
    contract = contract_for(storage, Contract(*model, crop=crop, interpolation=interpolation))
    frame = Frame(noise(*size))
    assert_close(run(storage, contract, frame), reference(frame, contract), storage)


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.sampled_from(Crop),
    st.sampled_from([Interpolation.HALVING, Interpolation.LINEAR]),
    st.sampled_from(ColourOrder),
    st.sampled_from(ColourOrder),
    st.floats(0.1, 1),
)
@settings(deadline=None, max_examples=150)
def test_preprocessor_any_sizes_agree_with_the_slow_reference(
    size: Size,
    model: Size,
    crop: Crop,
    interpolation: Interpolation,
    wanted: ColourOrder,
    given_order: ColourOrder,
    fraction: float,
) -> None:
    storage = STORAGES["int8-table"]
    contract = contract_for(
        storage,
        Contract(
            *model,
            crop=crop,
            crop_fraction=fraction,
            interpolation=interpolation,
            colour_order=wanted,
        ),
    )
    frame = Frame(noise(*size), given_order)
    assert_close(run(storage, contract, frame), reference(frame, contract), storage)


@pytest.mark.parametrize(
    ("size", "crop"),
    [
        ((100, 8), Crop.SQUASH),
        ((8, 100), Crop.SQUASH),
        ((100, 1), Crop.LETTERBOX),
        ((1, 100), Crop.LETTERBOX),
        ((100, 5), Crop.SQUASH),
        ((5, 100), Crop.SQUASH),
    ],
)
def test_preprocessor_area_of_a_region_that_shrinks_one_way_only_is_still_the_mean(
    size: Size, crop: Crop
) -> None:
    contract = contract_for(PLAIN, Contract(8, 8, crop=crop, interpolation=Interpolation.AREA))
    frame = Frame(noise(*size))
    assert_close(run(PLAIN, contract, frame), reference(frame, contract), PLAIN)


@every_storage
def test_preprocessor_route_is_what_the_storage_allows(storage: Storage) -> None:
    contract = Contract(8, 8)
    tensor = tensor_for(storage, contract)
    assert preprocessor_for(storage, contract, tensor).route is storage.route


def all_pixel_values() -> Pixels:
    """16 x 16, every value in every channel, and no two channels alike."""
    values = np.arange(256, dtype=np.uint8)
    return np.stack([values, values[::-1], np.roll(values, 77)], axis=-1).reshape(16, 16, 3)


@every_storage
def test_preprocessor_frame_of_the_model_s_size_is_stored_exactly(storage: Storage) -> None:
    contract = contract_for(storage, Contract(16, 16, crop=Crop.SQUASH))
    pixels = all_pixel_values()
    tensor = run(storage, contract, Frame(pixels))
    if storage.route is PixelRoute.COPY:
        np.testing.assert_array_equal(tensor, pixels)
    elif storage.route is PixelRoute.FLIP_TOP_BIT:
        np.testing.assert_array_equal(tensor, pixels.astype(int) - 128)
    else:
        real = (pixels - np.array(storage.mean)) / storage.std
        if not storage.quantization:
            np.testing.assert_array_equal(tensor, real.astype(np.float32))
            return
        limits = np.iinfo(storage.dtype)
        stored = np.rint(real / storage.quantization.scale) + storage.quantization.zero_point
        np.testing.assert_array_equal(tensor, stored.clip(limits.min, limits.max))


@every_storage
@every_crop
@pytest.mark.parametrize("wanted", ColourOrder)
def test_preprocessor_rgb_and_bgr_frames_of_one_picture_give_one_tensor(
    storage: Storage, crop: Crop, wanted: ColourOrder
) -> None:
    contract = Contract(10, 8, crop=crop, colour_order=wanted)
    pixels = noise(45, 30)
    swapped = np.ascontiguousarray(pixels[:, :, ::-1])
    from_rgb = run(storage, contract, Frame(pixels, ColourOrder.RGB))
    from_bgr = run(storage, contract, Frame(swapped, ColourOrder.BGR))
    np.testing.assert_array_equal(from_rgb, from_bgr)


@pytest.mark.parametrize(
    ("given_order", "wanted", "channel"),
    [
        (ColourOrder.RGB, ColourOrder.RGB, 0),
        (ColourOrder.RGB, ColourOrder.BGR, 2),
        (ColourOrder.BGR, ColourOrder.RGB, 2),
        (ColourOrder.BGR, ColourOrder.BGR, 0),
    ],
)
def test_preprocessor_first_channel_lands_where_the_contract_wants_it(
    given_order: ColourOrder, wanted: ColourOrder, channel: int
) -> None:
    pixels = np.zeros((9, 9, 3), np.uint8)
    pixels[:, :, 0] = 255
    tensor = run(PLAIN, Contract(4, 4, colour_order=wanted), Frame(pixels, given_order))
    expected = [0, 0, 0]
    expected[channel] = 255
    np.testing.assert_array_equal(tensor, np.broadcast_to(expected, (4, 4, 3)))


@every_storage
@every_crop
@pytest.mark.parametrize("order", ColourOrder)
@pytest.mark.parametrize("size", [(10, 8), (7, 5)])
def test_preprocessor_write_fills_just_the_buffer_it_is_given(
    storage: Storage, crop: Crop, order: ColourOrder, size: Size
) -> None:
    # The input of a batch of three: only the one in the middle is to be written.
    sentinel = 77
    batch = np.full((3, *size[::-1], 3), sentinel, storage.dtype)
    preprocessor = preprocessor_for(storage, Contract(*size, crop=crop), batch[1])
    assert (batch == sentinel).all()
    preprocessor.write(Frame(np.full((20, 30, 3), 200, np.uint8), order))
    assert (batch[0] == sentinel).all()
    assert (batch[2] == sentinel).all()
    assert (batch[1] != sentinel).all()


@every_storage
@every_crop
@pytest.mark.parametrize("order", ColourOrder)
@pytest.mark.parametrize("size", [(10, 8), (30, 20), (80, 64)])
def test_preprocessor_read_only_frame_is_left_as_it_was(
    storage: Storage, crop: Crop, order: ColourOrder, size: Size
) -> None:
    pixels = noise(*size)
    kept = pixels.copy()
    pixels.flags.writeable = False
    run(storage, Contract(10, 8, crop=crop, crop_fraction=1.0), Frame(pixels, order))
    np.testing.assert_array_equal(pixels, kept)


@every_storage
@every_crop
def test_preprocessor_frames_of_changing_size_leave_nothing_behind(
    storage: Storage, crop: Crop
) -> None:
    contract = Contract(10, 8, crop=crop)
    tensor = tensor_for(storage, contract)
    reused = preprocessor_for(storage, contract, tensor)
    sizes = [(64, 48), (64, 48), (48, 64), (1, 1), (10, 8), (200, 10), (64, 48), (10, 200)]
    for number, size in enumerate(sizes):
        frame = Frame(noise(*size, seed=number), list(ColourOrder)[number % 2])
        reused.write(frame)
        np.testing.assert_array_equal(tensor, run(storage, contract, frame))


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
