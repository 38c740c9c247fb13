"""A small network, and its weights as torchvision's checkpoints have them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edge_classifier.training.networks import base
from edge_classifier.training.networks.blocks import TORCH_EPS, Padding
from edge_classifier.training.networks.mobilenet_v2 import MobileNetV2

WIDTH, CLASSES = 0.35, 5


State = dict[str, Tensor]


def trained(network: nn.Module) -> nn.Module:
    """The network with weights that let the picture through to the logits, in evaluation mode.

    Fresh batch norm is nearly the identity and fresh kernels shrink: then every checkpoint would
    give the same answer.
    """
    generator = torch.Generator().manual_seed(11)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))

    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                fan_in = layer.weight[0].numel()
                layer.weight.normal_(0, (3 / fan_in) ** 0.5, generator=generator)
            if isinstance(layer, nn.BatchNorm2d):
                uniform(layer.weight, 0.5, 1.5)
                uniform(layer.bias, -0.3, 0.3)
                uniform(layer.running_mean, -0.2, 0.2)
                uniform(layer.running_var, 0.5, 2)
    return network.eval()


def torchvision_like(width: float = WIDTH, classes: int = CLASSES) -> MobileNetV2:
    """As torchvision builds it."""
    network = MobileNetV2(width, Padding.SYMMETRIC, TORCH_EPS)
    network.classifier = base.linear_head(network.outputs, classes)
    trained(network)
    return network


def without_counts(network: nn.Module) -> State:
    """The state dict of a network that nobody counted batches for."""
    state = network.state_dict().items()
    return {name: tensor for name, tensor in state if "num_batches" not in name}


def assert_same(found: Mapping[str, Tensor], wanted: State) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name


def shape(*sizes: int) -> Tensor:
    return torch.zeros(sizes)
