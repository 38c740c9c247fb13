"""Quantization-aware training: the network learns with the rounding that int8 will do.

``fold``, ``prepare``, train (``observe_only`` first, ``freeze_ranges`` late), then
``learned_ranges`` and ``strip`` for the export.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, section 3. The numbers are those of the TFLite 8-bit quantization specification
(https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec):
activations asymmetric in -128..127, one scale and zero point a tensor; weights symmetric in
-127..127, one scale an output channel, in dense layers one in all: the Edge TPU takes no other.
"""

import copy
import math
from collections.abc import Iterator
from itertools import pairwise, zip_longest

import torch
from torch import Tensor, distributed, nn
from torch.func import functional_call
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edge_classifier.errors import ModelError
from edge_classifier.training.networks.blocks import Tap

# Scale 1/128 and zero point 0: the stored value is pixel - 128, so nothing is lost and a device
# only flips each byte's top bit.
INPUT_RANGE = (-1.0, 127 / 128)

# The least side that all networks take; the order of layers does not depend on it.
_TRACED_PX = 32

# Weight of the newest batch, as in torch's MovingAverageMinMaxObserver.
_AVERAGING = 0.01
_LEAST, _GREATEST = -128, 127
# Keeps scales above zero. litert-quantizer widens what is narrower than 1e-9, so this is more.
_NARROWEST = 2e-9


class ActivationQuantizer(nn.Module):
    """Rounds a tensor as int8 would store it; the range is a moving average over batches.

    Gradients pass unchanged inside the range and are zero outside. Range and phase are buffers:
    checkpoints carry them. Ranges are learned in training mode, and in any mode while nothing
    is rounded.
    """

    low: Tensor
    high: Tensor
    observing: Tensor
    rounding: Tensor

    def __init__(self, position: int) -> None:
        super().__init__()
        # Place among all quantizers in execution order, from 0, the input.
        self.position = position
        self.register_buffer("low", torch.tensor(math.inf))
        self.register_buffer("high", torch.tensor(-math.inf))
        self.register_buffer("observing", torch.tensor(True))
        self.register_buffer("rounding", torch.tensor(True))

    def fix(self, low: float, high: float) -> None:
        """Set a range that is not learned."""
        self.low.fill_(low)
        self.high.fill_(high)
        self.observing.fill_(False)

    def freeze(self) -> None:
        """Keep the range as it is from now on. Raises ModelError if it was never learned."""
        self._require_range()
        self.observing.fill_(False)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` of any shape, rounded; float32 even if ``x`` is of mixed precision."""
        if self.observing and (self.training or not self.rounding):
            low, high = torch.aminmax(x.detach().float())
            if distributed.is_available() and distributed.is_initialized():
                # The extremes over the batches of all processes.
                both = torch.stack((-low, high))
                distributed.all_reduce(both, distributed.ReduceOp.MAX)
                low, high = -both[0], both[1]
            first = self.low > self.high
            self.low.copy_(torch.where(first, low, self.low + _AVERAGING * (low - self.low)))
            self.high.copy_(torch.where(first, high, self.high + _AVERAGING * (high - self.high)))
        if not self.rounding:
            return x
        self._require_range()
        return torch.fake_quantize_per_tensor_affine(x.float(), *self.grid(), _LEAST, _GREATEST)

    def grid(self) -> tuple[Tensor, Tensor]:
        """Scale (float32) and zero point (int32); the range is widened to contain 0."""
        low, high = self.low.clamp(max=0), self.high.clamp(min=0)
        scale = (high - low).clamp(min=_NARROWEST) / (_GREATEST - _LEAST)
        return scale, (_LEAST - torch.round(low / scale)).to(torch.int32)

    def limits(self) -> tuple[float, float]:
        """What -128 and 127 stand for: the learned range, moved so that 0 is on the grid.

        Whoever derives scale and zero point from it gets those of ``grid``. Raises ModelError if
        the range was never learned.
        """
        self._require_range()
        scale, zero_point = (part.item() for part in self.grid())
        return (_LEAST - zero_point) * scale, (_GREATEST - zero_point) * scale

    def _require_range(self) -> None:
        if not torch.isfinite(self.high - self.low):
            raise ModelError(
                f"activation {self.position}",
                f"its range is {self.low.item():g} to {self.high.item():g}",
                "Let it observe pictures first; if training has diverged, lower the rate.",
            )


class WeightQuantizer(nn.Module):
    """Rounds weights as int8 would store them; the scale follows the weights at every step."""

    rounding: Tensor

    def __init__(self, *, per_channel: bool) -> None:
        super().__init__()
        self.per_channel = per_channel
        self.register_buffer("rounding", torch.tensor(True))

    def forward(self, weight: Tensor) -> Tensor:
        """(outputs, ...) rounded, outputs being what ``per_channel`` has a scale each for."""
        if not self.rounding:
            return weight
        magnitude = weight.detach().abs().flatten(1)
        largest = magnitude.amax(1) if self.per_channel else magnitude.amax()
        scale = largest.clamp(min=_NARROWEST) / _GREATEST
        zero = torch.zeros_like(scale, dtype=torch.int32)
        if self.per_channel:
            return torch.fake_quantize_per_channel_affine(
                weight, scale, zero, 0, -_GREATEST, _GREATEST
            )
        return torch.fake_quantize_per_tensor_affine(weight, scale, zero, -_GREATEST, _GREATEST)


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
        # Those that do nothing outside training, and so are nothing on the device, left out.
        children = [
            child
            for child in parent.children()
            if not (type(child) is nn.Identity or isinstance(child, nn.Dropout))
        ]
        for child, follower in zip_longest(children, children[1:]):
            if isinstance(child, Tap):
                yield child
            elif isinstance(child, nn.Conv2d | nn.Linear):
                yield follower if isinstance(follower, nn.ReLU | nn.ReLU6) else child


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
