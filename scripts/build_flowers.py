#!/usr/bin/env python3
"""Train the flower model of models/, and measure what its card states.

    python scripts/build_flowers.py --flowers FOLDER --other FOLDER [--google FILE] [--resume]

FOLDER of --flowers has the class folders daisy, dandelion, rose, sunflower and tulip; --other is a
folder of pictures of other things. --google is Google's uint8 MobileNetV2, to take turns with.
Needs the extra [train], and half an hour on two cores. The run stays in build/flowers/run.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.labels import UNKNOWN
from edge_classifier.evaluation.latency import interleaved
from edge_classifier.evaluation.measures import Share
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.catalogue import sha256_of
from edge_classifier.training import session
from edge_classifier.training.run_folder import MODEL_FILE
from edge_classifier.training.settings import Data, TrainingSettings
from edge_classifier.vision.pictures import find_pictures, load_picture

REPOSITORY = Path(__file__).resolve().parent.parent
MODEL = REPOSITORY / "models" / "mobilenet_v2_1.0_flowers_int8.tflite"
NAMES = {
    "daisy": "雏菊",
    "dandelion": "蒲公英",
    "rose": "玫瑰",
    "sunflower": "向日葵",
    "tulip": "郁金香",
}
# The flower pictures are 128 pixels wide and hold the detail of 32: shrunk to 32 and enlarged again
# they hardly change. Sharper pictures of other things would teach that what is sharp is no flower,
# so these are blurred alike.
DETAIL_PX, SIDE_PX = 32, 128
# The daemon's default threshold.
ENTER = 0.6


def gather_flowers(flowers: Path, folder: Path) -> Path:
    """Links to the class folders, and their Chinese names beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for label in NAMES:
        link = folder / label
        link.unlink(missing_ok=True)
        link.symlink_to((flowers / label).resolve())
    lines = (f'{label} = {{ zh = "{name}" }}\n' for label, name in NAMES.items())
    (folder / "names.toml").write_text("".join(lines), "utf-8")
    return folder


def blur_alike(other: Path, folder: Path) -> Path:
    """Square copies of the pictures with as much detail as the flowers have; PNG, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in find_pictures([str(other)]):
        target = folder / f"{Path(name).stem}.png"
        if not target.exists():
            pixels = load_picture(name).frame.pixels
            side = min(pixels.shape[:2])
            y, x = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
            square = pixels[y : y + side, x : x + side, ::-1]
            small = cv2.resize(square, (DETAIL_PX, DETAIL_PX), interpolation=cv2.INTER_AREA)
            large = cv2.resize(small, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(target), large)
    return folder


def held_out_others(report: Path) -> set[str]:
    """Names, without suffix, of the pictures of other things that nothing was learned from."""
    rows = json.loads(report.read_text("utf-8"))["pictures"]
    return {Path(row["path"]).stem for row in rows if row["truth"] == UNKNOWN}


def show_false_accepts(model: Path, pictures: Iterable[str], title: str) -> None:
    """Print how many ``pictures`` of other things are taken for a flower."""
    classifier = load_model(ModelChoice(str(model))).classifier(AnswerOptions(top_k=1))
    found = [classifier.classify(load_picture(name).frame).predictions[0] for name in pictures]
    flowers = [one for one in found if one.label != UNKNOWN]
    for what, hits in {
        "have a flower as their best label": len(flowers),
        f"have one with a score of {ENTER} or more": sum(one.score >= ENTER for one in flowers),
    }.items():
        share = Share(hits, len(found)).as_dict()
        print(f"{title}: {hits} of {len(found)} {what} ({share['low']:.3f} to {share['high']:.3f})")


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
    data = Data(
        folder=gather_flowers(options.flowers, build / "flowers"),
        other=blur_alike(options.other, build / "other"),
    )
    folder = build / "run"
    session.train_and_export(
        TrainingSettings(data=data),
        folder,
        resume=options.resume,
        log=lambda line: print(line, file=sys.stderr),
    )
    shutil.copyfile(folder / MODEL_FILE, MODEL)
    print(f"{MODEL}: {MODEL.stat().st_size:,} bytes, sha256 {sha256_of(MODEL)}")
    held = held_out_others(folder / "report.json")
    sharp = [name for name in find_pictures([str(options.other)]) if Path(name).stem in held]
    show_false_accepts(MODEL, sharp, "held-out others, as they are")
    blurred = [str(build / "other" / f"{stem}.png") for stem in sorted(held)]
    show_false_accepts(MODEL, blurred, "held-out others, blurred as in training")
    if options.google:
        own, other = (load_model(ModelChoice(str(p))).engine for p in (MODEL, options.google))
        found = interleaved(own, other, options.google.name, rounds=300)
        print(f"{found.median_ms:.2f} ms, {found.ratio:.2f} of {found.reference}'s")


if __name__ == "__main__":
    main()
