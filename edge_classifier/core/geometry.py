"""Which part of a picture the network sees, and where it lands in the input. Pure integers."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from edge_classifier.core.contract import Contract, Crop

# Share by which a central crop may differ from its fraction to be a whole multiple: 448 / 420 is
# 1.067. Less than what two photographers' framings differ.
SNAP = 0.07

# Shrinking by up to this is left to bilinear interpolation, which there sees every pixel, and at
# exactly this is the mean of 2 x 2 pixels.
HALVE_FROM = 2


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels: left and top inclusive, x to the right and y down."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of the box."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.y + self.height


class RelativeBox(NamedTuple):
    """A part of a frame, in shares (0 to 1) of its width and height."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Placement:
    """``source`` of the picture is resized onto ``target`` of the model's input."""

    source: Box
    target: Box


def place(width: int, height: int, contract: Contract) -> Placement:
    """Where a picture of ``width`` x ``height`` pixels goes; every box has at least one pixel."""
    whole = Box(0, 0, width, height)
    canvas = Box(0, 0, contract.width, contract.height)
    if contract.crop is Crop.SQUASH:
        return Placement(whole, canvas)
    if contract.crop is Crop.LETTERBOX:
        return Placement(whole, _fit_inside(canvas, width, height))
    largest = _fit_inside(whole, contract.width, contract.height)
    fraction = contract.crop_fraction
    # The power of two from 2 up that is within SNAP of the multiple; 0: none is. A region of just
    # 2, 4, 8 times the model's size shrinks by means of whole pixels alone, which is both the most
    # exact and the fastest: 448 of 480 rows instead of 420 for a model of 224 and a fraction of
    # 0.875, 896 of 1080 instead of 945.
    multiple = largest.width * fraction / contract.width
    power = 2 ** max(1, round(math.log2(max(1, multiple))))
    power = power if abs(power - multiple) <= SNAP * multiple else 0
    size = contract.width * power, contract.height * power
    if not power or size[0] > width or size[1] > height:
        size = max(1, round(largest.width * fraction)), max(1, round(largest.height * fraction))
    return Placement(_centred(whole, *size), canvas)


def halvings(source: int, target: int) -> int:
    """How often to halve ``source`` pixels until bilinear interpolation can take the rest."""
    times = 0
    while source > HALVE_FROM * target:
        source, times = source // 2, times + 1
    return times


def _fit_inside(outer: Box, width: int, height: int) -> Box:
    """The largest centred box in ``outer`` with the aspect ratio of ``width`` to ``height``."""
    if outer.width * height <= outer.height * width:
        size = outer.width, max(1, round(outer.width * height / width))
    else:
        size = max(1, round(outer.height * width / height)), outer.height
    return _centred(outer, *size)


def _centred(outer: Box, width: int, height: int) -> Box:
    return Box(
        outer.x + (outer.width - width) // 2, outer.y + (outer.height - height) // 2, width, height
    )


def box_around(inner: Box, whole: Box, grow: float, least_px: int, aspect: float) -> Box:
    """A box of the ``aspect`` (width over height) around ``inner``, as far as ``whole`` has room.

    Its sides are ``grow`` times what contains ``inner`` exactly, the shorter at least
    ``least_px``; it is centred where that leaves it within ``whole``, else moved.
    """
    height = max(inner.height, inner.width / aspect) * grow
    height = max(height, least_px / min(1.0, aspect))
    height = min(height, whole.height, whole.width / aspect)
    size = max(1, round(height * aspect)), max(1, round(height))
    left = inner.x + (inner.width - size[0]) // 2
    top = inner.y + (inner.height - size[1]) // 2
    return Box(
        min(max(left, whole.x), whole.right - size[0]),
        min(max(top, whole.y), whole.bottom - size[1]),
        *size,
    )


def least_size(contract: Contract) -> tuple[int, int]:
    """The size (width, height) that a decoded picture must have for its crop to fill the input."""
    share = contract.crop_fraction if contract.crop is Crop.CENTER else 1.0
    return math.ceil(contract.width / share), math.ceil(contract.height / share)
