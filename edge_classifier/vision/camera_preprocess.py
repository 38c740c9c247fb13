"""The region of a frame and what moves in it, preprocessed in the camera's own thread.

The network is busy with the frame before meanwhile. On one core it takes no longer than in the
pipeline's thread; on several it costs the pipeline nothing but a copy.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.config.settings import Region
from edge_classifier.core.contract import Contract, Crop
from edge_classifier.core.frame import Frame, PreprocessedCrop, PreprocessedFrame
from edge_classifier.core.geometry import Box, RelativeBox
from edge_classifier.core.quantization import TensorSpec
from edge_classifier.protocols import Clock
from edge_classifier.vision.motion_finder import MotionFinder
from edge_classifier.vision.preprocess import Preprocessor


class CameraPreprocessor:
    """Prepares one camera's frames for one network. For one thread, whichever it is."""

    def __init__(
        self,
        contract: Contract,
        spec: TensorSpec,
        region: Region,
        finder: MotionFinder | None = None,
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        """``spec``: of the network's input. ``finder``: of what is to be cut out, too."""
        self._region, self._finder = region, finder
        self._tensor = np.empty(spec.shape[1:], spec.dtype)
        self._preprocessor = Preprocessor(contract, spec, self._tensor)
        self._clock = clock
        # Its boxes have the shape of the input: nothing is cut off, so that a box is what was seen.
        uncut = replace(contract, crop=Crop.SQUASH)
        self._crop_preprocessor = Preprocessor(uncut, spec, self._tensor)

    def __call__(self, frame: Frame) -> PreprocessedFrame:
        """The region of ``frame``, prepared, and what moves in it; the results are the caller's."""
        started = self._clock()
        area = region_box(frame, self._region)
        region = part_of(frame, area)
        moving = self._finder.find(region, started) if self._finder else None
        crop = None
        if moving:
            box = replace(moving, x=area.x + moving.x, y=area.y + moving.y)
            crop = PreprocessedCrop(
                self._write(self._crop_preprocessor, part_of(frame, box)),
                RelativeBox(
                    box.x / frame.width,
                    box.y / frame.height,
                    box.width / frame.width,
                    box.height / frame.height,
                ),
                box.height / area.height,
            )
        picture = self._write(self._preprocessor, region)
        return PreprocessedFrame(picture, self, 1e3 * (self._clock() - started), crop)

    def _write(self, preprocessor: Preprocessor, frame: Frame) -> NDArray[Any]:
        preprocessor.write(frame)
        return self._tensor.copy()


def region_of(frame: Frame, region: Region) -> Frame:
    """``region`` of ``frame``, at least one pixel: a view of the same memory, not a copy."""
    return part_of(frame, region_box(frame, region))


def region_box(frame: Frame, region: Region) -> Box:
    """``region`` in pixels of ``frame``, at least one."""
    left, right = _span(region.left, region.width, frame.width)
    top, bottom = _span(region.top, region.height, frame.height)
    return Box(left, top, right - left, bottom - top)


def part_of(frame: Frame, box: Box) -> Frame:
    """``box`` of ``frame``, likewise a view; the frame itself where that is all of it."""
    if (box.width, box.height) == (frame.width, frame.height):
        return frame
    return Frame(frame.pixels[box.y : box.bottom, box.x : box.right], frame.order)


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    """First pixel, and the one after the last."""
    first = min(round(start * pixels), pixels - 1)
    return first, min(pixels, max(first + 1, round((start + length) * pixels)))
