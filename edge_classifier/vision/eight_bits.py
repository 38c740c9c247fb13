"""Pictures of more than 8 bits a sample, such as those of thermal and depth cameras."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Of a thousand samples, so many at each end may be dead pixels.
_OUTLIERS = 1 / 1000
# A picture that spans more of the 16 bits is an ordinary one, whose high bytes are its 8 bits.
_WIDE = 32_768


class EightBits(NamedTuple):
    """A picture in 8 bits, and which samples became black and white."""

    # As the samples: grey.
    pixels: NDArray[np.uint8]
    # Lowest and highest, if they were stretched.
    stretched: tuple[int, int] | None


def eight_bits(samples: NDArray[np.integer]) -> EightBits:
    """Whole numbers of any size, shape (height, width), as 8 bits.

    A picture with half of the 16 bits' range in it keeps its high bytes. One with less, such as
    12-bit depths or a room's temperatures, would come out black or grey: what is in it is
    stretched from black to white, but for a few outliers.
    """
    values = samples.astype(np.int64)
    ordered = np.sort(values, axis=None)
    outliers = int(_OUTLIERS * ordered.size)
    low, high = int(ordered[outliers]), int(ordered[-1 - outliers])
    if high <= low or int(ordered[-1]) - int(ordered[0]) >= _WIDE:
        return EightBits(np.clip(values >> 8, 0, 255).astype(np.uint8), None)
    scaled = (values - low) * 255.0 / (high - low)
    return EightBits(np.clip(np.rint(scaled), 0, 255).astype(np.uint8), (low, high))
