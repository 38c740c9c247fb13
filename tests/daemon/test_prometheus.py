"""Figures as Prometheus reads them back."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_classifier.daemon.metrics import DaemonMetric, MetricSample, counter, gauge
from edge_classifier.daemon.prometheus import exposition

Read = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(*figures: DaemonMetric) -> tuple[dict[str, str], Read]:
    """Types by name, and values by name and labels."""
    families = list(text_string_to_metric_families(exposition(figures).decode()))
    types = {family.name: family.type for family in families}
    return types, {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_counter_gets_its_suffix_and_gauge_none() -> None:
    types, values = read(counter("drops", "Gone.", 3), gauge("store_bytes", "Held.", 1.5e9))
    assert types == {"edge_classifier_drops": "counter", "edge_classifier_store_bytes": "gauge"}
    assert values == {
        ("edge_classifier_drops_total", ()): 3,
        ("edge_classifier_store_bytes", ()): 1.5e9,
    }


def test_summary_keeps_quantiles_sum_and_count() -> None:
    samples = (
        MetricSample(0.004, {"stage": "inference", "quantile": "0.5"}),
        MetricSample(1.25, {"stage": "inference"}, "_sum"),
        MetricSample(300, {"stage": "inference"}, "_count"),
    )
    types, values = read(DaemonMetric("stage_seconds", "Time.", "summary", samples))
    name = "edge_classifier_stage_seconds"
    assert types == {name: "summary"}
    assert values == {
        (name, (("quantile", "0.5"), ("stage", "inference"))): 0.004,
        (f"{name}_sum", (("stage", "inference"),)): 1.25,
        (f"{name}_count", (("stage", "inference"),)): 300,
    }


@pytest.mark.parametrize("label", ['a "quoted" \\ name', "two\nlines", "猫", ""])
def test_label_of_any_text_survives(label: str) -> None:
    _, values = read(
        DaemonMetric("online", "Is it?", "gauge", (MetricSample(1, {"camera": label}),))
    )
    assert list(values) == [("edge_classifier_online", (("camera", label),))]


def test_no_figures_are_an_empty_page() -> None:
    assert exposition(()) == b""
