"""What becomes of a model on Coral's Edge TPU: its compiler says, or else its documentation.

https://coral.ai/docs/edgetpu/compiler/; what it prints is read as versions 2 to 16 print it.
https://coral.ai/docs/edgetpu/models-intro/, "Model requirements" and "Supported operations", for
runtime 14. It says nothing of operator versions: only the compiler knows.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge_classifier.core.sentence import Sentence
from edge_classifier.engine.model_copy import require_tflite
from edge_classifier.errors import ModelError, OutputError, UnavailableError
from edge_classifier.evaluation.report_data import EdgeTpu
from edge_classifier.modelfile import object_api

PROGRAM = "edgetpu_compiler"
# The compiler gives up by itself after 180 s.
_TIMEOUT_S = 300.0

_TYPE_NAMES = {code: name for name, code in vars(schema.TensorType).items()}
_DATA_TYPES = {"INT8", "UINT8"}
_CONSTANT_TYPES = _DATA_TYPES | {"INT32"}
_SOFTMAX_LIMIT = 16_000


def compiled_or_checked(model: Path, folder: Path) -> EdgeTpu:
    """Compile ``model`` into ``folder`` where there is a compiler; else look up what qualifies."""
    try:
        compiled = compile_model(model, folder)
    except (ModelError, UnavailableError) as error:
        return EdgeTpu(False, (str(error),))
    if compiled is None:
        return EdgeTpu(False, tuple(qualifies(model)))
    rows = (f"{row.count} {row.operator}: {row.status}" for row in compiled.rows)
    return EdgeTpu(True, (f"{compiled.path.name}, by version {compiled.version}", *rows))


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """A line of the compiler's table."""

    operator: str
    count: int
    status: str


@dataclass(frozen=True, slots=True)
class Compilation:
    """What the compiler has made, and which operators run where."""

    # The compiled model; without labels, which stay in the original beside it.
    path: Path
    # Of the compiler.
    version: str
    operators: int
    on_cpu: int
    # Weights that do not fit into the chip's memory, as the compiler says it: 0.00B.
    streamed: str
    rows: tuple[OperatorRow, ...]


