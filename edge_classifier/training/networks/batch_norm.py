"""Batch norm whose statistics are lost, because somebody folded it into the convolutions."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


def restore_statistics(network: nn.Module, pictures: Iterable[Tensor]) -> None:
    """Give each batch norm without statistics those of ``pictures``; the network stays the same.

    ``pictures`` are batches (N, 3, H, W), float32, as the network sees them. Without statistics is
    a mean of 0 and a variance that does nothing, in every channel. Trained further as it is, such
    a layer would divide by the spread of its input and never multiply by it again.
    """
    lost = [
        module
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d)
        and not module.running_mean.any()
        and torch.allclose(module.running_var + module.eps, torch.ones(()))
    ]
    sums: dict[nn.Module, list[Any]] = {module: [0, 0.0, 0.0] for module in lost}

    def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].double()
        count, total, squares = sums[module]
        sums[module] = [
            count + values[:, 0].numel(),
            total + values.sum((0, 2, 3)),
            squares + values.square().sum((0, 2, 3)),
        ]

    hooks = [module.register_forward_pre_hook(add) for module in lost]
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        for batch in pictures:
            network(batch)
    for hook in hooks:
        hook.remove()
    network.train(was_training)
    with torch.no_grad():
        for module in lost:
            count, total, squares = sums[module]
            mean = total / count
            variance = squares / count - mean.square()
            # (x - mean) / spread * spread + (bias + mean) is x + bias, as it was.
            module.weight.mul_((variance + module.eps).sqrt().float())
            module.bias.add_(mean.float())
            module.running_mean.copy_(mean)
            module.running_var.copy_(variance)
