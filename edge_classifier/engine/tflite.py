"""The engine on a TFLite interpreter."""

import ctypes
import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_classifier.core.quantization import Array, Quantization, TensorSpec
from edge_classifier.core.sentence import Sentence
from edge_classifier.engine.model_copy import ModelCopy
from edge_classifier.engine.runtime import Runtime, first_load
from edge_classifier.errors import DelegateError, ModelError

EDGETPU_OPERATOR = "edgetpu-custom-op"
# As contracts have it, too: a damaged shape must not make buffers that take all memory.
LARGEST_SIDE_PX = 4096
_DTYPES = (np.uint8, np.int8, np.float32)
# Of what the runtime says is wrong: it has a line for each tensor.
_SAID_LIMIT = 300
# What a processor's cache holds.
_PIECE_BYTES = 1 << 18
_REMEDY = Sentence("Use an image classifier: one picture in, one score a class out.")


@dataclass(frozen=True, slots=True)
class Operator:
    """One node of the graph as the file has it, before delegates take nodes over."""

    name: str
    outputs: tuple[int, ...]
    # Of its inputs and outputs; optional inputs left out.
    dtypes: tuple[str, ...]


class TfliteEngine:
    """An ``Engine`` on ai-edge-litert or tflite-runtime.

    XNNPACK is on by the runtime's own default. Load only files that ``probe.check_model`` has
    tried or whose hash is known: the runtime trusts the flatbuffer it is given.
    """

    def __init__(
        self,
        path: Path,
        runtime: Runtime,
        *,
        threads: int = 1,
        delegate: Path | None = None,
        copy: ModelCopy | None = None,
    ) -> None:
        """``copy``: of the file at ``path``, where there is one already."""
        with nullcontext(copy) if copy else ModelCopy(path) as content:
            self._interpreter = _interpreter(content, runtime, threads, delegate)
        details = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        _require_classifier(path, *details)
        (input_detail,), (output_detail,) = details
        self._output_index = int(output_detail["index"])
        self.picture = _own_memory(self._interpreter, input_detail["index"])[0]
        self.scores = _own_memory(self._interpreter, self._output_index).reshape(-1)
        self.input = _spec(input_detail)
        output = _spec(output_detail)
        self.output = TensorSpec(
            output.name, (math.prod(output.shape),), output.dtype, output.quantization
        )
        # Now, as another thread may run the network when it is asked for.
        self.last_operator = self._find_last_operator()

    def invoke(self) -> None:
        """See ``Engine.invoke``."""
        self._interpreter.invoke()

    def operators(self) -> tuple[Operator, ...]:
        """The graph's operators in execution order."""
        # tflite-runtime names no types in a node's own description, so they come from the tensors.
        details = self._interpreter.get_tensor_details()
        dtypes = {int(detail["index"]): np.dtype(detail["dtype"]).name for detail in details}
        found = []
        for node in self._nodes():
            inputs, outputs = (tuple(int(i) for i in node[end]) for end in ("inputs", "outputs"))
            known = tuple(dtypes[index] for index in inputs + outputs if index in dtypes)
            found.append(Operator(node["op_name"], outputs, known))
        return tuple(found)

    def _nodes(self) -> list[dict[str, Any]]:
        """The file's nodes, without those that delegates have put in their place."""
        nodes = self._interpreter._get_ops_details()
        return [node for node in nodes if node["op_name"] != "DELEGATE"]

    def _find_last_operator(self) -> str:
        """Name of the operator that makes the output, looking through (de)quantization."""
        wanted = self._output_index
        for node in reversed(self._nodes()):
            if wanted in node["outputs"]:
                if node["op_name"] not in ("QUANTIZE", "DEQUANTIZE", "RESHAPE"):
                    return str(node["op_name"])
                wanted = int(node["inputs"][0])
        return ""

    def tensors(self) -> list[dict[str, Any]]:
        """Name, shape, dtype and number of scales of each tensor, for ``models info``."""
        return [
            {
                "name": detail["name"],
                "shape": [int(size) for size in detail["shape"]],
                "dtype": np.dtype(detail["dtype"]).name,
                "scales": len(detail["quantization_parameters"]["scales"]),
            }
            for detail in self._interpreter.get_tensor_details()
        ]


