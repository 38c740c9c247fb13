"""Whether a model would qualify for Coral's Edge TPU, by what its documentation says.

https://coral.ai/docs/edgetpu/models-intro/, "Model requirements" and "Supported operations", for
runtime 14. It says nothing of operator versions: only the compiler knows (``edgetpu_compiler``).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_classifier.engine.tflite import require_tflite
from edge_classifier.training import flatbuffer

_TYPE_NAMES = {code: name for name, code in vars(schema.TensorType).items()}
_DATA_TYPES = {"INT8", "UINT8"}
_CONSTANT_TYPES = _DATA_TYPES | {"INT32"}
_SOFTMAX_LIMIT = 16_000


@dataclass(frozen=True, slots=True)
class _Node:
    """One operator with its tensors; those left out are not among them."""

    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    options: Any
    # What each input holds, int32 where that is its type, or None if it is computed.
    constants: tuple[Any, ...]


# Whether an operator keeps to a documented limit.
Check = Callable[[_Node], bool]


def _keeps_batch(node: _Node) -> bool:
    axes = node.constants[1]
    return axes is not None and 0 not in axes % len(node.inputs[0].shape)


def _pads_no_batch(node: _Node) -> bool:
    return node.constants[1] is not None and not node.constants[1].reshape(-1, 2)[0].any()


def _reduces_depth_in_fours(node: _Node) -> bool:
    shape, axes = node.inputs[0].shape, node.constants[1]
    last = len(shape) - 1
    return axes is not None and (last not in axes % len(shape) or shape[last] % 4 == 0)


def _is_vector(tensor: Any) -> bool:
    return sum(size > 1 for size in tensor.shape) <= 1


def _scales(tensor: Any) -> int:
    scale = tensor.quantization.scale if tensor.quantization else None
    return 0 if scale is None else len(scale)


LIMITS: Mapping[str, Mapping[str, Check]] = {
    "AVERAGE_POOL_2D": {
        "no fused activation": lambda node: node.options.fusedActivationFunction == 0
    },
    "CONV_2D": {
        "the same dilation in x and y": lambda node: (
            node.options.dilationWFactor == node.options.dilationHFactor
        )
    },
    "FULLY_CONNECTED": {
        "default weights format": lambda node: node.options.weightsFormat == 0,
        "one-dimensional output": lambda node: _is_vector(node.outputs[0]),
        # Per-axis weights came to TFLite years after the last compiler.
        "one scale for all weights": lambda node: _scales(node.inputs[1]) == 1,
    },
    "MEAN": {
        "no reduction over the batch": _keeps_batch,
        "over depth only if that is a multiple of 4": _reduces_depth_in_fours,
    },
    "PAD": {"no padding of the batch": _pads_no_batch},
    "SOFTMAX": {
        "one-dimensional input": lambda node: _is_vector(node.inputs[0]),
        f"at most {_SOFTMAX_LIMIT} elements": lambda node: (
            max(node.inputs[0].shape) <= _SOFTMAX_LIMIT
        ),
    },
    "SUM": {"no reduction over the batch": _keeps_batch},
}
# Supported operators with limits that can be looked up in the file.
LIMITS = {
    **LIMITS,
    "DEPTHWISE_CONV_2D": LIMITS["CONV_2D"],
    "MAX_POOL_2D": LIMITS["AVERAGE_POOL_2D"],
    "REDUCE_MAX": LIMITS["SUM"],
    "REDUCE_MIN": LIMITS["SUM"],
}
# Supported operators without a limit.
UNLIMITED = frozenset(
    (
        *("ADD", "EXPAND_DIMS", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL"),
        *("QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "RESHAPE", "RSQRT", "SLICE"),
        *("SPACE_TO_DEPTH", "SQUARED_DIFFERENCE", "SUB", "TANH", "TRANSPOSE", "TRANSPOSE_CONV"),
    )
)
# Supported operators whose limits are not looked at here: no network of this project has them.
UNCHECKED = frozenset(
    (
        *("CONCATENATION", "PACK", "PRELU", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"),
        *("SPLIT", "SQUEEZE", "STRIDED_SLICE", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    )
)


def qualifies(path: Path) -> list[str]:
    """What would keep operators of the model at ``path`` from the Edge TPU; empty: nothing.

    Raises ModelError for a file that is no TFLite model.
    """
    require_tflite(path)
    model = flatbuffer.read(path.read_bytes())
    found = []
    for place, operator in enumerate(model.subgraphs[0].operators):
        name = flatbuffer.operator_name(model, operator)
        node = _node(model, operator)
        wrong = dict.fromkeys((*_operator_problems(name, node), *_tensor_problems(node)))
        found += [f"operator {place}, {name}: {problem}" for problem in wrong]
    return found


def _node(model: Any, operator: Any) -> _Node:
    tensors = model.subgraphs[0].tensors
    inputs = tuple(tensors[index] for index in operator.inputs if index >= 0)
    outputs = tuple(tensors[index] for index in operator.outputs)
    constants = tuple(_constant(model, tensor) for tensor in inputs)
    return _Node(inputs, outputs, operator.builtinOptions, constants)


def _constant(model: Any, tensor: Any) -> np.ndarray[Any, Any] | None:
    data = model.buffers[tensor.buffer].data
    if data is None:
        return None
    dtype = np.int32 if _TYPE_NAMES[tensor.type] == "INT32" else np.uint8
    return np.frombuffer(bytes(data), dtype)


def _operator_problems(name: str, node: _Node) -> Iterator[str]:
    if name in UNCHECKED:
        yield "has limits that are not checked here"
    elif name not in UNLIMITED and name not in LIMITS:
        yield "is not supported"
    for limit, holds in LIMITS.get(name, {}).items():
        if not holds(node):
            yield f"needs {limit}"


def _tensor_problems(node: _Node) -> Iterator[str]:
    computed = [t for t, held in zip(node.inputs, node.constants, strict=True) if held is None]
    for tensor in (*computed, *node.outputs):
        yield from _shape_problems(tensor)
        yield from _type_problems(tensor, _DATA_TYPES)
    for tensor, held in zip(node.inputs, node.constants, strict=True):
        if held is not None:
            yield from _type_problems(tensor, _CONSTANT_TYPES)


def _shape_problems(tensor: Any) -> Iterator[str]:
    shape = list(tensor.shape)
    signature = tensor.shapeSignature
    if signature is not None and -1 in list(signature):
        yield f"a tensor's size is not fixed ({list(signature)})"
    if any(size > 1 for size in shape[:-3]):
        yield f"a tensor is larger than 1 in more than its last three dimensions ({shape})"


def _type_problems(tensor: Any, allowed: set[str]) -> Iterator[str]:
    kind = _TYPE_NAMES[tensor.type]
    if kind not in allowed:
        yield f"a tensor is {kind}; 8-bit integers are needed"
