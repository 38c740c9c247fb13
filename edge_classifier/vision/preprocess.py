"""From a frame to the network's input buffer, in one pass over few pixels.

A 720p frame costs about 5 % of one inference this way, where OpenCV's INTER_AREA alone costs
about a third; `edge-classify bench` measures it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Contract, Crop, Interpolation
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import Box, Placement, halvings, place
from edge_classifier.core.quantization import (
    Array,
    Route,
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
    """One resize: the ``width`` x ``height`` pixels that it takes, and how."""

    width: int
    height: int
    interpolation: int
    buffer: Pixels | None
    """What it fills; None: the target itself."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where frames of one size go, and the buffers on the way, reused for every frame."""

    placement: Placement
    steps: tuple[_Step, ...]
    canvas: Pixels


class Preprocessor:
    """Writes frames into the input of one model, as its contract says.

    ``tensor`` is that input's memory, shape (height, width, 3), dtype as ``spec`` has it. Holds
    scratch buffers, so it belongs to one thread. Frames of a new size cost a new plan.
    """

    def __init__(self, contract: Contract, spec: TensorSpec, tensor: Array) -> None:
        self.contract = contract
        table = pixel_table(contract.mean, contract.std, spec)
        self.route = pixel_route(table)
        self._table = np.ascontiguousarray(table).reshape(1, 256, 3)
        self._tensor = tensor
        direct = self.route is not Route.TABLE
        self._ordered: Pixels = (
            tensor.view(np.uint8) if direct else np.empty(tensor.shape, np.uint8)
        )
        self._words, self._top_bits = _words(self._ordered)
        self._plan: tuple[tuple[int, int], _Plan] | None = None

    def write(self, frame: Frame) -> None:
        """Fill the tensor from ``frame``, in place."""
        plan = self._plan_for(frame.width, frame.height)
        swap = frame.order is not self.contract.colour_order
        canvas = plan.canvas if swap else self._ordered
        if self.contract.crop is Crop.LETTERBOX:
            canvas[:] = _bar_colour(self.contract, swap)
        _resize(frame.pixels, plan, canvas)
        if swap:
            cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB, dst=self._ordered)
        if self.route is Route.TABLE:
            cv2.LUT(self._ordered, self._table, dst=self._tensor)
        elif self.route is Route.FLIP_TOP_BIT:
            np.bitwise_xor(self._words, self._top_bits, out=self._words)

    def _plan_for(self, width: int, height: int) -> _Plan:
        if self._plan is None or self._plan[0] != (width, height):
            self._plan = (width, height), _plan(width, height, self.contract)
        return self._plan[1]


def _resize(pixels: Pixels, plan: _Plan, canvas: Pixels) -> None:
    """Resize the source box of ``pixels`` onto the target box of ``canvas``."""
    box = plan.placement.source
    region = pixels[box.y : box.bottom, box.x : box.right]
    box = plan.placement.target
    target = canvas[box.y : box.bottom, box.x : box.right]
    for step in plan.steps:
        buffer = target if step.buffer is None else step.buffer
        size = buffer.shape[1], buffer.shape[0]
        taken = region[: step.height, : step.width]
        cv2.resize(taken, size, dst=buffer, interpolation=step.interpolation)
        region = buffer


def _plan(width: int, height: int, contract: Contract) -> _Plan:
    placement = place(width, height, contract)
    source, target = placement.source, placement.target
    size = source.width, source.height
    steps = []
    if contract.interpolation is Interpolation.HALVING:
        for factors in _halvings(source, target):
            halved = size[0] // factors[0], size[1] // factors[1]
            even = halved[0] * factors[0], halved[1] * factors[1]
            # By exactly 2, bilinear is the mean of 2 x 2 pixels, and OpenCV has it vectorized.
            steps.append(_Step(*even, cv2.INTER_LINEAR, _pixels(*halved)))
            size = halved
    if contract.interpolation is Interpolation.AREA:
        # INTER_AREA is a mean only where both sides shrink.
        shrunk = min(size[0], target.width), min(size[1], target.height)
        steps.append(_Step(*size, cv2.INTER_AREA, _pixels(*shrunk)))
        size = shrunk
    steps.append(_Step(*size, cv2.INTER_LINEAR, None))
    return _Plan(placement, tuple(steps), _pixels(contract.width, contract.height))


def _halvings(source: Box, target: Box) -> Iterator[tuple[int, int]]:
    """For each step 2 or 1 for width and height: a side that is small enough waits."""
    across, down = halvings(source.width, target.width), halvings(source.height, target.height)
    for step in range(max(across, down)):
        yield (2 if step < across else 1), (2 if step < down else 1)


def _pixels(width: int, height: int) -> Pixels:
    return np.empty((height, width, 3), np.uint8)


def _bar_colour(contract: Contract, swap: bool) -> tuple[int, ...]:
    """The pixel nearest to real zero, in the order of the canvas."""
    colour = tuple(min(255, max(0, round(value))) for value in contract.mean)
    return colour[::-1] if swap else colour


def _words(pixels: Pixels) -> tuple[Array, Array]:
    """``pixels`` flat, as words as wide as fit, and one such word with each byte's top bit set.

    A constant that is an array already saves numpy from making one for every frame.
    """
    width = np.uint64 if pixels.size % 8 == 0 else np.uint8
    flat = pixels.reshape(-1).view(width)
    return flat, np.frombuffer(b"\x80" * flat.itemsize, width).reshape(())
