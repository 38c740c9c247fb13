#!/usr/bin/env python3
"""How well, and at what cost, the daemon looks where something moves.

    .venv-dev/bin/python scripts/benchmarks/motion_scenes.py --shared FOLDER

Scenes of 1280x720 are made of the photographs in FOLDER/data/imagenet-samples: an enlarged one as
the ground and one of 120 to 300 pixels before it, with a sensor's noise. Only photographs with an
odd place in labels.tsv are used; the constants of the motion finder and of ``frame_scorer`` were
chosen with the even ones (--tuning). They are pictures of ImageNet's training set, so that only the
columns can be compared with one another. The videos are those in FOLDER/videos. Frames go through
``frame_scorer`` as the daemon has it. Everything but the times is the same in each run.
"""

import argparse
import csv
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.config.settings import CameraSettings, DecisionSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.events import Moment
from edge_classifier.core.frame import Frame
from edge_classifier.daemon.cameras.frame_scorer import FrameScorer
from edge_classifier.decision.rules import Rules, rules_for
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.vision.motion_finder import MotionFinder

Pixels = NDArray[np.uint8]
WIDTH, HEIGHT = 1280, 720
PERIOD_S = 0.2
LOOKS = ("whole", "motion", "both")
VEHICLES, BOTTLES = ("motor vehicle", "car", "truck", "bus"), ("container", "bottle")


class Scene(NamedTuple):
    """Frames of which the last is judged, and the classes that are right."""

    frames: list[Pixels]
    wanted: set[int]


class Photographs:
    """Every other picture of the samples, and made scenes of them."""

    def __init__(self, folder: Path, first: int) -> None:
        with (folder / "labels.tsv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))[first::2]
        self._folder = folder
        self._files = [(row["file"], int(row["index"])) for row in rows]
        noise = np.random.default_rng(1).normal(0, 4, (HEIGHT + 64, WIDTH + 64, 3))
        self._noise = noise.astype(np.int16)

    def _load(self, index: int) -> Pixels:
        return np.asarray(cv2.imread(str(self._folder / self._files[index][0])), np.uint8)

    def _thing(self, index: int, side: int) -> Pixels:
        """The whole picture, its longer side ``side``."""
        picture = self._load(index)
        scale = side / max(picture.shape[:2])
        size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)

    def scene(self, kind: str, seed: int) -> Scene:
        """A scene of ``kind``, the same for the same ``seed``."""
        random = np.random.default_rng([seed, len(kind), ord(kind[0])])
        chosen = [int(one) for one in random.choice(len(self._files), 3, replace=False)]
        ground = cover(self._load(chosen[0]), WIDTH, HEIGHT)
        thing = self._thing(chosen[1], int(random.integers(120, 301)))
        wanted = {self._files[chosen[1]][1]}
        if kind == "fills the frame, moves a little":
            large = cover(self._load(chosen[1]), WIDTH + 24, HEIGHT + 24)
            steps = random.integers(0, 24, (6, 2))
            frames = [large[y : y + HEIGHT, x : x + WIDTH] for x, y in steps]
        else:
            if kind == "two things":
                other = self._thing(chosen[2], int(random.integers(120, 301)))
                wanted.add(self._files[chosen[2]][1])
                ground_with_other = pasted(ground, other, *corner(other, random))
            else:
                ground_with_other = ground
            x, y = corner(thing, random)
            step = random.integers(-12, 13, 2)
            frames = [ground] * 4
            if kind == "comes at once":
                frames = [ground]
                step *= 0
            for number in range(40 if kind == "stands for 7 s" else 1 if len(frames) == 1 else 4):
                moved = min(number, 4) * step
                frames.append(pasted(ground_with_other, thing, x + moved[0], y + moved[1]))
        frames = [self._changed(kind, frame, n, random) for n, frame in enumerate(frames)]
        return Scene([self._noisy(frame, random) for frame in frames], wanted)

    def _changed(
        self, kind: str, frame: Pixels, number: int, random: np.random.Generator
    ) -> Pixels:
        """What light, camera and weather do to the frame."""
        if kind == "brighter as it comes" and number >= 4:
            return clipped(frame * np.float32(1.4) + 5)
        if kind == "darker as it comes" and number >= 4:
            return clipped(frame * np.float32(0.7) + 8)
        if kind == "lamp at one side before" and number >= 2:
            return clipped(frame * np.linspace(1.2, 1.8, WIDTH, dtype=np.float32)[None, :, None])
        if kind == "camera shakes by 4 px":
            across, down = random.integers(-4, 5, 2)
            moved = np.array([[1, 0, across], [0, 1, down]], np.float32)
            shaken = cv2.warpAffine(frame, moved, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT)
            return np.asarray(shaken, np.uint8)
        if kind == "rain":
            frame = frame.copy()
            for _ in range(150):
                x, y = int(random.integers(0, WIDTH)), int(random.integers(0, HEIGHT))
                length = int(random.integers(20, 60))
                end = x + length // 8, y + length
                cv2.line(frame, (x, y), end, (200, 200, 200), 1, cv2.LINE_AA)
        return frame

    def _noisy(self, frame: Pixels, random: np.random.Generator) -> Pixels:
        y, x = random.integers(0, 64, 2)
        noise = self._noise[y : y + HEIGHT, x : x + WIDTH]
        return clipped(frame.astype(np.int16) + noise[:, :: random.choice([-1, 1])])


