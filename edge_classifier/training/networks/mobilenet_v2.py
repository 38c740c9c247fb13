"""MobileNetV2 in torch; the keys of its state dict are torchvision's.

Architecture: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018,
table 2; the rounding of channels is that of TensorFlow's and torchvision's implementations.
"""

from torch import Tensor, nn

from edge_classifier.training.networks.layers import TENSORFLOW_EPS, PaddedConv2d, Padding, Tap

_STAGES = (
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


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; plus the input where the shapes agree."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        expansion: int,
        padding: Padding,
        eps: float,
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = [_activated(inputs, wide, 1, 1, 1, padding, eps)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *expand,
            _activated(wide, wide, 3, stride, wide, padding, eps),
            PaddedConv2d(wide, outputs),
            nn.BatchNorm2d(outputs, eps),
        )
        self.residual = stride == 1 and inputs == outputs
        self.sum = Tap()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.conv(x)
        return self.sum(x + y) if self.residual else y


class MobileNetV2(nn.Module):
    """``features`` (19 blocks, the first and the last a convolution), then ``classifier``."""

    def __init__(
        self,
        width: float = 1.0,
        padding: Padding = Padding.TENSORFLOW,
        eps: float = TENSORFLOW_EPS,
    ) -> None:
        super().__init__()
        inputs = channels(_STEM * width)
        blocks: list[nn.Module] = [_activated(3, inputs, 3, 2, 1, padding, eps)]
        for expansion, base, repeats, stride in _STAGES:
            outputs = channels(base * width)
            for index in range(repeats):
                first = stride if index == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, first, expansion, padding, eps))
                inputs = outputs
        self.outputs = channels(_HEAD * max(1.0, width))
        """Number of features that the classifier gets."""
        blocks.append(_activated(inputs, self.outputs, 1, 1, 1, padding, eps))
        self.features = nn.Sequential(*blocks)
        self.entry, self.pool = Tap(), Tap()
        self.classifier: nn.Module = nn.Identity()
        """The head; the features pass through as long as there is none."""

    def pooled(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), RGB, (pixel - 128) / 128, sides multiples of 32, to (N, outputs)."""
        # Without keepdim the converter leaves a TRANSPOSE before the mean.
        pooled: Tensor = self.pool(self.features(self.entry(x)).mean((2, 3), keepdim=True))
        return pooled.flatten(1)

    def blocks(self) -> list[nn.Module]:
        """What can be frozen one by one, in order from the picture on."""
        return list(self.features)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures as in ``pooled`` to logits (N, classes)."""
        logits: Tensor = self.classifier(self.pooled(x))
        return logits


def _activated(
    inputs: int, outputs: int, kernel: int, stride: int, groups: int, padding: Padding, eps: float
) -> nn.Sequential:
    return nn.Sequential(
        PaddedConv2d(inputs, outputs, kernel, stride, groups, padding),
        nn.BatchNorm2d(outputs, eps),
        nn.ReLU6(),
    )
