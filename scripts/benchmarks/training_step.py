#!/usr/bin/env python3
"""How fast a processor trains MobileNetV2, with batch norm as it is and folded.

    python scripts/benchmarks/training_step.py [--batch 32] [--steps 4]

Prints pictures a second at 224 x 224, and the ratio; needs the extra [train] and an idle machine.
"""

import argparse
import time

import torch
from torch import nn
from torch.nn import functional

from edge_classifier.training import networks
from edge_classifier.training.qat import fold
from edge_classifier.training.settings import NetworkSettings
from edge_classifier.training.train.devices import keep_freed_memory

CLASSES = 5


def pictures_a_second(network: nn.Module, batch: int, steps: int) -> float:
    """Forward and backward with frozen statistics, all weights trained, after one warm-up step."""
    network = network.requires_grad_(True).to(memory_format=torch.channels_last).eval()
    pictures = torch.randn(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (batch,))
    started = 0.0
    for step in range(steps + 1):
        if step == 1:
            started = time.perf_counter()
        network.zero_grad()
        functional.cross_entropy(network(pictures), labels).backward()
    return batch * steps / (time.perf_counter() - started)


def main() -> None:
    """Measure both, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    keep_freed_memory()
    network = networks.build(NetworkSettings(), CLASSES)
    kept = pictures_a_second(network, options.batch, options.steps)
    folded = pictures_a_second(fold(network), options.batch, options.steps)
    print(f"batch norm as it is: {kept:.1f} pictures/s")
    print(f"folded:              {folded:.1f} pictures/s, {folded / kept:.2f} times as many")


if __name__ == "__main__":
    main()
