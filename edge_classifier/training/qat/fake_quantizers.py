"""Fake quantizers: they round to what int8 can hold, and let gradients through.

The numbers are those of the TFLite 8-bit quantization specification
(https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec):
activations asymmetric in -128..127, one scale and zero point a tensor; weights symmetric in
-127..127, one scale an output channel, or one in all.
"""

import math

import torch
from torch import Tensor, distributed, nn

from edge_classifier.errors import ModelError

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
            self._observe(x.detach().float())
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

    def _observe(self, x: Tensor) -> None:
        low, high = torch.aminmax(x)
        if distributed.is_available() and distributed.is_initialized():
            # The extremes over the batches of all processes.
            both = torch.stack((-low, high))
            distributed.all_reduce(both, distributed.ReduceOp.MAX)
            low, high = -both[0], both[1]
        first = self.low > self.high
        self.low.copy_(torch.where(first, low, self.low + _AVERAGING * (low - self.low)))
        self.high.copy_(torch.where(first, high, self.high + _AVERAGING * (high - self.high)))

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
