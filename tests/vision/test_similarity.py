"""Near-duplicates are near, other pictures are far, whatever the size and the colour order."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.vision.similarity import distance, perceptual_hash

Pixels = NDArray[np.uint8]
NEAR, FAR = 6, 14


def scene(seed: int, width: int = 640, height: int = 480) -> Pixels:
    """A picture of soft blobs, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def noisy(pixels: Pixels, sigma: float, seed: int = 1) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def recompressed(pixels: Pixels) -> Pixels:
    encoded = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, 30))[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def hashed(pixels: Pixels) -> int:
    return perceptual_hash(Frame(pixels))


@pytest.mark.parametrize(
    "change",
    [
        lambda pixels: cv2.convertScaleAbs(pixels, alpha=1.0, beta=15),
        lambda pixels: cv2.convertScaleAbs(pixels, alpha=0.8),
        recompressed,
        lambda pixels: noisy(pixels, 8),
        lambda pixels: np.roll(pixels, 3, axis=1),
        lambda pixels: cv2.resize(pixels, (320, 240), interpolation=cv2.INTER_AREA),
    ],
    ids=["brighter", "darker", "recompressed", "noisier", "shifted", "halved"],
)
def test_hash_of_a_slightly_changed_picture_stays_near(change: Callable[[Pixels], Pixels]) -> None:
    for seed in range(10):
        before = scene(seed)
        assert distance(hashed(before), hashed(change(before))) <= NEAR


def test_hashes_of_different_pictures_are_far_apart() -> None:
    hashes = [hashed(scene(seed)) for seed in range(40)]
    nearest = min(distance(one, other) for i, one in enumerate(hashes) for other in hashes[:i])
    assert nearest > FAR


@pytest.mark.parametrize("grey", [0, 12, 128, 240])
def test_hashes_of_a_flat_noisy_picture_are_equal(grey: int) -> None:
    flat = np.full((480, 640, 3), grey, np.uint8)
    assert len({hashed(noisy(flat, 8, seed)) for seed in range(10)}) == 1


def test_hash_of_the_other_colour_order_is_the_same() -> None:
    pixels = scene(3)
    swapped = np.ascontiguousarray(pixels[..., ::-1])
    assert perceptual_hash(Frame(pixels)) == perceptual_hash(Frame(swapped, ColourOrder.BGR))


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 3, 3), (1080, 1920, 3)])
def test_hash_of_any_size_has_64_bits(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert 0 <= hashed(pixels) < 2**64


@pytest.mark.parametrize(
    ("one", "other", "bits"),
    [(0, 0, 0), (0, 2**64 - 1, 64), (0b1010, 0b0110, 2), (2**63, 0, 1)],
)
def test_distance_counts_differing_bits(one: int, other: int, bits: int) -> None:
    assert distance(one, other) == distance(other, one) == bits
