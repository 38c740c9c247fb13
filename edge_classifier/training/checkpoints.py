"""A stage's checkpoints: the best weights, and all that is needed to go on from the last epoch."""

import hashlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO
from torch import nn

from edge_classifier.errors import ConfigurationError, MissingFileError, ModelError, OutputError
from edge_classifier.evaluation.contents import Epoch
from edge_classifier.files import replacing
from edge_classifier.training.plan import History, Place, Stage

# The key of what Lightning does not know.
_OURS = "edge_classifier"


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """What the last checkpoint says."""

    history: History
    # Nothing is left to do.
    ended: bool


class Checkpoints:
    """The two files of one stage. ``network`` and the place's signature must fit to go on."""

    def __init__(self, place: Place, stage: Stage, network: nn.Module) -> None:
        folder = place.folder / "checkpoints"
        self.best, self.last = folder / f"{stage}-best.ckpt", folder / f"{stage}-last.ckpt"
        self._marks = {
            "stage": stage,
            "network": _shapes(network),
            "signature": place.signature,
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
        ours = self._checked(self.last)
        return SavedCheckpoint(tuple(Epoch(**epoch) for epoch in ours["history"]), ours["ended"])

    def marks(self, history: History, *, ended: bool) -> dict[str, Any]:
        """What a checkpoint carries beside the weights, in plain values."""
        epochs = [asdict(epoch) for epoch in history]
        return {_OURS: {**self._marks, "history": epochs, "ended": ended}}

    def keep_best(self, network: nn.Module, history: History) -> None:
        """Write the weights under the network's own keys. Raises OutputError."""
        write(self.best, {"state_dict": network.state_dict(), **self.marks(history, ended=False)})

    def load_best(self, network: nn.Module) -> None:
        """Give ``network`` the best weights. Raises as ``saved``."""
        self._checked(self.best)
        network.load_state_dict(read(self.best)["state_dict"])

    def _checked(self, path: Path) -> dict[str, Any]:
        ours = read(path).get(_OURS)
        if not isinstance(ours, dict):
            raise ModelError(str(path), "is no checkpoint of a training run", _AFRESH)
        for mark, meaning in _MEANINGS.items():
            if ours.get(mark) != self._marks[mark]:
                raise ConfigurationError(str(path), f"was made {meaning}", _AFRESH)
        return ours


_AFRESH = "Name another --out, or remove this folder to begin again."
_MEANINGS = {
    "stage": "by another stage",
    "network": "for another network",
    "signature": "with other data or settings",
}


class AtomicCheckpointIO(CheckpointIO):
    """Checkpoints that are whole or not there, and whose older one stays until then."""

    # ruff: noqa: ARG002 (Lightning passes them all by name)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: object = None
    ) -> None:
        """Raises OutputError."""
        write(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: object = None, weights_only: object = None
    ) -> dict[str, Any]:
        """Raises ModelError."""
        return read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Here because Lightning's interface demands it."""
        Path(path).unlink(missing_ok=True)


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
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise MissingFileError(str(path), "no such checkpoint", _AFRESH) from error
    except Exception as error:  # Unpickling raises whatever damaged bytes lead it to.
        raise ModelError(str(path), "is damaged or no checkpoint", _AFRESH) from error
    if not isinstance(checkpoint, dict):
        raise ModelError(str(path), "is no checkpoint", _AFRESH)
    return checkpoint


def _shapes(network: nn.Module) -> str:
    """Stands for the names and shapes of all weights."""
    shapes = [(name, tuple(values.shape)) for name, values in network.state_dict().items()]
    return hashlib.sha256(repr(shapes).encode()).hexdigest()
