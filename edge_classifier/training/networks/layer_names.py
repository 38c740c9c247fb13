"""What torchvision, timm and Keras call the layers of MobileNetV2, and how others' look.

Sources: torchvision/models/mobilenetv2.py, timm/models/efficientnet.py (mobilenetv2_100) and
keras/src/applications/mobilenet_v2.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edge_classifier.training.networks.mobilenet_v2 import STAGES

# A convolution's name and that of its batch norm.
Pair = tuple[str, str]

_EXPANDED = ("expand", "depthwise", "project")
_TORCHVISION = {
    "expand": ("conv.0.0", "conv.0.1"),
    "depthwise": ("conv.1.0", "conv.1.1"),
    "project": ("conv.2", "conv.3"),
}
_TIMM = {
    "expand": ("conv_pw", "bn1"),
    "depthwise": ("conv_dw", "bn2"),
    "project": ("conv_pwl", "bn3"),
}
# A block that does not expand lacks the first layer, and counts the others from there.
_TORCHVISION_FIRST = {"depthwise": ("conv.0.0", "conv.0.1"), "project": ("conv.1", "conv.2")}
_TIMM_FIRST = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}

# How names of well-known networks begin.
_SIGNS = {
    "features.1.block.": "torchvision's MobileNetV3",
    "features.1.0.block.": "torchvision's EfficientNet or ConvNeXt",
    "features.denseblock1.": "a DenseNet",
    "features.0.weight": "a VGG, an AlexNet or a SqueezeNet",
    "features.18.0.weight": "a MobileNetV2 with other blocks",
    "network.": "a training run's own checkpoint (those go on with --resume)",
    "layer1.0.": "a ResNet",
    "conv1_conv": "Keras's ResNet",
    "stem_conv": "Keras's EfficientNet",
    "conv_dw_1": "Keras's MobileNet, the first",
    "vars": "a file of an early Keras 3, which wrote no names (a newer one does)",
    "conv_stem.": "another network of timm's MobileNet and EfficientNet family",
    "cls_token": "a vision transformer",
    "class_token": "a vision transformer",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution with its batch norm."""

    torchvision: Pair
    timm: Pair
    keras: Pair
    depthwise: bool = False


def layers() -> Iterator[Layer]:
    """All of MobileNetV2's, from the picture on."""
    yield Layer(("features.0.0", "features.0.1"), ("conv_stem", "bn1"), ("Conv1", "bn_Conv1"))
    block = 0
    for stage, (expansion, _, repeats, _) in enumerate(STAGES):
        for index in range(repeats):
            block += 1
            expands, timm = expansion > 1, f"blocks.{stage}.{index}"
            keras = f"block_{block - 1}" if expands else "expanded_conv"
            theirs, own = (_TIMM, _TORCHVISION) if expands else (_TIMM_FIRST, _TORCHVISION_FIRST)
            for part in _EXPANDED if expands else _EXPANDED[1:]:
                yield Layer(
                    _below(f"features.{block}", own[part]),
                    _below(timm, theirs[part]),
                    (f"{keras}_{part}", f"{keras}_{part}_BN"),
                    depthwise=part == "depthwise",
                )
    last = f"features.{block + 1}"
    yield Layer((f"{last}.0", f"{last}.1"), ("conv_head", "bn2"), ("Conv_1", "Conv_1_bn"))


def _below(prefix: str, pair: Pair) -> Pair:
    return f"{prefix}.{pair[0]}", f"{prefix}.{pair[1]}"


def from_timm() -> dict[str, str]:
    """Names of layers by timm to those by torchvision, the classifier's included."""
    known = {"classifier": "classifier.1"}
    for layer in layers():
        known.update(zip(layer.timm, layer.torchvision, strict=True))
    return known


def looks_like(names: Iterable[str]) -> str:
    """Whose names these are, in words, with the first of them."""
    listed = list(names)
    for sign, network in _SIGNS.items():
        if any(name.startswith(sign) for name in listed):
            return f"it looks like {network}"
    return f"it has {len(listed)} tensors called {', '.join(listed[:3])} ..."
