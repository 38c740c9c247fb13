"""What a network costs, counted on a network without values: no picture is computed."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edge_classifier.training.networks.base import Convnet


def parameters(network: Convnet) -> int:
    """Numbers that training learns; batch norm's statistics are none."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(build: Callable[[], Convnet], size_px: int) -> int:
    """Multiplications of the convolutions and dense layers, for one square picture."""
    counts: list[int] = []

    def count(layer: nn.Conv2d | nn.Linear, _: tuple[Tensor, ...], output: Tensor) -> None:
        products = layer.weight.numel() // layer.weight.shape[0]
        counts.append(output.numel() * products)

    with torch.device("meta"), torch.inference_mode():
        network = build().eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        network(torch.empty(1, 3, size_px, size_px))
    return sum(counts)
