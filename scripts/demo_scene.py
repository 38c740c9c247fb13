"""Makes the film that scripts/demo has for a camera, and the first picture of the README from it.

    .venv/bin/python scripts/demo_scene.py FILM.mp4 [--picture docs/images/scene.webp]

Photographs that every installation has are carried through a garden, which is a blurred one of
them: each comes in from the left, is held for a while, and leaves to the right.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier import samples
from edge_classifier.cli.watch.watcher import Watcher
from edge_classifier.config.settings import CameraSettings, Settings
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import Box
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.scores import Prediction
from edge_classifier.daemon.cameras.camera_pipeline import CameraPipeline
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.models.models_in_force import load_configured_models
from edge_classifier.vision.draw import annotate, save

Pixels = NDArray[np.uint8]

# Of which the embedded model knows what they show.
PHOTOGRAPHS = (samples.CAT, samples.FOLDER / "espresso.jpg", samples.FOLDER / "temple.jpg")
GARDEN = samples.FOLDER / "raccoon.jpg"
WIDTH, HEIGHT, FPS = 1280, 720, 5
# Seconds without a photograph, of coming and of leaving, and of being held.
EMPTY_S, MOVING_S, HELD_S = 2.0, 1.4, 4.0
# Of a photograph, in pixels.
_HEIGHT = 500
# How far a hand moves that holds still.
_SWAY = 12


def main() -> int:
    """Write the film, and the picture if it is wanted."""
    parser = argparse.ArgumentParser(description="Make the film of scripts/demo.")
    parser.add_argument("film", type=Path, metavar="FILM.mp4")
    parser.add_argument("--picture", type=Path, metavar="OUT.webp", help="what is published of it")
    options = parser.parse_args()
    write_film(options.film)
    if options.picture:
        draw_events(options.film, options.picture)
    return 0


def write_film(path: Path) -> None:
    """Every photograph once."""
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter.fourcc(*"mp4v"), float(FPS), (WIDTH, HEIGHT)
    )
    if not writer.isOpened():
        raise SystemExit(f"{path}: cannot be written as a film")
    for frame in scene():
        writer.write(frame)
    writer.release()


def scene() -> Iterator[Pixels]:
    """Frames, shape (HEIGHT, WIDTH, 3), BGR."""
    large = cv2.resize(_read(GARDEN), (WIDTH, HEIGHT))
    garden = np.asarray(cv2.GaussianBlur(large, (0, 0), 25), np.uint8)
    # As of a camera; a few, as they take longer to make than all else.
    random = np.random.default_rng(0)
    grains = [random.normal(0, 2, garden.shape) for _ in range(4)]
    number = 0
    for photograph in PHOTOGRAPHS:
        picture = _read(photograph)
        width = round(_HEIGHT * picture.shape[1] / picture.shape[0])
        small = cv2.resize(picture, (width, _HEIGHT), interpolation=cv2.INTER_AREA)
        for left, top in _way(width):
            frame = garden.copy()
            if left is not None:
                _paste(frame, np.asarray(small, np.uint8), left, top)
            number += 1
            yield np.clip(frame + grains[number % len(grains)], 0, 255).astype(np.uint8)


def _way(width: int) -> Iterator[tuple[int | None, int]]:
    """Where the photograph's corner is in each frame; None: it is not there."""
    middle = (WIDTH - width) / 2
    top = (HEIGHT - _HEIGHT) // 2
    for _ in range(round(EMPTY_S * FPS)):
        yield None, top
    for step in np.linspace(0, 1, round(MOVING_S * FPS), endpoint=False):
        yield round(-width + step * (middle + width)), top
    for number in range(round(HELD_S * FPS)):
        yield round(middle + _SWAY * np.sin(number)), round(top + _SWAY * np.cos(number / 2))
    for step in np.linspace(0, 1, round(MOVING_S * FPS), endpoint=False):
        yield round(middle + step * (WIDTH - middle)), top


def _paste(frame: Pixels, picture: Pixels, left: int, top: int) -> None:
    first, last = max(0, left), min(WIDTH, left + picture.shape[1])
    if first < last:
        seen = picture[:, first - left : last - left]
        frame[top : top + picture.shape[0], first:last] = seen


def _read(path: Path) -> Pixels:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def draw_events(film: Path, target: Path) -> None:
    """What the daemon would publish by its default settings: the best frame of each visit."""
    best: dict[str, tuple[float, Pixels]] = {}

    def note(pipeline: CameraPipeline, result: FrameResult) -> None:
        verdict = result.verdict
        if verdict is None or verdict.label == UNKNOWN:
            return
        # A cat that becomes a tabby is one and the same.
        root = (*pipeline.state().path, verdict.label)[0]
        if verdict.score > best.get(root, (0.0,))[0]:
            best[root] = verdict.score, _drawn(result, verdict.label, verdict.score)

    settings = Settings(cameras={"garden": CameraSettings(source=str(film), loop=False)})
    models = load_configured_models(settings)
    Watcher(settings, models, on_frame=note, on_trouble=print).run(None)
    save(np.hstack([picture for _, picture in best.values()]), target)


def _drawn(result: FrameResult, label: str, score: float) -> Pixels:
    """A small picture of the frame, what the network saw of it framed, above the label."""
    frame = result.captured.frame
    size = 448, 448 * frame.height // frame.width
    small = Frame(np.asarray(cv2.resize(frame.pixels, size), np.uint8), frame.order)
    left, top, width, height = result.box or (0.0, 0.0, 1.0, 1.0)
    seen = Box(
        round(left * size[0]), round(top * size[1]), round(width * size[0]), round(height * size[1])
    )
    drawn = annotate(small, [Prediction(label, None, score)], seen)
    return np.asarray(cv2.copyMakeBorder(drawn, 0, 0, 4, 4, cv2.BORDER_CONSTANT), np.uint8)


if __name__ == "__main__":
    sys.exit(main())
