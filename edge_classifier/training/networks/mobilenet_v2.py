"""MobileNetV2 in torch; the keys of its state dict are torchvision's.

Architecture: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018,
table 2; the rounding of channels is that of TensorFlow's and torchvision's implementations.
"""

from typing import ClassVar

from torch import nn

from edge_classifier.training.networks.base import Convnet
from edge_classifier.training.networks.blocks import (
    TENSORFLOW_EPS,
    InvertedResidual,
    Padding,
    activated,
)

# The width multipliers for which weights are published.
WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
STAGES = (
    # expansion, channels out, repeats, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _HEAD = 32, 1280


def channels(count: float) -> int:
    """``count`` rounded to a multiple of 8, by at most a tenth downwards."""
    rounded = max(8, int(count + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count else rounded


class MobileNetV2(Convnet):
    """``features`` are 19 blocks, the first and the last a convolution."""

    title: ClassVar = "MobileNetV2"

    def __init__(
        self,
        width: float = 1.0,
        padding: Padding = Padding.TENSORFLOW,
        eps: float = TENSORFLOW_EPS,
    ) -> None:
        inputs = channels(_STEM * width)
        blocks: list[nn.Module] = [activated(3, inputs, 3, 2, padding=padding, eps=eps)]
        for expansion, base, repeats, stride in STAGES:
            outputs = channels(base * width)
            for index in range(repeats):
                first = stride if index == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, first, expansion, 3, padding, eps))
                inputs = outputs
        outputs = channels(_HEAD * max(1.0, width))
        super().__init__([*blocks, activated(inputs, outputs, eps=eps)], outputs)
