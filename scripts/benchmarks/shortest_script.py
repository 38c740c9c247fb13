"""Compares edge-classifier with the shortest script that does the same; prints one table.

    .venv/bin/python scripts/benchmarks/shortest_script.py [--pictures FOLDER] [--json FILE]

Every figure is a ratio of two things measured by turns in this run, because machines are shared
and noisy. FOLDER holds pictures for the batch, and may hold labels.tsv (columns file, index) for
the accuracy of the resize; default: $EDGE_CLASSIFIER_SHARED/data/imagenet-samples.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from edge_classifier import samples
from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.cli.bench import camera_frames, measure
from edge_classifier.cli.bench.daemon import TEN_LINES
from edge_classifier.core.contract import Interpolation
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.vision.pictures import load_picture

# A small process between this one and the measured one: Linux counts the memory of the process that
# starts another into the other's peak.
MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = time.perf_counter() - started
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@dataclass(frozen=True)
class Run:
    """One process: wall seconds and peak resident memory."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Row:
    """One line of the table. ``limit`` is what the project promises; ``above``: at least that.

    A row without a limit is for comparison.
    """

    what: str
    value: float
    limit: float | None = None
    above: bool = False

    @property
    def kept(self) -> bool:
        """Whether the promise holds."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.above else self.value <= self.limit

    def __str__(self) -> str:
        promise = ""
        if self.limit is not None:
            promise = f"{'>=' if self.above else '<='} {self.limit:<5g} "
            promise += "ok" if self.kept else "MISSED"
        return f"{self.what:<58}{self.value:8.3f}  {promise}"


def main() -> int:
    """Measure, print, and fail if a promise is broken."""
    parser = argparse.ArgumentParser(description="Compare edge-classifier with a ten-line script.")
    shared = os.environ.get("EDGE_CLASSIFIER_SHARED", "")
    default = Path(shared) / "data" / "imagenet-samples" if shared else None
    parser.add_argument("--pictures", type=Path, default=default, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    options = parser.parse_args()
    rows = [*frames_to_labels(), *frames_by_area(), *one_picture()]
    if options.pictures:
        rows += folder_of_pictures(options.pictures)
        if (options.pictures / "labels.tsv").is_file():
            rows.append(accuracy_of_the_resize(options.pictures))
    for row in rows:
        print(row)
    if options.json:
        options.json.write_text(json.dumps([vars(row) for row in rows], indent=1), "utf-8")
    return 0 if all(row.kept for row in rows) else 1


def frames_to_labels() -> list[Row]:
    """Camera frames to labels over the bare invoke, one thread."""
    command = [*cli(), "bench", "--json", "--rounds", "500"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [
        Row(f"{f['frame']} frame to labels / bare invoke", f["ratio_to_bare_invoke"], 1.05)
        for f in json.loads(done.stdout)["frames"]
    ]


def frames_by_area() -> list[Row]:
    """The same with OpenCV's INTER_AREA, which the project's own resize replaces."""
    model = load_model(ModelChoice())
    slow = replace(model.resolved.contract, interpolation=Interpolation.AREA)
    classifier = Classifier(model.engine, slow, AnswerOptions())
    reports = [measure(name, decode, classifier, 200) for name, decode in camera_frames()]
    return [Row(f"{r.frame} by INTER_AREA / bare invoke", r.ratio_to_bare_invoke) for r in reports]


def one_picture(rounds: int = 15) -> list[Row]:
    """The whole command against the whole script on one picture."""
    picture = [str(samples.CAT)]
    ours, naive = by_turns([*cli(), "--image", *picture], [*script(), *picture], rounds)
    return [
        Row("whole process, one picture / script: wall time", ratio(ours, naive, "seconds"), 1.5),
        Row("whole process, one picture / script: peak memory", ratio(ours, naive, "peak_mb"), 1.4),
    ]


def folder_of_pictures(folder: Path, rounds: int = 3) -> list[Row]:
    """The whole command against the script's loop on a folder."""
    pictures = sorted(str(path) for path in folder.iterdir() if path.suffix == ".jpg")
    ours, naive = by_turns([*cli(), "--image", str(folder)], [*script(), *pictures], rounds)
    speed = ratio(naive, ours, "seconds")
    return [Row(f"folder of {len(pictures)}: script / whole process", speed, 1.5, above=True)]


def accuracy_of_the_resize(folder: Path) -> Row:
    """Top-1 by the contract's own resize less that by INTER_AREA, in points."""
    model = load_model(ModelChoice())
    own = model.classifier(AnswerOptions(top_k=1))
    slow = replace(model.resolved.contract, interpolation=Interpolation.AREA)
    area = Classifier(model.engine, slow, AnswerOptions(top_k=1))
    points = 100 * (top_1(own, folder, model) - top_1(area, folder, model))
    return Row("top-1 less that of INTER_AREA, points", points, -0.3, above=True)


def top_1(classifier: Classifier, folder: Path, model: LoadedModel) -> float:
    """Share of pictures whose best label is the one in labels.tsv."""
    background = len(model.resolved.contract.labels) - 1000
    with (folder / "labels.tsv").open(encoding="utf-8", newline="") as file:
        wanted = {r["file"]: int(r["index"]) for r in csv.DictReader(file, delimiter="\t")}
    right = 0
    for name, index in wanted.items():
        found = classifier.classify(load_picture(str(folder / name)).frame)
        right += found.predictions[0].index == index + background
    return right / len(wanted)


def cli() -> list[str]:
    """The command as a user has it."""
    return [str(Path(sys.executable).with_name("edge-classify"))]


def script() -> list[str]:
    """The ten-line script on the same model."""
    model = load_model(ModelChoice())
    text = TEN_LINES.format(module=model.runtime.module.__name__)
    return [sys.executable, "-c", text, str(model.delegate_choice.model)]


def by_turns(first: list[str], second: list[str], rounds: int) -> tuple[list[Run], list[Run]]:
    """Run both commands by turns, after one round that warms the disk cache."""
    for command in (first, second):
        run(command)
    pairs = [(run(first), run(second)) for _ in range(rounds)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def run(command: list[str]) -> Run:
    """One process, with its output thrown away."""
    # An installed package has its byte code; a checkout must be allowed to keep it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, *command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise SystemExit(f"benchmark: {command[:3]} ended with exit code {done.returncode}")
    seconds, peak_kb = map(float, done.stdout.split())
    return Run(seconds, peak_kb / 1024)


def ratio(these: list[Run], those: list[Run], what: str) -> float:
    """Median over rounds of one run over its neighbour in time."""
    pairs = zip(these, those, strict=True)
    return float(statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs))


if __name__ == "__main__":
    sys.exit(main())
