"""From a frame to the network's input buffer, in one pass over few pixels.

It costs a few percent of an inference, where OpenCV's INTER_AREA costs up to a third of one;
scripts/benchmarks/shortest_script.py measures both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder, Contract, Crop, Interpolation
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import halvings, place
from edge_classifier.core.quantization import (
    Array,
    PixelRoute,
    TensorSpec,
    pixel_route,
    pixel_table,
)

Pixels = NDArray[np.uint8]


def limit_opencv_threads(count: int) -> None:
    """Set OpenCV's thread pool for the whole process.

    One is right beside an engine with its own threads: these pictures are too small to share.
    """
    cv2.setNumThreads(count)


@dataclass(frozen=True, slots=True)
class _Step:
    """One resize of ``taken`` onto ``filled``; the first step of a plan takes it from the frame."""

    taken: Pixels | None
    size: tuple[int, int]
    filled: Pixels
    interpolation: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """All that can be known of frames of one size and order before they come."""

    key: tuple[int, int, ColourOrder]
    rows: slice
    columns: slice
    steps: tuple[_Step, ...]
    # Shape of the tensor; in the frame's colour order.
    canvas: Pixels
    # The colour around a letterboxed picture, in that order, too; None: there is nothing around it.
    bars: tuple[int, ...] | None


class Preprocessor:
    """Writes frames into the input of one model, as its contract says.

    ``tensor`` is that input's memory, shape (height, width, 3), dtype as ``spec`` has it. Holds
    scratch buffers, so it belongs to one thread. Frames of a new size cost a new plan.
    """

    def __init__(self, contract: Contract, spec: TensorSpec, tensor: Array) -> None:
        self.contract = contract
        table = pixel_table(contract.mean, contract.std, spec)
        self.route = pixel_route(table)
        # What each frame asks is known before: behind a network, which has swept the caches, every
        # step of Python costs several times as much, and a member of an enum has some of its own.
        self._by_table = self.route is PixelRoute.TABLE
        self._by_flip = self.route is PixelRoute.FLIP_TOP_BIT
        self._table = np.ascontiguousarray(table).reshape(1, 256, 3)
        self._tensor = tensor
        memory = np.empty(tensor.shape, np.uint8) if self._by_table else tensor.view(np.uint8)
        self._ordered: Pixels = memory
        self._words, self._top_bits = _words(memory)
        self._plan = self._plan_for((1, 1, contract.colour_order))

    def write(self, frame: Frame) -> None:
        """Fill the tensor from ``frame``, in place."""
        height, width, _ = frame.pixels.shape
        if self._plan.key != (width, height, frame.order):
            self._plan = self._plan_for((width, height, frame.order))
        plan = self._plan
        if plan.bars:
            plan.canvas[:] = plan.bars
        region = frame.pixels[plan.rows, plan.columns]
        for step in plan.steps:
            taken = region if step.taken is None else step.taken
            cv2.resize(taken, step.size, step.filled, 0, 0, step.interpolation)
        if plan.canvas is not self._ordered:
            cv2.cvtColor(plan.canvas, cv2.COLOR_BGR2RGB, self._ordered)
        if self._by_table:
            cv2.LUT(self._ordered, self._table, self._tensor)
        elif self._by_flip:
            np.bitwise_xor(self._words, self._top_bits, self._words)

    def _plan_for(self, key: tuple[int, int, ColourOrder]) -> _Plan:
        width, height, order = key
        ordered = order is self.contract.colour_order
        canvas = self._ordered if ordered else np.empty_like(self._ordered)
        placement = place(width, height, self.contract)
        box, target = placement.source, placement.target
        times = 0, 0
        if self.contract.interpolation is Interpolation.HALVING:
            times = halvings(box.width, target.width), halvings(box.height, target.height)
        # What cannot be halved to the end is left out: less than a pixel of the model.
        size = box.width >> times[0] << times[0], box.height >> times[1] << times[1]
        filled = canvas[target.y : target.bottom, target.x : target.right]
        steps = tuple(_steps(size, times, filled, self.contract.interpolation))
        columns, rows = slice(box.x, box.x + size[0]), slice(box.y, box.y + size[1])
        bars = None
        if self.contract.crop is Crop.LETTERBOX:
            # The pixel nearest to real zero.
            nearest = tuple(min(255, max(0, round(value))) for value in self.contract.mean)
            bars = nearest if ordered else nearest[::-1]
        return _Plan(key, rows, columns, steps, canvas, bars)


def _steps(
    size: tuple[int, int], times: tuple[int, int], filled: Pixels, interpolation: Interpolation
) -> Iterator[_Step]:
    """The resizes from a region of ``size`` to ``filled``; its sides are halved ``times`` first."""
    target = filled.shape[1], filled.shape[0]
    taken: Pixels | None = None
    for step in range(max(times)):
        # A side that is small enough already waits for the other one.
        size = size[0] >> (step < times[0]), size[1] >> (step < times[1])
        halved = np.empty((size[1], size[0], 3), np.uint8)
        # By exactly 2, bilinear is the mean of 2 x 2 pixels, and OpenCV has it vectorized.
        yield _Step(taken, size, halved, cv2.INTER_LINEAR)
        taken = halved
    if interpolation is Interpolation.AREA:
        # INTER_AREA is a mean only where both sides shrink.
        size = min(size[0], target[0]), min(size[1], target[1])
        shrunk = np.empty((size[1], size[0], 3), np.uint8)
        yield _Step(taken, size, shrunk, cv2.INTER_AREA)
        taken = shrunk
    yield _Step(taken, target, filled, cv2.INTER_LINEAR)


def _words(pixels: Pixels) -> tuple[Array, Array]:
    """``pixels`` flat, as words as wide as fit, and one such word with each byte's top bit set.

    A constant that is an array already saves numpy from making one for every frame.
    """
    width = np.uint64 if pixels.size % 8 == 0 else np.uint8
    flat = pixels.reshape(-1).view(width)
    return flat, np.frombuffer(b"\x80" * flat.itemsize, width).reshape(())
