"""Trains a network through one stage, and computes with it: on whatever processors there are.

Lightning runs the loop; which examples a step sees, what is kept and what resumes is ours, so
that a run that was killed, or that several processes share, ends as any other.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from torch import distributed, nn

from edge_classifier.errors import ConfigurationError, UnavailableError
from edge_classifier.progress import show_progress
from edge_classifier.training.checkpoints import AtomicCheckpointIO, Checkpoints
from edge_classifier.training.devices import Hardware, Team, choose_hardware, join_team
from edge_classifier.training.examples import Examples, network_input
from edge_classifier.training.learner import HELD_ACCURACY, TRAINING_COST, Learner, StageSession
from edge_classifier.training.loading import Batches, Loader, choose_workers
from edge_classifier.training.memory import keep_freed_memory
from edge_classifier.training.plan import History, Place, Plan

_LOGGERS = ("pytorch_lightning", "lightning_fabric")


def fit(
    network: nn.Module,
    plan: Plan,
    train: Examples,
    held: Examples,
    place: Place,
    *,
    clock: Callable[[], float] = monotonic,
) -> History:
    """Train what requires gradients; ``network`` then has the best weights and evaluates.

    Under torchrun every process calls this with the same arguments. Raises ConfigurationError,
    ModelError (a damaged checkpoint), OutputError, UnavailableError, KeyboardInterrupt.
    """
    if not plan.epochs:
        return ()
    keep_freed_memory()
    hardware, team = _machine(plan, place)
    checkpoints = Checkpoints(place, plan.stage, network)
    saved = checkpoints.saved() if place.resume else None
    history = saved.history if saved else ()
    if not saved and team.rank == 0:
        checkpoints.clear()
    if not (saved and saved.ended):
        session = StageSession(plan, place, team, checkpoints, clock)
        history = _train(network, session, hardware, (train, held), history)
    checkpoints.load_best(network)
    network.eval()
    return history


def compute(
    network: nn.Module, examples: Examples, batch: int, place: Place
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Outputs (N, K) of the evaluating network for all examples in order, and their labels (N,).

    In full precision. Raises as ``fit``.
    """
    keep_freed_memory()
    hardware = choose_hardware(place.device, "full")
    team = join_team(hardware.device)
    batches = Batches(len(examples), batch, team)
    loader = _loader(examples, batches, place, hardware, team)
    network.to(hardware.device, memory_format=torch.channels_last).eval()
    found = []
    shown = show_progress("computing", len(batches), shown=team.rank == 0)
    with _explained(), torch.inference_mode(), shown as progress:
        for inputs, labels in loader:
            outputs = network(network_input(inputs.to(hardware.device)))
            found.append((outputs.float().cpu().numpy(), labels.numpy()))
            progress.advance(1)
    network.cpu()
    return _in_order(found, batches, team)


def _in_order(
    found: list[tuple[NDArray[np.float32], NDArray[np.int64]]], batches: Batches, team: Team
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The outputs and labels of all processes, each of which has a share of every batch."""
    indexes = np.array([index for keys in batches for _, index in keys])
    outputs, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if team.size > 1:
        shares: list[Any] = [None] * team.size
        distributed.all_gather_object(shares, (indexes, outputs, labels))
        indexes, outputs, labels = (np.concatenate(parts) for parts in zip(*shares, strict=True))
    order = np.argsort(indexes)
    return outputs[order], labels[order]


def _machine(plan: Plan, place: Place) -> tuple[Hardware, Team]:
    # bfloat16 has no more digits than int8: it would round what stands for rounding.
    precision = "full" if plan.stage == "quantize" else place.precision
    hardware = choose_hardware(place.device, precision)
    team = join_team(hardware.device)
    if team.size > 1 and plan.batch_norm == "trained":
        raise ConfigurationError(
            "batch_norm = trained",
            "each process would keep statistics of its own",
            "Use one process, or batch_norm = frozen.",
        )
    return hardware, team


def _train(
    network: nn.Module,
    session: StageSession,
    hardware: Hardware,
    examples: tuple[Examples, Examples],
    before: History,
) -> History:
    """Train, on from the last checkpoint if there is a history ``before``."""
    plan, place, team = session.plan, session.place, session.team
    orders = (
        Batches(len(examples[0]), plan.batch, team, place.seed),
        Batches(len(examples[1]), plan.batch, team),
    )
    loaders = (
        _loader(examples[0], orders[0], place, hardware, team),
        _loader(examples[1], orders[1], place, hardware, team),
    )
    epoch_cost = TRAINING_COST * len(orders[0]) + len(orders[1])
    work = (plan.stage, epoch_cost * plan.epochs)
    network.to(memory_format=torch.channels_last)
    with show_progress(*work, done=epoch_cost * len(before), shown=team.rank == 0) as progress:
        learner = Learner(network, session, loaders, progress, before)
        learner.train()  # Lightning leaves that to its caller.
        with _quiet(), _explained(), _interruptible():
            trainer = _trainer(session, hardware)
            trainer.fit(learner, ckpt_path=session.checkpoints.last if before else None)
    return learner.history


def _loader(
    examples: Examples, batches: Batches, place: Place, hardware: Hardware, team: Team
) -> Loader:
    kind = hardware.device.type
    workers = choose_workers(place.workers, examples, kind, team)
    return Loader(examples, batches, workers=workers, pinned=kind == "cuda")


def _trainer(session: StageSession, hardware: Hardware) -> Trainer:
    plan, place, team = session.plan, session.place, session.team
    kind = hardware.device.type
    shared = team.size > 1
    # Buffers are the same everywhere, and processes need not evaluate equally many batches.
    strategy = DDPStrategy(forward_sync_buffers=False) if shared else "auto"
    return Trainer(
        accelerator="gpu" if kind == "cuda" else kind,
        devices=team.size // team.machines,
        num_nodes=team.machines,
        strategy=strategy,
        precision=hardware.precision,
        max_epochs=plan.epochs,
        callbacks=_early_stopping(plan),
        logger=_logger(place, plan) if place.tensorboard else False,
        plugins=[
            AtomicCheckpointIO(),
            TorchElasticEnvironment() if shared else LightningEnvironment(),
        ],
        default_root_dir=place.folder,
        deterministic="warn" if kind == "cuda" else False,
        benchmark=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _early_stopping(plan: Plan) -> list[Callback]:
    if plan.patience is None:
        return []
    # After the validation: what it knows then goes into the epoch's checkpoint.
    return [
        EarlyStopping(
            HELD_ACCURACY, mode="max", patience=plan.patience, check_on_train_epoch_end=False
        )
    ]


def _logger(place: Place, plan: Plan) -> TensorBoardLogger:
    try:
        return TensorBoardLogger(place.folder, "tensorboard", plan.stage)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "tensorboard", "is not installed", "pip install tensorboard, or leave it out."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep to themselves what Lightning says of its own workings."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Advice on how to use Lightning, and what it has not followed in torch yet.
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", "`isinstance.treespec, LeafSpec.`", FutureWarning)
            # Of 1 x 1 kernels, whose two memory formats are the same; they come from a quantizer.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket", UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _explained() -> Iterator[None]:
    """Memory that runs out is the user's to mend, not a bug."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UnavailableError(
            "GPU memory", "is too small for this", "Lower the batch, the size or the width."
        ) from error


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C reaches the caller: Lightning turns it into an exit of its own."""
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from end
        raise
