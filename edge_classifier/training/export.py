"""From a float network in torch to an all-int8 .tflite that carries its contract and labels.

The steps are ``convert``, then ``calibrate`` (or ranges learned in training), ``quantize`` and
``pack``. Weights are symmetric int8, per channel in convolutions; activations are asymmetric
int8 per tensor: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from litert_quantizer import calibrator, qtyping, quantizer, recipe_manager
from litert_quantizer.utils import qsv_utils
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_classifier.core.contract import ColourOrder, Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import Quantization, TensorSpec
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import MissingFileError, PictureError
from edge_classifier.modelfile.bundle import CARD_FILE, CONTRACT_FILE, LABELS_FILE, append_bundle
from edge_classifier.vision.preprocess import Preprocessor

Reals = NDArray[np.float32]
Ranges = Mapping[str, tuple[float, float]]
"""Tensor name to the least and the greatest real number it has to hold."""

INPUT_RANGE = (-1.0, 127 / 128)
"""Scale 1/128 and zero point 0: the stored value is pixel - 128, so nothing is lost and a device
only flips each byte's top bit."""
INPUT_QUANTIZATION = Quantization(1 / 128, 0)

_SIGNATURE, _ARGUMENT = "serving_default", "args_0"
_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")
_INTEGERS = {"int8", "int32"}
_BIAS_LIMIT = 2**30
"""Half of int32's range; the rest is room for the sum of products."""
_INT8_VERSIONS = {
    schema.BuiltinOperator.ADD: 2,
    schema.BuiltinOperator.CONV_2D: 3,
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
    schema.BuiltinOperator.FULLY_CONNECTED: 4,
    schema.BuiltinOperator.MEAN: 2,
    schema.BuiltinOperator.PAD: 2,
    schema.BuiltinOperator.SOFTMAX: 2,
}
"""The first operator versions that take int8 (TensorFlow's lite/tools/versioning/op_version.cc)."""
_OPERATOR_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items()}


class _Probabilities(nn.Module):
    """A network as the device wants it: pixels last in, softmax inside."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """(1, H, W, 3) to probabilities (1, classes). The converter absorbs the permutation."""
        return torch.softmax(self.network(x.permute(0, 3, 1, 2)), 1)


def convert(network: nn.Module, contract: Contract) -> bytes:
    """A float .tflite of fixed shape: (1, height, width, 3) to probabilities (1, classes).

    ``network`` maps (N, 3, H, W) to logits (N, classes). Batch norm is folded on the way.
    """
    litert_torch.config.show_progress = False
    example = torch.zeros(1, contract.height, contract.width, 3)
    model: Any = litert_torch.convert(_Probabilities(network).eval(), (example,))
    return bytes(model.model_content())


def draw_pictures(folder: Path, count: int, seed: int) -> list[Path]:
    """``count`` pictures of ``folder``, or all if there are fewer, drawn from the sorted names.

    Raises MissingFileError if there are none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise MissingFileError(str(folder), "holds no pictures", f"Known: {', '.join(_SUFFIXES)}")
    return random.Random(seed).sample(found, min(count, len(found)))  # noqa: S311 (no secret)


def read_picture(path: Path) -> Frame:
    """A picture file as a BGR frame. Raises PictureError."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise PictureError(str(path), "cannot be decoded")
    return Frame(np.asarray(pixels, np.uint8), ColourOrder.BGR)


def real_inputs(frames: Iterable[Frame], contract: Contract) -> Iterator[Reals]:
    """Each frame as the network sees it: float32 of shape (1, height, width, 3)."""
    shape = (1, contract.height, contract.width, 3)
    tensor = np.empty(shape, np.float32)
    spec = TensorSpec("", shape, np.dtype(np.float32))
    preprocessor = Preprocessor(contract, spec, tensor[0])
    for frame in frames:
        preprocessor.write(frame)
        yield tensor.copy()


def calibrate(model: bytes, inputs: Iterable[Reals]) -> Ranges:
    """The range of each activation of the float ``model`` over ``inputs``, by minimum and maximum.

    litert-quantizer's own default, a moving average, cuts off the extremes.
    """
    counting = calibrator.Calibrator(
        model,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    data = [{_ARGUMENT: tensor} for tensor in inputs]
    counting.calibrate({_SIGNATURE: data}, _recipe())
    return {
        name: (_outward(float(np.min(seen["min"]))), _outward(float(np.max(seen["max"]))))
        for name, seen in counting.get_model_qsvs().items()
    }


def _outward(extreme: float) -> float:
    """The next number away from zero with eight significant bits.

    Float kernels differ in their last bits from processor to processor; the file need not.
    """
    mantissa, exponent = math.frexp(extreme)
    return math.copysign(math.ceil(abs(mantissa) * 256) / 256, extreme) * 2.0**exponent


def activation_names(model: bytes) -> list[str]:
    """The input and each operator's output in execution order, to which ranges belong."""
    graph = _read(model).subgraphs[0]
    indexes = [graph.inputs[0], *(operator.outputs[0] for operator in graph.operators)]
    return [graph.tensors[index].name.decode() for index in indexes]