def compile_model(path: Path, folder: Path, *, timeout_s: float = _TIMEOUT_S) -> Compilation | None:
    """Compile the model at ``path`` into ``folder``; None where there is no compiler.

    Raises ModelError if the compiler refuses the model, UnavailableError if it does not start or
    end, OutputError.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    compiled = folder / f"{path.stem}_edgetpu.tflite"
    log = compiled.with_suffix(".log")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # What an earlier run has left must not pass for this one's.
        compiled.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(str(folder), f"cannot be written ({error.strerror})") from error
    said = _run([program, "-s", "-o", str(folder), str(path)], timeout_s)
    if said.returncode or not compiled.is_file():
        lines = [line for line in said.stdout.splitlines() if line.strip()] or ["no message"]
        raise ModelError(str(path), f"{PROGRAM} refuses it ({' / '.join(lines[-3:])})")
    # With -s it prints the operators; where some are left out, the log has all of them.
    table = log.read_text("utf-8", "replace") if log.is_file() else said.stdout
    return _parse(compiled, said.stdout, table)


def _run(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(command[0], f"has not ended after {timeout_s:g} s") from error
    except OSError as error:
        raise UnavailableError(command[0], f"cannot be started ({error.strerror})") from error


def _parse(compiled: Path, printed: str, table: str) -> Compilation:
    rows = re.findall(r"^([A-Z][A-Z0-9_]+) +(\d+) +(\S.*?) *$", table, re.MULTILINE)
    on_cpu = _after("Number of operations that will run on CPU:", printed)
    total = _after("Total number of operations:", printed)
    if not total:
        what = "says nothing of operators that this program understands"
        raise UnavailableError(PROGRAM, what, f"It said: {printed}")
    return Compilation(
        path=compiled,
        version=_after("Edge TPU Compiler version", printed),
        operators=int(total),
        on_cpu=int(on_cpu or 0),
        streamed=_after("Off-chip memory used for streaming uncached model parameters:", printed),
        rows=tuple(OperatorRow(operator, int(count), status) for operator, count, status in rows),
    )


def _after(start: str, text: str) -> str:
    found = re.search(rf"^{re.escape(start)} *(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


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
        Sentence("no fused activation"): lambda node: node.options.fusedActivationFunction == 0
    },
    "CONV_2D": {
        Sentence("the same dilation in x and y"): lambda node: (
            node.options.dilationWFactor == node.options.dilationHFactor
        )
    },
    "FULLY_CONNECTED": {
        Sentence("default weights format"): lambda node: node.options.weightsFormat == 0,
        Sentence("one-dimensional output"): lambda node: _is_vector(node.outputs[0]),
        # Per-axis weights came to TFLite years after the last compiler.
        Sentence("one scale for all weights"): lambda node: _scales(node.inputs[1]) == 1,
    },
    "MEAN": {
        Sentence("no reduction over the batch"): _keeps_batch,
        Sentence("over depth only if that is a multiple of 4"): _reduces_depth_in_fours,
    },
    "PAD": {
        Sentence("no padding of the batch"): lambda node: (
            node.constants[1] is not None and not node.constants[1].reshape(-1, 2)[0].any()
        )
    },
    "SOFTMAX": {
        Sentence("one-dimensional input"): lambda node: _is_vector(node.inputs[0]),
        Sentence("at most {limit} elements", limit=_SOFTMAX_LIMIT): lambda node: (
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


def qualifies(path: Path) -> list[Sentence]:
    """What would keep operators of the model at ``path`` from the Edge TPU; empty: nothing.

    Raises ModelError for a file that is not a TFLite model.
    """
    require_tflite(path)
    model = object_api.read(path.read_bytes())
    tensors = model.subgraphs[0].tensors
    found = []
    for place, operator in enumerate(model.subgraphs[0].operators):
        name = object_api.operator_name(model, operator)
        inputs = tuple(tensors[index] for index in operator.inputs if index >= 0)
        constants = []
        for tensor in inputs:
            data = model.buffers[tensor.buffer].data
            dtype = np.int32 if _TYPE_NAMES[tensor.type] == "INT32" else np.uint8
            constants.append(None if data is None else np.frombuffer(bytes(data), dtype))
        node = _Node(
            inputs,
            outputs=tuple(tensors[index] for index in operator.outputs),
            options=operator.builtinOptions,
            constants=tuple(constants),
        )
        wrong = dict.fromkeys(_broken_limits(name, node))
        found += [
            Sentence("operator {place}, {name}: {problem}", place=place, name=name, problem=problem)
            for problem in wrong
        ]
    return found


def _broken_limits(name: str, node: _Node) -> Iterator[Sentence]:
    """Of the operator ``name`` itself, then of each of its tensors."""
    if name in UNCHECKED:
        yield Sentence("has limits that are not checked here")
    elif name not in UNLIMITED and name not in LIMITS:
        yield Sentence("is not supported")
    for limit, holds in LIMITS.get(name, {}).items():
        if not holds(node):
            yield Sentence("needs {limit}", limit=limit)
    computed = [t for t, held in zip(node.inputs, node.constants, strict=True) if held is None]
    for tensor in (*computed, *node.outputs):
        shape, signature = list(tensor.shape), tensor.shapeSignature
        if signature is not None and -1 in list(signature):
            yield Sentence("a tensor's size is not fixed ({shape})", shape=list(signature))
        if any(size > 1 for size in shape[:-3]):
            yield Sentence(
                "a tensor is larger than 1 in more than its last three dimensions ({shape})",
                shape=shape,
            )
        yield from _type_problems(tensor, _DATA_TYPES)
    for tensor, held in zip(node.inputs, node.constants, strict=True):
        if held is not None:
            yield from _type_problems(tensor, _CONSTANT_TYPES)


def _type_problems(tensor: Any, allowed: set[str]) -> Iterator[Sentence]:
    kind = _TYPE_NAMES[tensor.type]
    if kind not in allowed:
        yield Sentence("a tensor is {kind}; 8-bit integers are needed", kind=kind)
