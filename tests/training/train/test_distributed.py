"""Two processes that train together end where one does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import REPOSITORY
from tests.training.workshop import HISTORY, WEIGHTS, write_job

JOB: dict[str, Any] = {
    "plan": {
        "stage": "finetune",
        "epochs": 2,
        "batch": 8,
        "rate": 0.02,
        "optimizer": "sgd",
        "head_factor": 2.0,
        "weight_decay": 0.01,
        "class_weights": (1.0, 2.0, 0.5),
        "label_smoothing": 0.1,
    },
    "options": {"device": "cpu", "workers": 0},
    "dropout": 0.0,
    # Each step makes differences of rounding larger: in 24 bits they reach the fourth digit on some
    # processors, where they could hide a mistake.
    "double": True,
}
ONE = (sys.executable,)
TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def run_job(folder: Path, command: tuple[str, ...]) -> str:
    """Train in a process of its own, or several; what they said."""
    folder.mkdir()
    arguments = ("-m", "tests.training.workshop", str(write_job(folder, **JOB)))
    done = subprocess.run(
        (*command, *arguments),
        cwd=REPOSITORY,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}


def test_two_processes_give_the_weights_and_figures_of_one(tmp_path: Path) -> None:
    """21 pictures in batches of 7: one process has 4 of each, the other 3; 9 are held out."""
    one, two = tmp_path / "one", tmp_path / "two"
    run_job(one, ONE)
    said = run_job(two, TWO)
    assert len(said.splitlines()) == 2, said

    expected = torch.load(one / f"0-{WEIGHTS}", weights_only=True)
    for rank in (0, 1):
        weights = torch.load(two / f"{rank}-{WEIGHTS}", weights_only=True)
        torch.testing.assert_close(weights, expected, rtol=1e-6, atol=1e-8)

    history = [json.loads((two / f"{rank}-{HISTORY}").read_text()) for rank in (0, 1)]
    for epoch, same, alone in zip(
        *history, json.loads((one / f"0-{HISTORY}").read_text()), strict=True
    ):
        for figure in ("train_loss", "train_accuracy", "held_loss", "held_accuracy", "rate"):
            assert epoch[figure] == same[figure]
            assert epoch[figure] == pytest.approx(alone[figure], rel=1e-4)