def quantize(model: bytes, ranges: Ranges) -> bytes:
    """The float ``model`` in int8, given the ``ranges`` of all ``activation_names``.

    The input's range is always INPUT_RANGE. Weights lie inside the flatbuffer, which
    litert-quantizer leaves to offsets that other readers do not follow.
    """
    fixed = {**ranges, activation_names(model)[0]: INPUT_RANGE}
    statistics = {
        name: {"min": np.full((1, 1, 1, 1), low), "max": np.full((1, 1, 1, 1), high)}
        for name, (low, high) in fixed.items()
    }
    worker = quantizer.Quantizer(model, _recipe().get_quantization_recipe())
    with np.errstate(invalid="ignore"):  # biases that do not fit: mended below
        result = worker.quantize(statistics, enable_progress_report=False)
    quantized = _read(bytes(result.quantized_model))
    _fit_biases(quantized, _read(model))
    _raise_versions(quantized)
    _shorten_names(quantized)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(quantized))


def pack(model: bytes, path: Path, contract: Contract, card: str) -> None:
    """Write ``model`` and append contract, labels and model card."""
    path.write_bytes(model)
    labels = "".join(f"{label}\n" for label in contract.labels)
    append_bundle(path, {CONTRACT_FILE: contract.to_json(), LABELS_FILE: labels, CARD_FILE: card})


def problems(path: Path) -> list[str]:
    """What keeps the file at ``path`` from being the all-int8 classifier it ought to be."""
    engine = TfliteEngine(path, load_runtime())
    operators = engine.operators()
    wrong = [
        f"{operator.name} uses {', '.join(sorted(set(operator.dtypes) - _INTEGERS))}"
        for operator in operators
        if set(operator.dtypes) - _INTEGERS
    ]
    if any(operator.name == "TRANSPOSE" for operator in operators):
        wrong.append("a TRANSPOSE is left: the network does not run with channels last")
    if engine.input.quantization != INPUT_QUANTIZATION:
        wrong.append(f"the input is {engine.input.quantization}, not {INPUT_QUANTIZATION}")
    if engine.output.dtype != np.int8 or engine.last_operator() != "SOFTMAX":
        wrong.append("the output is not an int8 softmax")
    return wrong


def _recipe() -> Any:
    """Static int8. The last layer per tensor: the Edge TPU takes no other fully connected."""
    manager = recipe_manager.RecipeManager()
    operators = qtyping.TFLOperationName
    manager.add_static_config(".*", operators.ALL_SUPPORTED, 8, 8)
    manager.add_static_config(
        ".*",
        operators.FULLY_CONNECTED,
        8,
        8,
        weight_granularity=qtyping.QuantGranularity.TENSORWISE,
    )
    return manager


def _read(model: bytes) -> Any:
    """The flatbuffer as objects, weights kept by offset brought inside."""
    return flatbuffer_utils.read_model_from_bytearray(model)


def _fit_biases(quantized: Any, original: Any) -> None:
    """Raise the weight scale of channels whose bias does not fit into int32.

    Training kills channels: their weights come near zero, and so do their scale and that of
    their bias, which then overflows, with results that depend on the kernel. TensorFlow's
    converter widens the weight scale for the same reason.
    """
    operators = zip(quantized.subgraphs[0].operators, original.subgraphs[0].operators, strict=True)
    for operator, source in operators:
        if len(operator.inputs) == 3 and operator.inputs[2] >= 0:
            source_weights, source_bias = (
                _values(original, source.inputs[index], np.float32) for index in (1, 2)
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
    _store(model, inputs[1], rounded.astype(np.int8))
    _store(model, inputs[2], np.rint(bias.astype(np.float64) / bias_scale).astype(np.int32))


def _values(model: Any, index: int, dtype: type[np.generic]) -> NDArray[Any]:
    """A constant tensor's content."""
    tensor = model.subgraphs[0].tensors[index]
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype).reshape(tensor.shape)


def _store(model: Any, index: int, values: NDArray[Any]) -> None:
    buffer = model.buffers[model.subgraphs[0].tensors[index].buffer]
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)


def _raise_versions(model: Any) -> None:
    """Raise operator versions to those that take int8; litert-quantizer leaves the float ones."""
    for code in model.operatorCodes:
        code.version = max(code.version, _INT8_VERSIONS.get(code.builtinCode, 1))


def _shorten_names(model: Any) -> None:
    """Name tensors by operator instead of by paths of Python classes."""
    graph = model.subgraphs[0]
    for place, operator in enumerate(graph.operators):
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        name = f"{_OPERATOR_NAMES[code].lower()}_{place}"
        parts = ("weights", "bias") if len(operator.inputs) == 3 else ("constant",)
        for index, part in zip(operator.inputs[1:], parts, strict=False):
            if model.buffers[graph.tensors[index].buffer].data is not None:
                graph.tensors[index].name = f"{name}/{part}".encode()
        graph.tensors[operator.outputs[0]].name = name.encode()
    graph.tensors[graph.inputs[0]].name = b"picture"
    graph.tensors[graph.outputs[0]].name = b"probabilities"
