"""Small made scenes: a textured ground, things that come before it, noise, light and rain."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame

Pixels = NDArray[np.uint8]
SIZE = 1280, 720


def texture(seed: int, width: int, height: int) -> Pixels:
    """Blots of several sizes, as pictures of things have."""
    random = np.random.default_rng(seed)
    levels = np.zeros((height, width, 3), np.float32)
    for cells, weight in ((3, 60), (9, 40), (40, 20)):
        blots = random.normal(0, weight, (cells, cells, 3)).astype(np.float32)
        levels += cv2.resize(blots, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(levels + 120, 0, 255), np.uint8)


def ground(seed: int = 0, size: tuple[int, int] = SIZE) -> Pixels:
    """What the camera sees while nothing is there."""
    return texture(seed, *size)


def with_thing(pixels: Pixels, left: int, top: int, side: int, seed: int = 7) -> Pixels:
    """A square thing before it."""
    found = pixels.copy()
    found[top : top + side, left : left + side] = texture(seed, side, side)
    return found


def noisy(pixels: Pixels, seed: int, sigma: float = 4) -> Frame:
    """As a sensor gives it."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, sigma, (90, 160, 3)).astype(np.float32)
    # Each pixel has some of its own, without drawing millions of numbers.
    rows, columns = -(-pixels.shape[0] // 90), -(-pixels.shape[1] // 160)
    spread = np.tile(noise, (rows, columns, 1))[: pixels.shape[0], : pixels.shape[1]]
    spread = spread[:, :: random.choice([-1, 1])]
    return Frame(np.clip(pixels + spread, 0, 255).astype(np.uint8), ColourOrder.BGR)


def lit(pixels: Pixels, gain: float, offset: float = 0) -> Pixels:
    """In other light."""
    return np.asarray(np.clip(pixels.astype(np.float32) * gain + offset, 0, 255), np.uint8)


def shifted(pixels: Pixels, across: int, down: int) -> Pixels:
    """As a camera sees it that has been moved by so many pixels."""
    moved = np.array([[1, 0, across], [0, 1, down]], np.float32)
    size = pixels.shape[1], pixels.shape[0]
    found = cv2.warpAffine(pixels, moved, size, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(found, np.uint8)


def rained(pixels: Pixels, seed: int) -> Pixels:
    """Streaks before it."""
    random = np.random.default_rng(seed)
    found = pixels.copy()
    for _ in range(150):
        x, y = int(random.integers(0, pixels.shape[1])), int(random.integers(0, pixels.shape[0]))
        length = int(random.integers(20, 60))
        cv2.line(found, (x, y), (x + length // 8, y + length), (200, 200, 200), 1, cv2.LINE_AA)
    return found
