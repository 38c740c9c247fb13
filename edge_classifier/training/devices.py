"""The processor that trains, and the processes that share the work."""

import atexit
import os
from dataclasses import dataclass

import torch
from torch import distributed

from edge_classifier.errors import ConfigurationError

_PRECISION = {True: "bf16-mixed", False: "16-mixed"}


@dataclass(frozen=True, slots=True)
class Hardware:
    """What Lightning has to know."""

    device: torch.device
    # As Lightning names it.
    precision: str


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that train together, one a GPU; started by torchrun."""

    # This one's number.
    rank: int = 0
    size: int = 1
    machines: int = 1


def choose_hardware(device: str, precision: str) -> Hardware:
    """``auto`` takes what is there. Raises ConfigurationError for what is demanded and is not.

    Mixed precision is for CUDA: elsewhere it is no faster, or not safe.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next((name for name, is_there in there.items() if is_there), "cpu")
    if not there.get(device, True):
        raise ConfigurationError(
            f"device = {device}",
            f"{_missing(device)} (torch {torch.__version__})",
            "Choose auto or cpu.",
        )
    if device != "cuda":
        return Hardware(torch.device(device), "32-true")
    mixed = _PRECISION[torch.cuda.is_bf16_supported(including_emulation=False)]
    return Hardware(_own_gpu(), "32-true" if precision == "full" else mixed)


def _missing(device: str) -> str:
    if device == "mps":
        return "there is no Apple GPU that torch can use"
    if torch.version.cuda is None:
        return "this torch is built without CUDA"
    return "there is no NVIDIA GPU that torch can use; nvidia-smi shows whether its driver runs"


def _own_gpu() -> torch.device:
    """One for each process of this machine."""
    local, count = _variable("LOCAL_RANK", 0), torch.cuda.device_count()
    if local >= count:
        raise ConfigurationError(
            "torchrun --nproc-per-node",
            f"starts more processes than there are GPUs ({count})",
            "One process a GPU, or --device cpu.",
        )
    return torch.device("cuda", local)


def join_team(device: torch.device) -> Team:
    """Meet the other processes if torchrun started this one. A second call is free."""
    size = _variable("WORLD_SIZE", 1)
    if size == 1:
        return Team()
    if not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return Team(_variable("RANK", 0), size, size // _variable("LOCAL_WORLD_SIZE", size))


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _variable(name: str, default: int) -> int:
    return int(os.environ.get(name, default))
