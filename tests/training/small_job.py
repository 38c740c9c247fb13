"""A training small enough for tests, in this process or in one of its own.

``python -m tests.training.small_job JOB.json`` does the job and leaves the weights behind.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from edge_classifier.core.contract import Contract
from edge_classifier.dataset.folder import Sample
from edge_classifier.training.data.examples import PictureExamples
from edge_classifier.training.networks.mobilenet_v2 import MobileNetV2
from edge_classifier.training.settings import Augment
from edge_classifier.training.train.plan import History, RunOptions, StagePlan

LABELS = ("blue", "green", "red")
CONTRACT = Contract(32, 32, crop_fraction=1.0, labels=LABELS)
WEIGHTS = "weights.pt"
HISTORY = "history.json"
WAITING = "waiting"


def draw_pictures(folder: Path, count: int) -> list[Sample]:
    """``count`` noisy pictures of 40 x 36 pixels, each in the colour of its class."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    samples = []
    for number in range(count):
        pixels = rng.integers(0, 120, (36, 40, 3), np.uint8)
        pixels[..., number % 3] += 80  # BGR, as OpenCV stores it
        path = folder / f"{number:03}.png"
        cv2.imwrite(str(path), pixels)
        samples.append(Sample(path, number % 3))
    return samples


def small_network(seed: int = 0) -> MobileNetV2:
    """MobileNetV2 0.35 with a head for ``LABELS``; batch norm has seen noise, so it learns."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = MobileNetV2(0.35)
        network.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(network.outputs, 3))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
        network.train()(torch.randn(16, 3, 32, 32))
    network.eval()
    return network


def weights(network: nn.Module) -> dict[str, Tensor]:
    """A copy of all of them."""
    return {name: values.clone() for name, values in network.state_dict().items()}


def train(
    network: nn.Module, plan: StagePlan, options: RunOptions, pictures: Path, count: int = 21
) -> History:
    """Train on ``count`` pictures, with augmentation; the first 9, plain, are the held-out ones."""
    # Late: processes that read pictures import this module, too, and do not train.
    from edge_classifier.training.train.loop import fit

    samples = draw_pictures(pictures, count)
    varied = PictureExamples(samples, CONTRACT, Augment(), options.seed)
    return fit(network, plan, varied, PictureExamples(samples[:9], CONTRACT), options)


def write_job(folder: Path, *, wait_at: float = 2.0, **changes: Any) -> Path:
    """A job as a file. At the share ``wait_at`` of all steps it waits for its end."""
    job = {"folder": str(folder), "wait_at": wait_at, "plan": {}, "options": {}}
    path = folder / "job.json"
    path.write_text(json.dumps({**job, "dropout": 0.2, "double": False, **changes}))
    return path


def _main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(job["folder"])
    network = small_network()
    network.classifier[0].p = job["dropout"]
    if job["double"]:
        network.double().register_forward_pre_hook(lambda _, given: (given[0].double(),))
    plan = StagePlan(on_step=_waiting(folder, job["wait_at"]), **job["plan"])
    history = train(network, plan, RunOptions(folder=folder, **job["options"]), folder / "pictures")
    rank = int(torch.distributed.is_initialized() and torch.distributed.get_rank())
    torch.save(network.state_dict(), folder / f"{rank}-{WEIGHTS}")
    epochs = [asdict(epoch) for epoch in history]
    (folder / f"{rank}-{HISTORY}").write_text(json.dumps(epochs))


def _waiting(folder: Path, share: float) -> Callable[[float], None]:
    def wait(done: float) -> None:
        if done >= share:
            (folder / WAITING).touch()
            sys.stdin.read()

    return wait


if __name__ == "__main__":
    try:
        _main()
    except KeyboardInterrupt:
        sys.exit(130)
