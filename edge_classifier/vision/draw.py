"""Pictures with their labels on them. The font, CJK included, is the one inside OpenCV 5."""

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import Box, RelativeBox
from edge_classifier.core.scores import Prediction
from edge_classifier.core.text import escaped
from edge_classifier.errors import OutputError
from edge_classifier.files import write_whole
from edge_classifier.vision.preprocess import Pixels

_INK = (235, 235, 235)
_PAPER = (32, 28, 26)
_BAR = (176, 122, 52)
# Blue, green, red, as OpenCV draws.
_BAD = (60, 60, 200)
# Pictures on one contact sheet; more would not be looked at.
SHEET_LIMIT = 2000


def annotate(frame: Frame, predictions: Sequence[Prediction], seen: Box) -> Pixels:
    """The picture above its predictions as bars; ``seen`` by the network is framed. BGR."""
    picture = _bgr(frame).copy()
    unit = max(12, min(picture.shape[:2]) // 24)
    if (seen.width, seen.height) != (frame.width, frame.height):
        corner = (seen.right - 1, seen.bottom - 1)
        cv2.rectangle(picture, (seen.x, seen.y), corner, _INK, max(1, unit // 12))
    shown = predictions[:5]
    size = round(unit * (2 * len(shown) + 0.6)), max(picture.shape[1], 20 * unit)
    panel = np.full((*size, 3), _PAPER, np.uint8)
    for row, prediction in enumerate(shown):
        top = round(unit * (2 * row + 0.4))
        length = round((panel.shape[1] - unit) * prediction.score)
        cv2.rectangle(panel, (unit // 2, top), (unit // 2 + length, top + 2 * unit - 4), _BAR, -1)
        score = f"{prediction.score:.2f}"
        width = _text_width(score, unit)
        room = panel.shape[1] - 3 * unit - width
        baseline = top + round(1.4 * unit)
        _write(panel, _shorten(prediction.label, unit, room), (unit, baseline), unit)
        _write(panel, score, (panel.shape[1] - unit - width, baseline), unit)
    margin = (panel.shape[1] - picture.shape[1]) // 2
    rest = panel.shape[1] - picture.shape[1] - margin
    framed = cv2.copyMakeBorder(picture, 0, 0, margin, rest, cv2.BORDER_CONSTANT, value=_PAPER)
    return np.vstack([np.asarray(framed, np.uint8), panel])


def with_box(frame: Frame, box: RelativeBox) -> Frame:
    """A copy of ``frame`` with a frame around ``box``, in two shades that show on any ground."""
    pixels = frame.pixels.copy()
    first = round(box.left * frame.width), round(box.top * frame.height)
    last = (
        round((box.left + box.width) * frame.width) - 1,
        round((box.top + box.height) * frame.height) - 1,
    )
    unit = max(1, min(frame.width, frame.height) // 360)
    cv2.rectangle(pixels, first, last, _PAPER, 3 * unit)
    cv2.rectangle(pixels, first, last, _INK, unit)
    return Frame(pixels, frame.order)


class ContactSheet:
    """Collects small pictures with captions and lays them out as a grid."""

    def __init__(self, count: int) -> None:
        self._side = 200 if count <= 100 else 128
        self._tiles: list[Pixels] = []

    def add(self, frame: Frame | None, name: str, caption: str) -> None:
        """One picture; without a frame, an empty tile in red for a file that could not be read."""
        if len(self._tiles) >= SHEET_LIMIT:
            return
        side, unit = self._side, self._side // 14
        tile = np.full((side + 4 * unit, side, 3), _PAPER, np.uint8)
        if frame is None:
            cv2.rectangle(tile, (0, 0), (side - 1, side - 1), _BAD, 2)
        else:
            tile[:side] = thumbnail(_bgr(frame), side)
        room = side - unit
        _write(tile, _shorten(caption, unit, room), (unit // 2, side + round(1.4 * unit)), unit)
        small = unit - 3
        _write(tile, _shorten(name, small, room), (unit // 2, side + 3 * unit), small)
        self._tiles.append(tile)

    def render(self) -> Pixels:
        """The grid, wider than high, BGR."""
        columns = max(1, math.ceil(math.sqrt(1.4 * len(self._tiles))))
        columns = min(columns, len(self._tiles))
        rows = math.ceil(len(self._tiles) / columns)
        height, width = self._tiles[0].shape[:2]
        gap = 6
        sheet = np.full(
            (rows * (height + gap) + gap, columns * (width + gap) + gap, 3), _PAPER, np.uint8
        )
        for number, tile in enumerate(self._tiles):
            y = gap + number // columns * (height + gap)
            x = gap + number % columns * (width + gap)
            sheet[y : y + height, x : x + width] = tile
        return sheet


def save(picture: Pixels, path: Path) -> None:
    """Write ``picture``, BGR, as its suffix says; whole or not at all. Raises OutputError."""
    # What OpenCV would say on standard error comes as an error below.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        encoded, data = cv2.imencode(path.suffix, picture)
    except cv2.error:
        encoded = False
    if not encoded:
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise OutputError(
            str(path), f"{size} pixels cannot be stored as {path.suffix}", "Use .png."
        )
    # Not durable: thousands of pictures may be drawn, and can be drawn again.
    write_whole(path, data.tobytes(), durable=False)


def _bgr(frame: Frame) -> Pixels:
    if frame.order is ColourOrder.BGR:
        return frame.pixels
    return np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR), np.uint8)


def thumbnail(picture: Pixels, side: int) -> Pixels:
    """The largest central square, ``side`` pixels wide."""
    height, width = picture.shape[:2]
    square = min(height, width)
    y, x = (height - square) // 2, (width - square) // 2
    how = cv2.INTER_AREA if square > side else cv2.INTER_LINEAR
    cut = picture[y : y + square, x : x + square]
    return np.asarray(cv2.resize(cut, (side, side), interpolation=how), np.uint8)


def _write(picture: Pixels, text: str, at: tuple[int, int], size: int) -> None:
    """Draw ``text`` in place; ``at`` is the left end of its baseline."""
    text = escaped(text)  # OpenCV does not survive half characters.
    if hasattr(cv2, "FontFace"):
        cv2.putText(picture, text, at, _INK, cv2.FontFace("sans"), size)
    else:  # OpenCV 4, on 32-bit ARM: its strokes are ASCII only.
        plain = text.encode("ascii", "replace").decode()
        cv2.putText(picture, plain, at, cv2.FONT_HERSHEY_SIMPLEX, size / 30, _INK, 1, cv2.LINE_AA)


def _text_width(text: str, size: int) -> int:
    text = escaped(text)
    if hasattr(cv2, "FontFace"):
        return int(cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), size)[2])
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size / 30, 1)
    return int(width)


def _shorten(text: str, size: int, room: int) -> str:
    """``text``, cut with an ellipsis so that it is at most ``room`` pixels wide."""
    if _text_width(text, size) <= room:
        return text
    while text and _text_width(text + "…", size) > room:
        text = text[:-1]
    return text.rstrip() + "…"
