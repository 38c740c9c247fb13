"""Affine quantization: real = scale * (stored - zero point).

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, equation 1; the TFLite 8-bit quantization specification uses the same form.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Triple

# A tensor's contents; its dtype is known only when the model is.
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Quantization:
    """Per-tensor affine parameters; ``scale`` 0 marks a tensor that is not quantized."""

    scale: float = 0.0
    zero_point: int = 0

    def __bool__(self) -> bool:
        return self.scale > 0


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """What the engine says of its input or output: shape with the batch of 1, and storage."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization = Quantization()


class PixelRoute(Enum):
    """How pixels become stored values, cheapest first."""

    # The stored value is the pixel.
    COPY = "copy"
    # int8 whose value is pixel - 128: the same bits but for the highest.
    FLIP_TOP_BIT = "xor 0x80"
    # A 256-entry table a channel.
    TABLE = "table"


def quantize(real: NDArray[np.float64], spec: TensorSpec) -> Array:
    """Real numbers as ``spec`` stores them: rounded half to even, *then* clipped."""
    if not np.issubdtype(spec.dtype, np.integer):
        return real.astype(spec.dtype)
    limits = np.iinfo(spec.dtype)
    stored = np.rint(real / spec.quantization.scale) + spec.quantization.zero_point
    clipped: Array = np.clip(stored, limits.min, limits.max).astype(spec.dtype)
    return clipped


def dequantize(stored: Array, quantization: Quantization) -> NDArray[np.float32]:
    """Stored values as float32 real numbers; values of a float tensor pass through."""
    real = stored.astype(np.float32)
    if quantization:
        real = (real - quantization.zero_point) * np.float32(quantization.scale)
    return real


def pixel_table(mean: Triple, std: Triple, spec: TensorSpec) -> Array:
    """The stored value of every pixel value: shape (256, 3), channels as mean and std."""
    pixels = np.arange(256, dtype=np.float64)[:, None]
    return quantize((pixels - np.array(mean)) / np.array(std), spec)


def raw_pixels(spec: TensorSpec) -> tuple[Triple, Triple]:
    """Mean and std that store a pixel p as p in uint8, and as p - 128 in int8."""
    lowest = int(np.iinfo(spec.dtype).min)
    mean = float(spec.quantization.zero_point - lowest)
    return (mean,) * 3, (1 / spec.quantization.scale,) * 3


def distance_from_raw(table: Array) -> int:
    """How many steps the stored values of ``table`` (256, 3) are from raw pixels at most."""
    pixels = np.arange(256)[:, None] + int(np.iinfo(table.dtype).min)
    return int(np.abs(table.astype(np.int64) - pixels).max())


def distinct_inputs(table: Array) -> int:
    """How many of the 256 pixel values are still told apart, in the channel with the fewest."""
    # np.unique loads numpy.ma, which takes longer than a picture to classify.
    return min(len(set(channel.tolist())) for channel in table.T)


def pixel_route(table: Array) -> PixelRoute:
    """The cheapest way that gives the values of ``table`` (256, 3) to within one step.

    Google's uint8 files state mean and std 127.5 beside scale 1/128: taken exactly that rounds
    half of all pixels up by one, which neither their training nor their own runtime does.
    """
    stored = table.astype(np.float64)
    pixels = np.arange(256.0)[:, None]
    if table.dtype == np.uint8 and np.abs(stored - pixels).max() <= 1:
        return PixelRoute.COPY
    if table.dtype == np.int8 and np.abs(stored - (pixels - 128)).max() <= 1:
        return PixelRoute.FLIP_TOP_BIT
    return PixelRoute.TABLE


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of shape (classes,); shifted by the maximum so that exp cannot overflow."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)
