"""The processor that trains, its memory, and the processes that share the work."""

import atexit
import os
from dataclasses import dataclass

import torch
from torch import distributed

from edge_classifier.errors import ConfigurationError
from edge_classifier.malloc import M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, mallopt

_KEPT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where a stage computes, and how precisely."""

    device: torch.device
    # What most layers compute in; None: float32, as all the others.
    autocast: torch.dtype | None = None


@dataclass(frozen=True, slots=True)
class World:
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
        missing = (
            "there is no NVIDIA GPU that torch can use; nvidia-smi shows whether its driver runs"
        )
        if device == "mps":
            missing = "there is no Apple GPU that torch can use"
        elif torch.version.cuda is None:
            missing = "this torch is built without CUDA"
        problem = f"{missing} (torch {torch.__version__})"
        raise ConfigurationError(f"device = {device}", problem, "Choose auto or cpu.")
    if device != "cuda":
        return Hardware(torch.device(device))
    # The same run gives the same weights, where torch can do that; cuBLAS reads it at its start.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    if precision == "full":
        return Hardware(_own_gpu())
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return Hardware(_own_gpu(), torch.bfloat16 if has_bfloat16 else torch.float16)


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


def join_world(device: torch.device) -> World:
    """Meet the other processes if torchrun started this one. A second call is free."""
    size = _variable("WORLD_SIZE", 1)
    if size == 1:
        return World()
    if not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return World(_variable("RANK", 0), size, size // _variable("LOCAL_WORLD_SIZE", size))


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _variable(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


def keep_freed_memory() -> None:
    """Stop glibc from giving freed memory back to the kernel. Elsewhere nothing happens.

    Every step of training on a CPU frees and takes the same hundreds of megabytes. By default
    glibc hands each large block back, and the kernel fills it with zeros when it comes again,
    page by page: that costs up to half of the speed.
    """
    for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
        mallopt(option, _KEPT_BYTES)
