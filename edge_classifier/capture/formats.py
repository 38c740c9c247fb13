"""Pixel formats of libcamera, as picamera2 hands them out, to frames. Pure.

The names are libcamera's, of which "RGB888" is blue, green, red in memory: they are read from the
word's high end (picamera2#848).
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame


class _Format(NamedTuple):
    # What comes out.
    order: ColourOrder
    # None: the pixels are as wanted.
    conversion: int | None


_FORMATS = {
    "RGB888": _Format(ColourOrder.BGR, None),
    "BGR888": _Format(ColourOrder.RGB, None),
    "MJPEG": _Format(ColourOrder.RGB, None),
    "XRGB8888": _Format(ColourOrder.BGR, cv2.COLOR_BGRA2BGR),
    "XBGR8888": _Format(ColourOrder.RGB, cv2.COLOR_RGBA2RGB),
    "YUV420": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_I420),
    "YVU420": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_YV12),
    "NV12": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_NV12),
    "NV21": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_NV21),
    "YUYV": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_YUYV),
    "YVYU": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_YVYU),
    "UYVY": _Format(ColourOrder.BGR, cv2.COLOR_YUV2BGR_UYVY),
}
KNOWN = tuple(_FORMATS)


def to_frame(array: NDArray[np.uint8], name: str, size: tuple[int, int]) -> Frame:
    """``array`` of format ``name`` as a frame of ``size`` (width, height).

    ``array`` is as picamera2's ``make_array`` shapes it: (height, width, 3 or 4) for RGB,
    (height * 3 / 2, stride) for planar YUV, (height, stride / 2, 2) for packed YUV. Rows of YUV
    may be longer than the picture; the rest is cut off. Raises KeyError for an unknown format.
    """
    order, conversion = _FORMATS[name]
    pixels = array if conversion is None else cv2.cvtColor(array, conversion)
    return Frame(np.asarray(pixels, np.uint8)[: size[1], : size[0]], order)


def near_size(size: tuple[int, int], share: tuple[float, float], near_px: int) -> tuple[int, int]:
    """Even width and height, in the ratio of ``size`` and not above it, for the ISP to resize to.

    So large that the shorter side of the part that is classified, ``share`` of width and height,
    has 8/7 of ``near_px``: of that, models take the central 7/8, which then needs no resizing
    but a copy. Larger frames would cost memory traffic and be shrunk again.
    """
    shorter = min(size[0] * share[0], size[1] * share[1])
    scale = min(1.0, near_px * 8 / 7 / shorter)
    return _even(size[0] * scale, size[0]), _even(size[1] * scale, size[1])


def _even(pixels: float, most: int) -> int:
    """Rounded up, but not beyond ``most``."""
    return max(2, min(2 * math.ceil(pixels / 2), most - most % 2))
