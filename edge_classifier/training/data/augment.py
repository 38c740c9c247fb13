"""Variations of a training picture: another cut, angle and light, the same thing to see."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.geometry import halvings
from edge_classifier.training.settings import Augment
from edge_classifier.vision.preprocess import Pixels

_MIDDLE = 127.5


def augment(pixels: Pixels, rng: np.random.Generator, settings: Augment, size: int) -> Pixels:
    """A random square of ``pixels`` (H, W, 3), uint8, RGB: shape (size, size, 3).

    Always draws as many random numbers: turning one variation off leaves the others as they are.
    """
    zoom, x, y, turn, flip, *light = rng.random(10)
    height, width = pixels.shape[:2]
    side = min(height, width) * (1 - settings.zoom * zoom)
    centre = side / 2 + np.array((x * (width - side), y * (height - side)))
    angle = np.radians(settings.rotation_deg) * (2 * turn - 1)
    mirrored = settings.flip and flip < 0.5
    cut = _cut(pixels, centre, side, angle, size, mirrored=mirrored)
    # What each value of red, green and blue becomes: (256, 3).
    contrast, brightness, *colour = np.array(light) * 2 - 1
    values = np.arange(256.0)[:, None]
    contrasted = (values - _MIDDLE) * (1 + settings.contrast * contrast) + _MIDDLE
    brighter = contrasted + 255 * settings.brightness * brightness
    coloured = brighter * (1 + settings.colour * np.array(colour))
    table = np.rint(np.clip(coloured, 0, 255)).astype(np.uint8)
    return np.asarray(cv2.LUT(cut, table[None]), np.uint8)


def _cut(
    pixels: Pixels,
    centre: NDArray[np.float64],
    side: float,
    angle: float,
    size: int,
    *,
    mirrored: bool,
) -> Pixels:
    """The square of ``side`` pixels around ``centre`` (x, y), turned by ``angle`` (radians).

    Shrunk as on the device: halved while it is much too large, then bilinear. Beyond its edges
    the picture is mirrored, which looks more like a picture than black corners.
    """
    times = halvings(int(side), size)
    for _ in range(times):
        half = pixels.shape[1] // 2, pixels.shape[0] // 2
        pixels = np.asarray(
            cv2.resize(pixels[: 2 * half[1], : 2 * half[0]], half, interpolation=cv2.INTER_LINEAR),
            np.uint8,
        )
    scale = side / 2**times / size
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    across = np.array(((cosine, -sine), (sine, cosine))) * ((-1, 1) if mirrored else (1, 1))
    # Coordinates count from the middle of the first pixel: OpenCV's way.
    origin = centre / 2**times - 0.5 - across @ np.full(2, (size - 1) / 2)
    warped = cv2.warpAffine(
        pixels,
        np.column_stack((across, origin)),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(warped, np.uint8)


def blend(first: Pixels, second: Pixels, share: float) -> Pixels:
    """``share`` of ``first``, the rest of ``second``."""
    return np.asarray(cv2.addWeighted(first, share, second, 1 - share, 0), np.uint8)
