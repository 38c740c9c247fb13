"""The three stages of training, each on what the one before it left: head, fine-tune, quantize."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_classifier.core.contract import Contract
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.training import networks
from edge_classifier.training.data.examples import (
    Example,
    FeatureExamples,
    Key,
    PictureExamples,
    network_input,
)
from edge_classifier.training.data.training_data import TrainingData
from edge_classifier.training.networks.base import Convnet
from edge_classifier.training.networks.batch_norm import restore_statistics
from edge_classifier.training.qat import fold, freeze_ranges, observe_only, prepare
from edge_classifier.training.run_folder import signature
from edge_classifier.training.settings import TrainingSettings
from edge_classifier.training.train.loop import compute, fit
from edge_classifier.training.train.plan import History, RunOptions, Stage, StagePlan, best_of

Log = Callable[[str], None]
# Pictures; more take memory and no less time.
_COMPUTED_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Job:
    """What every stage works with."""

    settings: TrainingSettings
    data: TrainingData
    options: RunOptions
    # Told what begins.
    log: Log = field(repr=False)

    @property
    def contract(self) -> Contract:
        """How pictures enter the network."""
        return self.data.contract(self.settings.network)

    @property
    def choosing(self) -> PictureExamples:
        """What chooses the best epoch and the temperature, as the device will see it."""
        return PictureExamples(self.data.choose.samples, self.contract)

    @property
    def held_out(self) -> PictureExamples:
        """What is measured on, as the device will see it."""
        return PictureExamples(self.data.held.samples, self.contract)

    @property
    def train_augmented(self) -> PictureExamples:
        """What is learned from, each time a little different."""
        return PictureExamples(
            self.data.learn.samples,
            self.contract,
            self.settings.augment,
            self.settings.seed,
        )

    @property
    def train_plain(self) -> PictureExamples:
        """What is learned from, as the device would see it."""
        return PictureExamples(self.data.learn.samples, self.contract)

    @property
    def class_weights(self) -> tuple[float, ...] | None:
        """What rare classes count."""
        return self.data.class_weights() if self.settings.class_weights else None

    def options_with_signature(self, stage: Stage) -> RunOptions:
        """Where the stage runs; its checkpoints are good for these data and settings only."""
        mark = signature(stage, self.settings, self.data.fingerprint)
        return replace(self.options, signature=mark)


class Trained(NamedTuple):
    """What training leaves."""

    # In float.
    network: Convnet
    # The same as int8 computes it, with ranges; None: not trained for it.
    prepared: nn.Module | None
    history: History


class LazyFeatures:
    """Features of pictures, computed when they are first wanted.

    ``fit`` wants them before its first step, and not at all for a stage that has ended.
    """

    def __init__(self, network: Convnet, pictures: PictureExamples, options: RunOptions) -> None:
        self._network, self._pictures, self._options = network, pictures, options
        self.problems: list[EdgeClassifierError] = []
        self.in_memory = True

    @cached_property
    def computed(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """All of them (N, F), and the labels (N,)."""
        head, self._network.classifier = self._network.classifier, nn.Identity()
        try:
            return compute(self._network, self._pictures, _COMPUTED_AT_ONCE, self._options)
        finally:
            self._network.classifier = head

    @cached_property
    def _examples(self) -> FeatureExamples:
        return FeatureExamples(*self.computed)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, key: Key, /) -> Example:
        return self._examples[key]


def train(job: Job) -> Trained:
    """All stages, each from where it was left. Raises what building and ``fit`` raise."""
    network = networks.build(
        job.settings.network, len(job.data.labels), seed=job.settings.seed, log=job.log
    )
    history = train_head(job, network)
    if job.settings.finetune.batch_norm == "frozen":
        # It computes the same, and a processor trains it half as fast again.
        network = fold(network)
        network.requires_grad_(True)
    history += finetune(job, network, history)
    if not job.settings.quantize.epochs:
        return Trained(network, None, history)
    prepared, quantizing = train_for_int8(job, network)
    return Trained(network, prepared, history + quantizing)


def train_head(job: Job, network: Convnet) -> History:
    """The head alone, on features of plain pictures."""
    job.log("head: features of all pictures, then the head on them")
    learn, held = features(job, network)
    return fit(network.classifier, head_plan(job), learn, held, job.options_with_signature("head"))


def features(job: Job, network: Convnet) -> tuple[LazyFeatures, LazyFeatures]:
    """Of what is learned from and of what chooses."""
    learn = LazyFeatures(network, job.train_plain, job.options)
    return learn, LazyFeatures(network, job.choosing, job.options)


def head_plan(job: Job) -> StagePlan:
    """How a head learns from features."""
    head = job.settings.head
    return StagePlan(
        stage="head",
        epochs=head.epochs,
        batch=head.batch,
        rate=head.rate,
        weight_decay=head.weight_decay,
        patience=head.patience,
        class_weights=job.class_weights,
    )


def finetune(job: Job, network: Convnet, before: History) -> History:
    """The network with its head, on varied pictures.

    If it then names fewer of the choosing pictures rightly than ``before``, the network stays as it
    was.
    """
    settings = job.settings.finetune
    if not settings.epochs:
        return ()
    job.log(f"finetune: up to {settings.epochs} times all pictures")
    _unfreeze(network, settings.unfreeze)
    if settings.batch_norm == "trained":
        restore_statistics(network, _some_pictures(job))
    plan = StagePlan(
        stage="finetune",
        epochs=settings.epochs,
        batch=settings.batch,
        rate=settings.rate,
        head_factor=settings.head_factor,
        optimizer=settings.optimizer,
        weight_decay=settings.weight_decay,
        warm_up=settings.warm_up,
        patience=settings.patience,
        label_smoothing=settings.label_smoothing,
        batch_norm=settings.batch_norm,
        class_weights=job.class_weights,
    )
    untouched = copy.deepcopy(network.state_dict())
    history = fit(
        network, plan, job.train_augmented, job.choosing, job.options_with_signature("finetune")
    )
    if before and best_of(history).held_accuracy < best_of(before).held_accuracy:
        network.load_state_dict(untouched)
        job.log("finetune: made it worse, so the network stays as it was; try a lower rate")
    return history


def _unfreeze(network: Convnet, count: int) -> None:
    """Train the last ``count`` blocks (-1: all) and the head."""
    blocks = network.blocks()
    trained = blocks if count < 0 else blocks[len(blocks) - min(count, len(blocks)) :]
    for block in blocks:
        block.requires_grad_(block in trained)


def train_for_int8(job: Job, network: Convnet) -> tuple[nn.Module, History]:
    """A copy of ``network`` that rounds as int8 does, trained to put up with it."""
    settings = job.settings.quantize
    job.log(f"quantize: {settings.epochs} times all pictures, rounded as int8 rounds")
    prepared = prepare(fold(network))
    prepared.requires_grad_(True)
    _unfreeze(prepared, job.settings.finetune.unfreeze)
    # The quantizers see some pictures before anything is rounded. Every process shows the same
    # ones, so that all learn the same ranges.
    observe_only(prepared, True)
    with torch.inference_mode():
        for batch in _some_pictures(job):
            prepared(batch)
    observe_only(prepared, False)

    def freeze(done: float) -> None:
        if done >= settings.freeze_at:
            freeze_ranges(prepared)

    plan = StagePlan(
        stage="quantize",
        epochs=settings.epochs,
        batch=settings.batch,
        rate=settings.rate,
        class_weights=job.class_weights,
        on_step=freeze,
    )
    return prepared, fit(
        prepared, plan, job.train_augmented, job.choosing, job.options_with_signature("quantize")
    )


def _some_pictures(job: Job) -> Iterator[Tensor]:
    """``observe`` pictures of those that are learned from, drawn by the seed, as input."""
    pictures = job.train_augmented
    order = np.random.default_rng(job.settings.seed).permutation(len(pictures))
    chosen = order[: job.settings.quantize.observe].tolist()
    for start in range(0, len(chosen), _COMPUTED_AT_ONCE):
        shown = [pictures[0, index][0] for index in chosen[start : start + _COMPUTED_AT_ONCE]]
        yield network_input(torch.stack(shown))
