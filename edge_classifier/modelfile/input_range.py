"""Which numbers a float network expects, from the first operators of its graph.

Keras and others put the rescaling of pixels into the network, as ``x / 255`` or ``x / 127.5 - 1``,
and converters fold it into the weights of the first layer. Fed with -1 to 1 all the same, such a
network sees black. Field and operator numbers are those of tensorflow/lite/schema/schema.fbs (v3).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.sentence import Sentence
from edge_classifier.modelfile.flatbuffer import FlatbufferError, Table, root_table

Numbers = NDArray[np.float64]

_ADD, _MUL, _SUB, _DIV = 0, 18, 41, 42
_ARITHMETIC = {_ADD: "ADD", _MUL: "MUL", _SUB: "SUB", _DIV: "DIV"}
# They change no number, or only which numbers there are: pooling, DEPTH_TO_SPACE, DEQUANTIZE,
# MAX_POOL, RESHAPE, RESIZE, SPACE_TO_DEPTH, PAD, TRANSPOSE, MEAN, SQUEEZE, STRIDED_SLICE, CAST,
# PADV2, SLICE, EXPAND_DIMS, RESIZE_NEAREST_NEIGHBOR, MIRROR_PAD, REVERSE_V2.
_PASSING = {1, 5, 6, 17, 22, 23, 26, 34, 39, 40, 43, 45, 53, 60, 65, 70, 97, 100, 105}
_LAYERS = {3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 9: "FULLY_CONNECTED"}
_DEQUANTIZE, _QUANTIZE = 6, 114
_DTYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 7: np.int16, 9: np.int8}
# Of a constant; a first layer's weights are smaller.
_MOST_BYTES = 8_000_000
# Of the operators between a network's input and its first layer.
_MOST_STEPS = 32
# The largest sum of a first layer's weights: a network that is fed 1 or less reacts to nothing with
# weights as small as this, and initial values are far above it.
_SMALL_WEIGHTS = 0.25


@dataclass(frozen=True, slots=True)
class ExpectedInput:
    """Real numbers that black and white are to enter as, and why."""

    low: float
    high: float
    why: str


def expected_input(model: Path) -> ExpectedInput | None:
    """What the graph of ``model``, which has a float32 input, expects; None: it does not show."""
    try:
        with np.errstate(all="ignore"):
            return _follow(_Graph(model.read_bytes()))
    except (FlatbufferError, ValueError, IndexError, OverflowError):
        # The runtime has loaded the file: what it holds is only not understood here.
        return None


class _Graph:
    """The first subgraph of a model file."""

    def __init__(self, data: bytes) -> None:
        model = root_table(data)
        graph = next(iter(model.tables(2)))
        self._codes = [max(c.scalar(0, "<b"), c.scalar(3, "<i")) for c in model.tables(1)]
        self._buffers = list(model.tables(4))
        self._tensors = list(graph.tables(0))
        self.input = graph.integers(1)[0]
        self._operators = [
            (self._codes[node.scalar(0, "<I")], node.integers(1), node.integers(2))
            for node in graph.tables(3)
        ]

    def only_user(self, tensor: int) -> tuple[int, tuple[int, ...], int] | None:
        """Code, inputs and first output of the one operator that reads ``tensor``."""
        users = [operator for operator in self._operators if tensor in operator[1]]
        return (users[0][0], users[0][1], users[0][2][0]) if len(users) == 1 else None

    def scale_and_zero_point(self, tensor: int) -> tuple[Numbers, Numbers]:
        """A tensor's quantization, one number each or one a channel; empty: it has none."""
        given: Table | None = self._tensors[tensor].table(4)
        if given is None:
            return np.empty(0), np.empty(0)
        return np.array(given.floats(2), float), np.array(given.integers(3, "q"), float)

    def dtype(self, tensor: int) -> int:
        return self._tensors[tensor].scalar(1, "<b")

    def constant(self, tensor: int) -> Numbers | None:
        """A constant's real numbers in their shape; None: it is made while the network runs."""
        if tensor < 0:
            return None
        facts = self._tensors[tensor]
        stored = self._buffers[facts.scalar(2, "<I")].raw(0)
        if not stored:
            # Weights in float16 are made float32 first.
            makers = [o for o in self._operators if tensor in o[2] and o[0] == _DEQUANTIZE]
            return self.constant(makers[0][1][0]) if makers and makers[0][1][0] != tensor else None
        if self.dtype(tensor) not in _DTYPES or len(stored) > _MOST_BYTES:
            return None
        values = np.frombuffer(stored, _DTYPES[self.dtype(tensor)]).astype(np.float64)
        values = values.reshape(facts.integers(0))
        scale, zero_point = self.scale_and_zero_point(tensor)
        if not scale.size:
            return values
        # One scale a channel lies along an axis; a channel's sum needs no more than its own scale.
        axis = self._tensors[tensor].table(4)
        shape = [1] * values.ndim
        if scale.size > 1 and axis is not None:
            shape[axis.scalar(6, "<i")] = scale.size
        return (values - zero_point.reshape(shape)) * scale.reshape(shape)


