"""Compares ways to shrink a picture by the accuracy that is left; prints a table.

    .venv-dev/bin/python scripts/benchmarks/resizes.py FOLDER [--model NAME|PATH]

FOLDER holds pictures with real detail and labels.tsv (columns file, index). Each central crop is
shrunk by a ratio in one of four ways and enlarged to the model's size again, so that the pictures
need not be larger than they are: what is compared is only what each way keeps. Figures mean
nothing alone; one standard error of 500 pictures is about 2 points.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.frame import Frame
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.vision.pictures import load_picture
from edge_classifier.vision.preprocess import Pixels

RATIOS = (1.25, 1.9, 2.5, 2.8, 3.1, 3.7)
Resize = Callable[[Pixels, int], Pixels]


def shrink(interpolation: int) -> Resize:
    """One call of OpenCV."""

    def resize(square: Pixels, side: int) -> Pixels:
        return np.asarray(cv2.resize(square, (side, side), interpolation=interpolation), np.uint8)

    return resize


def halve_from(ratio: float) -> Resize:
    """Means of 2 x 2 pixels while the ratio is at least ``ratio``, then bilinear."""

    def resize(square: Pixels, side: int) -> Pixels:
        while square.shape[0] >= ratio * side:
            half = square.shape[0] // 2
            square = shrink(cv2.INTER_AREA)(square[: 2 * half, : 2 * half], half)
        return shrink(cv2.INTER_LINEAR)(square, side)

    return resize


WAYS = {
    "area": shrink(cv2.INTER_AREA),
    "halve from 2": halve_from(2.0),
    "halve from 3": halve_from(3.0),
    "linear": shrink(cv2.INTER_LINEAR),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compare ways to shrink a picture.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", default="", metavar="NAME|PATH")
    options = parser.parse_args()
    model = load_model(ModelChoice(options.model, "cpu"), threads=2)
    classifier = model.classifier(AnswerOptions(top_k=1))
    background = len(model.resolved.contract.labels) - 1000
    right = {(ratio, way): 0 for ratio in RATIOS for way in WAYS}
    with (options.folder / "labels.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        square = central_square(load_picture(str(options.folder / row["file"])).frame.pixels)
        for ratio, way in right:
            small = WAYS[way](square, round(square.shape[0] / ratio))
            size = model.resolved.contract.width * 8 // 7, model.resolved.contract.height * 8 // 7
            enlarged = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            found = classifier.classify(Frame(enlarged)).predictions[0].index
            right[ratio, way] += found == int(row["index"]) + background
    print("top-1, percent".ljust(16) + "".join(way.rjust(17) for way in WAYS))
    for ratio in RATIOS:
        shares = (100 * right[ratio, way] / len(rows) for way in WAYS)
        print(f"shrunk by {ratio:<6g}" + "".join(f"{share:17.1f}" for share in shares))


def central_square(pixels: Pixels) -> Pixels:
    """The largest one."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    return pixels[y : y + side, x : x + side]


if __name__ == "__main__":
    main()
