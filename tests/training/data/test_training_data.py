"""What a run learns from and is measured on."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_classifier.dataset.folder import Dataset
from edge_classifier.errors import ConfigurationError, DatasetError, MissingFileError
from edge_classifier.training.data import training_data
from edge_classifier.training.data.training_data import TrainingData, check_and_split, scan_folders
from edge_classifier.training.settings import Data, NetworkSettings, TrainingSettings
from tests.training.shapes import BROKEN, LABELS, disc, draw_classes, draw_other, save, square


@pytest.fixture
def data(tmp_path: Path) -> Data:
    root, other = draw_classes(tmp_path / "shapes", 10), draw_other(tmp_path / "stripes", 6)
    return Data(folder=root, other=other, held_out=0.5)


def checked(data: Data, seed: int = 0) -> TrainingData:
    return check_and_split(
        scan_folders(data), TrainingSettings(data=data, seed=seed), lambda _: None
    )


def counts(dataset: Dataset) -> dict[str, int]:
    return dict(Counter(dataset.labels[sample.label] for sample in dataset.samples))


def test_pictures_are_split_by_class_and_those_that_cannot_be_read_left_out(data: Data) -> None:
    seen: list[int] = []
    found = check_and_split(scan_folders(data), TrainingSettings(data=data), seen.append)
    assert found.labels == LABELS
    assert counts(found.held) == {"disc": 6, "方块": 6, "unknown": 3}
    assert counts(found.learn) == {"disc": 7, "方块": 7, "unknown": 3}
    paths = [{sample.path for sample in side.samples} for side in (found.learn, found.held)]
    assert not paths[0] & paths[1]
    assert not any(path.match(BROKEN) for path in paths[0] | paths[1])
    assert any(BROKEN in line for line in found.check.lines())
    assert len(seen) == 33


def test_contract_has_the_labels_their_names_and_the_networks_size(data: Data) -> None:
    contract = checked(data).contract(NetworkSettings(size=96, crop_fraction=0.9))
    assert (contract.width, contract.height, contract.crop_fraction) == (96, 96, 0.9)
    assert contract.labels == LABELS
    assert contract.names["zh"] == ("圆盘", "方块", "未知")
    assert contract.problems() == []


def test_class_weights_make_each_class_count_as_much(data: Data) -> None:
    found = checked(data)
    weights, learned = found.class_weights(), counts(found.learn)
    totals = [weight * learned[label] for weight, label in zip(weights, LABELS, strict=True)]
    assert totals == pytest.approx([sum(learned.values()) / 3] * 3)


def test_fingerprint_is_that_of_the_pictures_and_of_the_split(data: Data, tmp_path: Path) -> None:
    mark = checked(data).fingerprint
    assert checked(data).fingerprint == mark
    assert data.folder
    moved = data.folder.rename(tmp_path / "elsewhere")
    assert checked(replace(data, folder=moved)).fingerprint == mark
    assert checked(replace(data, folder=moved, held_out=0.4)).fingerprint != mark
    save(moved / "disc/new.png", disc(np.random.default_rng(9)))
    assert checked(replace(data, folder=moved)).fingerprint != mark


def test_seed_decides_who_is_held_out(data: Data) -> None:
    held = [checked(data, seed).held.samples for seed in (0, 0, 1)]
    assert held[0] == held[1]
    assert held[0] != held[2]


def test_of_enough_pictures_one_half_chooses_and_the_other_is_measured_on(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = checked(data)
    assert few.chosen_on
    assert few.choose == few.held
    monkeypatch.setattr(training_data, "ENOUGH_TO_CHOOSE", 7)
    parted = checked(data)
    assert not parted.chosen_on
    assert parted.learn == few.learn
    assert {*parted.choose.samples, *parted.held.samples} == {*few.held.samples}
    assert not {*parted.choose.samples} & {*parted.held.samples}
    assert counts(parted.choose) == {"disc": 3, "方块": 3, "unknown": 2}
    assert counts(parted.held) == {"disc": 3, "方块": 3, "unknown": 1}


def test_own_pictures_are_measured_on_and_all_others_learned_from(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are none of anything else among them: some of those are held out."""
    random = np.random.default_rng(5)
    for number in range(3):
        save(tmp_path / "own/disc" / f"{number}.png", disc(random))
        save(tmp_path / "own/方块" / f"{number}.png", square(random))
    found = checked(replace(data, validation=tmp_path / "own"))
    assert found.held.root == tmp_path / "own"
    assert counts(found.held) == {"disc": 3, "方块": 3, "unknown": 3}
    assert counts(found.learn) == {"disc": 13, "方块": 13, "unknown": 3}
    assert found.chosen_on
    without = checked(replace(data, validation=tmp_path / "own", other=None))
    assert counts(without.held) == {"disc": 3, "方块": 3}
    assert counts(without.learn) == {"disc": 13, "方块": 13}
    monkeypatch.setattr(training_data, "ENOUGH_TO_CHOOSE", 5)
    apart = checked(replace(data, validation=tmp_path / "own"))
    assert apart.held == found.held
    # Half of the share that would be held out.
    assert counts(apart.choose) == {"disc": 3, "方块": 3, "unknown": 1}
    assert {*apart.choose.samples, *apart.learn.samples} == {*found.learn.samples}


def test_class_that_nothing_can_be_learned_of_ends_it_with_all_findings(data: Data) -> None:
    assert data.folder
    for path in (data.folder / "disc").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="disc has no picture that can be read") as raised:
        checked(data)
    assert any("disc/00.png: is not a picture" in line for line in raised.value.lines)


def test_folder_that_is_not_named_or_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"data\.folder: is not set"):
        scan_folders(Data())
    with pytest.raises(MissingFileError, match="no such folder"):
        scan_folders(Data(folder=tmp_path / "nowhere"))
