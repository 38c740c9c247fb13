#!/usr/bin/env python3
"""How often something is said of a picture, and how often it is right: labels alone, and the tree.

    .venv-dev/bin/python scripts/benchmarks/label_coverage.py [--pictures FOLDER] [--model NAME ...]
    .venv-dev/bin/python scripts/benchmarks/label_coverage.py --enter 0.7

FOLDER has labels.tsv (columns file and index, ImageNet's class); default:
$EDGE_CLASSIFIER_SHARED/data/imagenet-samples. What is said is the daemon's decision with its
default settings on one frame. A name is right if it is the class's label or stands above it.

Networks have seen the pictures of that folder in training, and are surer of them than of any
camera's: the versions made worse are the ones to look at. Of the corners of pictures that show no
animal, any name of an animal is taken as wrong; some do show one.
"""

import argparse
import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels.taxonomy import NO_TAXONOMY, Taxonomy
from edge_classifier.decision.rules import Rules, rules_for
from edge_classifier.decision.step import initial_state, step
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.resolve import ContractOverrides
from edge_classifier.vision.pictures import load_picture

MODELS = ("efficientnet-lite0", "mobilenet-v2-int8")
# Shape (height, width, 3).
Pixels = NDArray[Any]
# Of the shorter side of a picture.
CORNER = 0.4
ANIMAL = "animal"


def shrunk(pixels: Pixels, side_px: int) -> Pixels:
    """The picture with a shorter side of ``side_px``."""
    scale = side_px / min(pixels.shape[:2])
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def off_centre(pixels: Pixels) -> Pixels:
    """The picture as a part of a grey one that is half as large again."""
    height, width = pixels.shape[:2]
    frame = np.full((height * 3 // 2, width * 3 // 2, 3), 118, np.uint8)
    top, left = height // 3, width // 8
    frame[top : top + height, left : left + width] = pixels
    return frame


VERSIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "as they are": lambda pixels: pixels,
    "160 px": lambda pixels: shrunk(pixels, 160),
    "112 px": lambda pixels: shrunk(pixels, 112),
    "80 px": lambda pixels: shrunk(pixels, 80),
    "160 px, dark": lambda pixels: cv2.convertScaleAbs(shrunk(pixels, 160), alpha=0.4),
    "off centre": off_centre,
}


def corners(pixels: Pixels) -> Iterator[Pixels]:
    """The four corners."""
    height, width = pixels.shape[:2]
    side = int(min(height, width) * CORNER)
    for top in (0, height - side):
        for left in (0, width - side):
            yield pixels[top : top + side, left : left + side]


def read_pictures(folder: Path) -> tuple[list[Pixels], list[int]]:
    """The pictures, RGB, and their classes."""
    with (folder / "labels.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    pictures = [load_picture(str(folder / row["file"])).frame.pixels for row in rows]
    return pictures, [int(row["index"]) for row in rows]


def rules(contract: Contract, taxonomy: Taxonomy, enter: float) -> Rules:
    """Those of the default settings but for ``enter``, for a frame by itself."""
    decision = replace(DecisionSettings(), dwell_s=0.0, enter=enter)
    return rules_for(contract.labels, decision, taxonomy)


def said(classifier: Classifier, pixels: Pixels, all_rules: list[Rules]) -> list[tuple[str, ...]]:
    """By each of the rules, the names down to what is said; none where nothing is."""
    scores = classifier.score(Frame(np.ascontiguousarray(pixels))).scores
    return [step(one, initial_state(), scores, 0.0)[1].path for one in all_rules]


def names_of_class(contract: Contract, index: int) -> set[str]:
    """The label of a class, and all names above it."""
    taxonomy = contract.taxonomy
    line = taxonomy.line(taxonomy.class_nodes[index])
    return {contract.labels[index], *(taxonomy.nodes[at].name for at in line)}


def shares(answers: list[tuple[str, ...]], right: list[set[str]]) -> str:
    """How many pictures have an answer, and how many answers are right, in percent."""
    hits = [path[-1] in names for path, names in zip(answers, right, strict=True) if path]
    return f"{100 * len(hits) / len(answers):9.1f} {100 * np.mean(hits) if hits else 0:6.1f}"


def main() -> None:
    """Print one table a model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared = os.environ.get("EDGE_CLASSIFIER_SHARED", "")
    parser.add_argument("--pictures", type=Path, default=Path(shared, "data", "imagenet-samples"))
    parser.add_argument("--model", nargs="+", default=MODELS, metavar="NAME")
    default = DecisionSettings().enter
    parser.add_argument("--enter", type=float, default=default, help="the score that is needed")
    parser.add_argument("--taxonomy", type=Path, metavar="FILE", help="a tree to try")
    options = parser.parse_args()
    pictures, classes = read_pictures(options.pictures)
    print("                                  labels alone          with the tree")
    print("model               pictures      answered  right    answered  right")
    for name in options.model:
        overrides = ContractOverrides(taxonomy=options.taxonomy)
        loaded = load_model(ModelChoice(name, "cpu", overrides))
        contract, classifier = loaded.resolved.contract, loaded.classifier(AnswerOptions())
        every = replace(
            contract.taxonomy,
            nodes=tuple(replace(node, spoken=True) for node in contract.taxonomy.nodes),
        )
        taxonomies = NO_TAXONOMY, contract.taxonomy, every
        kinds = [rules(contract, one, options.enter) for one in taxonomies]
        right = [names_of_class(contract, index) for index in classes]
        for version, change in VERSIONS.items():
            answers = [said(classifier, change(pixels), kinds[:2]) for pixels in pictures]
            alone, tree = (list(column) for column in zip(*answers, strict=True))
            print(f"{name:<19} {version:<12} {shares(alone, right)}   {shares(tree, right)}")
        # Names of animals, however they are come by.
        animals = set().union(*(names for names in right if ANIMAL in names))
        found = [
            said(classifier, corner, kinds)
            for pixels, names in zip(pictures, right, strict=True)
            if ANIMAL not in names
            for corner in corners(pixels)
        ]
        counts = [
            sum(bool(path) and path[-1] in animals for path in one)
            for one in zip(*found, strict=True)
        ]
        print(
            f"{name:<19} of {len(found)} corners without an animal, one is named in {counts[0]} by "
            f"labels alone, in {counts[1]} with the tree, in {counts[2]} if all its names were said"
        )


if __name__ == "__main__":
    main()
