#!/usr/bin/env python3
"""Would a temperature make an embedded ImageNet model's scores honest, and which one?

    python scripts/models/check_calibration.py --pictures FOLDER [MODEL ...]

FOLDER has a labels.tsv (columns file and index). Where its pictures are ones that the network was
trained on, it is surer of them than of any other: so they are also spoiled in several ways, and a
temperature is fitted to each. One that is right for all of them would be worth having. Needs no
torch. MODEL: names of the catalogue; default: both embedded ImageNet models.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import dequantize
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.evaluation.calibration import fit_temperature, reliability, tempered
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile import object_api
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.vision.preprocess import Pixels, Preprocessor, limit_opencv_threads

# Takes and gives a picture, (H, W, 3), uint8.
Spoil = Callable[[Pixels, np.random.Generator], Pixels]


def blurred(side_px: int) -> Spoil:
    """Shrunk until the short side has so many pixels, and enlarged again."""

    def spoil(pixels: Pixels, _: np.random.Generator) -> Pixels:
        height, width = pixels.shape[:2]
        scale = side_px / min(height, width)
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        return np.asarray(large, np.uint8)

    return spoil


def part(share: float) -> Spoil:
    """A square of so large a share of the short side, from anywhere."""

    def spoil(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        side = int(min(pixels.shape[:2]) * share)
        y, x = (int(rng.integers(size - side + 1)) for size in pixels.shape[:2])
        return np.ascontiguousarray(pixels[y : y + side, x : x + side])

    return spoil


def noisy(deviation: float) -> Spoil:
    """With noise of so many steps of brightness."""

    def spoil(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        noise = rng.normal(0, deviation, pixels.shape)
        return np.clip(pixels + noise, 0, 255).astype(np.uint8)

    return spoil


def dark(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """At dusk: half as bright, and shadows darker still."""
    return np.asarray(127 * (pixels / 255) ** 2.2, np.uint8)


def turned(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """By a quarter."""
    return np.asarray(cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE), np.uint8)


SPOILT: dict[str, Spoil] = {
    "as they are": lambda pixels, _: pixels,
    "detail of 80 px": blurred(80),
    "detail of 56 px": blurred(56),
    "half the side": part(0.5),
    "a third of the side": part(0.35),
    "noise 25": noisy(25),
    "noise 50": noisy(50),
    "dark": dark,
    "turned": turned,
}


class LogitScorer:
    """An int8 model up to its softmax: probabilities of 1/256 steps cannot be tempered."""

    def __init__(self, reference: str, folder: Path) -> None:
        contract = load_model(ModelChoice(reference, "cpu")).resolved.contract
        model = object_api.read(load_catalogue().locate(reference).read_bytes())
        graph = model.subgraphs[0]
        softmax = graph.operators.pop()
        graph.outputs, model.signatureDefs = [softmax.inputs[0]], None
        path = folder / "logits.tflite"
        path.write_bytes(object_api.write(model))
        self._engine = TfliteEngine(path, load_runtime())
        self._preprocessor = Preprocessor(contract, self._engine.input, self._engine.picture)

    def logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """Of one picture, BGR: (classes,)."""
        self._preprocessor.write(Frame(pixels, ColourOrder.BGR))
        self._engine.invoke()
        return dequantize(self._engine.scores, self._engine.output.quantization).ravel().copy()


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["mobilenet-v2-int8", "efficientnet-lite0"])
    parser.add_argument("--pictures", type=Path, required=True)
    options = parser.parse_args()
    limit_opencv_threads(1)
    with (options.pictures / "labels.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    truth = np.array([int(row["index"]) for row in rows])
    pictures = [
        np.asarray(cv2.imread(str(options.pictures / row["file"])), np.uint8) for row in rows
    ]
    for reference in options.models:
        print(f"{reference}, {len(pictures)} pictures")
        print("pictures              right  mean score  temperature  expected error  and with it")
        with tempfile.TemporaryDirectory() as folder:
            scorer = LogitScorer(reference, Path(folder))
            for name, spoil in SPOILT.items():
                rng = np.random.default_rng(0)
                logits = np.stack([scorer.logits(spoil(pixels, rng)) for pixels in pictures])
                right = logits.argmax(1) == truth
                temperature = fit_temperature(logits, truth)
                scores, fitted = (tempered(logits, t).max(1) for t in (1.0, temperature))
                before, after = (reliability(s, right).expected_error for s in (scores, fitted))
                print(
                    f"{name:<20} {right.mean():6.1%} {scores.mean():11.3f} {temperature:12.2f} "
                    f"{before:15.3f} {after:12.3f}"
                )


if __name__ == "__main__":
    main()
