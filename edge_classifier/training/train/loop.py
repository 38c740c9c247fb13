"""Trains a network through one stage, and computes with it: on whatever processors there are.

What a step sees follows from seed and epoch alone, and the last checkpoint holds all that the next
epoch needs. So a run that was killed, or that several processes share, ends as any other.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any
from warnings import catch_warnings, filterwarnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from edge_classifier.errors import ConfigurationError, UnavailableError
from edge_classifier.evaluation.contents import Epoch
from edge_classifier.progress import ProgressDisplay, show_progress
from edge_classifier.training.data.examples import Examples, network_input
from edge_classifier.training.data.loading import Batches, Loader, choose_workers
from edge_classifier.training.train.checkpoints import Checkpoints, SavedCheckpoint
from edge_classifier.training.train.devices import (
    Hardware,
    Team,
    choose_hardware,
    join_team,
    keep_freed_memory,
)
from edge_classifier.training.train.plan import History, Place, Plan, best_of

# Forward and backward cost about three times what forward alone does.
_TRAINING_COST = 3
_MOMENTUM = 0.9
# Steps of warm-up, if there is any; but no more than a quarter of all.
_LEAST_RISE = 10


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
    checkpoints = Checkpoints(place, plan.stage, network)
    saved = checkpoints.saved() if place.resume else None
    if not saved and team.rank == 0:
        checkpoints.clear()
    history = saved.history if saved else ()
    if not plan.is_over(history):
        trainer = _Trainer(network, plan, place, hardware, team)
        with _explained():
            history = trainer.run(train, held, checkpoints, saved, clock)
    checkpoints.load_best(network)
    network.eval()
    return history


@dataclass
class _Trainer:
    """What stays the same as long as a stage trains."""

    network: nn.Module
    plan: Plan
    place: Place
    hardware: Hardware
    team: Team

    def run(
        self,
        train: Examples,
        held: Examples,
        checkpoints: Checkpoints,
        saved: SavedCheckpoint | None,
        clock: Callable[[], float],
    ) -> History:
        """Train until the stage is over, on from ``saved``; what it knows is saved each epoch."""
        network, plan, place, team = self.network, self.plan, self.place, self.team
        order = Batches(len(train), plan.batch, team, place.seed)
        learned = _loader(train, order, place, self.hardware, team)
        measured = _loader(held, Batches(len(held), plan.batch, team), place, self.hardware, team)
        keep_freed_memory()
        network.to(self.hardware.device, memory_format=torch.channels_last)
        optimizer = _optimizer(network, plan)
        # float16 has few exponents: small gradients would be zero in it. Otherwise it does nothing.
        scaler = torch.amp.GradScaler(
            self.hardware.device.type, enabled=self.hardware.autocast is torch.float16
        )
        history = saved.history if saved else ()
        if saved:
            saved.restore(network, optimizer, scaler)
        forward = self._shared_network()
        epoch_cost = _TRAINING_COST * len(order) + len(measured)
        title, done = plan.stage, epoch_cost * len(history)
        shown = show_progress(title, epoch_cost * plan.epochs, done=done, shown=team.rank == 0)
        with shown as progress, _curves(place, plan, team) as write_curves, catch_warnings():
            # Of 1 x 1 kernels, whose two memory formats are the same; they come from a quantizer.
            filterwarnings("ignore", "Grad strides do not match bucket", UserWarning)
            while not plan.is_over(history):
                start = clock()
                order.epoch = len(history)
                # Dropout draws from torch's own generator: it too follows from seed and epoch.
                # A prime: no two of a run's processes and epochs share a seed.
                torch.manual_seed(place.seed + 1_000_003 * (1 + len(history)) + team.rank)
                train_loss, train_accuracy = self._train(
                    forward, learned, order, optimizer, scaler, progress
                )
                held_loss, held_accuracy = self._measure(measured, progress)
                epoch = Epoch(
                    stage=plan.stage,
                    number=len(history) + 1,
                    seconds=clock() - start,
                    rate=optimizer.param_groups[0]["lr"],
                    train_loss=train_loss,
                    train_accuracy=train_accuracy,
                    held_loss=held_loss,
                    held_accuracy=held_accuracy,
                )
                history += (epoch,)
                is_best = best_of(history) is epoch
                progress.say(_line(epoch, plan.epochs, is_best=is_best))
                write_curves(epoch)
                if team.rank == 0:
                    # The best first: a kill between the two repeats an epoch and loses none.
                    if is_best:
                        checkpoints.keep_best(network, history)
                    checkpoints.keep_last(network, optimizer, scaler, history)
        if team.size > 1:
            # The others read what the first process has written.
            cuda = self.hardware.device.type == "cuda"
            distributed.barrier(device_ids=[self.hardware.device.index] if cuda else None)
        network.cpu()
        return history

    def _shared_network(self) -> nn.Module:
        """The network whose gradients are the mean of those of all processes."""
        if self.team.size == 1:
            return self.network
        gpu = [self.hardware.device] if self.hardware.device.type == "cuda" else None
        # Buffers are the same everywhere.
        return DistributedDataParallel(self.network, device_ids=gpu, forward_sync_buffers=False)

    def _train(
        self,
        forward: nn.Module,
        batches: Loader,
        order: Batches,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        progress: ProgressDisplay,
    ) -> tuple[float, float]:
        """One epoch. Loss and accuracy; raises ConfigurationError where the loss is not finite."""
        plan, device = self.plan, self.hardware.device
        weights = torch.tensor(plan.class_weights, device=device) if plan.class_weights else None
        steps, step = plan.epochs * len(order), order.epoch * len(order)
        self.network.train()
        for module in self.network.modules():
            # Batch norm whose statistics are to stay keeps evaluating.
            if isinstance(module, _BatchNorm) and (
                plan.batch_norm == "frozen" or not any(p.requires_grad for p in module.parameters())
            ):
                module.eval()
        sums = []
        for size, batch in zip(order.sizes, batches, strict=True):
            if plan.on_step:
                plan.on_step(step / steps)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate_factor(step, steps, plan.warm_up)
            logits, truth = self._logits(forward, batch)
            losses = functional.cross_entropy(
                logits, truth, weights, label_smoothing=plan.label_smoothing, reduction="none"
            )
            # Its mean over processes is the mean over the batch's pictures.
            loss = losses.sum() * (self.team.size / size)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            sums.append(_sums(losses, logits, truth))
            progress.advance(_TRAINING_COST)
            step += 1
        means = self._means(sums)
        if not math.isfinite(means[0]):
            raise ConfigurationError(
                f"[{plan.stage}] rate",
                f"with {plan.rate:g} the loss grew beyond all numbers",
                "Lower it.",
            )
        return means

    @torch.inference_mode()
    def _measure(self, batches: Loader, progress: ProgressDisplay) -> tuple[float, float]:
        """Plain cross-entropy of held-out pictures, and accuracy."""
        self.network.eval()
        sums = []
        for batch in batches:
            logits, truth = self._logits(self.network, batch)
            sums.append(
                _sums(functional.cross_entropy(logits, truth, reduction="none"), logits, truth)
            )
            progress.advance(1)
        return self._means(sums)

    def _logits(self, forward: nn.Module, batch: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (N, classes), float32, and the classes, both on the device."""
        device, dtype = self.hardware.device, self.hardware.autocast
        inputs, truth = (values.to(device, non_blocking=True) for values in batch)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            return forward(network_input(inputs)).float(), truth

    def _means(self, sums: list[Tensor]) -> tuple[float, float]:
        """Loss and accuracy over all examples of all processes."""
        total = torch.stack(sums).cpu().double().sum(0)
        if self.team.size > 1:
            total = total.to(self.hardware.device)
            distributed.all_reduce(total)
        loss, right, count = total.tolist()
        return loss / count, right / count


