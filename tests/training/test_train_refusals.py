"""What ``edge-classify train`` refuses: it says what, where and what to do, and leaves nothing."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_classifier.cli.main import main
from edge_classifier.installation import how_to_add
from tests.training.shapes import save, square
from tests.training.small_run import SmallRun

MOBILENET = ("--network", "mobilenet-v2")


class Said:
    """Runs ``edge-classify train`` in this process; keeps what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.lines: list[str] = []

    def train(self, *arguments: str | Path) -> int:
        code = main(["train", *map(str, arguments)])
        out, err = self._capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        self.lines = err.splitlines()
        return code

    @property
    def last(self) -> str:
        return self.lines[-1]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


@pytest.fixture
def data(tmp_path: Path, small_run: SmallRun) -> Path:
    """A small folder that nothing is wrong with."""
    root = tmp_path / "data"
    for label in ("disc", "方块"):
        (root / label).mkdir(parents=True)
        for number in range(4):
            shutil.copy(small_run.data / label / f"{number:02}.png", root / label)
    return root


def remove_classes(root: Path) -> None:
    shutil.rmtree(root / "disc")
    shutil.rmtree(root / "方块")


def empty_class(root: Path) -> None:
    (root / "empty").mkdir()


def spoil_class(root: Path) -> None:
    for path in (root / "disc").iterdir():
        path.write_bytes(path.read_bytes()[:100])


def keep_one(root: Path) -> None:
    for path in sorted((root / "方块").iterdir())[1:]:
        path.unlink()


def name_a_class_that_is_not_there(root: Path) -> None:
    (root / "names.toml").write_text('tulip = {zh = "郁金香"}\n', "utf-8")


@pytest.mark.parametrize(
    ("spoil", "code", "expected"),
    [
        (shutil.rmtree, 66, "data: no such folder"),
        (remove_classes, 65, "there is no class folder in it: make one a class"),
        (lambda root: shutil.rmtree(root / "disc"), 65, "there is only one class, 方块: two are"),
        (empty_class, 65, "empty has no picture in it"),
        (
            lambda root: shutil.copy(root / "disc/00.png", root),
            65,
            "pictures in no class folder (1, e.g.",
        ),
        (spoil_class, 65, "error: disc has no picture that can be read"),
        (keep_one, 65, "error: 方块 has no two pictures that differ"),
        (name_a_class_that_is_not_there, 65, "'tulip' is not a class folder"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused(
    spoil: Callable[[Path], object], code: int, expected: str, data: Path, said: Said
) -> None:
    spoil(data)
    run = data.parent / "run"
    assert said.train(data, "--out", run) == code
    assert any(expected in line for line in said.lines), said.lines
    assert not run.exists()


def test_all_that_is_wrong_with_a_folder_is_said_at_once(data: Path, said: Said) -> None:
    empty_class(data)
    shutil.copy(data / "disc/00.png", data / "lost.png")
    assert said.train(data, "--out", data.parent / "run") == 65
    text = "\n".join(said.lines)
    assert "lost.png" in text
    assert "empty has no picture" in text


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["data"], 2, "--out: is missing. Name the folder of this run"),
        (["--out", "run"], 78, "DATA: no folder of pictures is named"),
        (["data", "--out", "run", "--other", "nowhere"], 66, "nowhere: no such folder"),
        (["data", "--out", "run", "--validation", "nowhere"], 66, "nowhere: no such folder"),
        (["data", "--out", "run", "--config", "nowhere.toml"], 66, "nowhere.toml"),
        (["data", "--out", "data/disc/00.png/run"], 73, "cannot be written (Not a directory)"),
        (
            ["data", "--out", "run", *MOBILENET, "--pretrained", "nowhere.pt"],
            66,
            "nowhere.pt: no such check",
        ),
        (["data", "--out", "run", *MOBILENET, "--width", "0.35"], 78, "weights are of width 1.0"),
        (["data", "--out", "run", "--pretrained", "none"], 78, "finetune.batch_norm is trained"),
    ],
)
def test_call_that_cannot_be_meant_is_refused(
    arguments: list[str],
    code: int,
    expected: str,
    data: Path,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(data.parent)
    assert said.train(*arguments) == code
    assert expected in said.last


def test_settings_are_refused_all_at_once_with_where_they_come_from(
    data: Path, said: Said, tmp_path: Path
) -> None:
    file = tmp_path / "train.toml"
    file.write_text("[finetune]\nrate = 0\nunfrezze = 3\n[network]\nsize = 97\n", "utf-8")
    wrong = ("--set", "head.batch=0", "--set", "data.held_out=much")
    assert said.train(data, "--out", tmp_path / "run", "--config", file, *wrong) == 78
    text = "\n".join(said.lines)
    for part in ("finetune.rate", "unfrezze", "network.size", "head.batch", "data.held_out"):
        assert part in text
    assert f"line 2 of {file}" in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["torch", "litert_torch", "safetensors"])
@pytest.mark.parametrize("command", [["train", "--list-models"], ["export", "run"]])
def test_missing_extra_is_named_with_the_way_to_get_it(
    name: str,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    assert main(command) == 69
    assert capsys.readouterr().err == (
        f"edge-classify: {name}: not installed: training needs a workstation's libraries. "
        f"{how_to_add('train')}\n"
    )


def test_checkpoint_of_another_architecture_is_refused_and_the_folder_stays_free(
    data: Path, said: Said, tmp_path: Path
) -> None:
    foreign = tmp_path / "resnet.pt"
    torch.save({"layer1.0.conv1.weight": torch.zeros(8, 3, 3, 3)}, foreign)
    for _ in range(2):
        code = said.train(data, "--out", tmp_path / "run", *MOBILENET, "--pretrained", foreign)
        assert code == 65
        assert f"{foreign}: is not a MobileNetV2" in said.last


def test_checkpoint_of_another_width_is_refused(
    small_run: SmallRun, data: Path, said: Said, tmp_path: Path
) -> None:
    arguments = (*MOBILENET, "--pretrained", small_run.weights, "--width", "0.5")
    assert said.train(data, "--out", tmp_path / "run", *arguments) == 65
    assert "is a MobileNetV2 of width 0.35" in said.last


def test_folder_that_holds_a_run_is_refused_unless_it_is_resumed(
    finished: SmallRun, said: Said
) -> None:
    before = contents(finished.run)
    assert said.train(finished.data, "--out", finished.run) == 78
    assert "holds a run already. Go on with --resume, or name another --out." in said.last
    assert contents(finished.run) == before


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("finetune.rate=0.5", "finetune.rate was 0.0001, is 0.5"),
        ("seed=9", "seed was 7, is 9"),
        ("augment.flip=false", "augment.flip was True, is False"),
    ],
)
def test_resuming_with_other_settings_is_refused_and_the_kept_ones_stay(
    setting: str, expected: str, finished: SmallRun, said: Said
) -> None:
    before = contents(finished.run)
    assert said.train("--out", finished.run, "--resume", "--set", setting) == 78
    assert f"was begun with other settings: {expected}. Name another --out." in said.last
    assert contents(finished.run) == before


def test_resuming_with_other_pictures_is_refused(
    finished: SmallRun, said: Said, tmp_path: Path
) -> None:
    more = Path(shutil.copytree(finished.data, tmp_path / "more"))
    save(more / "disc/new.png", square(np.random.default_rng(5)))
    assert said.train(more, "--out", finished.run, "--resume") == 78
    assert "was begun with other pictures" in said.last


def contents(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}
