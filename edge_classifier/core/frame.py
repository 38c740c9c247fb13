"""A picture in memory, as cameras and files hand it on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.geometry import RelativeBox


@dataclass(frozen=True, slots=True)
class PreprocessedCrop:
    """The part of a frame in which something moves, as one network's input stores it."""

    # As in PreprocessedFrame.
    picture: NDArray[Any]
    # Of the whole frame.
    box: RelativeBox
    # Its height as a share of that of what may be looked at.
    share: float


@dataclass(frozen=True, slots=True)
class PreprocessedFrame:
    """A frame as one network's input stores it: cut, shrunk and quantized."""

    # Shape (height, width, 3), in the network's dtype.
    picture: NDArray[Any]
    # What made it: once the network has changed, what an older one made must not be used.
    preprocessor: object
    preprocess_ms: float
    # None: nothing moves, or nobody asks.
    crop: PreprocessedCrop | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """``pixels`` of shape (height, width, 3), uint8, in ``order``."""

    pixels: NDArray[np.uint8]
    order: ColourOrder = ColourOrder.RGB

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.pixels.shape[0])
