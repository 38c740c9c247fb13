"""Figures in the text format that Prometheus reads. The only user of prometheus_client.

The library takes about 1 MB: this module is imported when figures are to be served, not before.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from edge_classifier.daemon.metrics import DaemonMetric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "edge_classifier_"


def exposition(figures: Iterable[DaemonMetric]) -> bytes:
    """One page of ``figures``."""
    registry = CollectorRegistry()
    registry.register(_Collected(tuple(figures)))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, figures: tuple[DaemonMetric, ...]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        for figure in self._figures:
            metric = Metric(PREFIX + figure.name, figure.text, figure.kind)
            total = "_total" if figure.kind == "counter" else ""
            for value, labels, suffix in figure.samples:
                metric.add_sample(metric.name + total + suffix, dict(labels), value)
            yield metric
