"""The networks to choose from, as a table of what each of them costs.

The figures lie in measured.toml, which ``scripts/models/measure_networks.py`` writes.
"""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edge_classifier.training.networks.base import Convnet

MEASURED = Path(__file__).parent / "measured.toml"

# Name, width, size in pixels.
Key = tuple[str, float, int]

# The table's rows, with the float network's accuracy in per cent as Google published it:
# https://github.com/tensorflow/models/tree/master/research/slim/nets/mobilenet and
# https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
IMAGENET_TOP_1: Mapping[Key, float] = {
    ("mobilenet-v2", 0.35, 96): 45.5,
    ("mobilenet-v2", 0.35, 160): 55.7,
    ("mobilenet-v2", 0.35, 224): 60.3,
    ("mobilenet-v2", 0.5, 224): 65.4,
    ("mobilenet-v2", 0.75, 224): 69.8,
    ("mobilenet-v2", 1.0, 96): 60.3,
    ("mobilenet-v2", 1.0, 160): 68.8,
    ("mobilenet-v2", 1.0, 224): 71.8,
    ("mobilenet-v2", 1.3, 224): 74.4,
    ("mobilenet-v2", 1.4, 224): 75.0,
    ("efficientnet-lite0", 1.0, 224): 75.1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRow:
    """One network with 1000 classes."""

    name: str
    width: float
    # Pixels.
    size: int
    parameters: int
    # For one picture.
    multiply_adds: int
    # Of the exported file.
    int8_bytes: int | None = None
    # Time of a bare inference in int8, one thread, by that of the embedded EfficientNet-Lite0.
    latency_ratio: float | None = None

    @property
    def key(self) -> Key:
        """What the row is about."""
        return self.name, self.width, self.size

    @property
    def imagenet_top_1(self) -> float | None:
        """Per cent, as published."""
        return IMAGENET_TOP_1.get(self.key)


def read(path: Path = MEASURED) -> tuple[NetworkRow, ...]:
    """All rows, in the order of the file."""
    data: dict[str, list[dict[str, Any]]] = tomllib.loads(path.read_text("utf-8"))
    return tuple(NetworkRow(**item) for item in data["network"])


def lines(rows: Iterable[NetworkRow]) -> list[str]:
    """The table for people, with its legend."""
    head = ("name", "width", "size", "parameters", "multiply-adds", "int8 file", "time", "ImageNet")
    cells = [head]
    cells += (
        (
            row.name,
            f"{row.width:g}",
            str(row.size),
            f"{row.parameters / 1e6:.2f} M",
            f"{row.multiply_adds / 1e6:.0f} M",
            f"{row.int8_bytes / 1e6:.2f} MB" if row.int8_bytes else "-",
            f"{row.latency_ratio:.2f}" if row.latency_ratio else "-",
            f"{row.imagenet_top_1} %" if row.imagenet_top_1 else "-",
        )
        for row in rows
    )
    first, *others = (max(map(len, column)) for column in zip(*cells, strict=True))
    table = []
    for name, *figures in cells:
        right = [cell.rjust(width) for cell, width in zip(figures, others, strict=True)]
        table.append("  ".join([name.ljust(first), *right]).rstrip())
    return [
        *table,
        "",
        "With 1000 classes. time: of one inference on one thread, int8, by that of the embedded",
        "EfficientNet-Lite0. ImageNet: top-1 accuracy that Google published for the float network,",
        "as a guide to what the features are worth.",
        "Embedded weights: mobilenet-v2 of width 1.0, at any size, and efficientnet-lite0.",
    ]


def parameters(network: Convnet) -> int:
    """Numbers that training learns; without batch norm's statistics."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(build: Callable[[], Convnet], size_px: int) -> int:
    """Multiplications of the convolutions and dense layers, for one square picture."""
    counts: list[int] = []

    def count(layer: nn.Conv2d | nn.Linear, _: tuple[Tensor, ...], output: Tensor) -> None:
        products = layer.weight.numel() // layer.weight.shape[0]
        counts.append(output.numel() * products)

    with torch.device("meta"), torch.inference_mode():
        network = build().eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        network(torch.empty(1, 3, size_px, size_px))
    return sum(counts)
