"""Whatever ends a run in its middle, nothing half-written is left, and it goes on."""

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from edge_classifier.cli.main import main
from edge_classifier.training.run_folder import MODEL_FILE, PTQ_FILE
from tests.smalldisk import tmpfs
from tests.training.shapes import one_thread
from tests.training.small_run import SmallRun
from tests.waiting import eventually

STAGES = ("head", "finetune", "quantize")


def read_until(process: subprocess.Popen[str], beginning: str) -> None:
    """Up to the line that begins so; the rest stays unread."""
    assert process.stderr
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(beginning):
            return
    raise AssertionError("".join(said))


def kill(small_run: SmallRun, run: Path, after: str) -> None:
    """Let it go on until it has said that, then kill it as a power cut would."""
    with small_run.begun(run, "--resume") as process:
        read_until(process, after)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def last_weights(run: Path, stage: str) -> dict[str, Any]:
    checkpoint = torch.load(run / f"checkpoints/{stage}-last.ckpt", weights_only=True)
    state: dict[str, Any] = checkpoint["state_dict"]
    return state


def history(run: Path) -> list[dict[str, Any]]:
    epochs = json.loads((run / "report.json").read_text("utf-8"))["history"]
    return [{**epoch, "seconds": 0} for epoch in epochs]


def test_run_killed_in_every_stage_ends_with_the_bytes_of_one_that_was_not(
    finished: SmallRun, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    kill(finished, run, "head 1/")
    assert not visible(run) & {MODEL_FILE, PTQ_FILE}
    kill(finished, run, "finetune 1/")
    kill(finished, run, "quantize 1/")
    assert not visible(run) & {MODEL_FILE, PTQ_FILE}
    with finished.begun(run, "--resume") as process:
        eventually((run / PTQ_FILE).exists, 120)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    assert MODEL_FILE not in visible(run), "the export was interrupted"

    done = finished.do(run, "--resume")
    assert done.returncode == 0, done.stderr
    epochs = re.findall(rb"(?:head|finetune|quantize) \d+/", done.stderr)
    assert not epochs, "what was trained is not trained again"
    for stage in STAGES:
        weights, expected = last_weights(run, stage), last_weights(finished.run, stage)
        torch.testing.assert_close(weights, expected, rtol=0, atol=0)
    assert history(run) == history(finished.run)
    for name in (PTQ_FILE, MODEL_FILE):
        assert (run / name).read_bytes() == (finished.run / name).read_bytes()
    assert visible(run) == visible(finished.run)
    assert not [path for path in run.rglob(".*") if path.is_file()], "what was half-written is gone"


def test_ctrl_c_ends_with_130_and_one_line(small_run: SmallRun, tmp_path: Path) -> None:
    with small_run.begun(tmp_path / "run") as process:
        read_until(process, "edge-classify: finetune")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "edge-classify: interrupted"
    assert "Traceback" not in err


def in_process(small_run: SmallRun, run: Path, *more: str) -> int:
    return main(small_run.arguments(run, *more))


@pytest.fixture
def _where_it_began(small_run: SmallRun, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(small_run.folder)
    with one_thread():
        yield


@pytest.mark.usefixtures("_where_it_began")
def test_disk_that_fills_in_mid_checkpoint_is_named_and_the_run_goes_on(
    small_run: SmallRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        run = disk / "run"
        assert in_process(small_run, run, "--no-export") == 73
        said = capfd.readouterr().err.splitlines()[-1]
        assert f"{run}/checkpoints: a checkpoint cannot be written (No space left" in said
        assert "--resume goes on" in said
        assert visible(run / "checkpoints") == {
            "finetune-best.ckpt",
            "head-best.ckpt",
            "head-last.ckpt",
        }
        assert not list((run / "checkpoints").glob(".*"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], timeout=60, check=True)
        assert in_process(small_run, run, "--no-export", "--resume") == 0
        assert "head 1/" not in capfd.readouterr().err
        assert visible(run / "checkpoints") >= {"quantize-best.ckpt", "quantize-last.ckpt"}


def test_disk_that_fills_in_the_export_leaves_no_model(
    finished: SmallRun, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without the third stage both files are the same, and only one has room."""
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / "checkpoints").mkdir()
    for stage in STAGES[:2]:
        for which in ("best", "last"):
            name = f"checkpoints/{stage}-{which}.ckpt"
            shutil.copy(finished.run / name, copied / name)
    for name in ("settings.toml", "run.json"):
        shutil.copy(finished.run / name, copied / name)
    taken = sum(path.stat().st_size for path in copied.rglob("*"))
    room = finished.model.stat().st_size * 3 // 2
    with tmpfs(tmp_path / "disk", str(taken + room + 65_536)) as disk:
        run = Path(shutil.copytree(copied, disk / "run"))
        assert main(["export", str(run), "--set", "quantize.epochs=0"]) == 73
        said = capfd.readouterr().err.splitlines()[-1]
        assert f"{run / MODEL_FILE}: cannot be written (No space left" in said
        assert PTQ_FILE in visible(run)
        assert MODEL_FILE not in visible(run)
        assert not list(run.glob(".*"))
