"""Quantization-aware training: the network learns with the rounding that int8 will do.

``fold``, ``prepare``, train (``observe_only`` first, ``freeze_ranges`` late), then
``learned_ranges`` and ``strip`` for the export.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, section 3. Weights get one scale an output channel, in dense layers one
in all: the Edge TPU takes no other.
"""

import copy
from collections.abc import Iterator
from itertools import pairwise, zip_longest

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge_classifier.training.networks.blocks import Tap
from edge_classifier.training.qat.fake_quantizers import ActivationQuantizer, WeightQuantizer

# Scale 1/128 and zero point 0: the stored value is pixel - 128, so nothing is lost and a device
# only flips each byte's top bit.
INPUT_RANGE = (-1.0, 127 / 128)

# The least side that all networks take; the order of layers does not depend on it.
_TRACED_PX = 32


class Rounded(nn.Module):
    """A convolution or dense layer that computes with rounded weights."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.quantizer = WeightQuantizer(per_channel=isinstance(layer, nn.Conv2d))

    def forward(self, x: Tensor) -> Tensor:
        """As ``layer``."""
        return functional_call(self.layer, {"weight": self.quantizer(self.layer.weight)}, (x,))


class Stored(nn.Module):
    """A module whose output int8 stores, and that output's quantizer."""

    def __init__(self, value: nn.Module, quantizer: ActivationQuantizer) -> None:
        super().__init__()
        self.value = value
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """What ``value`` makes of ``x``, rounded."""
        rounded: Tensor = self.quantizer(self.value(x))
        return rounded


def fold(network: nn.Module) -> nn.Module:
    """A copy with batch norm folded into the convolution before it, in evaluation mode."""
    folded = copy.deepcopy(network).eval()
    for parent in list(folded.modules()):
        for (name, layer), (follower, norm) in pairwise(list(parent.named_children())):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                fused = fuse_conv_bn_eval(layer, norm)
                fused.bias.requires_grad_(fused.weight.requires_grad)
                setattr(parent, name, fused)
                # What stays keeps the keys of the layers behind it.
                setattr(parent, follower, nn.Identity())
    return folded


def prepare(folded: nn.Module) -> nn.Module:
    """A copy of a network without batch norm that rounds weights and activations as int8 does.

    It has to be shown its pictures through a ``Tap``, whose range is INPUT_RANGE. Ranges are
    yet to be learned; see ``observe_only``.
    """
    prepared = copy.deepcopy(folded).eval()
    order = _in_execution_order(prepared, list(_stored_modules(prepared)))
    quantizers = {module: ActivationQuantizer(position) for position, module in enumerate(order)}
    quantizers[order[0]].fix(*INPUT_RANGE)
    for parent in list(prepared.modules()):
        for name, child in list(parent.named_children()):
            value = Rounded(child) if isinstance(child, nn.Conv2d | nn.Linear) else child
            quantizer = quantizers.get(child)
            setattr(parent, name, Stored(value, quantizer) if quantizer else value)
    return prepared.eval().to(_device(folded))


def activation_quantizers(prepared: nn.Module) -> list[ActivationQuantizer]:
    """In execution order: the input's first, the logits' last."""
    found = [module for module in prepared.modules() if isinstance(module, ActivationQuantizer)]
    return sorted(found, key=lambda quantizer: quantizer.position)


def observe_only(prepared: nn.Module, on: bool) -> None:
    """Whether ranges are learned without rounding anything, neither weights nor activations.

    Under torch.distributed all processes have to show the network equally many batches.
    """
    for module in prepared.modules():
        if isinstance(module, ActivationQuantizer | WeightQuantizer):
            module.rounding.fill_(not on)


def freeze_ranges(prepared: nn.Module) -> None:
    """Keep all ranges as they are from now on. Raises ModelError if one was never learned."""
    for quantizer in activation_quantizers(prepared):
        quantizer.freeze()


def learned_ranges(prepared: nn.Module) -> list[tuple[float, float]]:
    """Each stored tensor's least and greatest number in execution order, the input first.

    Raises ModelError if one was never learned.
    """
    return [quantizer.limits() for quantizer in activation_quantizers(prepared)]


def strip(prepared: nn.Module) -> nn.Module:
    """A copy without quantizers: the folded float network with the weights as trained."""
    plain = copy.deepcopy(prepared).eval()
    for parent in list(plain.modules()):
        for name, child in list(parent.named_children()):
            value = child.value if isinstance(child, Stored) else child
            setattr(parent, name, value.layer if isinstance(value, Rounded) else value)
    return plain


def _stored_modules(network: nn.Module) -> Iterator[nn.Module]:
    """Taps, and each layer or the activation behind it, which int8 kernels compute at once."""
    for parent in network.modules():
        children = [child for child in parent.children() if not _is_silent(child)]
        for child, follower in zip_longest(children, children[1:]):
            if isinstance(child, Tap):
                yield child
            elif isinstance(child, nn.Conv2d | nn.Linear):
                yield follower if isinstance(follower, nn.ReLU | nn.ReLU6) else child


def _is_silent(module: nn.Module) -> bool:
    """Whether it does nothing outside training, and so is nothing on the device."""
    return type(module) is nn.Identity or isinstance(module, nn.Dropout)


def _in_execution_order(network: nn.Module, modules: list[nn.Module]) -> list[nn.Module]:
    """``modules`` as they come when a picture passes through ``network``."""
    order: list[nn.Module] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, _: order.append(module))
        for module in modules
    ]
    with torch.no_grad():
        network(torch.zeros(1, 3, _TRACED_PX, _TRACED_PX, device=_device(network)))
    for hook in hooks:
        hook.remove()
    return order


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
