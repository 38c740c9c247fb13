"""A run that was killed and resumed ends with the very weights of one that was left alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_classifier.training.train.plan import RunOptions, StagePlan
from tests.conftest import REPOSITORY
from tests.training.small_job import WAITING, small_network, train, weights, write_job
from tests.waiting import eventually

PLAN: dict[str, Any] = {"stage": "finetune", "epochs": 3, "batch": 8, "rate": 1e-3, "patience": 1}


@contextmanager
def job_that_waits(folder: Path, **changes: Any) -> Iterator[subprocess.Popen[str]]:
    """A training process in a group of its own, stopped in the middle of its second epoch."""
    job = write_job(folder, wait_at=0.5, plan=PLAN, **changes)
    command = [sys.executable, "-W", "error", "-m", "tests.training.small_job", str(job)]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            eventually(lambda: (folder / WAITING).exists() or process.poll() is not None, 120)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("workers", [0, 1])
def test_run_killed_in_its_second_epoch_resumes_to_equal_weights(
    workers: int, tmp_path: Path
) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    options = RunOptions(folder=killed, device="cpu", workers=workers)
    with job_that_waits(killed, options={"device": "cpu", "workers": workers}) as process:
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    left = sorted(path.name for path in (killed / "checkpoints").iterdir())
    assert left == ["finetune-best.ckpt", "finetune-last.ckpt"]

    plan = StagePlan(**PLAN)
    resumed, alone = small_network(), small_network(seed=1)
    alone.load_state_dict(resumed.state_dict())
    steps: list[float] = []
    history = train(
        resumed,
        replace(plan, on_step=steps.append),
        replace(options, resume=True),
        killed / "pictures",
    )
    expected = train(alone, plan, replace(options, folder=whole), killed / "pictures")

    assert steps[0] == pytest.approx(1 / 3), "the first epoch is not repeated"
    assert [replace(epoch, seconds=0) for epoch in history] == [
        replace(epoch, seconds=0) for epoch in expected
    ]
    torch.testing.assert_close(weights(resumed), weights(alone), rtol=0, atol=0)
    last = [
        torch.load(folder / "checkpoints" / "finetune-last.ckpt", weights_only=True)
        for folder in (killed, whole)
    ]
    torch.testing.assert_close(last[0]["state_dict"], last[1]["state_dict"], rtol=0, atol=0)


def test_stage_that_has_ended_is_not_trained_again(tmp_path: Path) -> None:
    options = RunOptions(folder=tmp_path, device="cpu", workers=0)
    plan = StagePlan(**{**PLAN, "epochs": 1})
    trained, resumed = small_network(), small_network(seed=1)
    history = train(trained, plan, options, tmp_path / "pictures", count=9)
    steps: list[float] = []
    again = train(
        resumed,
        replace(plan, on_step=steps.append),
        replace(options, resume=True),
        tmp_path / "pictures",
        count=9,
    )
    assert again == history
    assert steps == []
    torch.testing.assert_close(weights(resumed), weights(trained), rtol=0, atol=0)


def test_ctrl_c_ends_training_and_its_workers_at_once_without_tracebacks(tmp_path: Path) -> None:
    with job_that_waits(tmp_path, options={"device": "cpu", "workers": 2}) as process:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert [line.split(":")[0] for line in err.splitlines()] == ["finetune 1/3"]
