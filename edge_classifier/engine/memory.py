"""Whether one more model fits into memory: asked before the kernel has to end somebody."""

from collections.abc import Iterator
from pathlib import Path

from edge_classifier.errors import UnavailableError

# What a model takes beside the bytes of its file: those are in memory twice, as the file and as
# XNNPACK packs them. Of MobileNetV2 and EfficientNet-Lite0 for 224 x 224 pixels it is 4 MB
# (scripts/benchmarks/several_models.py); larger inputs take more.
_WORKING_BYTES = 6_000_000
# Of a daemon with four cameras and without models, on a 64-bit machine; likewise.
DAEMON_BYTES = 125_000_000
# To be left for everything else.
_RESERVE_BYTES = 16_000_000
_ROOT = Path("/")


def model_bytes(file_bytes: int) -> int:
    """What a model of this size will take, roughly."""
    return 2 * file_bytes + _WORKING_BYTES


def available_bytes(root: Path = _ROOT) -> int | None:
    """What this process may still take, swap included; None where the system does not tell.

    That is what the machine has left, or what the limits of the control groups do that it is in.
    """
    facts = _meminfo(root)
    left = [*_left_of_limits(root)]
    if "MemAvailable" in facts:
        left.append(facts["MemAvailable"] + facts.get("SwapFree", 0))
    return min(left, default=None)


def total_bytes(root: Path = _ROOT) -> int | None:
    """The memory of this machine; None where the system does not tell."""
    return _meminfo(root).get("MemTotal")


def require_memory(path: Path, running: int, root: Path = _ROOT) -> None:
    """Raise UnavailableError where the model at ``path`` does not fit beside ``running`` others.

    ``running``: none are mentioned where it is 0.
    """
    available = available_bytes(root)
    try:
        needed = model_bytes(path.stat().st_size)
    except OSError:
        # Whoever reads it says what is wrong.
        return
    if available is None or needed + _RESERVE_BYTES <= available:
        return
    left = max(0, available - _RESERVE_BYTES)
    others = f" beside {running} other model{'s' if running > 1 else ''}" if running else ""
    problem = (
        f"does not fit into memory{others}: it needs some "
        f"{needed / 1e6:.0f} MB, and {left / 1e6:.0f} MB are left"
    )
    remedy = "Let cameras share a model, or use smaller ones."
    raise UnavailableError(str(path), problem, remedy)


def _meminfo(root: Path) -> dict[str, int]:
    """In bytes, see proc_meminfo(5)."""
    found = {}
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        number = value.strip().partition(" ")[0]
        if number.isdecimal():
            found[name] = 1024 * int(number)
    return found


def _left_of_limits(root: Path) -> Iterator[int]:
    """Of each control group with a limit, what is left of it; see cgroup-v2's memory.*."""
    mine = next(
        (line for line in _text(root / "proc/self/cgroup").splitlines() if line[:3] == "0::"), ""
    )
    top = root / "sys/fs/cgroup"
    group = top / mine[3:].strip().lstrip("/")
    while group.is_relative_to(top):
        limit, used = _text(group / "memory.max"), _text(group / "memory.current")
        if limit.isdecimal() and used.isdecimal():
            # Files that were read and are not used any more go when memory is wanted.
            stat = dict(
                line.split(" ", 1)
                for line in _text(group / "memory.stat").splitlines()
                if " " in line
            )
            yield int(limit) - int(used) + int(stat.get("inactive_file", 0))
        if group == top:
            return
        group = group.parent


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
