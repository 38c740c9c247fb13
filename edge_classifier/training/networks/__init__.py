"""The networks that can be trained, in torch, and where their first weights come from."""

from pathlib import Path

import torch
from torch import nn

from edge_classifier.errors import ConfigurationError
from edge_classifier.modelfile.catalogue import embedded_folder, sha256_of
from edge_classifier.modelfile.pull import Progress
from edge_classifier.training import settings
from edge_classifier.training.networks import base, efficientnet_lite, published, weights
from edge_classifier.training.networks.base import Convnet
from edge_classifier.training.networks.efficientnet_lite import EfficientNetLite0
from edge_classifier.training.networks.mobilenet_v2 import MobileNetV2

# Name in the settings to architecture.
NETWORKS: dict[str, type[Convnet]] = {
    "mobilenet-v2": MobileNetV2,
    "efficientnet-lite0": EfficientNetLite0,
}
EMBEDDED, IMAGENET, NONE = "embedded", "imagenet", "none"


def build(
    network: settings.NetworkSettings,
    classes: int,
    *,
    seed: int = 0,
    log: weights.Log = lambda _: None,
    progress: Progress = lambda *_: None,
) -> Convnet:
    """The network with a new head and the first weights that ``network.pretrained`` names.

    ``seed`` decides what is random; torch's own generator is left as it was. ``log`` is told
    what of a checkpoint is left out, ``progress`` how a download goes on.

    Raises ConfigurationError, MissingFileError, DownloadError, and ModelError for a checkpoint
    that is damaged, of another architecture or of another width.
    """
    if wrong := problems(network):
        raise ConfigurationError("network", "\n".join(wrong))
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(seed)
        if network.name != "mobilenet-v2":
            is_pretrained = network.pretrained == EMBEDDED
            lite = efficientnet_lite.load_imagenet() if is_pretrained else EfficientNetLite0()
            lite.classifier = _head(network, lite.outputs, classes)
            return lite
        if network.pretrained == EMBEDDED:
            file = published.embedded_weights(embedded_folder())
        elif network.pretrained == IMAGENET:
            file = published.fetch(published.TORCHVISION_WEIGHTS, progress)
        else:
            file = Path(network.pretrained)
        checkpoint = None if network.pretrained == NONE else weights.read(file)
        family = checkpoint.family if checkpoint else weights.OWN
        built = MobileNetV2(network.width, family.padding, family.eps)
        built.classifier = _head(network, built.outputs, classes)
        if checkpoint:
            weights.load(built, checkpoint, network.width, log)
        return built


def problems(network: settings.NetworkSettings) -> list[str]:
    """What of the settings does not go together."""
    name, width, pretrained = network.name, network.width, network.pretrained
    if name == "efficientnet-lite0":
        checks = {
            f"width is {width}; {name} has 1.0 only, mobilenet-v2 others": width == 1.0,
            f"pretrained is {pretrained}; {name} has embedded (ImageNet's) and none, "
            "mobilenet-v2 others": pretrained in {EMBEDDED, NONE},
        }
    else:
        checks = {
            f"width is {width}; {pretrained} weights are of width 1.0. Take none, or a file: "
            "Keras publishes weights of every width": (
                pretrained not in {EMBEDDED, IMAGENET} or width == published.WIDTH
            )
        }
    return [message for message, holds in checks.items() if not holds]


def provenance(network: settings.NetworkSettings) -> str:
    """Source and licence of the first weights, as lines of Markdown for a model card."""
    lite = network.name == "efficientnet-lite0"
    notices = {
        EMBEDDED: published.LITE_NOTICE if lite else published.EMBEDDED_NOTICE,
        IMAGENET: published.TORCHVISION_NOTICE,
        NONE: "- First weights: none, trained from random ones.\n",
    }
    if notice := notices.get(network.pretrained):
        return notice
    path = Path(network.pretrained)
    return (
        f"- First weights: the file {path.name}, SHA-256 {sha256_of(path)}. Whoever made it "
        "decides on\n  its licence.\n"
    )


def _head(network: settings.NetworkSettings, features: int, classes: int) -> nn.Sequential:
    if network.head == "dense":
        return base.dense_head(features, classes)
    return base.linear_head(features, classes, network.dropout)
