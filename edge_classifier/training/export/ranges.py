"""What int8 needs in a converted .tflite: each activation's range, and biases that fit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_classifier.errors import ModelError
from edge_classifier.modelfile.object_api import operator_name, read, store, values

# Tensor name to the least and the greatest real number it has to hold.
Ranges = Mapping[str, tuple[float, float]]

# Half of int32's range; the rest is room for the sum of products.
_BIAS_LIMIT = 2**30
# Operators whose output has the input's numbers, and so its range.
_MOVERS = {"PAD", "RESHAPE"}


def activation_names(model: bytes) -> list[str]:
    """The input and each operator's output in execution order, to which ranges belong."""
    graph = read(model).subgraphs[0]
    indexes = [graph.inputs[0], *(operator.outputs[0] for operator in graph.operators)]
    return [graph.tensors[index].name.decode() for index in indexes]


def ranges_by_name(model: bytes, learned: Sequence[tuple[float, float]]) -> Ranges:
    """Ranges in execution order, the input's first, by the names in the float ``model``.

    What only moves numbers inherits its input's range; probabilities have 0 to 1. Raises
    ModelError if the graph has another number of activations than there are ranges.
    """
    loaded = read(model)
    graph = loaded.subgraphs[0]
    kinds = [operator_name(loaded, operator) for operator in graph.operators]
    needed = 1 + sum(kind not in _MOVERS | {"SOFTMAX"} for kind in kinds)
    if needed != len(learned):
        what = f"has {needed} activations where training has learned {len(learned)} ranges"
        raise ModelError("the exported graph", what, f"Its operators: {' '.join(kinds)}")
    coming = iter(learned)
    ranges = {graph.inputs[0]: next(coming)}
    for kind, operator in zip(kinds, graph.operators, strict=True):
        if kind in _MOVERS:
            ranges[operator.outputs[0]] = ranges[operator.inputs[0]]
        else:
            ranges[operator.outputs[0]] = (0.0, 1.0) if kind == "SOFTMAX" else next(coming)
    return {graph.tensors[index].name.decode(): limits for index, limits in ranges.items()}


def fit_biases(quantized: Any, original: Any) -> None:
    """Raise the weight scale of channels whose bias does not fit into int32.

    Training kills channels: their weights come near zero, and so do their scale and that of
    their bias, which then overflows, with results that depend on the kernel. TensorFlow's
    converter widens the weight scale for the same reason.
    """
    operators = zip(quantized.subgraphs[0].operators, original.subgraphs[0].operators, strict=True)
    for operator, source in operators:
        if len(operator.inputs) != 3 or operator.inputs[2] < 0:
            continue
        # The float ones; ``bias`` has the shape (channels,).
        weights, bias = (values(original, source.inputs[index], np.float32) for index in (1, 2))
        activation, stored_weights, stored_bias = (
            quantized.subgraphs[0].tensors[index].quantization for index in operator.inputs
        )
        scale = np.array(stored_weights.scale, np.float64)
        needed = np.abs(bias) / (activation.scale[0] * _BIAS_LIMIT)
        if scale.size != bias.size or not (needed > scale).any():
            continue
        scale = np.maximum(scale, needed).astype(np.float32)
        bias_scale = np.float32(activation.scale[0]) * scale
        along = [1] * weights.ndim
        along[stored_weights.quantizedDimension] = -1
        stored_weights.scale, stored_bias.scale = scale, bias_scale
        rounded = np.clip(np.rint(weights / scale.reshape(along)), -127, 127)
        store(quantized, operator.inputs[1], rounded.astype(np.int8))
        bias_steps = np.rint(bias.astype(np.float64) / bias_scale).astype(np.int32)
        store(quantized, operator.inputs[2], bias_steps)
