"""The part of a frame that is looked at."""

from edge_classifier.config.settings import Region
from edge_classifier.core.frame import Frame


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
