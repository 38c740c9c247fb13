"""A stage's checkpoints: the best weights, and all that is needed to go on from the last epoch."""

import hashlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch
from torch import nn
from torch.optim import Optimizer

from edge_classifier.errors import ConfigurationError, MissingFileError, ModelError, OutputError
from edge_classifier.evaluation.report_data import Epoch
from edge_classifier.files import replacing
from edge_classifier.training.train.plan import History, RunOptions, Stage, checkpoint_path

# The key of what belongs to this program, beside what torch needs.
_OURS = "edge_classifier"
_AFRESH = "Name another --out, or remove this folder to begin again."
_MISMATCHES = {
    "stage": "by another stage",
    "network": "for another network",
    "signature": "with other data or settings",
}


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """The last checkpoint."""

    path: Path
    history: History
    content: dict[str, Any]

    def restore(
        self, network: nn.Module, optimizer: Optimizer, scaler: torch.amp.GradScaler
    ) -> None:
        """Give all of them what they knew. Raises ConfigurationError."""
        if not {"optimizer", "scaler"} <= self.content.keys():
            problem = "was made by an older version of this program"
            raise ConfigurationError(str(self.path), problem, _AFRESH)
        network.load_state_dict(self.content["state_dict"])
        optimizer.load_state_dict(self.content["optimizer"])
        scaler.load_state_dict(self.content["scaler"])


class Checkpoints:
    """The two files of one stage. ``network`` and the signature must fit to go on."""

    def __init__(self, options: RunOptions, stage: Stage, network: nn.Module) -> None:
        self.best = checkpoint_path(options.folder, stage, "best")
        self.last = checkpoint_path(options.folder, stage, "last")
        shapes = [(name, tuple(values.shape)) for name, values in network.state_dict().items()]
        self._identity = {
            "stage": stage,
            "network": hashlib.sha256(repr(shapes).encode()).hexdigest(),
            "signature": options.signature,
        }

    def clear(self) -> None:
        """Remove what an earlier run left. Raises OutputError."""
        try:
            self.last.parent.mkdir(parents=True, exist_ok=True)
            for path in (self.last, self.best):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_write(self.last.parent, error) from error

    def saved(self) -> SavedCheckpoint | None:
        """What there is to go on from. Raises ModelError; ConfigurationError if it is foreign."""
        if not self.last.exists():
            return None
        content = self._checked(self.last)
        epochs = tuple(Epoch(**epoch) for epoch in content[_OURS]["history"])
        return SavedCheckpoint(self.last, epochs, content)

    def keep_best(self, network: nn.Module, history: History) -> None:
        """Write the weights under the network's own keys. Raises OutputError."""
        write(self.best, {"state_dict": network.state_dict(), **self._ours(history)})

    def keep_last(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        scaler: torch.amp.GradScaler,
        history: History,
    ) -> None:
        """Write all that the next epoch needs. Raises OutputError."""
        states = {
            "state_dict": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scaler": scaler.state_dict(),
        }
        write(self.last, {**states, **self._ours(history)})

    def load_best(self, network: nn.Module) -> None:
        """Give ``network`` the best weights. Raises as ``saved``."""
        network.load_state_dict(self._checked(self.best)["state_dict"])

    def _ours(self, history: History) -> dict[str, Any]:
        """What a checkpoint carries beside torch's states, in plain values."""
        return {_OURS: {**self._identity, "history": [asdict(epoch) for epoch in history]}}

    def _checked(self, path: Path) -> dict[str, Any]:
        content = read(path)
        ours = content.get(_OURS)
        if not isinstance(ours, dict):
            raise ModelError(str(path), "is not a checkpoint of a training run", _AFRESH)
        for name, mismatch in _MISMATCHES.items():
            if ours.get(name) != self._identity[name]:
                raise ConfigurationError(str(path), f"was made {mismatch}", _AFRESH)
        return content


def write(path: Path, checkpoint: dict[str, Any]) -> None:
    """Raises OutputError; then the file that was there is still there."""
    # In memory first: torch reports a full disk in words of its own.
    content = io.BytesIO()
    torch.save(checkpoint, content)
    try:
        with replacing(path) as file:
            file.write(content.getbuffer())
    except OSError as error:
        raise _cannot_write(path.parent, error) from error


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    remedy = "Make room there; --resume goes on from the checkpoint before."
    return OutputError(str(folder), f"a checkpoint cannot be written ({error.strerror})", remedy)


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU. Raises MissingFileError, ModelError. Runs no code from the file."""
    try:
        # torch itself does not notice when numbers have changed on the disk.
        with ZipFile(path) as archive:
            if archive.testzip():
                raise ValueError("a checksum is wrong")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise MissingFileError(str(path), "no such checkpoint", _AFRESH) from error
    except Exception as error:  # Unpickling raises whatever damaged bytes lead it to.
        raise ModelError(str(path), "is damaged, or not a checkpoint", _AFRESH) from error
    if not isinstance(checkpoint, dict):
        raise ModelError(str(path), "is not a checkpoint", _AFRESH)
    return checkpoint
