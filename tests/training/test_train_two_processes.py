"""torchrun with two processes: one run, one report, the model of one process."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.training.small_run import MODULE, SmallRun

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *MODULE)


def report(run: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((run / "report.json").read_text("utf-8"))
    return facts


def test_two_processes_end_with_a_model_that_predicts_as_that_of_one(
    finished: SmallRun, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = finished.do(run, launcher=TORCHRUN)
    assert done.returncode == 0, done.stderr.decode()
    lines = done.stderr.decode().splitlines()
    assert len([line for line in lines if line.startswith("finetune 1/")]) == 1
    assert done.stdout.decode().splitlines() == [f"{run}/model.tflite", f"{run}/report.html"]

    two, one = report(run), report(finished.run)
    assert two["data"]["fingerprint"] == one["data"]["fingerprint"]
    assert two["agreement"]["share"] >= 0.97
    pairs = list(zip(two["pictures"], one["pictures"], strict=True))
    assert all(shared["path"] == alone["path"] for shared, alone in pairs)
    same = [shared["predicted"] == alone["predicted"] for shared, alone in pairs]
    assert sum(same) >= 0.97 * len(same)
    # Sums in another order differ in their last digit, which rounding then makes a step.
    for shared, alone in zip(two["history"], one["history"], strict=True):
        digits = 0.02 if shared["stage"] == "quantize" else 1e-4
        assert shared["held_loss"] == pytest.approx(alone["held_loss"], abs=digits)


def test_error_of_the_first_process_ends_all_with_its_code(
    small_run: SmallRun, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = small_run.do(tmp_path / "file/run", launcher=TORCHRUN)
    text = done.stderr.decode()
    assert done.returncode == 1, text
    assert "file/run/settings.toml: cannot be written (Not a directory)" in text
    assert "exitcode  : 73" in text
