"""Real numbers to stored ones and back."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.contract import Triple
from edge_classifier.core.quantization import (
    PixelRoute,
    Quantization,
    TensorSpec,
    dequantize,
    pixel_route,
    pixel_table,
    quantize,
    softmax,
)

IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)
CHECKED = settings(deadline=None, max_examples=150)


def spec(dtype: str, scale: float = 0.0, zero_point: int = 0) -> TensorSpec:
    return TensorSpec("tensor", (1, 1, 1, 3), np.dtype(dtype), Quantization(scale, zero_point))


def grey(value: float) -> Triple:
    return value, value, value


@pytest.mark.parametrize(
    ("steps", "dtype", "zero_point", "stored"),
    [
        # rounded to the nearest, where truncation would give the one before
        (0.9, "int8", 0, 1),
        (-0.9, "int8", 0, -1),
        (99.51, "uint8", 0, 100),
        (1.25, "int8", 5, 6),
        # half to even, before the zero point is added
        (0.5, "int8", 0, 0),
        (1.5, "int8", 0, 2),
        (2.5, "int8", 0, 2),
        (-0.5, "int8", 0, 0),
        (-1.5, "int8", 0, -2),
        (-2.5, "int8", 0, -2),
        (0.5, "uint8", 7, 7),
        (1.5, "uint8", 7, 9),
        # clipped, where a bare cast would wrap around
        (127.0, "int8", 0, 127),
        (127.4, "int8", 0, 127),
        (128.0, "int8", 0, 127),
        (1e9, "int8", 0, 127),
        (-128.0, "int8", 0, -128),
        (-129.0, "int8", 0, -128),
        (-1e9, "int8", 0, -128),
        (256.0, "uint8", 0, 255),
        (-1.0, "uint8", 0, 0),
        (200.0, "uint8", 128, 255),
        (-200.0, "uint8", 128, 0),
        (-1e9, "uint8", 131, 0),
        # rounded, then clipped: the zero point moves a value out of range
        (127.5, "int8", -1, 127),
        (126.5, "int8", 1, 127),
    ],
)
def test_quantize_steps_of_the_scale_are_rounded_then_clipped(
    steps: float, dtype: str, zero_point: int, stored: int
) -> None:
    scale = 1 / 64
    made = quantize(np.array([steps * scale]), spec(dtype, scale, zero_point))
    assert made.dtype == dtype
    assert made.tolist() == [stored]


def test_quantize_float_tensor_passes_unrounded() -> None:
    made = quantize(np.array([0.1, -3e9]), spec("float32"))
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, np.array([0.1, -3e9], np.float32))


@given(
    st.sampled_from(["int8", "uint8"]),
    st.floats(1e-4, 10),
    st.integers(-128, 127),
    st.lists(st.floats(0, 1), min_size=1, max_size=20),
)
@CHECKED
def test_dequantize_after_quantize_is_within_half_a_step(
    dtype: str, scale: float, offset: int, shares: list[float]
) -> None:
    limits = np.iinfo(dtype)
    zero_point = offset + (128 if dtype == "uint8" else 0)
    low, high = (scale * (limit - zero_point) for limit in (limits.min, limits.max))
    real = low + (high - low) * np.array(shares)
    tensor = spec(dtype, scale, zero_point)
    back = dequantize(quantize(real, tensor), tensor.quantization)
    assert back.dtype == np.float32
    assert np.abs(back - real).max() <= scale * 0.5001


@given(st.sampled_from(["int8", "uint8"]), st.floats(1e-4, 10), st.integers(0, 255))
@CHECKED
def test_quantize_after_dequantize_gives_every_stored_value_back(
    dtype: str, scale: float, offset: int
) -> None:
    limits = np.iinfo(dtype)
    stored = np.arange(limits.min, limits.max + 1).astype(dtype)
    tensor = spec(dtype, scale, int(limits.min) + offset)
    real = dequantize(stored, tensor.quantization).astype(np.float64)
    np.testing.assert_array_equal(quantize(real, tensor), stored)


@pytest.mark.parametrize(
    ("stored", "dtype", "quantization", "real"),
    [
        (255, "uint8", Quantization(1 / 256, 0), 255 / 256),
        (-128, "int8", Quantization(1 / 256, -128), 0.0),
        (127, "int8", Quantization(1 / 256, -128), 255 / 256),
        (-128, "int8", Quantization(1 / 128, 127), -255 / 128),
        (0, "uint8", Quantization(0.5, 131), -65.5),
        (0.25, "float32", Quantization(), 0.25),
    ],
)
def test_dequantize_is_scale_times_distance_from_the_zero_point(
    stored: float, dtype: str, quantization: Quantization, real: float
) -> None:
    assert dequantize(np.array([stored], dtype), quantization).tolist() == [real]


def test_quantization_scale_of_zero_is_false() -> None:
    assert not Quantization()
    assert Quantization(1e-9, 3)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point"),
    [("int8", 1 / 128, 0), ("uint8", 0.012566, 131), ("int8", 0.0186, -14)],
)
@pytest.mark.parametrize(
    ("mean", "std"), [(grey(128), grey(128)), (IMAGENET_MEAN, IMAGENET_STD), (grey(0), grey(255))]
)
def test_pixel_table_integer_model_agrees_with_one_value_at_a_time(
    dtype: str, scale: float, zero_point: int, mean: Triple, std: Triple
) -> None:
    table = pixel_table(mean, std, spec(dtype, scale, zero_point))
    limits = np.iinfo(dtype)
    assert table.shape == (256, 3)
    assert table.dtype == dtype
    for pixel in range(256):
        for channel in range(3):
            real = (pixel - mean[channel]) / std[channel]
            nearest = round(real / scale) + zero_point
            assert table[pixel, channel] == min(limits.max, max(limits.min, nearest))


def test_pixel_table_float_model_holds_the_normalized_channels() -> None:
    table = pixel_table(IMAGENET_MEAN, IMAGENET_STD, spec("float32"))
    assert (table.shape, table.dtype) == ((256, 3), np.dtype(np.float32))
    for channel in range(3):
        real = (200 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
        assert table[200, channel] == np.float32(real)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "mean", "std", "route"),
    [
        ("uint8", 1 / 128, 128, grey(128), grey(128), PixelRoute.COPY),
        ("uint8", 1 / 128, 128, grey(127.5), grey(127.5), PixelRoute.COPY),
        ("uint8", 1 / 255, 0, grey(0), grey(255), PixelRoute.COPY),
        ("uint8", 1.0, 0, grey(0), grey(1), PixelRoute.COPY),
        ("int8", 1 / 128, 0, grey(128), grey(128), PixelRoute.FLIP_TOP_BIT),
        ("int8", 1 / 128, 0, grey(127.5), grey(127.5), PixelRoute.FLIP_TOP_BIT),
        ("int8", 1 / 255, -128, grey(0), grey(255), PixelRoute.FLIP_TOP_BIT),
        ("uint8", 0.012566, 131, grey(128), grey(128), PixelRoute.TABLE),
        ("uint8", 0.012566, 131, grey(127.5), grey(127.5), PixelRoute.TABLE),
        ("uint8", 1 / 128, 130, grey(128), grey(128), PixelRoute.TABLE),
        ("uint8", 1 / 128, 128, (128, 128, 110), grey(128), PixelRoute.TABLE),
        ("uint8", 1 / 128, 128, IMAGENET_MEAN, IMAGENET_STD, PixelRoute.TABLE),
        ("int8", 1 / 128, 0, (128, 120, 128), grey(128), PixelRoute.TABLE),
        ("int8", 1 / 128, 0, grey(128), (128, 128, 100), PixelRoute.TABLE),
        ("int8", 0.0186, -14, IMAGENET_MEAN, IMAGENET_STD, PixelRoute.TABLE),
        ("int8", 1 / 128, 0, grey(0), grey(1), PixelRoute.TABLE),
        ("float32", 0.0, 0, grey(128), grey(128), PixelRoute.TABLE),
        ("float32", 0.0, 0, grey(0), grey(1), PixelRoute.TABLE),
    ],
)
def test_pixel_route_is_the_cheapest_that_is_right_to_a_step(
    dtype: str, scale: float, zero_point: int, mean: Triple, std: Triple, route: PixelRoute
) -> None:
    assert pixel_route(pixel_table(mean, std, spec(dtype, scale, zero_point))) is route


def test_pixel_route_one_entry_two_steps_off_needs_the_table() -> None:
    table = pixel_table(grey(128), grey(128), spec("uint8", 1 / 128, 128))
    table[77, 1] += 1
    assert pixel_route(table) is PixelRoute.COPY
    table[77, 1] += 1
    assert pixel_route(table) is PixelRoute.TABLE


@pytest.mark.parametrize(
    ("logits", "probabilities"),
    [
        ([0.0, 0.0], [0.5, 0.5]),
        ([7.0], [1.0]),
        ([1e4, 1e4, -1e4], [0.5, 0.5, 0.0]),
        ([1e30, 0.0, -1e30], [1.0, 0.0, 0.0]),
        ([-1e30, -1e30], [0.5, 0.5]),
        ([-math.inf, 3.0], [0.0, 1.0]),
        ([math.log(3), 0.0], [0.75, 0.25]),
    ],
)
def test_softmax_huge_logits_neither_overflow_nor_warn(
    logits: list[float], probabilities: list[float]
) -> None:
    made = softmax(np.array(logits, np.float32))
    assert made.dtype == np.float32
    assert made.tolist() == pytest.approx(probabilities, abs=1e-6)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
@CHECKED
def test_softmax_any_logits_are_probabilities_of_sum_one(logits: list[float]) -> None:
    made = softmax(np.array(logits, np.float32))
    assert made.min() >= 0
    assert float(made.sum()) == pytest.approx(1, abs=1e-5)


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=20), st.floats(-1e3, 1e3))
@CHECKED
def test_softmax_shift_of_all_logits_changes_nothing(logits: list[float], shift: float) -> None:
    plain = softmax(np.array(logits, np.float32))
    shifted = softmax((np.array(logits) + shift).astype(np.float32))
    np.testing.assert_allclose(shifted, plain, atol=1e-3)
