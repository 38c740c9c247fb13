"""Class folders of made pictures, and a tiny base, that a lesson takes a moment with."""

from pathlib import Path

import cv2
import numpy as np

from edge_classifier.core.contract import Contract, Crop
from edge_classifier.model_writing import pack
from edge_classifier.modelfile import object_api
from edge_classifier.teach.base import Base, open_base
from tests import tiny

# Of the tiny base: it averages the picture, so that colours are all that it knows.
COLOURS = {"red": (40, 40, 200), "green": (40, 200, 40), "blue": (200, 60, 40)}
_PX = 64


def picture(colour: tuple[int, int, int], seed: int) -> np.ndarray:
    """Blotches around a colour (blue, green, red): no two seeds look alike, (64, 64, 3)."""
    chance = np.random.default_rng(seed)
    shade = np.asarray(colour) + chance.normal(0, 12, 3)
    rough = chance.normal(0, 60, (6, 6, 1))
    blotches = cv2.resize(rough, (_PX, _PX), interpolation=cv2.INTER_CUBIC)
    return np.clip(shade + blotches[..., None], 0, 255).astype(np.uint8)


def fill(folder: Path, colour: tuple[int, int, int], count: int, first: int = 0) -> Path:
    """``count`` pictures in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        path = folder / f"{seed}.png"
        path.write_bytes(cv2.imencode(".png", picture(colour, seed))[1].tobytes())
    return folder


def lesson(folder: Path, count: int = 8, colours: tuple[str, ...] = tuple(COLOURS)) -> Path:
    """A class a colour."""
    for number, name in enumerate(colours):
        fill(folder / name, COLOURS[name], count, first=1000 * number)
    return folder


def tiny_model(folder: Path) -> Path:
    """An int8 classifier that ends in mean, fully connected, softmax, with its contract."""
    bare = tiny.build(folder / "bare.tflite")
    path = folder / "tiny.tflite"
    contract = Contract(8, 8, crop=Crop.SQUASH).with_labels(tiny.COLOURS)
    pack(bare.read_bytes(), path, contract, "# Tiny\n")
    return path


def tiny_base(folder: Path) -> Base:
    """The same, ready to be taught."""
    return open_base(str(tiny_model(folder)))


def shapes(model: bytes) -> list[str]:
    """Kinds of a model's operators."""
    loaded = object_api.read(model)
    return [object_api.operator_name(loaded, one) for one in loaded.subgraphs[0].operators]
