"""The table of networks: its figures against published ones, and the script that measures it."""

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.training import settings
from edge_classifier.training.networks import build, table
from edge_classifier.training.networks.efficientnet_lite import EfficientNetLite0
from edge_classifier.training.networks.mobilenet_v2 import MobileNetV2
from tests.conftest import REPOSITORY

CLASSES = 1000


@pytest.mark.parametrize(
    ("width", "size", "millions"),
    [
        (1.4, 224, 582),
        (1.3, 224, 509),
        (1.0, 224, 300),
        (1.0, 160, 154),
        (1.0, 96, 56),
        (0.75, 224, 209),
        (0.5, 224, 97),
        (0.35, 224, 59),
        (0.35, 160, 30),
        (0.35, 96, 11),
    ],
)
def test_multiply_adds_of_mobilenet_v2_are_the_published_ones(
    width: float, size: int, millions: int
) -> None:
    """tensorflow/models, research/slim/nets/mobilenet/README.md."""
    chosen = settings.NetworkSettings(name="mobilenet-v2", width=width, pretrained="none")
    counted = table.multiply_adds(lambda: build(chosen, CLASSES), size) / 1e6
    assert counted == pytest.approx(millions, abs=1)


def test_multiply_adds_of_efficientnet_lite0_are_the_published_ones() -> None:
    """407 million for the four operations; 0.39 billion is models/README.md's count."""
    counted = table.multiply_adds(EfficientNetLite0, 224) / 1e6
    assert counted == pytest.approx(385 - 1.28, abs=1)


def test_parameters_of_mobilenet_v2_are_as_many_as_torchvision_says() -> None:
    """num_params of MobileNet_V2_Weights.IMAGENET1K_V1."""
    network = build(settings.NetworkSettings(name="mobilenet-v2", pretrained="none"), CLASSES)
    assert isinstance(network, MobileNetV2)
    assert table.parameters(network) == 3_504_872


def test_table_counted_figures_are_those_of_the_networks() -> None:
    for row in table.read():
        data: dict[str, Any] = {"name": row.name, "width": row.width, "pretrained": "none"}
        fresh = partial(build, settings.NetworkSettings(**data), CLASSES)
        assert row.parameters == table.parameters(fresh())
        counted = table.multiply_adds(fresh, row.size)
        assert row.multiply_adds == counted


def test_table_has_a_row_for_each_published_network_and_no_other() -> None:
    assert [row.key for row in table.read()] == list(table.IMAGENET_TOP_1)


def test_table_lines_show_each_row_with_a_dash_for_what_is_not_measured() -> None:
    bare = table.NetworkRow(
        name="mobilenet-v2", width=1.0, size=224, parameters=3_500_000, multiply_adds=301_000_000
    )
    head, row, *legend = table.lines([bare])
    assert head.split()[:3] == ["name", "width", "size"]
    assert row.split() == [
        "mobilenet-v2",
        "1",
        "224",
        "3.50",
        "M",
        "301",
        "M",
        "-",
        "-",
        "71.8",
        "%",
    ]
    assert any("EfficientNet-Lite0" in line for line in legend)


def test_table_lines_are_aligned_and_fit_a_terminal() -> None:
    lines = table.lines(table.read())
    rows = lines[: lines.index("")]
    assert len({len(row) for row in rows}) == 1
    assert max(map(len, lines)) <= 100


def test_measure_networks_one_small_network_writes_its_figures_and_keeps_the_others(
    tmp_path: Path,
) -> None:
    out = tmp_path / "measured.toml"
    script = [sys.executable, str(REPOSITORY / "scripts/models/measure_networks.py")]
    options = ["--only", "mobilenet-v2:0.35:96", "--rounds", "5", "--out", str(out)]
    subprocess.run([*script, *options], check=True, capture_output=True, timeout=240)
    before = {row.key: row for row in table.read()}
    after = {row.key: row for row in table.read(out)}
    measured = after.pop(("mobilenet-v2", 0.35, 96))
    before.pop(measured.key)
    assert after == before
    assert measured.int8_bytes == pytest.approx(1.9e6, rel=0.1)
    assert measured.latency_ratio
    assert measured.latency_ratio < 0.5
