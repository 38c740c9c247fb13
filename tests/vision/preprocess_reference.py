"""The slow reference: preprocessing in float64, one axis after the other."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_classifier.core.contract import Contract, Crop, Interpolation, Triple
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
