"""``edge-classify data`` on real pictures, whole ones and spoilt ones."""

import json
import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_classifier import samples
from edge_classifier.cli import data
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.daemon.picture_files import PictureFiles, picture_name
from edge_classifier.dataset.facts import PictureFacts, examine
from edge_classifier.errors import ExitCode, MissingFileError
from edge_classifier.vision.similarity import distance

PHOTOGRAPHS = ("cat.jpg", "espresso.jpg", "raccoon.jpg", "rocket.jpg")


def data_command(*arguments: str | Path) -> ExitCode:
    """What the command returns for these arguments."""
    parser = ArgumentParser()
    data.add_arguments(parser)
    return data.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of two photographs each."""
    for number, name in enumerate(PHOTOGRAPHS):
        path = tmp_path / "data" / ("雏菊", "rose")[number % 2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples.FOLDER / name, path)
    return tmp_path / "data"


def noise(*shape: int, most: int = 256, seed: int = 0) -> Any:
    """Random pixels, in blocks that survive being compressed and shrunk."""
    kind = np.uint16 if most > 256 else np.uint8
    small = np.random.default_rng(seed).integers(0, most, shape, kind)
    return small.repeat(8, axis=0).repeat(8, axis=1)


def examined(*paths: Path) -> list[PictureFacts]:
    facts = examine(paths, workers=2, progress=lambda _: None)
    return [facts[path] for path in paths]


def test_examine_reads_each_kind_of_picture(tmp_path: Path) -> None:
    Image.fromarray(noise(5, 8, 4)).save(tmp_path / "alpha.png")
    Image.fromarray(noise(5, 8, most=65536)).save(tmp_path / "deep.png")
    Image.fromarray(noise(5, 8)).save(tmp_path / "grey.jpg")
    paths = [tmp_path / name for name in ("alpha.png", "deep.png", "grey.jpg")]
    for facts in examined(*paths):
        assert (facts.width, facts.height, facts.problem) == (64, 40, "")


def test_examine_sees_a_turned_picture_upright(tmp_path: Path) -> None:
    upright = Image.fromarray(noise(16, 12, 3))
    upright.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.png", exif=exif)
    first, second = examined(tmp_path / "upright.png", tmp_path / "phone.png")
    assert (first.width, first.height) == (second.width, second.height) == (96, 128)
    assert first.hash == second.hash
    assert first.sha256 != second.sha256


def test_examine_says_what_is_wrong_with_each_and_goes_on(tmp_path: Path) -> None:
    whole = samples.FOLDER / "cat.jpg"
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("a cat")
    (tmp_path / "cut.jpg").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    names = ("empty.jpg", "text.jpg", "cut.jpg", "link.jpg")
    *broken, last = examined(*(tmp_path / name for name in names), whole)
    expected = ("is empty", "is not a picture", "cannot be decoded", "no such file")
    assert all(said in facts.problem for said, facts in zip(expected, broken, strict=True))
    assert last.problem == ""


def test_examine_of_a_large_jpeg_finds_its_small_copy_alike(tmp_path: Path) -> None:
    small = Image.open(samples.FOLDER / "rocket.jpg")
    small.save(tmp_path / "small.png")
    small.resize((small.width * 6, small.height * 6)).save(tmp_path / "large.jpg")
    first, second = examined(tmp_path / "small.png", tmp_path / "large.jpg")
    assert distance(first.hash, second.hash) <= 3


def test_examine_tells_how_many_are_done() -> None:
    done: list[int] = []
    examine([samples.FOLDER / name for name in PHOTOGRAPHS], workers=3, progress=done.append)
    assert done == [1, 2, 3, 4]


def test_data_check_of_sound_pictures_prints_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "names.toml").write_text('rose = {zh = "玫瑰"}', "utf-8")
    assert data_command("check", folder) is ExitCode.OK
    printed = capsys.readouterr()
    lines = [line.split() for line in printed.out.splitlines()]
    assert ["class", "zh", "pictures"] in lines
    assert ["rose", "玫瑰", "2"] in lines
    assert ["雏菊", "雏菊", "2"] in lines
    assert lines[-1] == ["training", "can", "start"]
    assert printed.err == ""


def test_data_check_prints_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "rose/bad.jpg").touch()
    assert data_command("check", folder, "--json", "--other", samples.FOLDER) is ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert [each["label"] for each in found["classes"]] == ["rose", "雏菊", UNKNOWN]
    by_kind = {each["kind"]: each for each in found["found"]}
    assert by_kind["unreadable"]["examples"] == ["rose/bad.jpg: is empty"]
    assert "rose/espresso.jpg = unknown/espresso.jpg" in by_kind["contradiction"]["examples"]


def test_data_check_of_a_class_without_a_readable_picture_is_bad_data(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (folder / "rose").iterdir():
        path.write_bytes(b"")
    assert data_command("check", folder) is ExitCode.BAD_DATA
    printed = capsys.readouterr().out
    assert "error: rose has no picture that can be read" in printed
    assert printed.endswith("training cannot start\n")


def test_data_check_escapes_names_that_a_terminal_must_not_see(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "rose/\x1b[31m.jpg").touch()
    assert data_command("check", folder) is ExitCode.OK
    assert "rose/\\x1b[31m.jpg: is empty" in capsys.readouterr().out


def test_data_check_takes_a_validation_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder / "rose", tmp_path / "measure/Rose")
    assert data_command("check", folder, "--validation", tmp_path / "measure") is ExitCode.OK
    printed = capsys.readouterr().out
    assert "rose/rocket.jpg = measure/Rose/rocket.jpg" in printed
    assert "1 class has no picture to measure on" in printed


def test_data_check_of_nothing_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        data_command("check", tmp_path / "nowhere")


def test_data_sort_fills_class_folders_from_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    album = PictureFiles(tmp_path / "pictures")
    for number, name in enumerate(PHOTOGRAPHS):
        jpeg = (samples.FOLDER / name).read_bytes()
        facts = {"why": "changed", "label": ("cat", UNKNOWN)[number % 2]}
        kept = picture_name("door", 1.7e9 + number, number)
        album.add(kept, jpeg, facts, max_pictures=9, max_bytes=10**7)
    arguments = ("sort", tmp_path / "pictures", "--out", tmp_path / "data")
    assert data_command(*arguments) is ExitCode.OK
    assert capsys.readouterr().out.splitlines()[:3] == [
        "cat\t2",
        "unsure\t2",
        "4 copied, 0 known already, 0 gone",
    ]
    assert data_command(*arguments) is ExitCode.OK
    assert capsys.readouterr().out == "0 copied, 4 known already, 0 gone\n"


def test_flowers_are_checked_and_near_duplicates_found(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert data_command("check", shared / "data/flowers-128", "--json") is ExitCode.OK
    found = json.loads(capsys.readouterr().out)
    assert [each["pictures"] for each in found["classes"]] == [623, 835, 619, 591, 800]
    kinds = {each["kind"]: len(each["examples"]) for each in found["found"]}
    assert kinds == {"contradiction": 2, "copies": 2, "alike": 17}
