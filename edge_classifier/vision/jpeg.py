"""Frames as JPEG files: at full size, or made smaller until they fit."""

from collections.abc import Iterator

import cv2
import numpy as np

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.jpeg_comment import comments_of, with_comment
from edge_classifier.vision.jpeg_frames import simplejpeg

# Quality that is tried first: a lower one shows, a higher one costs bytes that nobody sees.
BEST = 85

# Lower qualities, and about the share of quality 85's bytes that each one takes.
_LESS = ((70, 0.70), (50, 0.53), (30, 0.40))

# About the share of the bytes that half the width and height take: detail grows denser.
_HALVED = 0.36

# What a comment takes in a JPEG beside its text.
_COMMENT_MARKER_BYTES = 4

# An attempt is skipped only when its estimate is over the limit by more than this.
_HOPEFUL = 1.15


def jpeg(frame: Frame, quality: int = BEST) -> bytes:
    """``frame`` as a JPEG file. One of 640x480 takes about 0.8 ms, of 1920x1080 about 5 ms.

    By the decoder's library: OpenCV's encoder takes 2 MB more, and a copy of the frame. It is used
    where there is no wheel of that (32-bit ARM).
    """
    pixels = frame.pixels
    if library := simplejpeg():
        contiguous = np.ascontiguousarray(pixels)
        return bytes(library.encode_jpeg(contiguous, quality, frame.order.name, "420"))
    if frame.order is ColourOrder.RGB:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)  # type: ignore[assignment]
    encoded = cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, quality))[1]
    return encoded.tobytes()


def jpeg_within(frame: Frame, max_bytes: int, best: int = BEST) -> bytes:
    """The best JPEG of ``frame`` with at most ``max_bytes``, by two or three encodings as a rule.

    Quality goes down in steps, then width and height are halved, and so on. The first attempt's
    bytes tell which steps cannot fit, and those are not tried. Raises ValueError when not even
    one pixel fits, which takes about 700 bytes.
    """
    encoded = jpeg(frame, best)
    unit = float(len(encoded))  # of quality 85 at the size in hand
    for quality, share, halved in _steps():
        if len(encoded) <= max_bytes:
            return encoded
        if halved:
            if max(frame.width, frame.height) == 1:
                break
            size = max(1, frame.width // 2), max(1, frame.height // 2)
            pixels = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
            frame = Frame(pixels, frame.order)  # type: ignore[arg-type]
            unit *= _HALVED
        if unit * share <= _HOPEFUL * max_bytes:
            encoded = jpeg(frame, quality)
            unit = len(encoded) / share
    raise ValueError(f"no JPEG fits into {max_bytes} bytes")


def at_most(frame: Frame, longest_px: int) -> Frame:
    """``frame``, made smaller where its longer side has more than ``longest_px``."""
    longest = max(frame.width, frame.height)
    if longest <= longest_px:
        return frame
    width, height = (
        max(1, round(side * longest_px / longest)) for side in (frame.width, frame.height)
    )
    pixels = cv2.resize(frame.pixels, (width, height), interpolation=cv2.INTER_AREA)
    return Frame(pixels, frame.order)  # type: ignore[arg-type]


def jpeg_with_comment(frame: Frame, max_bytes: int, *comments: str) -> bytes:
    """``jpeg_within`` with comments in their order, which count, too."""
    room = max_bytes - sum(_COMMENT_MARKER_BYTES + len(one.encode()) for one in comments)
    made = jpeg_within(frame, room)
    for comment in reversed(comments):
        made = with_comment(made, comment)
    return made


def smaller_jpeg(jpeg_file: bytes, max_bytes: int) -> bytes:
    """The picture and the comments of ``jpeg_file`` in at most ``max_bytes``.

    Raises ValueError for what is not a JPEG, and where nothing fits.
    """
    pixels = cv2.imdecode(np.frombuffer(jpeg_file, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("no JPEG")
    frame = Frame(pixels, ColourOrder.BGR)  # type: ignore[arg-type]
    return jpeg_with_comment(frame, max_bytes, *comments_of(jpeg_file))


def _steps() -> Iterator[tuple[int, float, bool]]:
    """Quality, its share of the bytes, and whether the picture is to be halved first."""
    yield from ((quality, share, False) for quality, share in _LESS)
    while True:
        yield BEST, 1.0, True
        yield from ((quality, share, False) for quality, share in _LESS)
