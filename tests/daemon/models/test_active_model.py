"""Models that are asked for by name: found, and copied from where the web page has put them."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_classifier.config.settings import ModelSettings
from edge_classifier.daemon.models import active_model as module
from edge_classifier.daemon.models.active_model import (
    UPLOADS_VARIABLE,
    ModelFiles,
    load_active_model,
)
from edge_classifier.errors import EdgeClassifierError, MissingFileError, ModelError, OutputError
from tests.modelfile.test_model_zip import zip_file
from tests.tiny import Tiny, build

EMBEDDED = "efficientnet-lite0"


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """With ``mine`` in the folder of whoever has the machine, and ``garden`` uploaded."""
    made = ModelFiles.below(tmp_path, {UPLOADS_VARIABLE: str(tmp_path / "page")})
    for path in (made.own / "mine.tflite", tmp_path / "page/garden.tflite"):
        path.parent.mkdir()
        path.write_bytes(path.stem.encode())
    return made


def page(files: ModelFiles) -> Path:
    assert files.uploads
    return files.uploads


def copies(files: ModelFiles) -> set[str]:
    return {path.name for path in files.copies.iterdir()} if files.copies.exists() else set()


@pytest.mark.parametrize("name", ["mine", "mine.tflite"])
def test_model_files_own_model_is_found_by_name(files: ModelFiles, name: str) -> None:
    assert files.reference(name) == str(files.own / "mine.tflite")


@pytest.mark.parametrize("name", ["garden", "garden.tflite"])
def test_model_files_upload_is_copied_when_it_is_asked_for(files: ModelFiles, name: str) -> None:
    path = Path(files.reference(name))
    assert path == files.copies / "garden.tflite"
    assert path.read_bytes() == b"garden"
    # The page can change its own file, not the one in use.
    (page(files) / "garden.tflite").write_bytes(b"changed")
    assert Path(files.reference(name)).read_bytes() == b"garden"
    (page(files) / "garden.tflite").unlink()
    assert Path(files.reference(name)).read_bytes() == b"garden"


def test_model_files_catalogue_wins_over_own_models_and_these_over_uploads(
    files: ModelFiles,
) -> None:
    for folder in (files.own, page(files)):
        (folder / f"{EMBEDDED}.tflite").write_bytes(b"")
    (page(files) / "mine.tflite").write_bytes(b"")
    assert files.reference(EMBEDDED) == EMBEDDED
    assert files.reference("mine") == str(files.own / "mine.tflite")
    assert copies(files) == set()


@pytest.mark.parametrize("in_use", ["garden", "garden.tflite"])
def test_model_files_keeps_the_copy_in_use_and_the_newest(files: ModelFiles, in_use: str) -> None:
    for name in ("garden", "street", "yard"):
        (page(files) / f"{name}.tflite").write_bytes(name.encode())
        files.reference(name, in_use=[in_use])
    assert copies(files) == {"garden.tflite", "yard.tflite"}


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "missing", "../models/mine", "page/garden", "/x", "garden\0", "\ud800", "a\n"],
)
def test_model_files_name_that_is_none_is_refused(files: ModelFiles, name: str) -> None:
    with pytest.raises(MissingFileError, match="no such model"):
        files.reference(name)
    assert copies(files) == set()


def test_model_files_absolute_path_of_an_upload_is_refused(files: ModelFiles) -> None:
    for path in (page(files) / "garden.tflite", page(files) / "garden"):
        with pytest.raises(MissingFileError, match="no such model"):
            files.reference(str(path))


def link(path: Path) -> None:
    secret = path.with_name("secret")
    secret.write_bytes(b"TFL3")
    path.symlink_to(secret)


def holes(path: Path) -> None:
    path.touch()
    os.truncate(path, module.LARGEST_BYTES + 1)


@pytest.mark.parametrize("make", [link, holes, os.mkfifo, Path.mkdir])
def test_model_files_upload_that_is_no_file_of_sensible_size_is_refused(
    files: ModelFiles, make: Callable[[Path], None]
) -> None:
    make(page(files) / "trap.tflite")
    with pytest.raises(ModelError):
        files.reference("trap")
    assert copies(files) == set()


def test_model_files_name_that_no_file_can_have_is_refused(files: ModelFiles) -> None:
    with pytest.raises(EdgeClassifierError):
        files.reference("a" * 1000)


def test_model_files_without_a_page_has_the_others(tmp_path: Path) -> None:
    alone = ModelFiles.below(tmp_path, {})
    assert alone.reference(EMBEDDED) == EMBEDDED
    with pytest.raises(MissingFileError, match=f"Known are {EMBEDDED}"):
        alone.reference("garden")


def test_model_files_page_whose_folder_is_not_there_has_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such model"):
        ModelFiles.below(tmp_path, {UPLOADS_VARIABLE: str(tmp_path / "page")}).reference("garden")


def test_model_files_copy_that_cannot_be_written_is_an_error(files: ModelFiles) -> None:
    files.copies.write_bytes(b"")  # As good as a full disk; for root as well.
    with pytest.raises(OutputError, match="cannot be copied"):
        files.reference("garden")


def test_model_files_copy_is_for_the_daemon_alone_and_whole(files: ModelFiles) -> None:
    beside = files.copies / ".garden.tflite.unfinished"
    files.copies.mkdir()
    beside.write_bytes(b"what a power cut has left, longer than any model")
    path = Path(files.reference("garden"))
    assert path.read_bytes() == b"garden"
    assert not path.is_symlink()
    assert copies(files) == {"garden.tflite"}
    assert stat.S_ISREG(path.stat().st_mode)


def test_active_model_enters_pictures_as_the_setting_says(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny("float32"))

    model = load_active_model(ModelSettings(use=str(path), input_range="0..255"))

    assert model.classifier.contract.input_range == "0 to 255"


def test_active_model_has_the_tree_of_names_that_the_setting_names(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    tree = tmp_path / "mine.tsv"
    tree.write_text("name,parent,zh\nwarm,,暖色\nred,warm\n")

    model = load_active_model(ModelSettings(use=str(path), taxonomy=tree))

    assert [node.name for node in model.taxonomy.nodes] == ["warm"]
    assert model.names("zh")["warm"] == "暖色"


def test_active_model_of_a_zip_has_the_labels_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = build(tmp_path / "tiny.tflite").read_bytes()
    members = {"model.tflite": model, "labels.txt": b"2 c\n0 a\n1 b\n"}
    path = zip_file(tmp_path / "garden.zip", members)

    found = load_active_model(ModelSettings(use=str(path)))

    assert found.labels == ("a", "b", "c")
    assert found.id.startswith("garden@")