def rate_factor(step: int, steps: int, warm_up: float) -> float:
    """Share of the peak rate at ``step`` of ``steps``: a straight rise, then half a cosine.

    Loshchilov & Hutter, "SGDR", 2017, equation 5, without restarts.
    """
    # Of few steps a small share is none at all, and the first ones would do most harm.
    rise = max(round(warm_up * steps), min(_LEAST_RISE, steps // 4)) if warm_up else 0
    if step < rise:
        return (step + 1) / rise
    return (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise)))) / 2


def _optimizer(network: nn.Module, plan: Plan) -> torch.optim.Optimizer:
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


def _sums(losses: Tensor, logits: Tensor, truth: Tensor) -> Tensor:
    """Sum of losses, number of right answers, number of examples: shape (3,), float32."""
    classes = truth if truth.ndim == 1 else truth.argmax(1)
    right = (logits.argmax(1) == classes).sum()
    return torch.stack((losses.detach().sum(), right, torch.ones_like(right) * len(classes)))


def _line(epoch: Epoch, epochs: int, *, is_best: bool) -> str:
    best = " (best)" if is_best else ""
    return (
        f"{epoch.stage} {epoch.number}/{epochs}: loss {epoch.train_loss:.3f}, "
        f"accuracy {epoch.train_accuracy:.1%}; held out: loss {epoch.held_loss:.3f}, "
        f"accuracy {epoch.held_accuracy:.1%}{best}; {epoch.seconds:.0f} s"
    )


@contextmanager
def _curves(place: Place, plan: Plan, team: Team) -> Iterator[Callable[[Epoch], None]]:
    """Writes an epoch's figures for TensorBoard, if that is wanted."""
    if team.rank or not place.tensorboard:
        yield lambda _: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter  # Late: it takes seconds.
    except ImportError as error:
        raise ConfigurationError(
            "tensorboard", "is not installed", "pip install tensorboard, or leave it out."
        ) from error

    def write(epoch: Epoch) -> None:
        figures = {
            "loss/train": epoch.train_loss,
            "loss/held_out": epoch.held_loss,
            "accuracy/train": epoch.train_accuracy,
            "accuracy/held_out": epoch.held_accuracy,
            "rate": epoch.rate,
        }
        for name, value in figures.items():
            writer.add_scalar(name, value, epoch.number)

    with closing(SummaryWriter(str(place.folder / "tensorboard" / plan.stage))) as writer:
        yield write


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
    indexes = np.array([index for keys in batches for _, index in keys])
    outputs, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if team.size > 1:
        # Each process has a share of every batch.
        shares: list[Any] = [None] * team.size
        distributed.all_gather_object(shares, (indexes, outputs, labels))
        indexes, outputs, labels = (np.concatenate(parts) for parts in zip(*shares, strict=True))
    order = np.argsort(indexes)
    return outputs[order], labels[order]


def _loader(
    examples: Examples, batches: Batches, place: Place, hardware: Hardware, team: Team
) -> Loader:
    kind = hardware.device.type
    workers = choose_workers(place.workers, examples, kind, team)
    return Loader(examples, batches, workers=workers, pinned=kind == "cuda")


@contextmanager
def _explained() -> Iterator[None]:
    """Memory that runs out is the user's to mend, not a bug."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UnavailableError(
            "GPU memory", "is too small for this", "Lower the batch, the size or the width."
        ) from error
