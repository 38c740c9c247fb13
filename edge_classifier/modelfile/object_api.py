"""A .tflite's own flatbuffer as objects: read, changed and written; names, versions, constants.

Its schema: https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs
``flatbuffer.py`` beside it reads single tables of files that nobody trusts, without the schema.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.errors import UnavailableError

try:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils
except ImportError as missing:  # tflite-runtime on 32-bit ARM
    raise UnavailableError(
        "TFLite schema",
        f"model files cannot be written here ({missing}): it comes with ai-edge-litert, "
        "which there is for 64-bit systems only",
        "Do it on a 64-bit system; the file that it makes runs here as well.",
    ) from missing

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


def is_integer(tensor: Any) -> bool:
    """Whether a tensor is of the kind that an all-int8 network has: int8, or int32 of biases."""
    return tensor.type in (schema.TensorType.INT8, schema.TensorType.INT32)


def drop_unused(model: Any) -> None:
    """Leave out tensors, buffers and kinds of operators that no operator of the graph uses.

    So goes what the file says of itself by their numbers: metadata, signatures.
    """
    graph = model.subgraphs[0]
    used = {int(graph.inputs[0]), int(graph.outputs[0])}
    for operator in graph.operators:
        used.update(int(index) for index in (*operator.inputs, *operator.outputs) if index >= 0)
    tensors = _numbered(used)
    graph.tensors = [graph.tensors[index] for index in tensors]
    # The first one is empty, as the format wants it: for tensors without content.
    buffers = _numbered({0, *(tensor.buffer for tensor in graph.tensors)})
    codes = _numbered({operator.opcodeIndex for operator in graph.operators})
    model.buffers = [model.buffers[index] for index in buffers]
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
    for tensor in graph.tensors:
        tensor.buffer = buffers[tensor.buffer]
    for operator in graph.operators:
        operator.opcodeIndex = codes[operator.opcodeIndex]
        for end in ("inputs", "outputs"):
            indexes = [tensors.get(int(index), -1) for index in getattr(operator, end)]
            setattr(operator, end, indexes)
    graph.inputs, graph.outputs = [tensors[int(graph.inputs[0])]], [tensors[int(graph.outputs[0])]]
    model.metadata, model.signatureDefs, model.metadataBuffer = [], [], []


def _numbered(used: set[int]) -> dict[int, int]:
    """Old number to new one, in their order."""
    return {old: new for new, old in enumerate(sorted(used))}


class GraphEnd:
    """Adds operators to the end of a model's only graph."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._graph = model.subgraphs[0]

    def tensor(
        self,
        name: str,
        shape: list[int],
        dtype: type[np.generic],
        *,
        scale: NDArray[np.float32] | float | None = None,
        zero_point: int = 0,
        content: NDArray[Any] | None = None,
    ) -> int:
        """The number of a new int8 or int32 tensor; several scales lie along dimension 0."""
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name.encode(), shape, 0
        made.type = {np.int8: schema.TensorType.INT8, np.int32: schema.TensorType.INT32}[dtype]
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            zeros = np.full(made.quantization.scale.shape, zero_point, np.int64)
            made.quantization.zeroPoint = zeros
            made.quantization.quantizedDimension = 0
        if content is not None:
            made.buffer = len(self._model.buffers)
            stored = schema.BufferT()
            stored.data = np.frombuffer(content.astype(dtype).tobytes(), np.uint8)
            self._model.buffers.append(stored)
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def operator(self, kind: str, inputs: list[int], output: int, options: Any = None) -> None:
        """A new last operator; the graph's output is its own."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = _INT8_VERSIONS.get(code.builtinCode, 1)
        self._model.operatorCodes.append(code)
        made = schema.OperatorT()
        made.opcodeIndex = len(self._model.operatorCodes) - 1
        made.inputs, made.outputs = inputs, [output]
        if options is not None:
            kind_of_options = type(options).__name__.removesuffix("T")
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind_of_options)
            made.builtinOptions = options
        self._graph.operators.append(made)
        self._graph.outputs = [output]

    def convolution(self, source: int, kernel: int, bias: int, output: int) -> None:
        """Without padding, one pixel a step."""
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideW = options.strideH = 1
        options.dilationWFactor = options.dilationHFactor = 1
        self.operator("CONV_2D", [source, kernel, bias], output, options)

    def softmax(self, source: int, output: int) -> None:
        """Over the last dimension."""
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        self.operator("SOFTMAX", [source], output, options)
