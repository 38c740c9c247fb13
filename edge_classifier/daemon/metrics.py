"""One figure for Prometheus, as any part of the daemon can give it without the library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple


class MetricSample(NamedTuple):
    """One number of a figure; its labels tell it from the others."""

    value: float
    labels: Mapping[str, str] = {}
    # Of the figure's name: ``_sum`` and ``_count`` of a summary.
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class DaemonMetric:
    """What is measured, and its samples."""

    # Ends with the unit. The project's prefix, and ``_total`` of a counter, are added later.
    name: str
    text: str
    kind: Literal["counter", "gauge", "summary"]
    samples: tuple[MetricSample, ...]


def counter(name: str, text: str, value: float) -> DaemonMetric:
    """A figure that only grows."""
    return DaemonMetric(name, text, "counter", (MetricSample(value),))


def gauge(name: str, text: str, value: float) -> DaemonMetric:
    """A figure that comes and goes."""
    return DaemonMetric(name, text, "gauge", (MetricSample(value),))
