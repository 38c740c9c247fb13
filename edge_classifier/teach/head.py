"""The learned layer becomes part of the .tflite: int8, one scale a class.

The scheme: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.quantization import Quantization
from edge_classifier.modelfile import object_api

# Rows of features that are real numbers at a time.
BLOCK_ROWS = 512
_MOST = 127
# Half of int32's range; the rest is room for the sum of products.
_BIAS_LIMIT = 2**30
# Of the logits, that are cut off at either end.
_CUT_PERCENT = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Logits are ``stored features @ weights + bias``."""

    # (features, classes), for features as the network stores them.
    weights: NDArray[np.float64]
    # (classes,).
    bias: NDArray[np.float64]

    def logits(self, stored: NDArray[np.int8] | NDArray[np.float32]) -> NDArray[np.float32]:
        """Of features (N, features) as the network stores them: (N, classes)."""
        weights, bias = self.weights.astype(np.float32), self.bias.astype(np.float32)
        # Some rows at a time: all of them would be four times as large as they are stored.
        rows = np.array_split(stored, 1 + len(stored) // BLOCK_ROWS)
        return np.concatenate([one.astype(np.float32, copy=False) @ weights + bias for one in rows])

    def divided(self, temperature: float) -> "Head":
        """The head whose logits are divided by ``temperature``."""
        return Head(self.weights / temperature, self.bias / temperature)


def model_with_head(
    trunk: bytes, features: Quantization, head: Head, logits: NDArray[np.float32]
) -> bytes:
    """``trunk`` with ``head`` and softmax behind it, as a .tflite.

    The range of the logits in int8 is that of ``logits`` (N, classes).
    """
    real = head.weights.T / features.scale  # (classes, features)
    bias = head.bias + features.zero_point * head.weights.sum(axis=0)
    scale = np.maximum(np.abs(real).max(axis=1) / _MOST, 1e-12)
    scale = np.maximum(scale, np.abs(bias) / (features.scale * _BIAS_LIMIT)).astype(np.float32)
    bias_scale = np.float32(features.scale) * scale
    weights = np.clip(np.rint(real / scale[:, None]), -_MOST, _MOST)
    # Of int8 values that hold nearly all of ``logits``; 0 is among them.
    low, high = np.percentile(logits, (_CUT_PERCENT, 100 - _CUT_PERCENT))
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    step = float(np.float32(max(high - low, 1e-3) / 255))
    given = Quantization(step, int(np.clip(round(-128 - low / step), -128, 127)))
    classes, size = weights.shape

    model = object_api.read(trunk)
    source = int(model.subgraphs[0].outputs[0])
    end = object_api.GraphEnd(model)
    kernel = end.tensor(
        "taught/weights", [classes, 1, 1, size], np.int8, scale=scale, content=weights
    )
    biases = end.tensor(
        "taught/bias", [classes], np.int32, scale=bias_scale, content=np.rint(bias / bias_scale)
    )
    made = end.tensor(
        "taught", [1, 1, 1, classes], np.int8, scale=given.scale, zero_point=given.zero_point
    )
    end.convolution(source, kernel, biases, made)
    shape = end.tensor("shape", [2], np.int32, content=np.array([1, classes]))
    flat = end.tensor(
        "logits", [1, classes], np.int8, scale=given.scale, zero_point=given.zero_point
    )
    end.operator("RESHAPE", [made, shape], flat)
    scores = end.tensor("probabilities", [1, classes], np.int8, scale=1 / 256, zero_point=-128)
    end.softmax(flat, scores)
    model.description = b"int8 per channel, taught"
    return object_api.write(model)
