"""The network that is taught: what it makes of a picture just before its last layer."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_classifier.core.contract import Contract
from edge_classifier.core.quantization import Quantization
from edge_classifier.core.sentence import Sentence
from edge_classifier.engine.model_copy import release_unused_memory
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ModelError
from edge_classifier.files import nameless_file
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile import object_api

# Of the two embedded ones the better: 2.5 to 5 points more of five flowers' pictures named rightly
# than with MobileNetV2's features, for a quarter more time a picture.
DEFAULT_BASE = "efficientnet-lite0"
_POOLS = ("MEAN", "AVERAGE_POOL_2D")
_HEADS = ("CONV_2D", "FULLY_CONNECTED")
_SHAPES = ("RESHAPE", "SQUEEZE")
_REMEDY = Sentence(
    "Name an int8 classifier that ends in pooling, a 1 x 1 convolution or fully connected layer, "
    "and softmax, such as efficientnet-lite0 or mobilenet-v2-int8."
)


@dataclass(frozen=True, slots=True)
class Base:
    """A network without its last layer. Belongs to one thread, as its engine does."""

    name: str
    # SHA-256 of the weights below its last layer: what features follow from.
    weights: str
    # How pictures enter; labels are the base's own.
    contract: Contract
    # The flatbuffer up to the features.
    trunk: bytes
    # Runs the trunk: its scores are the features, int8.
    engine: TfliteEngine

    @property
    def size(self) -> int:
        """How many features there are."""
        return self.engine.scores.shape[0]

    @property
    def quantization(self) -> Quantization:
        """Of the features."""
        return self.engine.output.quantization


def open_base(reference: str = DEFAULT_BASE, *, threads: int = 1) -> Base:
    """The network that a catalogue's name or a path means.

    Raises ModelError for one that cannot be taught, with the reason, and what ``load_model``
    raises.
    """
    loaded = load_model(ModelChoice(reference, delegate="cpu"))
    path = loaded.delegate_choice.model
    try:
        model = object_api.read(path.read_bytes())
        _cut_head(str(path), model)
        trunk = object_api.write(model)
        # Of all constants, in the file's order; what is said about them in the file may change.
        digest = hashlib.sha256()
        for buffer in model.buffers:
            digest.update(b"" if buffer.data is None else bytes(buffer.data))
        weights = digest.hexdigest()
    except OSError as error:
        problem = Sentence("cannot be read ({cause})", cause=error.strerror)
        raise ModelError(str(path), problem) from error
    name, runtime, contract = loaded.name, loaded.runtime, loaded.resolved.contract
    # What is only needed once is 20 MB.
    del loaded, model
    release_unused_memory()
    with nameless_file("edge-classifier-trunk") as file:
        file.write(trunk)
        file.flush()
        engine = TfliteEngine(Path(f"/proc/self/fd/{file.fileno()}"), runtime, threads=threads)
    release_unused_memory()
    return Base(name, weights, contract, trunk, engine)


def _cut_head(name: str, model: Any) -> None:
    """Leave of ``model`` what makes the features: they become its output, (1, 1, 1, features).

    Raises ModelError unless it is all int8 and ends as ``_REMEDY`` says.
    """
    graph = model.subgraphs[0]
    wrong = sorted(
        {
            object_api.operator_name(model, operator)
            for operator in graph.operators
            for index in (*operator.inputs, *operator.outputs)
            if index >= 0 and not object_api.is_integer(graph.tensors[index])
        }
    )
    if len(model.subgraphs) != 1 or wrong:
        what = (
            Sentence("cannot be taught: is not all int8 ({operators})", operators=", ".join(wrong))
            if wrong
            else Sentence("cannot be taught: has several graphs")
        )
        raise ModelError(name, what, _REMEDY)
    made_by = {int(operator.outputs[0]): operator for operator in graph.operators}
    tail: list[Any] = []
    at = int(graph.outputs[0])
    for wanted in (("SOFTMAX",), _HEADS, _POOLS):
        operator = made_by.get(at)
        # Through what only changes its shape.
        while operator is not None and object_api.operator_name(model, operator) in _SHAPES:
            tail.append(operator)
            operator = made_by.get(int(operator.inputs[0]))
        kind = object_api.operator_name(model, operator) if operator else Sentence("nothing")
        if operator is None or kind not in wanted:
            what = Sentence(
                "cannot be taught: {operator} stands where {wanted} is needed",
                operator=kind,
                wanted=" / ".join(wanted),
            )
            raise ModelError(name, what, _REMEDY)
        tail.append(operator)
        at = int(operator.inputs[0])
    pool = tail.pop()
    features = graph.tensors[pool.outputs[0]]
    weights = graph.tensors[tail[-1].inputs[1]]
    size = math.prod(features.shape)
    # A kernel of more than one pixel, or features that still lie in several places.
    if size != features.shape[-1] or math.prod(weights.shape) != weights.shape[0] * size:
        what = Sentence(
            "cannot be taught: its last layer sees {shape}, not one vector",
            shape=str(list(features.shape)),
        )
        raise ModelError(name, what, _REMEDY)
    if object_api.operator_name(model, pool) == "MEAN":
        pool.builtinOptions.keepDims = True
    features.shape = [1, 1, 1, size]
    graph.operators = [one for one in graph.operators if not any(one is gone for gone in tail)]
    graph.outputs = [pool.outputs[0]]
    object_api.drop_unused(model)
