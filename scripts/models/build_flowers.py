#!/usr/bin/env python3
"""Train the flower model of models/, and measure what its card states.

    python scripts/models/build_flowers.py --flowers FOLDER --other FOLDER [--google FILE]
        [--resume]

FOLDER of --flowers has the class folders of TensorFlow's flower_photos; --other is a folder
of pictures of other things. --google is Google's uint8 MobileNetV2, to take turns with.
Needs the extra [train], and half an hour on two cores. The run stays in build/flowers/run.
"""

import argparse
import json
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.intervals import wilson
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.evaluation.latency import interleaved
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.bundle import CARD_FILE, append_bundle, read_bundle
from edge_classifier.modelfile.catalogue import sha256_of
from edge_classifier.training import session
from edge_classifier.training.run_folder import MODEL_FILE
from edge_classifier.training.settings import Data, TrainingSettings
from edge_classifier.vision.pictures import find_pictures, load_picture

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = REPOSITORY / "models" / "efficientnet_lite0_flowers_int8.tflite"
# Label to its Chinese name, and the folder of its pictures.
CLASSES = {
    "daisy": ("雏菊", "daisy"),
    "dandelion": ("蒲公英", "dandelion"),
    "rose": ("玫瑰", "roses"),
    "sunflower": ("向日葵", "sunflowers"),
    "tulip": ("郁金香", "tulips"),
}
# What the card of every trained model says, and what this one's says instead.
ASK = "- Licence of the pictures: ask where they come from."
PICTURES = """\
- Pictures of flowers: TensorFlow's flower_photos, Creative Commons Attribution 2.0, by their
  photographers on Flickr; https://www.flickr.com/photo.gne?id=NUMBER leads to each, by the number
  that its file's name begins with. The list of authors is LICENSE.txt in
  http://download.tensorflow.org/example_images/flower_photos.tgz. None is part of this file.
- Pictures of other things (`unknown`): 500 of ImageNet's training pictures."""
# The daemon's default threshold.
ENTER = 0.6


def gather_flowers(flowers: Path, folder: Path) -> Path:
    """Links to the class folders, and their Chinese names beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for label, (_, source) in CLASSES.items():
        link = folder / label
        link.unlink(missing_ok=True)
        link.symlink_to((flowers / source).resolve())
    lines = (f'{label} = {{ zh = "{name}" }}\n' for label, (name, _) in CLASSES.items())
    (folder / "names.toml").write_text("".join(lines), "utf-8")
    return folder


def ship(trained: Path, path: Path) -> None:
    """Write the model ``trained`` to ``path``; its card says where the pictures are from."""
    with zipfile.ZipFile(trained) as archive:
        end = min(member.header_offset for member in archive.infolist())
    members: dict[str, str | bytes] = {**read_bundle(trained)}
    card = read_bundle(trained)[CARD_FILE].decode()
    if ASK not in card:
        raise SystemExit(f"the card of {trained} does not say {ASK!r}")
    members[CARD_FILE] = card.replace(ASK, PICTURES)
    path.write_bytes(trained.read_bytes()[:end])
    append_bundle(path, members)
    print(f"{path}: {path.stat().st_size:,} bytes, sha256 {sha256_of(path)}")


def show_flowers(pictures: list[dict[str, Any]]) -> list[str]:
    """Print how often the measured ``pictures`` of flowers are named rightly.

    Paths of those of other things come back.
    """
    flowers = [one for one in pictures if one["truth"] != UNKNOWN]
    for what, hits in {
        "named rightly": sum(one["predicted"] == one["truth"] for one in flowers),
        "taken for unknown": sum(one["predicted"] == UNKNOWN for one in flowers),
    }.items():
        low, high = wilson(hits, len(flowers))
        print(f"flowers: {hits} of {len(flowers)} {what} ({low:.3f} to {high:.3f})")
    return [one["path"] for one in pictures if one["truth"] == UNKNOWN]


def show_false_accepts(model: Path, pictures: Iterable[str]) -> None:
    """Print how many ``pictures`` of other things, held out, are taken for a flower."""
    classifier = load_model(ModelChoice(str(model))).classifier(AnswerOptions(top_k=1))
    found = [classifier.classify(load_picture(name).frame).predictions[0] for name in pictures]
    flowers = [one for one in found if one.label != UNKNOWN]
    for what, hits in {
        "have a flower as their best label": len(flowers),
        f"have one with a score of {ENTER} or more": sum(one.score >= ENTER for one in flowers),
    }.items():
        low, high = wilson(hits, len(found))
        print(f"other things: {hits} of {len(found)} {what} ({low:.3f} to {high:.3f})")


def main() -> None:
    """Train, copy, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("--flowers", "--other"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--google", type=Path)
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    build = REPOSITORY / "build" / "flowers"
    data = Data(folder=gather_flowers(options.flowers, build / "flowers"), other=options.other)
    folder = build / "run"
    session.train_and_export(
        TrainingSettings(data=data),
        folder,
        resume=options.resume,
        log=lambda line: print(line, file=sys.stderr),
    )
    ship(folder / MODEL_FILE, MODEL)
    measured = json.loads((folder / "report.json").read_text("utf-8"))["pictures"]
    names = {Path(path).name for path in show_flowers(measured)}
    others = [name for name in find_pictures([str(options.other)]) if Path(name).name in names]
    show_false_accepts(MODEL, others)
    if options.google:
        own, other = (load_model(ModelChoice(str(p))).engine for p in (MODEL, options.google))
        found = interleaved(own, other, options.google.name, rounds=300)
        print(f"{found.median_ms:.2f} ms, {found.ratio:.2f} of {found.reference}'s")


if __name__ == "__main__":
    main()
