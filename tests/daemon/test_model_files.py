"""Models that are asked for by name: found, and copied from where the web page has put them."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_classifier.daemon import model_files as module
from edge_classifier.daemon.model_files import UPLOADS_VARIABLE, ModelFiles
from edge_classifier.errors import EdgeClassifierError, MissingFileError, ModelError, OutputError

EMBEDDED = "efficientnet-lite0"


@pytest.fixture
def shelf(tmp_path: Path) -> ModelFiles:
    """With ``mine`` in the folder of whoever has the machine, and ``garden`` uploaded."""
    made = ModelFiles.below(tmp_path, {UPLOADS_VARIABLE: str(tmp_path / "page")})
    for path in (made.own / "mine.tflite", tmp_path / "page/garden.tflite"):
        path.parent.mkdir()
        path.write_bytes(path.stem.encode())
    return made


def page(shelf: ModelFiles) -> Path:
    assert shelf.uploads
    return shelf.uploads


def copies(shelf: ModelFiles) -> set[str]:
    return {path.name for path in shelf.copies.iterdir()} if shelf.copies.exists() else set()


@pytest.mark.parametrize("name", ["mine", "mine.tflite"])
def test_shelf_own_model_is_found_by_name(shelf: ModelFiles, name: str) -> None:
    assert shelf.reference(name) == str(shelf.own / "mine.tflite")


@pytest.mark.parametrize("name", ["garden", "garden.tflite"])
def test_shelf_upload_is_copied_when_it_is_asked_for(shelf: ModelFiles, name: str) -> None:
    path = Path(shelf.reference(name))
    assert path == shelf.copies / "garden.tflite"
    assert path.read_bytes() == b"garden"
    # The page can change its own file, not the one in use.
    (page(shelf) / "garden.tflite").write_bytes(b"changed")
    assert Path(shelf.reference(name)).read_bytes() == b"garden"
    (page(shelf) / "garden.tflite").unlink()
    assert Path(shelf.reference(name)).read_bytes() == b"garden"


def test_shelf_catalogue_wins_over_own_models_and_these_over_uploads(shelf: ModelFiles) -> None:
    for folder in (shelf.own, page(shelf)):
        (folder / f"{EMBEDDED}.tflite").write_bytes(b"")
    (page(shelf) / "mine.tflite").write_bytes(b"")
    assert shelf.reference(EMBEDDED) == EMBEDDED
    assert shelf.reference("mine") == str(shelf.own / "mine.tflite")
    assert copies(shelf) == set()


@pytest.mark.parametrize("in_use", ["garden", "garden.tflite"])
def test_shelf_keeps_the_copy_in_use_and_the_newest(shelf: ModelFiles, in_use: str) -> None:
    for name in ("garden", "street", "yard"):
        (page(shelf) / f"{name}.tflite").write_bytes(name.encode())
        shelf.reference(name, in_use=in_use)
    assert copies(shelf) == {"garden.tflite", "yard.tflite"}


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "missing", "../models/mine", "page/garden", "/x", "garden\0", "\ud800", "a\n"],
)
def test_shelf_name_that_is_none_is_refused(shelf: ModelFiles, name: str) -> None:
    with pytest.raises(MissingFileError, match="no such model"):
        shelf.reference(name)
    assert copies(shelf) == set()


def test_shelf_absolute_path_of_an_upload_is_refused(shelf: ModelFiles) -> None:
    for path in (page(shelf) / "garden.tflite", page(shelf) / "garden"):
        with pytest.raises(MissingFileError, match="no such model"):
            shelf.reference(str(path))


def link(path: Path) -> None:
    secret = path.with_name("secret")
    secret.write_bytes(b"TFL3")
    path.symlink_to(secret)


def holes(path: Path) -> None:
    path.touch()
    os.truncate(path, module.LARGEST_BYTES + 1)


@pytest.mark.parametrize("make", [link, holes, os.mkfifo, Path.mkdir])
def test_shelf_upload_that_is_no_file_of_sensible_size_is_refused(
    shelf: ModelFiles, make: Callable[[Path], None]
) -> None:
    make(page(shelf) / "trap.tflite")
    with pytest.raises(ModelError):
        shelf.reference("trap")
    assert copies(shelf) == set()


def test_shelf_name_that_no_file_can_have_is_refused(shelf: ModelFiles) -> None:
    with pytest.raises(EdgeClassifierError):
        shelf.reference("a" * 1000)


def test_shelf_without_a_page_has_the_others(tmp_path: Path) -> None:
    alone = ModelFiles.below(tmp_path, {})
    assert alone.reference(EMBEDDED) == EMBEDDED
    with pytest.raises(MissingFileError, match=f"Known are {EMBEDDED}"):
        alone.reference("garden")


def test_shelf_page_whose_folder_is_not_there_has_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such model"):
        ModelFiles.below(tmp_path, {UPLOADS_VARIABLE: str(tmp_path / "page")}).reference("garden")


def test_shelf_copy_that_cannot_be_written_is_told(shelf: ModelFiles) -> None:
    shelf.copies.write_bytes(b"")  # As good as a full disk; for root as well.
    with pytest.raises(OutputError, match="cannot be copied"):
        shelf.reference("garden")


def test_shelf_copy_is_for_the_daemon_alone_and_whole(shelf: ModelFiles) -> None:
    beside = shelf.copies / ".garden.tflite.unfinished"
    shelf.copies.mkdir()
    beside.write_bytes(b"what a power cut has left, longer than any model")
    path = Path(shelf.reference("garden"))
    assert path.read_bytes() == b"garden"
    assert not path.is_symlink()
    assert copies(shelf) == {"garden.tflite"}
    assert stat.S_ISREG(path.stat().st_mode)