def _follow(graph: _Graph) -> ExpectedInput | None:
    """Follow the input through ``scale * x + offset`` to the first layer."""
    tensor, scale, offset = graph.input, np.ones(1), np.zeros(1)
    seen: list[str] = []
    for _ in range(_MOST_STEPS):
        user = graph.only_user(tensor)
        if user is None:
            break
        code, inputs, made = user
        if code == _QUANTIZE and not seen:
            return _of_quantization(graph, made)
        if code in _ARITHMETIC and len(inputs) == 2:
            other = graph.constant(inputs[1] if inputs[0] == tensor else inputs[0])
            if other is None or other.size not in (1, 3):
                break
            scale, offset = _applied(code, scale, offset, other.ravel(), inputs[0] == tensor)
            seen.append(_ARITHMETIC[code])
        elif code in _LAYERS and not seen:
            return _of_weights(code, graph.constant(inputs[1]))
        elif code not in _PASSING and code != _QUANTIZE:
            break
        tensor = made
    found = _range_of(scale, offset) if seen else None
    if found is None:
        return None
    numbers = f"x * {_shown(scale)} + {_shown(offset)}"
    why = Sentence(
        "its first operators are {operators}: {numbers}", operators=", ".join(seen), numbers=numbers
    )
    return ExpectedInput(*found, why)


def _shown(values: Numbers) -> str:
    texts = list(dict.fromkeys(f"{value:.4g}" for value in values))
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def _applied(
    code: int, scale: Numbers, offset: Numbers, other: Numbers, is_first: bool
) -> tuple[Numbers, Numbers]:
    if code == _ADD:
        return scale, offset + other
    if code == _MUL:
        return scale * other, offset * other
    if code == _SUB:
        return (scale, offset - other) if is_first else (-scale, other - offset)
    if not is_first or not other.all():
        raise ValueError("a division by the input")
    return scale / other, offset / other


def _range_of(scale: Numbers, offset: Numbers) -> tuple[float, float] | None:
    """The usual range of pictures that ``scale * x + offset`` brings around 0, or into 0 to 1."""
    if not (scale.all() and np.isfinite(scale).all() and np.isfinite(offset).all()):
        return None
    scale, offset = np.broadcast_arrays(scale, offset)
    if not offset.any():
        ranges = {_range_of_spread(1 / abs(a)) for a in scale}
    else:
        ranges = {_range_of_channel(1 / abs(a), -b / a) for a, b in zip(scale, offset, strict=True)}
    return ranges.pop() if len(ranges) == 1 else None


def _range_of_spread(spread: float) -> tuple[float, float] | None:
    """By the number that becomes 1, where 0 stays 0."""
    if spread >= 30:
        return 0.0, 255.0
    return (0.0, 1.0) if spread <= 0.1 else None


def _range_of_channel(spread: float, centre: float) -> tuple[float, float] | None:
    """By the number that becomes 0, and how far from it is what becomes 1 away from there."""
    if 30 <= centre <= 225:
        return 0.0, 255.0
    if 0.15 <= centre <= 0.85 and spread <= 2:
        return 0.0, 1.0
    if spread <= 3 and (abs(centre) < 0.15 or -1.1 <= centre <= -0.9):
        return -1.0, 1.0
    return None


def _of_quantization(graph: _Graph, tensor: int) -> ExpectedInput | None:
    """A float input that is quantized first: what the quantized numbers can hold."""
    scale, zero_point = graph.scale_and_zero_point(tensor)
    dtype = _DTYPES.get(graph.dtype(tensor))
    if scale.size != 1 or dtype not in (np.uint8, np.int8, np.int16):
        return None
    limits = np.iinfo(dtype)
    low, high = (float(scale[0] * (limit - zero_point[0])) for limit in (limits.min, limits.max))
    why = Sentence(
        "it is quantized first, to numbers from {low} to {high}",
        low=f"{low:.3g}",
        high=f"{high:.3g}",
    )
    # 16 bits are symmetric: half of them is never used where numbers begin at 0.
    if high > 100:
        return ExpectedInput(0.0, 255.0, why)
    if 0.9 < high <= 1.1 and low > -0.1:
        return ExpectedInput(0.0, 1.0, why)
    if 0.9 < high <= 1.1 and dtype is not np.int16:
        return ExpectedInput(-1.0, 1.0, why)
    return None


def _of_weights(code: int, weights: Numbers | None) -> ExpectedInput | None:
    """A rescaling that was folded into the first layer leaves weights of a hundredth."""
    if weights is None or weights.ndim < 2:
        return None
    channels = -1 if code == 4 else 0
    sums = np.abs(np.moveaxis(weights, channels, 0)).reshape(weights.shape[channels], -1).sum(1)
    largest = float(sums.max())
    if not 0 < largest < _SMALL_WEIGHTS:
        return None
    why = Sentence(
        "the weights of its first layer, {layer}, are made for it: their sums are {most} at most",
        layer=_LAYERS[code],
        most=f"{largest:.2g}",
    )
    return ExpectedInput(0.0, 255.0, why)
