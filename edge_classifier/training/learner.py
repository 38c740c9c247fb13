"""What one stage does with a network at each step, as Lightning wants it said."""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from edge_classifier.errors import ConfigurationError
from edge_classifier.evaluation.contents import Epoch
from edge_classifier.progress import ProgressDisplay
from edge_classifier.training.checkpoints import Checkpoints
from edge_classifier.training.devices import Team
from edge_classifier.training.examples import network_input
from edge_classifier.training.loading import Batches, Loader
from edge_classifier.training.plan import History, Place, Plan, best_of

HELD_ACCURACY = "held_accuracy"
# Forward and backward cost about three times what forward alone does.
TRAINING_COST = 3
_MOMENTUM = 0.9
# Steps of warm-up, if there is any; but no more than a quarter of all.
_LEAST_RISE = 10


@dataclass(frozen=True, slots=True)
class StageSession:
    """What stays the same as long as a stage trains."""

    plan: Plan
    place: Place
    team: Team
    checkpoints: Checkpoints
    clock: Callable[[], float]


class Learner(LightningModule):
    """Trains ``network`` and writes its history, which begins with ``before``, and checkpoints."""

    def __init__(
        self,
        network: nn.Module,
        session: StageSession,
        loaders: tuple[Loader, Loader],
        progress: ProgressDisplay,
        before: History,
    ) -> None:
        super().__init__()
        self.network, self.history = network, before
        self._session, self._plan, self._team = session, session.plan, session.team
        self._loaders, self._progress = loaders, progress
        self._order: Batches = loaders[0].batch_sampler
        self._order.epoch = len(before)
        self._start = self._rate = 0.0
        self._train_sums: list[Tensor] = []
        self._held_sums: list[Tensor] = []
        weights = torch.tensor(self._plan.class_weights) if self._plan.class_weights else None
        self.register_buffer("_class_weights", weights, persistent=False)
        self._on_sigterm = signal.getsignal(signal.SIGTERM)

    def train_dataloader(self) -> Loader:
        """What is learned from."""
        return self._loaders[0]

    def val_dataloader(self) -> Loader:
        """What is measured on."""
        return self._loaders[1]

    def train(self, mode: bool = True) -> "Learner":
        """Batch norm whose statistics are to stay keeps evaluating."""
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, _BatchNorm) and self._stays(module):
                module.eval()
        return self

    def _stays(self, module: nn.Module) -> bool:
        frozen = not any(parameter.requires_grad for parameter in module.parameters())
        return frozen or self._plan.batch_norm == "frozen"

    def configure_optimizers(self) -> Any:
        """AdamW or SGD, whose rate follows ``rate_factor`` step by step."""
        groups = list(_parameter_groups(self.network, self._plan))
        if self._plan.optimizer == "adam":
            optimizer = torch.optim.AdamW(groups, self._plan.rate)
        else:
            optimizer = torch.optim.SGD(groups, self._plan.rate, momentum=_MOMENTUM)
        steps = self._steps()
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_factor(step, steps, self._plan.warm_up)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def _steps(self) -> int:
        return self._plan.epochs * len(self._order)

    def on_train_start(self) -> None:
        """Let SIGTERM end the process as it would without Lightning, whose exit code is 0."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def on_train_epoch_start(self) -> None:
        """Dropout draws from torch's own generator: it too follows from seed and epoch."""
        self._start = self._session.clock()
        self._train_sums, self._held_sums = [], []
        # A prime: no two of a run's processes and epochs share a seed.
        torch.manual_seed(
            self._session.place.seed + 1_000_003 * (1 + len(self.history)) + self._team.rank
        )

    def on_train_batch_start(self, *_: object) -> None:
        """Tell how far the stage is."""
        if self._plan.on_step:
            self._plan.on_step(self.trainer.global_step / self._steps())

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """The loss whose mean over processes is the mean over the batch's pictures."""
        inputs, truth = batch
        logits = self.network(network_input(inputs)).float()
        losses = functional.cross_entropy(
            logits,
            truth,
            self._class_weights,
            label_smoothing=self._plan.label_smoothing,
            reduction="none",
        )
        self._train_sums.append(_sums(losses, logits, truth))
        self._rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self._progress.advance(TRAINING_COST)
        loss: Tensor = losses.sum() * (self._team.size / self._order.sizes[batch_idx])
        return loss

    def validation_step(self, batch: list[Tensor]) -> None:
        """Plain cross-entropy of held-out pictures."""
        inputs, truth = batch
        logits = self.network(network_input(inputs)).float()
        losses = functional.cross_entropy(logits, truth, reduction="none")
        self._held_sums.append(_sums(losses, logits, truth))
        self._progress.advance(1)

    def on_validation_epoch_end(self) -> None:
        """For early stopping."""
        self._held = self._means(self._held_sums)
        self.log(HELD_ACCURACY, self._held[1])

    def on_train_epoch_end(self) -> None:
        """Note down the epoch, then keep it."""
        train = self._means(self._train_sums)
        if not math.isfinite(train[0]):
            raise ConfigurationError(
                f"[{self._plan.stage}] rate",
                f"with {self._plan.rate:g} the loss grew beyond all numbers",
                "Lower it.",
            )
        epoch = self._epoch(train, self._held)
        self.history += (epoch,)
        self._order.epoch = len(self.history)
        is_best = best_of(self.history) is epoch
        self._progress.say(_line(epoch, self._plan.epochs, is_best=is_best))
        for logger in self.loggers:
            logger.log_metrics(_curves(epoch), epoch.number)
        # The best first: a kill between the two repeats an epoch and loses none.
        if is_best and self._team.rank == 0:
            self._session.checkpoints.keep_best(self.network, self.history)
        self.trainer.save_checkpoint(self._session.checkpoints.last)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know."""
        ended = self.trainer.should_stop or len(self.history) >= self._plan.epochs
        checkpoint.update(self._session.checkpoints.marks(self.history, ended=ended))

    def _epoch(self, train: tuple[float, float], held: tuple[float, float]) -> Epoch:
        return Epoch(
            stage=self._plan.stage,
            number=len(self.history) + 1,
            seconds=self._session.clock() - self._start,
            rate=self._rate,
            train_loss=train[0],
            train_accuracy=train[1],
            held_loss=held[0],
            held_accuracy=held[1],
        )

    def _means(self, sums: list[Tensor]) -> tuple[float, float]:
        """Loss and accuracy over all examples of all processes."""
        total = torch.stack(sums).cpu().double().sum(0)
        if self._team.size > 1:
            total = total.to(self.device)
            torch.distributed.all_reduce(total)
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


def _parameter_groups(network: nn.Module, plan: Plan) -> Iterator[dict[str, Any]]:
    """The body's and the head's trained parameters, those with and without weight decay."""
    head = {id(parameter) for parameter in _head(network).parameters()}
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for in_head, factor in ((False, 1.0), (True, plan.head_factor)):
        for wide, decay in ((True, plan.weight_decay), (False, 0.0)):
            group = [p for p in trained if (id(p) in head) == in_head and (p.ndim > 1) == wide]
            if group:
                yield {"params": group, "lr": plan.rate * factor, "weight_decay": decay}


def _head(network: nn.Module) -> nn.Module:
    head = getattr(network, "classifier", None)
    return head if isinstance(head, nn.Module) else nn.Identity()


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


def _curves(epoch: Epoch) -> dict[str, float]:
    return {
        "loss/train": epoch.train_loss,
        "loss/held_out": epoch.held_loss,
        "accuracy/train": epoch.train_accuracy,
        "accuracy/held_out": epoch.held_accuracy,
        "rate": epoch.rate,
    }
