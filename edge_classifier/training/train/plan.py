"""What a stage of training is to do, where, how its weights move, and what came of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from edge_classifier.evaluation.report_data import Epoch

Stage = Literal["head", "finetune", "quantize"]
_MOMENTUM = 0.9
# Steps of warm-up, if there is any; but no more than a quarter of all.
_LEAST_RISE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """One stage."""

    stage: Stage
    epochs: int
    # Pictures a step, over all processes together.
    batch: int
    # Learning rate at its peak.
    rate: float
    # The head's rate is so many times that.
    head_factor: float = 1.0
    optimizer: Literal["adam", "sgd"] = "adam"
    # Decoupled with Adam; for weights with more than one dimension.
    weight_decay: float = 0.0
    # Share of all steps in which the rate rises; then it falls to 0 as half a cosine.
    warm_up: float = 0.0
    # Epochs without progress after which the stage ends; None: it never ends early.
    patience: int | None = None
    label_smoothing: float = 0.0
    batch_norm: Literal["frozen", "trained"] = "frozen"
    # One a class. A step's loss is divided by its pictures, not by their weights.
    class_weights: tuple[float, ...] | None = None
    # Called before every step with the share of all steps that is done, 0 to 1.
    on_step: Callable[[float], None] | None = None

    def is_over(self, history: "History") -> bool:
        """Whether the stage ends after the epochs in ``history``."""
        if not history or self.patience is None:
            return len(history) >= self.epochs
        # Progress is more pictures named rightly; a loss may fall a little for ever.
        furthest = max(history, key=lambda epoch: epoch.held_accuracy)
        without_progress = len(history) - furthest.number
        return len(history) >= self.epochs or without_progress >= max(1, self.patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Where a stage runs and what it leaves behind."""

    # The run's own. Several processes see the same one.
    folder: Path
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "full", "mixed"] = "auto"
    # Processes that read pictures, beside each one that trains; -1: choose.
    workers: int = -1
    seed: int = 0
    tensorboard: bool = False
    # Go on from the last checkpoint of the stage, if there is one.
    resume: bool = False
    # Stands for data and settings: checkpoints made with another one are refused.
    signature: str = ""


History = tuple[Epoch, ...]


def checkpoint_path(folder: Path, stage: Stage, which: Literal["best", "last"]) -> Path:
    """Where the run in ``folder`` has a stage's best weights, or its last state."""
    return folder / "checkpoints" / f"{stage}-{which}.ckpt"


def best_of(history: History) -> Epoch:
    """The epoch whose weights are kept: the highest held-out accuracy; of equals the least loss.

    Of a few hundred pictures the accuracy is often the same, and the loss still tells them apart.
    """
    return max(history, key=lambda epoch: (epoch.held_accuracy, -epoch.held_loss))


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
