"""What is done to the .tflite's own flatbuffer: names, ranges, versions, weights that fit.

Its schema: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from numpy.typing import NDArray

from edge_classifier.errors import ModelError

# Tensor name to the least and the greatest real number it has to hold.
Ranges = Mapping[str, tuple[float, float]]

# Half of int32's range; the rest is room for the sum of products.
_BIAS_LIMIT = 2**30
# The first operator versions that take int8 (TensorFlow's lite/tools/versioning/op_version.cc).
_INT8_VERSIONS = {
    schema.BuiltinOperator.ADD: 2,
    schema.BuiltinOperator.AVERAGE_POOL_2D: 2,
    schema.BuiltinOperator.CONV_2D: 3,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
    schema.BuiltinOperator.FULLY_CONNECTED: 4,
    schema.BuiltinOperator.MEAN: 2,
    schema.BuiltinOperator.PAD: 2,
    schema.BuiltinOperator.SOFTMAX: 2,
}
_OPERATOR_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items()}
# Operators whose output has the input's numbers, and so its range.
_MOVERS = {"PAD", "RESHAPE"}


def read(model: bytes) -> Any:
    """The flatbuffer as objects, weights kept by offset brought inside."""
    return flatbuffer_utils.read_model_from_bytearray(model)


class _SharingBuilder(flatbuffers.Builder):
    """Writes equal vectors once: every int8 channel has a zero point of 0, in eight bytes.

    The runtime wants as many zero points as scales, but not that they lie apart.
    """

    def __init__(self) -> None:
        super().__init__(1024)
        self._written: dict[tuple[str, bytes], int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 (the library's name)
        """Where the vector lies, for which it is written only if it is new."""
        key = (x.dtype.str, x.tobytes())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def write(model: Any) -> bytes:
    """The flatbuffer of ``model``, every buffer inside."""
    builder = _SharingBuilder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def operator_name(model: Any, operator: Any) -> str:
    """As in the schema, for example CONV_2D."""
    return _OPERATOR_NAMES[model.operatorCodes[operator.opcodeIndex].builtinCode]


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
        if len(operator.inputs) == 3 and operator.inputs[2] >= 0:
            source_weights, source_bias = (
                values(original, source.inputs[index], np.float32) for index in (1, 2)
            )
            _fit_bias(quantized, operator.inputs, source_weights, source_bias)


def _fit_bias(model: Any, inputs: list[int], weights: NDArray[Any], bias: NDArray[Any]) -> None:
    """Mend one operator of ``model`` with input, weights and bias at ``inputs``.

    ``weights`` (any shape) and ``bias`` (channels,) are the float ones.
    """
    activation, stored_weights, stored_bias = (
        model.subgraphs[0].tensors[index].quantization for index in inputs
    )
    scale = np.array(stored_weights.scale, np.float64)
    needed = np.abs(bias) / (activation.scale[0] * _BIAS_LIMIT)
    if scale.size != bias.size or not (needed > scale).any():
        return
    scale = np.maximum(scale, needed).astype(np.float32)
    bias_scale = np.float32(activation.scale[0]) * scale
    along = [1] * weights.ndim
    along[stored_weights.quantizedDimension] = -1
    stored_weights.scale, stored_bias.scale = scale, bias_scale
    rounded = np.clip(np.rint(weights / scale.reshape(along)), -127, 127)
    store(model, inputs[1], rounded.astype(np.int8))
    store(model, inputs[2], np.rint(bias.astype(np.float64) / bias_scale).astype(np.int32))


def values(model: Any, index: int, dtype: type[np.generic]) -> NDArray[Any]:
    """A constant tensor's content, in the tensor's shape."""
    tensor = model.subgraphs[0].tensors[index]
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype).reshape(tensor.shape)


def store(model: Any, index: int, values: NDArray[Any]) -> None:
    """Give a constant tensor another content; its shape and its type stay as they are."""
    buffer = model.buffers[model.subgraphs[0].tensors[index].buffer]
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)


def raise_versions(model: Any) -> None:
    """Raise operator versions to those that take int8; litert-quantizer leaves the float ones."""
    for code in model.operatorCodes:
        code.version = max(code.version, _INT8_VERSIONS.get(code.builtinCode, 1))


def shorten_names(model: Any) -> None:
    """Name tensors by operator instead of by paths of Python classes."""
    graph = model.subgraphs[0]
    for place, operator in enumerate(graph.operators):
        name = f"{operator_name(model, operator).lower()}_{place}"
        parts = ("weights", "bias") if len(operator.inputs) == 3 else ("constant",)
        for index, part in zip(operator.inputs[1:], parts, strict=False):
            if model.buffers[graph.tensors[index].buffer].data is not None:
                graph.tensors[index].name = f"{name}/{part}".encode()
        graph.tensors[operator.outputs[0]].name = name.encode()
    graph.tensors[graph.inputs[0]].name = b"picture"
    graph.tensors[graph.outputs[0]].name = b"probabilities"
