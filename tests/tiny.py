"""Builds tiny TFLite classifiers whose right answers are known: they name the brightest colour.

Mean over the picture, one fully connected layer of 8 times the identity, softmax: class 0 is
red, 1 green, 2 blue, any further class never wins. Real kernels run them in microseconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_GAIN = 8.0
_TYPES = {"uint8": "UINT8", "int8": "INT8", "float32": "FLOAT32", "int32": "INT32"}
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Tiny:
    """What to build."""

    dtype: str = "int8"
    # Height, width.
    size: tuple[int, int] = (8, 8)
    classes: int = 3
    softmax: bool = True
    scale: float = 1 / 128
    # Of the input; None: the middle of the dtype's range.
    zero_point: int | None = None
    dynamic: bool = False
    extra_output: bool = False
    channels: int = 3
    custom_operator: str = ""
    # Whether the input carries scale and zero point.
    quantized: bool = True
    # Whether the scores leave as float32, as converters often write it.
    dequantize: bool = False
    # Operators before all others, ADD, MUL, SUB, DIV with one constant a channel, or CAST.
    before: tuple[tuple[str, tuple[float, ...]], ...] = ()
    # What the weights are multiplied with, as a rescaling that is folded into them.
    folded: float = 1.0
    # TFLite metadata, see ``metadata``.
    metadata: bytes = b""


def build(path: Path, tiny: Tiny = Tiny()) -> Path:
    """Write the model to ``path`` and return it."""
    path.write_bytes(pack(_Builder(tiny).model()))
    return path


def pack(model: Any) -> bytes:
    """The bytes of a model that is given as the schema's objects."""
    buffer = flatbuffers.Builder(1024)
    buffer.Finish(model.Pack(buffer), file_identifier=b"TFL3")
    return bytes(buffer.Output())


def metadata(
    mean: Sequence[float] = (), std: Sequence[float] = (), labels: Sequence[tuple[str, str]] = ()
) -> bytes:
    """TFLite metadata as tflite-support writes it: normalization, label files with their locales.

    Field numbers are those of tflite-support's metadata_schema.fbs (v1.5).
    """
    made = flatbuffers.Builder(256)
    options = _table(made, {0: _floats(made, mean), 1: _floats(made, std)})
    unit = _table(made, {1: options}, {0: 1})  # ProcessUnit of NormalizationOptions
    files = [
        _table(made, {0: made.CreateString(name), 3: made.CreateString(locale)}, {2: 2})
        for name, locale in labels
    ]
    given = _table(made, {4: _offsets(made, [unit])})
    scores = _table(made, {6: _offsets(made, files)})
    graph = _table(made, {2: _offsets(made, [given]), 3: _offsets(made, [scores])})
    root = _table(made, {0: made.CreateString("tiny"), 3: _offsets(made, [graph])})
    made.Finish(root, file_identifier=b"M001")
    return bytes(made.Output())


def _table(
    made: Any, offsets: dict[int, int], bytes_: Mapping[int, int] = MappingProxyType({})
) -> int:
    made.StartObject(8)
    for number, offset in offsets.items():
        made.PrependUOffsetTRelativeSlot(number, offset, 0)
    for number, value in bytes_.items():
        made.PrependUint8Slot(number, value, 0)
    return int(made.EndObject())


def _floats(made: Any, values: Sequence[float]) -> int:
    return int(made.CreateNumpyVector(np.array(values, np.float32)))


def _offsets(made: Any, offsets: Sequence[int]) -> int:
    made.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        made.PrependUOffsetTRelative(offset)
    return int(made.EndVector())


