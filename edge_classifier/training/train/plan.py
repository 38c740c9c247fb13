"""What a stage of training is to do, where, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_classifier.evaluation.report_data import Epoch

Stage = Literal["head", "finetune", "quantize"]


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
        without_progress = len(history) - best_of(history).number
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
    """The epoch whose weights are kept: the highest held-out accuracy, the first of equals."""
    return max(history, key=lambda epoch: epoch.held_accuracy)
