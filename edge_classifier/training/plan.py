"""What a stage of training is to do, where, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_classifier.evaluation.contents import Epoch

Stage = Literal["head", "finetune", "quantize"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One stage."""

    stage: Stage
    epochs: int
    batch: int
    """Pictures a step, over all processes together."""
    rate: float
    """Learning rate at its peak."""
    head_factor: float = 1.0
    """The head's rate is so many times that."""
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float = 0.0
    """Decoupled with Adam; for weights with more than one dimension."""
    warm_up: float = 0.0
    """Share of all steps in which the rate rises; then it falls to 0 as half a cosine."""
    patience: int | None = None
    """Epochs without progress after which the stage ends; None: it never ends early."""
    label_smoothing: float = 0.0
    batch_norm: Literal["frozen", "trained"] = "frozen"
    class_weights: tuple[float, ...] | None = None
    """One a class. A step's loss is divided by its pictures, not by their weights."""
    on_step: Callable[[float], None] | None = None
    """Called before every step with the share of all steps that is done, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a stage runs and what it leaves behind."""

    folder: Path
    """The run's own. Several processes see the same one."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["auto", "full", "mixed"] = "auto"
    workers: int = -1
    """Processes that read pictures, beside each one that trains; -1: choose."""
    seed: int = 0
    tensorboard: bool = False
    resume: bool = False
    """Go on from the last checkpoint of the stage, if there is one."""
    signature: str = ""
    """Stands for data and settings: checkpoints made with another one are refused."""


History = tuple[Epoch, ...]


def best_of(history: History) -> Epoch:
    """The epoch whose weights are kept: the highest held-out accuracy, the first of equals."""
    return max(history, key=lambda epoch: epoch.held_accuracy)
