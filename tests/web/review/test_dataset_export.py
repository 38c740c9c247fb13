"""The zip of reviewed pictures, as training takes it."""

import io
import tomllib
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from edge_classifier.dataset.folder import scan
from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.records import picture_storage
from edge_classifier.web.review import datasets, verdicts
from tests.conftest import Cli
from tests.web import making

# Bytes of a zip's header of one file, without its name.
_HEADER = 30


def picture(number: int) -> bytes:
    """No two are alike."""
    return making.jpeg((number * 37 % 256, number * 91 % 256, 255 - number), (64 + number, 48))


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create_user("ann", role="reviewer")


def reviewed(ann: User, truth: str, number: int, predicted: str = "cat") -> Record:
    record = making.upload(predicted, picture=picture(number))
    return verdicts.judge(record, "corrected", truth, ann)


def unpacked(folder: Path, least: int = 1) -> Path:
    content = b"".join(datasets.archive(datasets.reviewed(), least))
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.testzip() is None
        file.extractall(folder)
    return folder


def test_dataset_is_taken_by_data_check_as_it_is(ann: User, tmp_path: Path, cli: Cli) -> None:
    for number in range(4):
        reviewed(ann, "cat", number)
        reviewed(ann, "dog", 10 + number)
        reviewed(ann, "unknown", 20 + number)
    done = cli("data", "check", unpacked(tmp_path / "data"))
    assert done.returncode == 0, done.stdout
    assert b"12 pictures, 3 classes" in done.stdout
    assert b"training can start" in done.stdout


def test_dataset_has_what_was_confirmed_and_corrected_and_nothing_else(
    ann: User, tmp_path: Path
) -> None:
    kept = [reviewed(ann, "cat", 1), reviewed(ann, "dog", 2)]
    verdicts.judge(making.upload("cat", picture=picture(3)), "rejected", None, ann)
    making.upload("cat", picture=picture(4))
    verdicts.judge(making.event("cat"), "confirmed", None, ann)  # Has no picture.
    found = unpacked(tmp_path)
    files = {str(path.relative_to(found)) for path in found.rglob("*.jpg")}
    assert files == {f"{one.truth}/{one.picture.sha256}.jpg" for one in kept}
    assert (found / "cat").joinpath(f"{kept[0].picture.sha256}.jpg").read_bytes() == picture(1)


def test_dataset_picture_that_was_seen_twice_is_there_once(ann: User, tmp_path: Path) -> None:
    for _ in range(2):
        reviewed(ann, "cat", 1)
    assert len(list(unpacked(tmp_path).rglob("*.jpg"))) == 1
    assert [one.pictures for one in datasets.classes(datasets.reviewed())] == [1]


def test_dataset_chinese_names_travel_when_all_have_one(ann: User, tmp_path: Path) -> None:
    for number, (name, chinese) in enumerate([("cat", "猫"), ("a/b", "甲")]):
        Label.objects.create(name=name, chinese=chinese)
        reviewed(ann, name, number)
    reviewed(ann, "unknown", 5)
    found = scan(unpacked(tmp_path))
    assert found.labels == ("a_b", "cat", "unknown")
    assert found.names["zh"] == ("甲", "猫", "未知")
    assert found.names["en"] == ("a/b", "cat", "unknown")


def test_dataset_without_all_chinese_names_has_none(ann: User, tmp_path: Path) -> None:
    Label.objects.create(name="cat", chinese="猫")
    reviewed(ann, "cat", 1)
    reviewed(ann, "dog", 2)
    assert not unpacked(tmp_path).joinpath("names.toml").exists()


def test_dataset_picture_that_is_gone_is_left_out_with_its_empty_class(
    ann: User, tmp_path: Path
) -> None:
    for number, name in enumerate(("cat", "dog")):
        Label.objects.create(name=name, chinese="某")
        gone = reviewed(ann, name, number)
    picture_storage.remove(gone.picture.sha256)
    found = unpacked(tmp_path)
    assert [path.name for path in found.iterdir() if path.is_dir()] == ["cat"]
    assert list(tomllib.loads((found / "names.toml").read_text("utf-8"))) == ["cat"]


def test_dataset_labels_with_too_few_pictures_can_be_left_out(ann: User, tmp_path: Path) -> None:
    for number in range(2):
        reviewed(ann, "cat", number)
    reviewed(ann, "dog", 9)
    found = unpacked(tmp_path, least=datasets.ENOUGH)
    assert [path.name for path in found.iterdir()] == ["cat"]


def test_dataset_comes_piece_by_piece(ann: User) -> None:
    for number in range(5):
        reviewed(ann, "cat", number)
    pieces: Iterator[bytes] = datasets.archive(datasets.reviewed())
    assert len(next(pieces)) < _HEADER + len(picture(0)) + 200
    assert len(list(pieces)) == 5


def test_dataset_since_a_day_has_later_pictures_only(ann: User) -> None:
    today = timezone.localdate()
    old = reviewed(ann, "cat", 1)
    Record.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=3))
    new = reviewed(ann, "cat", 2)
    assert list(datasets.reviewed(today)) == [new]
    assert set(datasets.reviewed()) == {old, new}


def test_dataset_page_tells_which_labels_have_too_few(ann: User, reviewer: Client) -> None:
    for number in range(2):
        reviewed(ann, "cat", number)
    reviewed(ann, "dog", 9)
    page = reviewer.get("/review?view=dataset").content.decode()
    assert "too few: training needs 2" in page
    assert "few: measures will be rough" in page


def test_dataset_is_downloaded_as_a_file(ann: User, reviewer: Client) -> None:
    reviewed(ann, "cat", 1)
    answer = reviewer.get("/review/dataset.zip")
    assert answer.headers["Content-Type"] == "application/zip"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="dataset-')
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as file:
        assert len(file.namelist()) == 1


@pytest.mark.parametrize("path", ["/review", "/review/dataset.zip", "/review/compare"])
def test_review_is_for_reviewers(visitor: Client, viewer: Client, path: str) -> None:
    assert viewer.get(path).status_code == 403
    assert visitor.get(path).status_code == 302
