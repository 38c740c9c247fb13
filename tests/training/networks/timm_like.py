"""MobileNetV2 as timm names and nests it (timm/models/efficientnet.py, mobilenetv2_100).

Written by itself, so that a test of the names compares two programs and not one with itself.
"""

import torch
from torch import Tensor, nn

from edge_classifier.training.networks.mobilenet_v2 import channels

REPEATS_AND_STRIDES = ((2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1))


def convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def separable(inputs: int, outputs: int) -> nn.ModuleDict:
    """The layers of DepthwiseSeparableConv."""
    return nn.ModuleDict(
        {
            "conv_dw": convolution(inputs, inputs, 3, groups=inputs),
            "bn1": nn.BatchNorm2d(inputs),
            "conv_pw": convolution(inputs, outputs),
            "bn2": nn.BatchNorm2d(outputs),
        }
    )


def residual(inputs: int, outputs: int, stride: int) -> nn.ModuleDict:
    """The layers of InvertedResidual."""
    wide = 6 * inputs
    return nn.ModuleDict(
        {
            "conv_pw": convolution(inputs, wide),
            "bn1": nn.BatchNorm2d(wide),
            "conv_dw": convolution(wide, wide, 3, stride, wide),
            "bn2": nn.BatchNorm2d(wide),
            "conv_pwl": convolution(wide, outputs),
            "bn3": nn.BatchNorm2d(outputs),
        }
    )


def timm_like(width: float, classes: int) -> nn.ModuleDict:
    """The whole network; ``timm_logits`` runs it."""
    outputs = [channels(count * width) for count in (32, 16, 24, 32, 64, 96, 160, 320)]
    stages = [nn.Sequential(separable(outputs[0], outputs[1]))]
    for place, (repeats, stride) in enumerate(REPEATS_AND_STRIDES, 1):
        entering, leaving = outputs[place : place + 2]
        blocks = [residual(entering, leaving, stride)]
        blocks += [residual(leaving, leaving, 1) for _ in range(repeats - 1)]
        stages.append(nn.Sequential(*blocks))
    return nn.ModuleDict(
        {
            "conv_stem": convolution(3, outputs[0], 3, 2),
            "bn1": nn.BatchNorm2d(outputs[0]),
            "blocks": nn.Sequential(*stages),
            "conv_head": convolution(outputs[-1], 1280),
            "bn2": nn.BatchNorm2d(1280),
            "classifier": nn.Linear(1280, classes),
        }
    )


def timm_logits(network: nn.ModuleDict, x: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, classes)."""
    x = network["bn1"](network["conv_stem"](x)).clamp(0, 6)
    for stage in network["blocks"]:
        for block in stage:
            x = block_output(block, x)
    x = network["bn2"](network["conv_head"](x)).clamp(0, 6)
    return network["classifier"](torch.mean(x, (2, 3)))


def block_output(block: nn.ModuleDict, x: Tensor) -> Tensor:
    if "conv_pwl" not in block:
        y = block["bn1"](block["conv_dw"](x)).clamp(0, 6)
        return block["bn2"](block["conv_pw"](y))
    y = block["bn1"](block["conv_pw"](x)).clamp(0, 6)
    y = block["bn2"](block["conv_dw"](y)).clamp(0, 6)
    y = block["bn3"](block["conv_pwl"](y))
    return x + y if x.shape == y.shape else y
