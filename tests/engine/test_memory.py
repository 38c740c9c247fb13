"""Whether one more model fits is known before it is loaded."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from edge_classifier.engine.memory import available_bytes, require_memory
from edge_classifier.errors import UnavailableError

MB = 1_000_000


Groups = Mapping[str, tuple[str, int]]


def machine(root: Path, groups: Groups, *, available_kb: int = 400_000, swap_kb: int = 0) -> Path:
    """``groups``: of each control group, from the top down, its limit and what it uses."""
    (root / "proc/self").mkdir(parents=True)
    facts = f"MemTotal: 512000 kB\nMemAvailable: {available_kb} kB\nSwapFree: {swap_kb} kB\n"
    (root / "proc/meminfo").write_text(facts)
    group = root / "sys/fs/cgroup"
    for name, (limit, used) in groups.items():
        group /= name
        group.mkdir(parents=True)
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"anon 5\ninactive_file {MB}\n")
    (root / "proc/self/cgroup").write_text(f"0::/{'/'.join(groups)}\n")
    return root


def test_available_is_what_the_machine_has_left_with_its_swap(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path, {}, available_kb=1000, swap_kb=24)) == 1024 * 1024


@pytest.mark.parametrize(
    ("groups", "left"),
    [
        ({"system.slice": ("max", 5), "unit": (str(90 * MB), 40 * MB)}, 51 * MB),
        ({"system.slice": (str(60 * MB), 40 * MB), "unit": (str(90 * MB), 20 * MB)}, 21 * MB),
        ({"unit": ("max", 40 * MB)}, 409_600_000),
        ({}, 409_600_000),
    ],
)
def test_available_is_what_the_narrowest_limit_leaves(
    tmp_path: Path, groups: Groups, left: int
) -> None:
    assert available_bytes(machine(tmp_path, groups)) == left


def sized(folder: Path, name: str, megabytes: int) -> Path:
    path = folder / name
    path.touch()
    os.truncate(path, megabytes * MB)
    return path


def test_model_is_taken_where_nothing_tells_what_is_left(tmp_path: Path) -> None:
    assert available_bytes(tmp_path) is None
    require_memory(sized(tmp_path, "big.tflite", 10_000), 9, tmp_path)


def test_model_that_fits_is_taken_and_one_that_does_not_is_refused_with_figures(
    tmp_path: Path,
) -> None:
    root = machine(tmp_path, {"unit": (str(100 * MB), 71 * MB)})
    require_memory(sized(tmp_path, "small.tflite", 4), 3, root)
    big = sized(tmp_path, "big.tflite", 5)
    with pytest.raises(UnavailableError) as refused:
        require_memory(big, 3, root)
    assert str(refused.value) == (
        f"{big}: does not fit into memory beside 3 other models: it needs some 16 MB, "
        "and 14 MB are left. Let cameras share a model, or use smaller ones."
    )
