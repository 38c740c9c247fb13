"""A chart of one row of bars, drawn by the server: where everything is, in percent of its size."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_classifier.web.records.history_chart import ChartLine, scale

# Of the room of a bar, what stays free beside it.
_GAP = 0.2
# Bars that have their name below them, at most: there is no room for all.
_MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One of them; numbers are text already, as attributes of SVG take them."""

    name: str
    # Empty: nothing.
    count: str
    left: str
    # The part of the axis that is its own.
    room: str
    middle: str
    is_named: bool


@dataclass(frozen=True, slots=True)
class Bars:
    """All of it."""

    bars: list[Bar]
    lines: list[ChartLine]
    # All bars, as ``d`` of a path in a box of 100 by 100.
    path: str
    total: int


def of(counts: Sequence[int], names: Sequence[str]) -> Bars:
    """The chart of ``counts``, of which there is one at least, each with its name."""
    step, top = scale(max(counts))
    room, every = 100 / len(counts), -(-len(counts) // _MOST_NAMES)
    bars, parts = [], []
    for number, (count, name) in enumerate(zip(counts, names, strict=True)):
        left, width, height = number * room, room * (1 - _GAP), 100 * count / top
        middle = f"{left + room / 2:.2f}"
        shown, is_named = str(count or ""), number % every == 0
        bars.append(Bar(name, shown, f"{left:.2f}", f"{room:.2f}", middle, is_named))
        if count:
            corner = f"M{left + room * _GAP / 2:.2f} {100 - height:.2f}"
            parts.append(f"{corner}h{width:.2f}v{height:.2f}h-{width:.2f}z")
    lines = [ChartLine(f"{100 - 100 * n / top:.2f}", n) for n in range(step, top + 1, step)]
    return Bars(bars, lines, "".join(parts), sum(counts))
