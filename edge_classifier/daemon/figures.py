"""One figure for Prometheus, as any part of the daemon can give it without the library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple


class Sample(NamedTuple):
    """One number of a figure; its labels tell it from the others."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""
    """Of the figure's name: ``_sum`` and ``_count`` of a summary."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What is measured, and its samples."""

    name: str
    """Ends with the unit. The project's prefix, and ``_total`` of a counter, are added later."""
    text: str
    kind: Literal["counter", "gauge", "summary"]
    samples: tuple[Sample, ...]


def counter(name: str, text: str, value: float) -> Figure:
    """A figure that only grows."""
    return Figure(name, text, "counter", (Sample(value),))


def gauge(name: str, text: str, value: float) -> Figure:
    """A figure that comes and goes."""
    return Figure(name, text, "gauge", (Sample(value),))