def compiled_for_edgetpu(path: Path) -> bool:
    """Whether the file holds Edge TPU code, which no CPU can run."""
    wanted = EDGETPU_OPERATOR.encode()
    # Piece by piece: a heap that has once held a whole model does not give it all back. Each piece
    # comes behind the last bytes of the one before, which may hold the name's beginning.
    kept = len(wanted)
    piece = bytearray(kept + _PIECE_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(memoryview(piece)[kept:]):
            if piece.find(wanted, 0, kept + count) >= 0:
                return True
            piece[:kept] = piece[count : kept + count]
    return False


def _interpreter(copy: ModelCopy, runtime: Runtime, threads: int, delegate: Path | None) -> Any:
    messages: list[str] = []
    try:
        with first_load() as messages:
            delegates = [_load_delegate(delegate, runtime)] if delegate else None
            interpreter = runtime.module.Interpreter(
                model_path=copy.name, num_threads=threads, experimental_delegates=delegates
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError, MemoryError) as error:
        detail = " ".join([str(error), *(m for m in messages if m.startswith("ERROR"))])
        if len(detail) > _SAID_LIMIT:
            detail = f"{detail[:_SAID_LIMIT]} ..."
        raise ModelError(
            str(copy.path),
            Sentence("the runtime cannot load it ({cause})", cause=detail),
            Sentence("Copy or export the model again."),
        ) from error
    return interpreter


def _own_memory(interpreter: Any, index: int) -> Array:
    """A tensor's own memory as an array that outlives no interpreter.

    The interpreter's views forbid ``invoke`` while they exist, so they would have to be made anew
    for every picture. The memory of a static graph stays where ``allocate_tensors`` has put it,
    and that is called once.
    """
    view: Array = interpreter.tensor(index)()
    memory: Any = (ctypes.c_char * view.nbytes).from_address(view.ctypes.data)
    memory.owner = interpreter
    array: Array = np.frombuffer(memory, view.dtype).reshape(view.shape)
    return array


def _load_delegate(library: Path, runtime: Runtime) -> Any:
    try:
        return runtime.module.load_delegate(str(library))
    except (AttributeError, ValueError, OSError, RuntimeError) as error:
        # AttributeError: a library without the functions that every delegate has.
        raise DelegateError(str(library), f"is not a TFLite delegate ({error})") from error


def _spec(detail: dict[str, Any]) -> TensorSpec:
    parameters = detail["quantization_parameters"]
    quantization, dtype = Quantization(), np.dtype(detail["dtype"])
    # A float tensor may still carry what it was quantized by.
    if len(parameters["scales"]) and dtype != np.float32:
        quantization = Quantization(
            float(parameters["scales"][0]), int(parameters["zero_points"][0])
        )
    shape = tuple(int(size) for size in detail["shape"])
    return TensorSpec(detail["name"], shape, dtype, quantization)


def _require_classifier(
    path: Path, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]
) -> None:
    """Raise ModelError unless it is (1, height, width, 3) in and one vector of scores out."""
    if len(inputs) != 1 or len(outputs) != 1:
        what = Sentence(
            "has {inputs} inputs and {outputs} outputs; one of each is needed",
            inputs=len(inputs),
            outputs=len(outputs),
        )
        raise ModelError(str(path), what, _REMEDY)
    given, made = inputs[0], outputs[0]
    shape = [int(size) for size in given["shape"]]
    if any(int(size) < 0 for size in given["shape_signature"][1:]):
        raise ModelError(
            str(path),
            Sentence("its input size is dynamic ({size})", size=_shape(given["shape_signature"])),
            Sentence("Export it with a fixed size, for example 1 x 224 x 224 x 3."),
        )
    if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or min(shape) < 1:
        what = Sentence("its input is {size}; 1 x height x width x 3 is needed", size=_shape(shape))
        raise ModelError(str(path), what, Sentence("Channels come last, and are colours."))
    if max(shape) > LARGEST_SIDE_PX:
        what = Sentence(
            "its input is {size}; sides of up to {most} pixels are allowed",
            size=_shape(shape),
            most=LARGEST_SIDE_PX,
        )
        raise ModelError(str(path), what, _REMEDY)
    scores = [int(size) for size in made["shape"]]
    if math.prod(scores) != max(scores, default=0) or max(scores, default=0) < 2:
        what = Sentence("its output is {size}; 1 x classes is needed", size=_shape(scores))
        raise ModelError(str(path), what, _REMEDY)
    for detail in (given, made):
        _require_storage(path, detail)


def _require_storage(path: Path, detail: dict[str, Any]) -> None:
    """Raise ModelError unless the values of a tensor can be read as real numbers."""
    tensor, dtype = detail["name"], np.dtype(detail["dtype"])
    if dtype not in _DTYPES:
        what = Sentence(
            "the tensor {tensor} is {dtype}; uint8, int8 or float32 is needed",
            tensor=tensor,
            dtype=dtype.name,
        )
        raise ModelError(str(path), what)
    if dtype == np.float32:
        return
    quantization = _spec(detail).quantization
    if math.isinf(quantization.scale):
        what = Sentence("the tensor {tensor} has an infinite scale", tensor=tensor)
        raise ModelError(str(path), what, _REMEDY)
    if not quantization:
        what = Sentence(
            "the tensor {tensor} is {dtype} without scale and zero point",
            tensor=tensor,
            dtype=dtype.name,
        )
        raise ModelError(str(path), what, Sentence("Export the model again with quantization."))


def _shape(sizes: Any) -> str:
    return " x ".join("?" if int(size) < 0 else str(int(size)) for size in sizes)
