"""Whatever contract, storage and size: the tensor is what a slow, plain reference computes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.contract import ColourOrder, Contract, Crop, Interpolation
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import (
    PixelRoute,
)
from tests.vision.preprocess_reference import (
    PLAIN,
    STORAGES,
    Pixels,
    Size,
    Storage,
    assert_close,
    contract_for,
    every_crop,
    every_interpolation,
    every_storage,
    noise,
    preprocessor_for,
    reference,
    run,
    tensor_for,
)


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