class _Builder:
    def __init__(self, tiny: Tiny) -> None:
        self.tiny = tiny
        self.buffers: list[Any] = [schema.BufferT()]
        self.tensors: list[Any] = []
        self.codes: list[Any] = []
        self.operators: list[Any] = []

    def tensor(
        self,
        name: str,
        shape: list[int],
        dtype: str,
        quantization: tuple[float, int] | None = None,
        data: np.ndarray | None = None,
    ) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = name, shape, getattr(schema.TensorType, _TYPES[dtype])
        made.buffer = 0
        if quantization and dtype != "float32":
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale = [quantization[0]]
            made.quantization.zeroPoint = [quantization[1]]
        if data is not None:
            made.buffer = len(self.buffers)
            stored = schema.BufferT()
            stored.data = np.frombuffer(data.tobytes(), np.uint8)
            self.buffers.append(stored)
        self.tensors.append(made)
        return len(self.tensors) - 1

    def operator(
        self, code: int, version: int, inputs: list[int], outputs: list[int], options: Any = None
    ) -> None:
        made = schema.OperatorCodeT()
        made.builtinCode = code
        made.deprecatedBuiltinCode = min(code, 127)
        made.version = version
        if code == schema.BuiltinOperator.CUSTOM:
            made.customCode = self.tiny.custom_operator
        self.codes.append(made)
        node = schema.OperatorT()
        node.opcodeIndex = len(self.codes) - 1
        node.inputs, node.outputs = inputs, outputs
        if options is not None:
            kind = type(options).__name__.removesuffix("T")
            node.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            node.builtinOptions = options
        self.operators.append(node)

    def model(self) -> Any:
        tiny = self.tiny
        height, width = tiny.size
        middle = 128 if tiny.dtype == "uint8" else 0
        zero_point = middle if tiny.zero_point is None else tiny.zero_point
        given = tiny.scale, zero_point
        picture = self.tensor(
            "picture",
            [1, height, width, tiny.channels],
            tiny.dtype,
            given if tiny.quantized else None,
        )
        if tiny.dynamic:
            self.tensors[picture].shapeSignature = [1, -1, -1, tiny.channels]
        given_at = self._before(picture)
        axes = self.tensor("axes", [2], "int32", data=np.array([1, 2], np.int32))
        mean = self.tensor("mean", [1, tiny.channels], tiny.dtype, given)
        weights = self.tensor(
            "weights",
            [tiny.classes, tiny.channels],
            tiny.dtype,
            (_GAIN / 127, middle),
            self._weights(middle),
        )
        logits = self.tensor("logits", [1, tiny.classes], tiny.dtype, (1 / 16, middle))
        options = schema.ReducerOptionsT()
        options.keepDims = False
        builtin = schema.BuiltinOperator
        self.operator(builtin.MEAN, 2, [given_at, axes], [mean], options)
        dense = schema.FullyConnectedOptionsT()
        self.operator(builtin.FULLY_CONNECTED, 4, [mean, weights, -1], [logits], dense)
        outputs = [logits]
        if tiny.custom_operator:
            made = self.tensor("custom", [1, tiny.classes], tiny.dtype, (1 / 16, middle))
            self.operator(builtin.CUSTOM, 1, [logits], [made])
            outputs = [made]
        elif tiny.softmax:
            low = 0 if tiny.dtype == "uint8" else -128
            scores = self.tensor("scores", [1, tiny.classes], tiny.dtype, (1 / 256, low))
            soft = schema.SoftmaxOptionsT()
            soft.beta = 1.0
            self.operator(builtin.SOFTMAX, 2, [logits], [scores], soft)
            outputs = [scores]
        if tiny.dequantize:
            real = self.tensor("real", [1, tiny.classes], "float32")
            self.operator(builtin.DEQUANTIZE, 2, outputs, [real])
            outputs = [real]
        if tiny.extra_output:
            outputs.append(mean)
        return self._pack(picture, outputs)

    def _before(self, tensor: int) -> int:
        height, width = self.tiny.size
        for number, (name, values) in enumerate(self.tiny.before):
            shape = [1, height, width, self.tiny.channels]
            made = self.tensor(f"rescaled {number}", shape, "float32")
            inputs = [tensor]
            if values:
                data = np.array(values, np.float32)
                inputs.append(self.tensor(f"constant {number}", [len(data)], "float32", data=data))
            kind = getattr(schema, f"{name.title()}OptionsT")
            self.operator(getattr(schema.BuiltinOperator, name), 1, inputs, [made], kind())
            tensor = made
        return tensor

    def _weights(self, middle: int) -> np.ndarray:
        real = np.zeros((self.tiny.classes, self.tiny.channels))
        np.fill_diagonal(real, _GAIN)
        if self.tiny.classes > self.tiny.channels:
            real[self.tiny.channels :] = -_GAIN / 8
        real *= self.tiny.folded
        if self.tiny.dtype == "float32":
            return real.astype(np.float32)
        return np.round(real / (_GAIN / 127) + middle).astype(self.tiny.dtype)

    def _pack(self, picture: int, outputs: list[int]) -> Any:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = [picture], outputs
        model = schema.ModelT()
        model.version = 3
        model.operatorCodes, model.subgraphs = self.codes, [graph]
        model.buffers, model.description = self.buffers, "tiny"
        if self.tiny.metadata:
            note = schema.MetadataT()
            note.name, note.buffer = "TFLITE_METADATA", len(self.buffers)
            stored = schema.BufferT()
            stored.data = np.frombuffer(self.tiny.metadata, np.uint8)
            self.buffers.append(stored)
            model.metadata = [note]
        return model
