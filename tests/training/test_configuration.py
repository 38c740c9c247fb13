"""Settings of a run: from file, assignments and options, in this order; all mistakes at once."""

from pathlib import Path

import pytest

from edge_classifier.errors import ConfigurationError, MissingFileError, UsageError
from edge_classifier.training.load_settings import as_toml, load
from edge_classifier.training.settings import Data, NetworkSettings, TrainingSettings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.toml"
    path.write_text("seed = 1\n[head]\nepochs = 3\nrate = 0.1\n[network]\nsize = 96\n", "utf-8")
    return path


def test_nothing_given_is_all_defaults() -> None:
    assert load(None, (), {}) == TrainingSettings()


def test_options_are_above_assignments_and_those_above_the_file(file: Path) -> None:
    settings = load(file, ["head.epochs=4", "seed=2"], {"seed": 3})
    assert (settings.network.size, settings.head.rate) == (96, 0.1)
    assert settings.head.epochs == 4
    assert settings.seed == 3


def test_all_mistakes_are_named_at_once(file: Path) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write('width = "wide"\n')
    with pytest.raises(ConfigurationError) as raised:
        load(file, ["head.batch=0", "nothing=1"], {"network.size": 100})
    text = "\n".join(raised.value.lines)
    for part in ("line 7 of ", "network.width", "head.batch", "nothing", "network.size"):
        assert part in text
    assert len(raised.value.lines) == 4


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        (
            ["network.name=mobilenet-v2", "network.width=0.5"],
            "width is 0.5; embedded weights are of width 1.0",
        ),
        (["network.width=0.5"], "efficientnet-lite0 has 1.0 only, mobilenet-v2 others"),
        (["network.name=efficientnet-lite0", "network.pretrained=imagenet"], "has embedded"),
        (["network.pretrained=none"], "nothing is learned unless finetune.batch_norm is trained"),
        (["learning_curve=true", "head.epochs=0"], "head.epochs must be more than 0"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(
    assignments: list[str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load(None, assignments, {})


def test_random_weights_are_fine_where_batch_norm_is_trained() -> None:
    wanted = ["network.pretrained=none", "finetune.batch_norm=trained"]
    assert load(None, wanted, {}).network == NetworkSettings(pretrained="none")


def test_paths_come_back_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = ["data.other=b", "network.name=mobilenet-v2", "network.pretrained=c.pt"]
    settings = load(None, wanted, {"data.folder": "a"})
    assert settings.data == Data(folder=tmp_path / "a", other=tmp_path / "b")
    assert settings.network.pretrained == str(tmp_path / "c.pt")
    assert load(None, (), {}).network.pretrained == "embedded"


def test_settings_are_read_back_as_they_were(file: Path, tmp_path: Path) -> None:
    settings = load(file, ['data.folder="/a/ü"', "augment.flip=false"], {})
    written = tmp_path / "written.toml"
    written.write_text(as_toml(settings), "utf-8")
    assert load(written, (), {}) == settings


def test_file_that_is_not_there_and_assignment_that_is_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.toml"):
        load(tmp_path / "none.toml", (), {})
    with pytest.raises(UsageError, match="--set"):
        load(None, ["head.epochs"], {})


def test_file_that_is_no_toml_is_refused_with_the_line(file: Path) -> None:
    file.write_text("seed = 1\nseed =\n", "utf-8")
    with pytest.raises(ConfigurationError, match="line 2"):
        load(file, (), {})
