"""The capture store becomes class folders, and what people did there stays done."""

import json
from pathlib import Path

import pytest

from edge_classifier.core.text import is_printable
from edge_classifier.daemon import picture_files
from edge_classifier.dataset.folder import UNSURE, scan
from edge_classifier.dataset.sorting import DONE, INDEX, Sorted, sort_store
from edge_classifier.errors import MissingFileError, OutputError

BEGIN = 1_760_000_000.0
SEEN = ("cat", "cat", "dog", "unknown")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that the daemon's own store has written: two cats, a dog, and something."""
    return fill(tmp_path / "pictures", *SEEN)


def fill(folder: Path, *labels: str, why: str = "changed", start: int = 0) -> Path:
    kept = picture_files.PictureFiles(folder)
    for number, label in enumerate(labels, start):
        kept.add(
            picture_files.picture_name("door", BEGIN + number, number),
            b"\xff\xd8" + bytes([number]) + b"\xff\xd9",
            {"camera": "door", "why": why, "label": label},
            max_pictures=100,
            max_bytes=10**6,
        )
    return folder


def names(folder: Path) -> dict[str, int]:
    """Number of files in each class folder."""
    return {
        each.name: len(list(each.iterdir())) for each in sorted(folder.iterdir()) if each.is_dir()
    }


def test_index_is_that_of_the_store() -> None:
    assert INDEX == picture_files.INDEX


def test_sort_copies_each_picture_to_the_label_that_was_seen(store: Path, tmp_path: Path) -> None:
    done = sort_store(store, tmp_path / "data")
    assert done == Sorted({"cat": 2, "dog": 1, UNSURE: 1}, 0, 0)
    assert names(tmp_path / "data") == done.copied
    copies = {path.read_bytes() for path in (tmp_path / "data").glob("*/*.jpg")}
    assert copies == {path.read_bytes() for path in store.glob("*/*.jpg")}
    assert scan(tmp_path / "data").labels == ("cat", "dog")


def test_sort_puts_uncertain_pictures_aside_whatever_their_label(tmp_path: Path) -> None:
    store = fill(tmp_path / "pictures", "cat", why="uncertain")
    assert sort_store(store, tmp_path / "data").copied == {UNSURE: 1}


def test_sort_again_adds_what_is_new_and_leaves_what_people_did(
    store: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    sort_store(store, data)
    moved, deleted = sorted((data / "cat").iterdir())
    moved.rename(data / "dog" / moved.name)
    deleted.unlink()
    fill(store, "cat", start=9)
    assert sort_store(store, data) == Sorted({"cat": 1}, 4, 0)
    assert names(data) == {"cat": 1, "dog": 2, UNSURE: 1}
    assert sort_store(store, data) == Sorted({}, 5, 0)


def test_sort_after_a_run_that_was_cut_off_copies_nothing_twice(
    store: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    sort_store(store, data)
    (data / DONE).unlink()
    assert sort_store(store, data) == Sorted({}, 4, 0)


def test_sort_passes_over_pictures_that_the_store_has_dropped(store: Path, tmp_path: Path) -> None:
    next(store.glob("door/*.jpg")).unlink()
    done = sort_store(store, tmp_path / "data")
    assert (sum(done.copied.values()), done.gone) == (3, 1)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "3",
        "{}",
        '{"file": 3}',
        '{"file": "../secret.jpg", "label": "cat"}',
        '{"file": "/etc/passwd", "label": "cat"}',
        '{"file": "a/b/c.jpg"}',
    ],
)
def test_sort_passes_over_lines_that_no_store_writes(
    store: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "secret.jpg").touch()
    with (store / INDEX).open("a") as index:
        index.write(line)
    assert sum(sort_store(store, tmp_path / "data").copied.values()) == len(SEEN)


@pytest.mark.parametrize(
    "label",
    ["../up", "a/b", "/etc", "..", ".hidden", "\x1b[31m", "", None, "x" * 400, "猫" * 200],
)
def test_sort_makes_a_folder_inside_of_any_label(tmp_path: Path, label: str | None) -> None:
    store = tmp_path / "pictures"
    (store / "door").mkdir(parents=True)
    (store / "door/1.jpg").touch()
    (store / INDEX).write_text(json.dumps({"file": "door/1.jpg", "label": label}) + "\n")
    (folder,) = sort_store(store, tmp_path / "data").copied
    assert (tmp_path / "data" / folder / "door-1.jpg").is_file()
    assert is_printable(folder)
    assert not folder.startswith(".")


def test_sort_of_no_store_says_where_it_may_be(store: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"Name .*pictures"):
        sort_store(tmp_path, tmp_path / "data")
    with pytest.raises(MissingFileError, match=f"there is no {INDEX}"):
        sort_store(tmp_path / "nowhere", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_sort_into_what_is_no_folder_cannot_write(store: Path, tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(OutputError, match="data: cannot be written"):
        sort_store(store, tmp_path / "data")
