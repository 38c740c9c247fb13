"""JPEG frames of cameras: a whole one decoded, one that was cut short told as such.

A decoder fills what is missing with grey or with the frame before, and says nothing: half a picture
would count as a good one.
"""

import importlib
import io
from contextlib import suppress
from functools import cache
from typing import Any

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.jpeg_scan import is_whole_jpeg
from edge_classifier.errors import PictureError

# More than any camera's frame has: 8K, which is 100 MB when it is decoded.
MOST_PIXELS = 36_000_000


def decode_jpeg(name: str, data: bytes) -> Frame:
    """The picture, in RGB. Raises PictureError for one that is damaged, cut short or too large.

    By simplejpeg, which is as fast as OpenCV's decoder and does not write to standard error, as
    that does for each odd byte of a cheap camera. Where there is no wheel of it (32-bit ARM), and
    for the rare colours that it does not know, by Pillow, in three times as long.
    """
    if not is_whole_jpeg(data):
        raise PictureError(name, "is cut short")
    if library := simplejpeg():
        with suppress(ValueError):
            height, width, *_ = library.decode_jpeg_header(data, strict=False)
            # A header may promise more than there is memory.
            if height * width <= MOST_PIXELS:
                # Not strict: a warning is not a reason to lose a frame.
                pixels = library.decode_jpeg(data, "RGB", strict=False)
                return Frame(pixels, ColourOrder.RGB)
    # Late: cameras that send no JPEG do not pay for Pillow.
    from edge_classifier.vision.pictures import load_picture

    return load_picture(name, stream=io.BytesIO(data), pixel_limit=MOST_PIXELS).frame


@cache
def simplejpeg() -> Any:
    """The module; None where it is not installed, or was compiled for another numpy."""
    try:
        return importlib.import_module("simplejpeg")
    except (ImportError, ValueError):
        return None
