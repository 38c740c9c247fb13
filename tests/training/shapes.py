"""Pictures that a small network learns to tell apart in seconds, and first weights for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_classifier.training.networks import weights
from edge_classifier.training.networks.mobilenet_v2 import MobileNetV2

SIDE: Final = 96
WIDTH = 0.35
# In the order of a model's outputs.
LABELS = ("disc", "方块", "unknown")
NAMES = 'disc = {zh = "圆盘", en = "Disc"}\n"方块" = {zh = "方块", en = "Square"}\n'
BROKEN = "disc/broken.jpg"

Pixels = NDArray[np.uint8]


def draw_classes(root: Path, count: int = 36) -> Path:
    """Two class folders of ``count`` pictures each, names.toml, and pictures of unusual kinds.

    Some are in the wrong class, so that a model makes mistakes.
    """
    random = np.random.default_rng(0)
    for number in range(count):
        save(root / "disc" / f"{number:02}.png", disc(random))
        save(root / "方块" / f"{number:02}.png", square(random))
    for number in range(2):
        save(root / "disc" / f"wrong-{number}.png", square(random))
        save(root / "方块" / f"wrong-{number}.png", disc(random))
    opaque = np.full((120, 140, 1), 255, np.uint8)
    save(root / "disc/alpha.png", np.concatenate([disc(random), opaque], axis=2))
    save(root / "方块/deep.png", square(random).astype(np.uint16) * 257)
    (root / BROKEN).write_bytes(b"\xff\xd8\xff no picture")
    (root / "names.toml").write_text(NAMES, "utf-8")
    return root


def draw_other(root: Path, count: int = 36) -> Path:
    """A folder of stripes, which are neither."""
    random = np.random.default_rng(1)
    for number in range(count):
        save(root / f"{number:02}.png", stripes(random))
    return root


def disc(random: np.random.Generator) -> Pixels:
    """A big red one: (120, 140, 3), BGR."""
    pixels, centre, radius = background(random)
    cv2.circle(pixels, centre, radius, (70, 70, 250), -1)
    return pixels


def square(random: np.random.Generator) -> Pixels:
    """A big blue one: (120, 140, 3), BGR."""
    pixels, (x, y), half = background(random)
    cv2.rectangle(pixels, (x - half, y - half), (x + half, y + half), (250, 100, 60), -1)
    return pixels


def stripes(random: np.random.Generator) -> Pixels:
    """Green ones: (120, 140, 3), BGR."""
    pixels, _, _ = background(random)
    pixels[np.arange(120) % int(random.integers(3, 6)) < 2, :, 1] = 250
    return pixels


def background(random: np.random.Generator) -> tuple[Pixels, tuple[int, int], int]:
    """Noise, and where on it something is to be: x, y and half its size."""
    pixels = random.integers(20, 40, (120, 140, 3), np.uint8)
    x, y, half = random.integers((60, 50, 40), (80, 70, 55)).tolist()
    return pixels, (x, y), half


def save(path: Path, pixels: NDArray[np.integer]) -> Path:
    """Write a PNG, also where the name is not ASCII, which OpenCV cannot everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def write_first_weights(path: Path, steps: int = 20) -> Path:
    """A checkpoint that has seen other such pictures: from random weights it would take longer."""
    random = np.random.default_rng(7)
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(0)
        network = MobileNetV2(WIDTH)
        network.classifier = nn.Linear(network.outputs, 3)
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        # Small steps at the end: where large ones stop is chance, another on each processor.
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            logits = network.train()(_batch(random))
            nn.functional.cross_entropy(logits, torch.arange(24) % 3).backward()
            optimizer.step()
            schedule.step()
        _measure_statistics(network, random)
    state = network.features.state_dict(prefix="features.")
    weights.write(path, weights.Checkpoint("shapes", state, weights.OWN), "shapes, for tests")
    return path


def _measure_statistics(network: nn.Module, random: np.random.Generator) -> None:
    """Replace batch norm's statistics, which are of earlier weights, by those of the last ones."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the average of all that it sees from here on
    with torch.no_grad():
        for _ in range(4):
            network.train()(_batch(random))


@contextmanager
def one_thread() -> Iterator[None]:
    """Several that wait for one another on a busy machine take ten times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _batch(random: np.random.Generator) -> Tensor:
    """24 pictures, the three kinds by turns: (24, 3, 96, 96)."""
    drawn = [draw(random) for _ in range(8) for draw in (disc, square, stripes)]
    # Shrunk as a run does: nearest neighbours would make other stripes of stripes.
    cuts = [one[8:112, 18:122] for one in drawn]
    shown = [cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[..., ::-1] for cut in cuts]
    return torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float().sub(128).div(128)
