"""How sharp a frame is, to choose among frames of the same scene."""

import cv2
import numpy as np

from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import RelativeBox

# Pixels of the shorter side that are looked at.
_SAMPLED_PX = 240


def sharpness(frame: Frame, box: RelativeBox | None = None) -> float:
    """The variance of the Laplacian of ``frame``, or of its part ``box``, in grey levels squared.

    Pech-Pacheco and others, "Diatom autofocusing in brightfield microscopy" (2000). Only frames of
    one scene can be compared by it: it grows with contrast and noise, too. Pixels are left out and
    not averaged, so that what is blurred over several of them still differs from what is not.
    """
    pixels = frame.pixels
    if box is not None:
        left, top = int(box.left * frame.width), int(box.top * frame.height)
        right = left + max(1, round(box.width * frame.width))
        bottom = top + max(1, round(box.height * frame.height))
        pixels = pixels[top:bottom, left:right]
    step = max(1, min(pixels.shape[:2]) // _SAMPLED_PX)
    # Green stands for grey: most of what an eye and a sensor see is in it.
    green = np.ascontiguousarray(pixels[::step, ::step, 1])
    _, deviation = cv2.meanStdDev(cv2.Laplacian(green, cv2.CV_16S))
    return float(deviation.item() ** 2)
