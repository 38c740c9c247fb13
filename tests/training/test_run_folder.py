"""A run's folder says what was run, and keeps what was learned from being mixed up."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier.errors import ConfigurationError, MissingFileError, OutputError
from edge_classifier.training import run_folder
from edge_classifier.training.settings import (
    Augment,
    Finetune,
    Machine,
    Quantize,
    Scores,
    TrainingSettings,
)
from edge_classifier.training.train.plan import Stage
from tests.smalldisk import fill, tmpfs

SETTINGS = TrainingSettings(seed=5)
MARK = "f" * 64


def begin_stages(folder: Path, *stages: Stage) -> None:
    """As if these had left their checkpoints."""
    run_folder.write_run_facts(folder, SETTINGS, MARK, resume=False)
    (folder / "checkpoints").mkdir()
    for stage in stages:
        (folder / f"checkpoints/{stage}-last.ckpt").touch()


def test_begun_run_says_with_what(tmp_path: Path) -> None:
    run_folder.write_run_facts(tmp_path / "deep/run", SETTINGS, MARK, resume=False)
    facts = json.loads((tmp_path / "deep/run/run.json").read_text("utf-8"))
    assert (facts["seed"], facts["data"]) == (5, MARK)
    assert facts["versions"] == run_folder.versions()
    assert run_folder.require_settings(tmp_path / "deep/run") == SETTINGS
    assert sorted(path.name for path in (tmp_path / "deep/run").iterdir()) == [
        run_folder.FACTS_FILE,
        run_folder.SETTINGS_FILE,
    ]


def test_run_that_has_learned_nothing_yet_is_begun_again(tmp_path: Path) -> None:
    run_folder.write_run_facts(tmp_path, SETTINGS, MARK, resume=False)
    run_folder.write_run_facts(tmp_path, replace(SETTINGS, seed=6), MARK, resume=False)
    assert run_folder.require_settings(tmp_path).seed == 6


def test_run_that_has_learned_something_is_refused(tmp_path: Path) -> None:
    begin_stages(tmp_path, "head")
    with pytest.raises(ConfigurationError, match=r"holds a run already.*--resume.*another --out"):
        run_folder.write_run_facts(tmp_path, SETTINGS, MARK, resume=False)


@pytest.mark.parametrize(
    ("stages", "changed"),
    [
        (["head"], TrainingSettings(seed=5, augment=Augment(flip=False))),
        (["head"], TrainingSettings(seed=5, finetune=Finetune(rate=0.5))),
        (["head", "finetune"], TrainingSettings(seed=5, quantize=Quantize(epochs=5))),
        (
            ["head", "finetune", "quantize"],
            TrainingSettings(seed=5, scores=Scores(precision=0.5), machine=Machine(workers=3)),
        ),
    ],
)
def test_what_no_begun_stage_depends_on_may_change(
    stages: list[Stage], changed: TrainingSettings, tmp_path: Path
) -> None:
    begin_stages(tmp_path, *stages)
    run_folder.write_run_facts(tmp_path, changed, MARK, resume=True)
    assert run_folder.require_settings(tmp_path) == changed


@pytest.mark.parametrize(
    ("stages", "changed", "said"),
    [
        (["head"], TrainingSettings(seed=6), "seed was 5, is 6"),
        (
            ["head", "finetune"],
            TrainingSettings(seed=5, augment=Augment(zoom=0.5)),
            "augment.zoom was",
        ),
        (
            ["head", "finetune", "quantize"],
            TrainingSettings(seed=5, quantize=Quantize(epochs=5, batch=8)),
            f"quantize.epochs was {Quantize().epochs}, is 5, quantize.batch was 32, is 8",
        ),
    ],
)
def test_what_a_begun_stage_depends_on_may_not_change(
    stages: list[Stage], changed: TrainingSettings, said: str, tmp_path: Path
) -> None:
    begin_stages(tmp_path, *stages)
    with pytest.raises(ConfigurationError, match="was begun with other settings") as raised:
        run_folder.write_run_facts(tmp_path, changed, MARK, resume=True)
    assert said in str(raised.value)
    assert run_folder.require_settings(tmp_path) == SETTINGS


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    begin_stages(tmp_path, "head")
    with pytest.raises(ConfigurationError, match="other pictures, or another share"):
        run_folder.write_run_facts(tmp_path, SETTINGS, "0" * 64, resume=True)


@pytest.mark.parametrize("content", ["", "{}", "[]"])
def test_folder_that_does_not_say_which_pictures_is_refused(content: str, tmp_path: Path) -> None:
    begin_stages(tmp_path, "head")
    (tmp_path / run_folder.FACTS_FILE).write_text(content, "utf-8")
    said = r"run\.json: does not say any more which pictures"
    with pytest.raises(ConfigurationError, match=said):
        run_folder.write_run_facts(tmp_path, SETTINGS, MARK, resume=True)


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        (TrainingSettings(seed=6), {"head": True, "finetune": True, "quantize": True}),
        (
            TrainingSettings(seed=5, finetune=Finetune(rate=0.5)),
            {"head": False, "finetune": True, "quantize": True},
        ),
        (
            TrainingSettings(seed=5, quantize=Quantize(rate=0.5)),
            {"head": False, "finetune": False, "quantize": True},
        ),
        (
            TrainingSettings(seed=5, machine=Machine(device="cpu")),
            {"head": False, "finetune": False, "quantize": False},
        ),
    ],
)
def test_signature_differs_where_the_result_would(
    changed: TrainingSettings, differs: Mapping[Stage, bool]
) -> None:
    for stage, expected in differs.items():
        one, other = (run_folder.signature(stage, each, MARK) for each in (SETTINGS, changed))
        assert (one != other) is expected
        assert run_folder.signature(stage, SETTINGS, "other pictures") != one


def test_folder_without_a_run_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="holds no run"):
        run_folder.require_settings(tmp_path)


def test_text_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "1m") as disk:
        path = disk / "text"
        run_folder.write(path, "old")
        fill(disk)
        with pytest.raises(OutputError, match=r"text: cannot be written \(No space"):
            run_folder.write(path, "new" * 100_000)
        assert path.read_text("utf-8") == "old"
        assert sorted(found.name for found in disk.iterdir()) == ["filler", "text"]
