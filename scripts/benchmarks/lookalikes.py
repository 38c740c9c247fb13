#!/usr/bin/env python3
"""How well pictures are told apart by their codes: piles of look-alikes, and what is new.

    scripts/benchmarks/lookalikes.py --flowers FOLDER --other FOLDER [--half 0|1] [--scenes N]

FOLDER: photographs in class folders, such as flower_photos, and a folder of other photographs, of
each every other one: the rules were chosen on half 0. Scenes are photographs of two kinds of
flowers, pasted into an enlarged one of something else in changing size, place, light and noise. A
camera sees ever the same twelve (few), or any (many). What is new is another kind of flower, or
something else altogether.
"""

import argparse
import io
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from edge_classifier.web.lookalikes import codes
from edge_classifier.web.lookalikes.codes import BASE, Seen, as_number, distance
from edge_classifier.web.worker.child_codes import PictureCoder
from edge_classifier.web.worker.messages import CropBox, EncodeTask

_SIZE = 1280, 720
_CAMERAS = 3
_NEW = 30
_PIXELS = 100_000_000


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--flowers", type=Path, required=True, help="class folders of photographs")
    parser.add_argument("--other", type=Path, required=True, help="photographs of something else")
    parser.add_argument("--half", type=int, choices=(0, 1), default=1)
    parser.add_argument("--scenes", type=int, default=250, help="of each camera")
    asked = parser.parse_args()
    kinds = {
        folder.name: sorted(folder.glob("*.jpg"))[asked.half :: 2]
        for folder in sorted(asked.flowers.iterdir())
    }
    others = sorted(asked.other.glob("*.jpg"))[asked.half :: 2]
    coder = PictureCoder(BASE)
    print_piles(coder, kinds)
    for few in (True, False):
        for is_whole in (False, True):
            print_new(coder, kinds, others, asked.scenes, few=few, is_whole=is_whole)


def print_piles(coder: PictureCoder, kinds: dict[str, list[Path]]) -> None:
    """Of photographs, those on a pile with an earlier one; of each, what its neighbours are."""
    found = [
        (kind, code_of(coder, path.read_bytes()))
        for kind, paths in kinds.items()
        for path in paths[:120]
    ]
    leaders: dict[int, str] = {}
    on_pile = right = 0
    for number, (kind, code) in enumerate(found, 1):
        seen = [Seen(n, n, found[n - 1][1], None) for n in leaders]
        pile = codes.pile_of(code, seen)
        if pile is None:
            leaders[number] = kind
        else:
            on_pile += 1
            right += leaders[pile] == kind
    print(f"{len(found)} photographs: {on_pile} on a pile, {right} of these of its kind")
    near = []
    for kind, code in found:
        order = sorted(found, key=lambda other: distance(code, other[1]))[1:11]
        near.append(sum(other == kind for other, _ in order) / 10)
    print(f"of the ten nearest to each {100 * np.mean(near):.0f} % are of its kind")


def print_new(
    coder: PictureCoder,
    kinds: dict[str, list[Path]],
    others: Sequence[Path],
    count: int,
    *,
    few: bool,
    is_whole: bool,
) -> None:
    """How often what is usual is marked as new, and what is new."""
    names = list(kinds)
    false = usual = flowers = things = 0
    for camera in range(_CAMERAS):
        draw = random.Random(camera)  # noqa: S311 (scenes, not secrets)
        scenes = Scenes(coder, others[17 * camera], draw, is_whole=is_whole)
        pictures = [
            path
            for name in (names[camera], names[(camera + 1) % len(names)])
            for path in kinds[name][: 6 if few else 200]
        ]
        seen: list[Seen] = []
        for number in range(count):
            code = scenes.code(draw.choice(pictures))
            nearest = codes.nearest_distance(code, seen)
            if number >= codes.LEAST_SEEN + codes.LEAST_MEASURED:
                usual += 1
                false += codes.is_new(nearest, seen)
            seen.append(Seen(number, number, code, nearest))
        other = kinds[names[(camera + 3) % len(names)]]

        def marked(paths: Sequence[Path], scenes: Scenes = scenes, seen: list[Seen] = seen) -> int:
            found = (codes.nearest_distance(scenes.code(path), seen) for path in paths)
            return sum(codes.is_new(nearest, seen) for nearest in found)

        flowers += marked(other[:_NEW])
        things += marked(others[100 + _NEW * camera :][:_NEW])
    all_new = _CAMERAS * _NEW
    print(
        f"{'few' if few else 'many'} photographs, {'the whole' if is_whole else 'what moved'}:"
        f" of the usual {100 * false / usual:.1f} % marked, of another flower"
        f" {100 * flowers / all_new:.0f} %, of something else {100 * things / all_new:.0f} %"
    )


class Scenes:
    """What a camera sees."""

    def __init__(
        self, coder: PictureCoder, background: Path, draw: random.Random, *, is_whole: bool
    ) -> None:
        self._coder, self._draw, self._is_whole = coder, draw, is_whole
        self._background = Image.open(background).convert("RGB").resize(_SIZE)
        self._noise = np.random.default_rng(0)

    def code(self, path: Path) -> int:
        """Of the photograph at ``path``, somewhere in the scene."""
        draw, (width, height) = self._draw, _SIZE
        scene, subject = self._background.copy(), Image.open(path).convert("RGB")
        high = int(height * draw.uniform(0.3, 0.65))
        wide = max(60, min(900, subject.width * high // subject.height))
        x, y = draw.randrange(width - wide), draw.randrange(height - high)
        scene.paste(subject.resize((wide, high)), (x, y))
        light = (np.asarray(scene, np.float32) / 255) ** draw.uniform(0.6, 1.6)
        noisy = 255 * light + self._noise.normal(0, 4, light.shape)
        file = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
        side = min(height, int(max(wide, high) * draw.uniform(1, 1.25)))
        left = min(max(0, x + (wide - side) // 2), width - side)
        top = min(max(0, y + (high - side) // 2), height - side)
        box = CropBox(left / width, top / height, side / width, side / height)
        return code_of(self._coder, file.getvalue(), None if self._is_whole else box)


def code_of(coder: PictureCoder, jpeg: bytes, box: CropBox | None = None) -> int:
    """The code as comparisons take it."""
    return as_number(coder.code(jpeg, EncodeTask(BASE, _PIXELS, box)))


if __name__ == "__main__":
    main()
