"""Trains a network through one stage, and computes with it: on whatever processors there are.

What a step sees follows from seed and epoch alone, and the last checkpoint holds all that the next
epoch needs. So a run that was killed, or that several processes share, ends as any other.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
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
from edge_classifier.evaluation.report_data import Epoch
from edge_classifier.installation import how_to_add
from edge_classifier.progress import ProgressDisplay, show_progress
from edge_classifier.training.data.examples import Examples, network_input
from edge_classifier.training.data.loading import Batches, Loader, choose_workers
from edge_classifier.training.train.checkpoints import Checkpoints, SavedCheckpoint
from edge_classifier.training.train.devices import (
    Hardware,
    World,
    choose_hardware,
    join_world,
    keep_freed_memory,
)
from edge_classifier.training.train.plan import (
    History,
    RunOptions,
    StagePlan,
    best_of,
    make_optimizer,
    rate_factor,
)

# Forward and backward cost about three times what forward alone does.
_TRAINING_COST = 3


def fit(
    network: nn.Module,
    plan: StagePlan,
    train: Examples,
    held: Examples,
    options: RunOptions,
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
    precision = "full" if plan.stage == "quantize" else options.precision
    hardware = choose_hardware(options.device, precision)
    world = join_world(hardware.device)
    if world.size > 1 and plan.batch_norm == "trained":
        raise ConfigurationError(
            "batch_norm = trained",
            "each process would keep statistics of its own",
            "Use one process, or batch_norm = frozen.",
        )
    checkpoints = Checkpoints(options, plan.stage, network)
    saved = checkpoints.saved() if options.resume else None
    if not saved and world.rank == 0:
        checkpoints.clear()
    history = saved.history if saved else ()
    if not plan.is_over(history):
        with _explain_gpu_memory():
            trainer = _Trainer(network, plan, options, hardware, world, (train, held))
            history = trainer.run(checkpoints, saved, clock)
    checkpoints.load_best(network)
    network.eval()
    return history


class _Trainer:
    """One stage: the network, and all that changes with it from step to step."""

    def __init__(
        self,
        network: nn.Module,
        plan: StagePlan,
        options: RunOptions,
        hardware: Hardware,
        world: World,
        examples: tuple[Examples, Examples],
    ) -> None:
        self.network, self.plan, self.options = network, plan, options
        self.hardware, self.world = hardware, world
        train, held = examples
        self.train_batches = Batches(len(train), plan.batch, world, options.seed)
        self.train_loader = _loader(train, self.train_batches, options, hardware, world)
        order = Batches(len(held), plan.batch, world)
        self.held_loader = _loader(held, order, options, hardware, world)
        keep_freed_memory()
        network.to(hardware.device, memory_format=torch.channels_last)
        self.optimizer = make_optimizer(network, plan)
        # float16 has few exponents: small gradients would be zero in it. Otherwise it does nothing.
        is_half = hardware.autocast is torch.float16
        self.scaler = torch.amp.GradScaler(hardware.device.type, enabled=is_half)

    def run(
        self,
        checkpoints: Checkpoints,
        saved: SavedCheckpoint | None,
        clock: Callable[[], float],
    ) -> History:
        """Train until the stage is over, on from ``saved``, with a checkpoint an epoch."""
        plan, options, world = self.plan, self.options, self.world
        history = saved.history if saved else ()
        if saved:
            saved.restore(self.network, self.optimizer, self.scaler)
        forward = self._shared_network()
        epoch_cost = _TRAINING_COST * len(self.train_batches) + len(self.held_loader)
        done, total = epoch_cost * len(history), epoch_cost * plan.epochs
        shown = show_progress(plan.stage, total, done=done, shown=world.rank == 0)
        with shown as progress, _curves(options, plan, world) as write_curves, catch_warnings():
            # Of 1 x 1 kernels, whose two memory formats are the same; they come from a quantizer.
            filterwarnings("ignore", "Grad strides do not match bucket", UserWarning)
            while not plan.is_over(history):
                start = clock()
                self.train_batches.epoch = len(history)
                # Dropout draws from torch's own generator: it too follows from seed and epoch.
                # A prime: no two of a run's processes and epochs share a seed.
                torch.manual_seed(options.seed + 1_000_003 * (1 + len(history)) + world.rank)
                train_loss, train_accuracy = self._train(forward, progress)
                held_loss, held_accuracy = self._measure(progress)
                epoch = Epoch(
                    stage=plan.stage,
                    number=len(history) + 1,
                    seconds=clock() - start,
                    rate=self.optimizer.param_groups[0]["lr"],
                    train_loss=train_loss,
                    train_accuracy=train_accuracy,
                    held_loss=held_loss,
                    held_accuracy=held_accuracy,
                )
                history += (epoch,)
                is_best = best_of(history) is epoch
                progress.print_line(_line(epoch, plan.epochs, is_best=is_best))
                write_curves(epoch)
                if world.rank == 0:
                    # The best first: a kill between the two repeats an epoch and loses none.
                    if is_best:
                        checkpoints.keep_best(self.network, history)
                    checkpoints.keep_last(self.network, self.optimizer, self.scaler, history)
        if world.size > 1:
            # The others read what the first process has written.
            cuda = self.hardware.device.type == "cuda"
            distributed.barrier(device_ids=[self.hardware.device.index] if cuda else None)
        self.network.cpu()
        return history

    def _shared_network(self) -> nn.Module:
        """The network whose gradients are the mean of those of all processes."""
        if self.world.size == 1:
            return self.network
        gpu = [self.hardware.device] if self.hardware.device.type == "cuda" else None
        # Buffers are the same everywhere.
        return DistributedDataParallel(self.network, device_ids=gpu, forward_sync_buffers=False)

    def _train(self, forward: nn.Module, progress: ProgressDisplay) -> tuple[float, float]:
        """One epoch. Loss and accuracy; raises ConfigurationError where the loss is not finite."""
        plan, device, order = self.plan, self.hardware.device, self.train_batches
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
        for size, batch in zip(order.sizes, self.train_loader, strict=True):
            if plan.on_step:
                plan.on_step(step / steps)
            for group in self.optimizer.param_groups:
                group["lr"] = group["peak"] * rate_factor(step, steps, plan.warm_up)
            logits, truth = self._logits(forward, batch)
            losses = functional.cross_entropy(
                logits, truth, weights, label_smoothing=plan.label_smoothing, reduction="none"
            )
            # Its mean over processes is the mean over the batch's pictures.
            loss = losses.sum() * (self.world.size / size)
            self.optimizer.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
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
    def _measure(self, progress: ProgressDisplay) -> tuple[float, float]:
        """Plain cross-entropy of held-out pictures, and accuracy."""
        self.network.eval()
        sums = []
        for batch in self.held_loader:
            logits, truth = self._logits(self.network, batch)
            losses = functional.cross_entropy(logits, truth, reduction="none")
            sums.append(_sums(losses, logits, truth))
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
        if self.world.size > 1:
            total = total.to(self.hardware.device)
            distributed.all_reduce(total)
        loss, right, count = total.tolist()
        return loss / count, right / count


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
def _curves(
    options: RunOptions, plan: StagePlan, world: World
) -> Iterator[Callable[[Epoch], None]]:
    """Writes an epoch's figures for TensorBoard, if that is wanted."""
    if world.rank or not options.tensorboard:
        yield lambda _: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter  # Late: it takes seconds.
    except ImportError as error:
        raise ConfigurationError(
            "tensorboard", "is not installed", f"Leave it out, or: {how_to_add('train')}"
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

    with closing(SummaryWriter(str(options.folder / "tensorboard" / plan.stage))) as writer:
        yield write


def compute(
    network: nn.Module, examples: Examples, batch: int, options: RunOptions
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Outputs (N, K) of the evaluating network for all examples in order, and their labels (N,).

    In full precision. Raises as ``fit``.
    """
    keep_freed_memory()
    hardware = choose_hardware(options.device, "full")
    world = join_world(hardware.device)
    batches = Batches(len(examples), batch, world)
    loader = _loader(examples, batches, options, hardware, world)
    network.to(hardware.device, memory_format=torch.channels_last).eval()
    found = []
    shown = show_progress("computing", len(batches), shown=world.rank == 0)
    with _explain_gpu_memory(), torch.inference_mode(), shown as progress:
        for inputs, labels in loader:
            outputs = network(network_input(inputs.to(hardware.device)))
            found.append((outputs.float().cpu().numpy(), labels.numpy()))
            progress.advance(1)
    network.cpu()
    indexes = np.array([index for keys in batches for _, index in keys])
    outputs, labels = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if world.size > 1:
        # Each process has a share of every batch.
        shares: list[Any] = [None] * world.size
        distributed.all_gather_object(shares, (indexes, outputs, labels))
        indexes, outputs, labels = (np.concatenate(parts) for parts in zip(*shares, strict=True))
    order = np.argsort(indexes)
    return outputs[order], labels[order]


def _loader(
    examples: Examples, batches: Batches, options: RunOptions, hardware: Hardware, world: World
) -> Loader:
    kind = hardware.device.type
    workers = choose_workers(options.workers, examples, kind, world)
    return Loader(examples, batches, workers=workers, pinned=kind == "cuda")


@contextmanager
def _explain_gpu_memory() -> Iterator[None]:
    """Memory that runs out is the user's to mend, not a bug."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UnavailableError(
            "GPU memory", "is too small for this", "Lower the batch, the size or the width."
        ) from error
