"""A network in uint8 per tensor, trained for it, as int8 per channel: the same numbers, faster.

Networks of the time before int8 (Google's quantization-aware ones of 2018, AutoML's) carry their
ranges inside: nothing has to be calibrated. Activations move by 128. A weight less its zero point
is an integer, and where no weight of an output channel exceeds 127 it is the int8 weight, with
the scale that was there. Other channels are rounded to another scale. The scheme:
https://ai.google.dev/edge/litert/models/quantization_spec
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_classifier.errors import ModelError
from edge_classifier.modelfile import object_api

# The dimension of the weights that output channels lie along.
_CHANNELS_ALONG = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
_WITHOUT_WEIGHTS = {"ADD", "AVERAGE_POOL_2D", "RESHAPE", "SOFTMAX"}
_MOST = 127
# Factors of a scale, evenly apart; with more of them the error hardly falls.
_FACTORS_TRIED = 200
_UINT8, _INT8 = schema.TensorType.UINT8, schema.TensorType.INT8


def to_int8(model: bytes, *, background: bool) -> bytes:
    """``model``, an image classifier of convolutions that ends in softmax, in int8.

    With ``background``, its first class stands for nothing, and goes. Names, versions and order
    are those of ``convert.quantize``; what the file says of itself (metadata, labels) is left out.
    Raises ModelError for an operator that is not known here.
    """
    loaded = object_api.read(model)
    graph = loaded.subgraphs[0]
    for operator in graph.operators:
        name = object_api.operator_name(loaded, operator)
        if name in _CHANNELS_ALONG:
            _per_channel(loaded, operator, _CHANNELS_ALONG[name])
        elif name not in _WITHOUT_WEIGHTS:
            known = ", ".join(sorted(_WITHOUT_WEIGHTS | _CHANNELS_ALONG.keys()))
            raise ModelError("the network", f"has a {name}", f"Known here: {known}.")
    for tensor in graph.tensors:
        if tensor.type == _UINT8:
            tensor.type = _INT8
            tensor.quantization.zeroPoint = tensor.quantization.zeroPoint - 128
        if tensor.quantization is not None:
            # What training saw: scale and zero point say as much.
            tensor.quantization.min = tensor.quantization.max = None
    if background:
        _drop_first_class(loaded)
    loaded.metadata, loaded.description = [], b"int8 per channel"
    object_api.raise_versions(loaded)
    object_api.shorten_names(loaded)
    return object_api.write(loaded)


def _per_channel(model: Any, operator: Any, along: int) -> None:
    """Weights and bias of one convolution."""
    tensors = model.subgraphs[0].tensors
    source, weights, bias = (tensors[index].quantization for index in operator.inputs)
    stored = object_api.values(model, operator.inputs[1], np.uint8).astype(np.int32)
    centred = stored - int(weights.zeroPoint[0])
    channels_first = np.moveaxis(centred, along, 0)
    factors, rounded = zip(*map(_fit_channel, channels_first), strict=True)
    factor = np.array(factors)  # (channels,)
    old_bias = object_api.values(model, operator.inputs[2], np.int32)
    object_api.store(model, operator.inputs[1], np.moveaxis(np.array(rounded), 0, along))
    object_api.store(model, operator.inputs[2], np.rint(old_bias / factor).astype(np.int32))
    tensors[operator.inputs[1]].type = _INT8
    weights.scale = (weights.scale[0] * factor).astype(np.float32)
    weights.quantizedDimension = along
    bias.scale = source.scale[0] * weights.scale
    weights.zeroPoint = bias.zeroPoint = np.zeros(factor.shape, np.int64)


def _fit_channel(weights: NDArray[np.int32]) -> tuple[float, NDArray[np.int8]]:
    """Weights of one output channel in -127..127, and what their scale is multiplied by for it.

    Where they do not fit as they are, the factor is the one with the least squared error, at which
    some may be clipped. Errors are made to sum up to nearly zero: what enters a channel mostly has
    one sign, so that a sum would shift what leaves it.
    """
    most = np.abs(weights).max()
    if most <= _MOST:
        return 1.0, weights.astype(np.int8)
    found = []
    for factor in np.linspace(1.0, most / _MOST, _FACTORS_TRIED):
        wanted = weights.ravel() / factor
        rounded = np.clip(np.rint(wanted), -_MOST, _MOST)
        missing = wanted - rounded
        steps = round(float(missing.sum()))
        direction = 1 if steps > 0 else -1
        # Those that are cheapest to round the other way.
        order = np.argsort(-direction * missing, kind="stable")
        movable = order[np.abs(rounded[order] + direction) <= _MOST]
        rounded[movable[: abs(steps)]] += direction
        error = float(np.square((wanted - rounded) * factor).sum())
        found.append((error, float(factor), rounded.reshape(weights.shape).astype(np.int8)))
    _, best, values = min(found, key=lambda one: one[0])
    return best, values


def _drop_first_class(model: Any) -> None:
    """Of the last convolution, and of all that is computed from it."""
    graph = model.subgraphs[0]
    last = max(
        place
        for place, operator in enumerate(graph.operators)
        if object_api.operator_name(model, operator) == "CONV_2D"
    )
    _, weights, bias = graph.operators[last].inputs
    for index, dtype in ((weights, np.int8), (bias, np.int32)):
        kept: NDArray[Any] = object_api.values(model, index, dtype)[1:]
        object_api.store(model, index, kept)
        graph.tensors[index].shape = np.array(kept.shape, np.int32)
        quantization = graph.tensors[index].quantization
        quantization.scale, quantization.zeroPoint = (
            quantization.scale[1:],
            quantization.zeroPoint[1:],
        )
    classes = len(kept)
    for operator in graph.operators[last:]:
        tensor = graph.tensors[operator.outputs[0]]
        tensor.shape = np.array([*tensor.shape[:-1], classes], np.int32)
        if object_api.operator_name(model, operator) == "RESHAPE":
            object_api.store(model, operator.inputs[1], np.array([1, classes], np.int32))
