"""How weights move: the optimizer, its groups of parameters, and the rate at each step."""

import math

import torch
from torch import nn

from edge_classifier.training.train.plan import StagePlan

_MOMENTUM = 0.9
# Steps of warm-up, if there is any; but no more than a quarter of all.
_LEAST_RISE = 10


def rate_factor(step: int, steps: int, warm_up: float) -> float:
    """Share of the peak rate at ``step`` of ``steps``: a straight rise, then half a cosine.

    Loshchilov & Hutter, "SGDR", 2017, equation 5, without restarts.
    """
    # Of few steps a small share is less than one, and the first ones would do most harm.
    rise = max(round(warm_up * steps), min(_LEAST_RISE, steps // 4)) if warm_up else 0
    if step < rise:
        return (step + 1) / rise
    return (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise)))) / 2


def make_optimizer(network: nn.Module, plan: StagePlan) -> torch.optim.Optimizer:
    """Over the body's and the head's trained parameters, those with and without weight decay.

    ``peak`` of each group is what its rate is the share ``rate_factor`` of.
    """
    classifier = getattr(network, "classifier", None)
    head = {id(p) for p in classifier.parameters()} if isinstance(classifier, nn.Module) else set()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": chosen, "peak": plan.rate * factor, "weight_decay": decay}
        for in_head, factor in ((False, 1.0), (True, plan.head_factor))
        for wide, decay in ((True, plan.weight_decay), (False, 0.0))
        if (chosen := [p for p in trained if (id(p) in head) == in_head and (p.ndim > 1) == wide])
    ]
    if plan.optimizer == "adam":
        return torch.optim.AdamW(groups, plan.rate)
    return torch.optim.SGD(groups, plan.rate, momentum=_MOMENTUM)
