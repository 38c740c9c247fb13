#!/usr/bin/env python3
"""Measure the networks that can be trained: the table of `edge-classify train --list-models`.

    python scripts/models/measure_networks.py
    python scripts/models/measure_networks.py --only mobilenet-v2:0.35:96 --out /tmp/measured.toml

Each network gets random weights and 1000 classes, is exported to int8, and takes turns with the
embedded EfficientNet-Lite0 on one thread. Needs the extra [train], an idle machine, and a minute a
network. Rows that are not measured keep their figures.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_classifier.core.contract import ColourOrder, Contract
from edge_classifier.core.frame import Frame
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.evaluation.latency import interleaved
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.training import settings
from edge_classifier.training.export import convert
from edge_classifier.training.networks import build, table

CLASSES = 1000
PICTURES = 4
ROUNDS = 300
# All rows are measured beside the same model.
REFERENCE = "efficientnet-lite0"
HEADER = """\
# What the networks cost, with 1000 classes. Written by scripts/models/measure_networks.py; read by
# edge_classifier/training/networks/table.py, which says what the figures are.
"""


def counted(key: table.Key) -> table.NetworkRow:
    """The row's figures that need no measurement."""
    name, width, size = key
    wanted = network_settings(key)
    return table.NetworkRow(
        name=name,
        width=width,
        size=size,
        parameters=table.parameters(build(wanted, CLASSES)),
        multiply_adds=table.multiply_adds(lambda: build(wanted, CLASSES), size),
    )


def network_settings(key: table.Key) -> settings.NetworkSettings:
    """The settings for one row, with random weights."""
    data: dict[str, Any] = dict(zip(("name", "width", "size"), key, strict=True))
    return settings.NetworkSettings(**data, pretrained="none")


def noise(size: int) -> Iterator[Frame]:
    """Pictures of random pixels."""
    rng = np.random.default_rng(0)
    for _ in range(PICTURES):
        pixels = rng.integers(0, 256, (size, size, 3), np.uint8)
        yield Frame(pixels, ColourOrder.RGB)


def export_random(key: table.Key, path: Path) -> None:
    """Write one row's network to ``path``."""
    size = key[2]
    contract = Contract(size, size)
    original = convert.convert(build(network_settings(key), CLASSES).eval(), contract)
    ranges = convert.calibrate(original, convert.real_inputs(noise(size), contract))
    path.write_bytes(convert.quantize(original, ranges))


def measured(row: table.NetworkRow, folder: Path, rounds: int) -> table.NetworkRow:
    """The row with size and time of its int8 file."""
    path = folder / "network.tflite"
    export_random(row.key, path)
    runtime, catalogue = load_runtime(), load_catalogue()
    engine = TfliteEngine(path, runtime)
    reference = TfliteEngine(catalogue.locate(REFERENCE), runtime)
    latency = interleaved(engine, reference, REFERENCE, rounds=rounds)
    return replace(row, int8_bytes=path.stat().st_size, latency_ratio=round(latency.ratio, 3))


def as_toml(row: table.NetworkRow) -> str:
    """One row of the file."""
    figures = {
        "width": row.width,
        "size": row.size,
        "parameters": row.parameters,
        "multiply_adds": row.multiply_adds,
        "int8_bytes": row.int8_bytes,
        "latency_ratio": row.latency_ratio,
    }
    stated = [f"{key} = {value}" for key, value in figures.items() if value is not None]
    return "\n".join(["[[network]]", f'name = "{row.name}"', *stated, ""])


def write(rows: list[table.NetworkRow], path: Path) -> None:
    """Replace the file at ``path``."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_text("\n".join([HEADER, *map(as_toml, rows)]), "utf-8")
    beside.replace(path)


def parse_key(text: str) -> table.Key:
    """NAME:WIDTH:SIZE, one of the table's rows."""
    name, width, size = text.split(":")
    key = name, float(width), int(size)
    if key not in table.IMAGENET_TOP_1:
        raise argparse.ArgumentTypeError(f"{text} is no row of the table")
    return key


def main() -> None:
    """Measure what is asked for, and write all rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=parse_key, nargs="*", help="NAME:WIDTH:SIZE; default: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="inferences of each")
    parser.add_argument("--out", type=Path, default=table.MEASURED)
    options = parser.parse_args()
    known = {row.key: row for row in table.read()} if table.MEASURED.exists() else {}
    chosen = table.IMAGENET_TOP_1 if options.only is None else options.only
    rows = {key: known.get(key) or counted(key) for key in table.IMAGENET_TOP_1}
    with tempfile.TemporaryDirectory() as folder:
        for key in chosen:
            rows[key] = measured(counted(key), Path(folder), options.rounds)
            print(*table.lines([rows[key]])[:2], sep="\n", flush=True)
    write(list(rows.values()), options.out)


if __name__ == "__main__":
    main()
