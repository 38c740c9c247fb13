"""A JPEG within a number of bytes: it always fits, and wastes neither bytes nor time."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.jpeg_comment import comment_of, comments_of
from edge_classifier.vision import jpeg as module
from edge_classifier.vision.jpeg import jpeg, jpeg_with_comment, jpeg_within, smaller_jpeg


def picture(width: int, height: int) -> NDArray[np.uint8]:
    """Detail at every scale, as photographs have it."""
    rng = np.random.default_rng(0)
    pixels = np.full((height, width, 3), 128.0, np.float32)
    for octave in range(2, 9):
        shape = height // 2 ** (8 - octave) + 2, width // 2 ** (8 - octave) + 2, 3
        detail = rng.normal(0, 60 / 2 ** (octave / 2), shape).astype(np.float32)
        pixels += cv2.resize(detail, (width, height), interpolation=cv2.INTER_CUBIC)
    clipped: NDArray[np.uint8] = np.clip(pixels, 0, 255).astype(np.uint8)
    return clipped


def decoded(encoded: bytes) -> NDArray[np.uint8]:
    """In BGR."""
    found = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found, np.uint8)


@pytest.mark.parametrize("encoder", ["simplejpeg", "OpenCV"])
@pytest.mark.parametrize("order", ColourOrder)
def test_jpeg_of_either_colour_order_shows_the_same_colours(
    order: ColourOrder, encoder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if encoder == "OpenCV":
        # As where there is no wheel.
        monkeypatch.setattr(module, "simplejpeg", lambda: None)
    else:
        # What it takes into memory stays there.
        monkeypatch.setattr(cv2, "imencode", None)
    red = (255, 0, 0) if order is ColourOrder.RGB else (0, 0, 255)
    pixels = np.full((16, 16, 3), red, np.uint8)
    blue, green, red_seen = decoded(jpeg(Frame(pixels, order)))[8, 8]
    assert (blue < 10, green < 10, red_seen > 245) == (True, True, True)


def test_jpeg_leaves_the_frame_as_it_was() -> None:
    pixels = picture(64, 48)
    before = pixels.copy()
    jpeg_within(Frame(pixels), 2_000)
    assert np.array_equal(pixels, before)


def test_jpeg_of_a_part_of_a_frame_is_that_part() -> None:
    pixels = picture(64, 48)
    part = decoded(jpeg(Frame(pixels[8:40, 16:48], ColourOrder.BGR), 95))
    assert part.shape == (32, 32, 3)
    assert np.abs(part.astype(int) - pixels[8:40, 16:48]).mean() < 12


@pytest.mark.parametrize("limit", [2_000, 10_000, 30_000, 100_000, 5_000_000])
@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (333, 1001)])
def test_jpeg_within_a_limit_fits(size: tuple[int, int], limit: int) -> None:
    frame = Frame(picture(*size))
    encoded = jpeg_within(frame, limit)
    assert len(encoded) <= limit
    height, width, _ = decoded(encoded).shape
    assert abs(width / height - size[0] / size[1]) < 0.06 * size[0] / size[1]
    # A smaller picture than would have fitted helps nobody.
    assert len(encoded) > 0.4 * min(limit, len(jpeg(frame)))


def test_jpeg_that_fits_at_once_has_full_size_and_best_quality() -> None:
    frame = Frame(picture(320, 240))
    assert jpeg_within(frame, 5_000_000) == jpeg(frame)
    assert jpeg_within(frame, 5_000_000, 92) == jpeg(frame, 92)


def test_jpeg_within_a_limit_loses_quality_before_size() -> None:
    frame = Frame(picture(320, 240))
    encoded = jpeg_within(frame, round(0.8 * len(jpeg(frame))))
    assert decoded(encoded).shape == (240, 320, 3)


@pytest.mark.parametrize("limit", [2_000, 30_000, 100_000])
def test_jpeg_within_a_limit_takes_few_attempts(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def counting(frame: Frame, quality: int = module.BEST) -> bytes:
        attempts.append(quality)
        return jpeg(frame, quality)

    monkeypatch.setattr(module, "jpeg", counting)
    jpeg_within(Frame(picture(1920, 1080)), limit)
    assert len(attempts) <= 5


def test_jpeg_within_too_few_bytes_says_so() -> None:
    with pytest.raises(ValueError, match="no JPEG fits into 100 bytes"):
        jpeg_within(Frame(picture(640, 480)), 100)


def test_jpeg_of_a_single_pixel_fits_the_smallest_limit() -> None:
    assert len(jpeg_within(Frame(np.zeros((1, 1, 3), np.uint8)), 2_000)) < 2_000


def test_jpeg_with_a_comment_fits_with_it_and_shows_it() -> None:
    for limit in (2_000, 5_000, 20_000):
        encoded = jpeg_with_comment(Frame(picture(640, 480)), limit, "说明 of a frame")
        assert len(encoded) <= limit
        assert comment_of(encoded) == "说明 of a frame"
        assert decoded(encoded).shape[2] == 3


def test_jpeg_made_smaller_keeps_all_that_is_said_of_it() -> None:
    said = ["event", "frame"]
    encoded = jpeg_with_comment(Frame(picture(640, 480)), 50_000, *said)
    smaller = smaller_jpeg(encoded, 5_000)
    assert len(smaller) <= 5_000
    assert comments_of(encoded) == comments_of(smaller) == said
