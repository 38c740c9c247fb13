"""``edge-classify export``: the files of a trained run anew, from anywhere, without training."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.cli.main import main
from edge_classifier.modelfile import object_api
from tests.training.shapes import one_thread
from tests.training.small_run import SmallRun


def stored(model: Path) -> list[bytes]:
    """The weights of ``model``, without their scales."""
    graph = object_api.read(model.read_bytes())
    numbers = {tensor.buffer for tensor in graph.subgraphs[0].tensors}
    contents = [graph.buffers[number].data for number in sorted(numbers)]
    return [bytes(data) for data in contents if data is not None]


def test_export_with_other_scores_trains_nothing_and_stores_the_same_integers(
    finished: SmallRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """From another folder than that in which the run was begun with relative paths."""
    run = Path(shutil.copytree(finished.run, tmp_path / "copied"))
    before = checkpoints(run)
    monkeypatch.chdir(tmp_path)
    settings = ("scores.precision=0.8", "scores.calibrate=false")
    with one_thread():
        code = main(["export", "copied", *(part for one in settings for part in ("--set", one))])
    said = capfd.readouterr()
    assert code == 0, said.err
    assert said.out.splitlines() == ["copied/model.tflite", "copied/report.html"]
    assert checkpoints(run) == before
    assert not re.search(r"(?:head|finetune|quantize) \d+/", said.err)

    facts, old = report(run), report(finished.run)
    assert facts["thresholds"]["wanted_precision"] == 0.8
    assert facts["calibration"]["temperature"] == 1.0
    assert old["calibration"]["temperature"] != 1.0
    model = run / "model.tflite"
    assert model.read_bytes() != finished.model.read_bytes()
    weights = stored(model)
    assert len(weights) > 100
    assert weights == stored(finished.model)
    labels = [[picture["predicted"] for picture in one["pictures"]] for one in (facts, old)]
    assert labels[0] == labels[1]


def checkpoints(run: Path) -> dict[str, tuple[int, bytes]]:
    """Name to time and contents."""
    found = (run / "checkpoints").iterdir()
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def report(run: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((run / "report.json").read_text("utf-8"))
    return facts


def test_export_of_what_is_no_run_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tmp_path)]) == 66
    assert capsys.readouterr().err == (
        f"edge-classify: {tmp_path}: holds no run of `edge-classify train`\n"
    )
