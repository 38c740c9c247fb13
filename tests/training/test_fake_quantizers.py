"""Fake quantizers round as torch's own and as the exported file do, and let gradients through."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from litert_quantizer import qtyping
from litert_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor
from torch import Tensor
from torch.ao import quantization as reference

from edge_classifier.errors import ModelError
from edge_classifier.training.qat import ActivationQuantizer, WeightQuantizer

limits = st.floats(-1e4, 1e4, width=32)

BATCHES: dict[str, Callable[[Tensor], Tensor]] = {
    "both signs": lambda x: x,
    "positive, as behind ReLU6": lambda x: (x * 3).clamp(0, 6),
    "far above 0": lambda x: x.abs() + 5,
    "far below 0": lambda x: -x.abs() - 5,
    "large": lambda x: x * 1e4,
    "small": lambda x: x * 1e-3,
}


def learned(low: float, high: float) -> ActivationQuantizer:
    quantizer = ActivationQuantizer(0)
    quantizer(torch.tensor([low, high]))
    quantizer.eval()
    return quantizer


@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES)
def test_activations_over_several_batches_are_rounded_as_by_torch(
    batch: Callable[[Tensor], Tensor],
) -> None:
    generator = torch.Generator().manual_seed(0)
    ours = ActivationQuantizer(0).train()
    theirs = reference.FakeQuantize(
        reference.MovingAverageMinMaxObserver,
        quant_min=-128,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_tensor_affine,
        averaging_constant=0.01,
    )
    for growth in (1.0, 0.5, 3.0):
        # The last batch is larger than the range, so that some of it is cut off.
        x = growth * batch(torch.randn(4, 3, 8, 8, generator=generator))
        mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
        assert torch.equal(ours(mine), theirs(other))
        weights = torch.randn(x.shape, generator=generator)
        (ours.eval()(mine) * weights).sum().backward()
        (theirs.disable_observer() or theirs(other) * weights).sum().backward()
        ours.train()
        theirs.enable_observer()
        assert torch.equal(mine.grad, other.grad)
    assert ours.low == theirs.activation_post_process.min_val
    assert ours.high == theirs.activation_post_process.max_val
    assert torch.equal(ours.grid()[0].reshape(1), theirs.scale)
    assert int(ours.grid()[1]) == int(theirs.zero_point)


@pytest.mark.parametrize("shape", [(5, 3, 3, 3), (4, 1, 5, 5), (6, 20)])
def test_weights_per_channel_are_rounded_as_by_torch(shape: tuple[int, ...]) -> None:
    theirs = reference.FakeQuantize(
        reference.PerChannelMinMaxObserver,
        quant_min=-127,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
    )
    compare_weights(WeightQuantizer(per_channel=True), theirs, shape)


def test_weights_per_tensor_are_rounded_as_by_torch() -> None:
    theirs = reference.FakeQuantize(
        reference.MinMaxObserver,
        quant_min=-127,
        quant_max=127,
        dtype=torch.qint8,
        qscheme=torch.per_tensor_symmetric,
    )
    compare_weights(WeightQuantizer(per_channel=False), theirs, (6, 20))


def compare_weights(
    ours: WeightQuantizer, theirs: reference.FakeQuantize, shape: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(1)
    sizes = torch.logspace(-3, 2, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    weights = sizes * torch.randn(shape, generator=generator)
    mine, other = weights.clone().requires_grad_(), weights.clone().requires_grad_()
    assert torch.equal(ours(mine), theirs(other))
    (ours(mine) * weights).sum().backward()
    (theirs(other) * weights).sum().backward()
    assert torch.equal(mine.grad, other.grad)
    assert not torch.equal(ours(mine), mine)


def test_gradient_passes_inside_the_range_and_is_zero_outside() -> None:
    quantizer = learned(-1.0, 3.0)
    x = torch.tensor([-5.0, -1.0, -0.5, 0.0, 2.9, 3.5], requires_grad=True)
    quantizer(x).backward(torch.arange(1.0, 7.0))
    assert x.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 5.0, 0.0]


@given(limits, limits)
@settings(max_examples=200, deadline=None)
def test_grid_has_zero_on_it_and_reaches_both_ends(one: float, other: float) -> None:
    quantizer = learned(min(one, other), max(one, other))
    scale, zero_point = (part.item() for part in quantizer.grid())
    assert -128 <= zero_point <= 127
    assert quantizer(torch.zeros(1)).item() == 0.0
    low, high = quantizer.limits()
    assert low <= 0.0 <= high
    assert low - scale * 0.51 <= min(one, other, 0.0)
    assert high + scale * 0.51 >= max(one, other, 0.0)


@given(limits, limits)
@settings(max_examples=200, deadline=None)
def test_limits_give_litert_quantizer_the_same_scale_and_zero_point(
    one: float, other: float
) -> None:
    quantizer = learned(min(one, other), max(one, other))
    low, high = (np.full((1, 1, 1, 1), limit) for limit in quantizer.limits())
    zero_point, scale = uniform_quantize_tensor.tensor_zp_scale_from_min_max(
        low, high, 8, symmetric=False, granularity=qtyping.QuantGranularity.TENSORWISE
    )
    mine = quantizer.grid()
    assert np.float32(scale.item()) == np.float32(mine[0].item())
    assert zero_point.item() == mine[1].item()


@pytest.mark.parametrize("value", [0.0, 2.5, -2.5, 1e-12])
def test_constant_input_keeps_its_value(value: float) -> None:
    rounded = learned(value, value)(torch.full((3,), value))
    assert torch.allclose(rounded, torch.full((3,), value), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("per_channel", [True, False])
def test_dead_channels_stay_dead_and_harm_no_other(per_channel: bool) -> None:
    weights = torch.ones(3, 2, 1, 1)
    weights[1] = 0.0
    weights.requires_grad_()
    rounded = WeightQuantizer(per_channel=per_channel)(weights)
    assert torch.allclose(rounded, weights, atol=1e-6)
    rounded.sum().backward()
    assert torch.isfinite(weights.grad).all()


def test_all_weights_zero_stay_zero() -> None:
    for per_channel in (True, False):
        assert not WeightQuantizer(per_channel=per_channel)(torch.zeros(4, 3)).any()


def test_unlearned_range_fails_and_names_its_place() -> None:
    with pytest.raises(ModelError, match=r"activation 7: its range is inf to -inf.*observe"):
        ActivationQuantizer(7).eval()(torch.ones(2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_diverged_training_fails(value: float) -> None:
    quantizer = ActivationQuantizer(0).train()
    with pytest.raises(ModelError, match="diverged"):
        quantizer(torch.tensor([0.0, value]))


def test_range_is_learned_in_training_and_kept_in_evaluation() -> None:
    quantizer = learned(-1.0, 1.0)
    before = quantizer.limits()
    quantizer(torch.tensor([-50.0, 50.0]))
    assert quantizer.limits() == before
    quantizer.train()(torch.tensor([-50.0, 50.0]))
    assert quantizer.limits() != before


def test_frozen_range_stays_in_training() -> None:
    quantizer = learned(-1.0, 1.0)
    before = quantizer.limits()
    quantizer.freeze()
    quantizer.train()(torch.tensor([-50.0, 50.0]))
    assert quantizer.limits() == before


def test_mixed_precision_is_rounded_on_the_same_grid() -> None:
    quantizer = learned(-1.0, 1.0)
    x = torch.linspace(-1, 1, 50)
    rounded = quantizer(x.bfloat16())
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, quantizer(x.bfloat16().float()))