KINDS = (
    "comes at once",
    "moves",
    "two things",
    "stands for 7 s",
    "brighter as it comes",
    "darker as it comes",
    "lamp at one side before",
    "camera shakes by 4 px",
    "rain",
    "fills the frame, moves a little",
)


def clipped(levels: NDArray[Any]) -> Pixels:
    """To 8 bits."""
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def cover(picture: Pixels, width: int, height: int) -> Pixels:
    """Enlarged until it covers a frame; the middle of it."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    size = int(np.ceil(picture.shape[1] * scale)), int(np.ceil(picture.shape[0] * scale))
    large = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    y, x = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[y : y + height, x : x + width]


def corner(thing: Pixels, random: np.random.Generator) -> tuple[int, int]:
    """Somewhere in the frame."""
    x = int(random.integers(0, WIDTH - thing.shape[1]))
    return x, int(random.integers(0, HEIGHT - thing.shape[0]))


def pasted(ground: Pixels, thing: Pixels, x: int, y: int) -> Pixels:
    """``thing`` before ``ground``, as far as it is in the frame."""
    found = ground.copy()
    left, top = max(0, x), max(0, y)
    right, bottom = min(WIDTH, x + thing.shape[1]), min(HEIGHT, y + thing.shape[0])
    found[top:bottom, left:right] = thing[top - y : bottom - y, left - x : right - x]
    return found


class Looker:
    """What the daemon makes of the frames of one camera."""

    def __init__(self, classifier: Classifier, rules: Rules, look: str) -> None:
        self._now = 0.0
        camera = CameraSettings(source="scene", look=look, rate_fps=1 / PERIOD_S)  # type: ignore[arg-type]
        # As where there is time to look twice at each frame, however busy this machine is.
        self._scorer = FrameScorer(
            classifier, camera, rules.label_map, fps=0.0, clock=lambda: self._now
        )

    def see(self, pixels: Pixels, period_s: float = PERIOD_S) -> NDArray[np.float32]:
        """The scores that count."""
        frame = Frame(pixels, ColourOrder.BGR)
        prepared = self._scorer.prepare(frame) if self._scorer.prepare else None
        at = Moment(self._now, self._now)
        scored = self._scorer.score(CapturedFrame(frame, at, 1, prepared))
        self._now += period_s
        return scored.scores


def said(rules: Rules, scores: NDArray[np.float32]) -> set[str]:
    """The most specific name that reaches its threshold, and those above it."""
    tree, labels = rules.label_map.tree, rules.label_map.labels
    line = tree.best_line(tree.totals(rules.label_map.reduce(scores)), None)
    return {
        labels[rung.position]
        for rung in line
        if rung.score >= rules.decision.enter and rung.margin >= rules.decision.margin
    }


def judge_scenes(
    classifier: Classifier, rules: Rules, photographs: Photographs, count: int
) -> Iterator[str]:
    """A row a kind of scenes: the share that is right with each way to look."""
    totals = []
    for kind in KINDS:
        right = dict.fromkeys(LOOKS, 0)
        for seed in range(count):
            scene = photographs.scene(kind, seed)
            for look in LOOKS:
                looker = Looker(classifier, rules, look)
                for pixels in scene.frames:
                    scores = looker.see(pixels)
                right[look] += int(scores.argmax()) in scene.wanted
        shares = [100 * right[look] / count for look in LOOKS]
        totals.append(shares)
        yield row(kind, shares)
    yield row("mean of those with a small thing", np.mean(totals[:-1], axis=0).tolist())


def judge_video(
    classifier: Classifier, rules: Rules, path: Path, names: tuple[str, ...]
) -> Iterator[str]:
    """Frames of which one of ``names`` is said, of every fourth."""
    lookers = {look: Looker(classifier, rules, look) for look in LOOKS}
    capture = cv2.VideoCapture(str(path))
    every = 4
    period_s, counted, found = every / capture.get(cv2.CAP_PROP_FPS), 0, dict.fromkeys(LOOKS, 0)
    number = 0
    while True:
        good, pixels = capture.read()
        if not good:
            break
        number += 1
        if number % every != 1:
            continue
        counted += 1
        for look, looker in lookers.items():
            scores = looker.see(np.asarray(pixels, np.uint8), period_s)
            found[look] += bool(said(rules, scores) & set(names))
    yield row(f"{path.name}: {names[0]} or the like, of {counted}", list(found.values()))


def row(what: str, figures: list[float]) -> str:
    """One line of the table."""
    return f"{what:<46}" + "".join(f"{figure:9.1f}" for figure in figures)


def measure_cost(classifier: Classifier, photographs: Photographs, rounds: int = 60) -> str:
    """The finder's time over the bare network's, by turns: what others do here slows both."""
    scene = photographs.scene("moves", 1)
    frames = [Frame(pixels, ColourOrder.BGR) for pixels in scene.frames]
    ratios: dict[str, list[float]] = {"still": [], "moving": []}
    for name, frame in (("still", frames[2]), ("moving", frames[-1])):
        finder = MotionFinder()
        finder.find(frames[0], 0)
        for number in range(rounds):
            finds = timed(lambda n=number, f=frame, of=finder: of.find(f, 0.1 * n))  # type: ignore[misc]
            ratios[name].append(finds / timed(classifier.engine.invoke))
    figures = (f"{name} {statistics.median(found):.3f}" for name, found in ratios.items())
    return f"finder / bare invoke, 1280x720: {', '.join(figures)} (at most 0.15)"


def timed(work: Callable[[], object]) -> float:
    """Seconds of this thread's own processor time; the network has one thread here."""
    started = time.thread_time()
    for _ in range(5):
        work()
    return time.thread_time() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    default = os.environ.get("EDGE_CLASSIFIER_SHARED")
    parser.add_argument("--shared", type=Path, default=default, required=not default)
    parser.add_argument("--model", default="", help="a name or a path")
    parser.add_argument("--scenes", type=int, default=60, help="of each kind")
    parser.add_argument("--tuning", action="store_true", help="even photographs, not odd ones")
    options = parser.parse_args()
    model = load_model(ModelChoice(options.model))
    classifier = model.classifier(AnswerOptions())
    contract = model.resolved.contract
    rules = rules_for(contract.labels, DecisionSettings(), contract.taxonomy)
    photographs = Photographs(
        options.shared / "data" / "imagenet-samples", 0 if options.tuning else 1
    )
    print(f"{model.name}, {options.scenes} scenes of each kind; right in percent")
    print(f"{'':<46}" + "".join(f"{look:>9}" for look in LOOKS))
    for line in judge_scenes(classifier, rules, photographs, options.scenes):
        print(line, flush=True)
    for name, names in (("bottle", BOTTLES), ("car", VEHICLES)):
        video = options.shared / "videos" / f"{name}-detection.mp4"
        for line in judge_video(classifier, rules, video, names):
            print(line, flush=True)
    print(measure_cost(classifier, photographs))


if __name__ == "__main__":
    main()
