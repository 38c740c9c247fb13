"""The region of a frame, and its preprocessing in the camera's own thread.

The network is busy with the frame before meanwhile. On one core it takes no longer than in the
pipeline's thread; on several it costs the pipeline nothing but a copy.
"""

import time

import numpy as np

from edge_classifier.config.settings import Region
from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame, PreprocessedFrame
from edge_classifier.core.quantization import TensorSpec
from edge_classifier.protocols import Clock
from edge_classifier.vision.preprocess import Preprocessor


class CameraPreprocessor:
    """Prepares one camera's frames for one network. For one thread, whichever it is."""

    def __init__(
        self,
        contract: Contract,
        spec: TensorSpec,
        region: Region,
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        """``spec``: of the network's input."""
        self._region = region
        self._tensor = np.empty(spec.shape[1:], spec.dtype)
        self._preprocessor = Preprocessor(contract, spec, self._tensor)
        self._clock = clock

    def __call__(self, frame: Frame) -> PreprocessedFrame:
        """The region of ``frame``, prepared; the result is the caller's."""
        started = self._clock()
        self._preprocessor.write(region_of(frame, self._region))
        picture = self._tensor.copy()
        return PreprocessedFrame(picture, self, 1e3 * (self._clock() - started))


def region_of(frame: Frame, region: Region) -> Frame:
    """``region`` of ``frame``, at least one pixel: a view of the same memory, not a copy."""
    left, right = _span(region.left, region.width, frame.width)
    top, bottom = _span(region.top, region.height, frame.height)
    if (right - left, bottom - top) == (frame.width, frame.height):
        return frame
    return Frame(frame.pixels[top:bottom, left:right], frame.order)


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    """First pixel, and the one after the last."""
    first = min(round(start * pixels), pixels - 1)
    return first, min(pixels, max(first + 1, round((start + length) * pixels)))
