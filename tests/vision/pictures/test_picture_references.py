"""Files, folders and patterns give pictures in order; what cannot be read is said."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_classifier.errors import ExitCode, MissingFileError, PictureError
from edge_classifier.vision.pictures import find_pictures, load_picture
from tests.rights import as_ordinary_user, closed_folder
from tests.vision.pictures.picture_files import corners, pixels_of, quarters, saved


def test_missing_picture_is_reported_as_missing(tmp_path: Path) -> None:
    path = str(tmp_path / "none.jpg")

    with pytest.raises(MissingFileError) as caught:
        load_picture(path)
    with pytest.raises(MissingFileError):
        list(find_pictures([path]))

    assert caught.value.exit_code == ExitCode.MISSING_FILE
    assert path in str(caught.value)


def test_folder_as_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="cannot be read"):
        load_picture(str(tmp_path))


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of pictures and other things, with names as people give them."""
    folder = tmp_path / "album"
    names = [
        "b.JPG",
        "a.png",
        "Été à Zürich.jpeg",
        "猫 在 箱子.webp",
        "sub/deeper/c.Tiff",
        "sub/d.gif",
    ]
    for name in [*names, "notes.txt", "film.mp4", "sub/.hidden"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_folder_gives_its_pictures_recursively_and_sorted(album: Path) -> None:
    found = [str(Path(name).relative_to(album)) for name in find_pictures([str(album)])]

    assert found == [
        "a.png",
        "b.JPG",
        "Été à Zürich.jpeg",
        "猫 在 箱子.webp",
        "sub/d.gif",
        "sub/deeper/c.Tiff",
    ]


def test_glob_gives_matching_files_sorted(album: Path) -> None:
    found = [Path(name).name for name in find_pictures([f"{album}/*.[jJ]*"])]
    deep = [Path(name).name for name in find_pictures([f"{album}/**/*.[tT]iff"])]

    assert found == ["b.JPG", "Été à Zürich.jpeg"]
    assert deep == ["c.Tiff"]


def test_references_keep_the_order_in_which_they_were_given(album: Path) -> None:
    given = [str(album / "b.JPG"), "-", str(album / "sub"), str(album / "notes.txt")]

    names = [Path(name).name for name in find_pictures(given)]

    assert names == ["b.JPG", "-", "d.gif", "c.Tiff", "notes.txt"]


def test_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "cat [1]*.png", quarters())

    assert list(find_pictures([str(path)])) == [str(path)]


@pytest.mark.parametrize("name", ["mit Leerzeichen.png", "сова.png", "-f.png", "a\nb.png"])
def test_picture_with_an_uncommon_name_is_decoded(name: str, tmp_path: Path) -> None:
    path = saved(tmp_path / name, quarters())

    assert list(find_pictures([str(tmp_path)])) == [str(path)]
    assert corners(pixels_of(path)) == "rgbw"


def test_picture_whose_name_is_no_unicode_is_decoded(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(name, "wb") as file:  # noqa: PTH123 (Path takes no bytes)
        quarters().save(file, "PNG")

    (found,) = find_pictures([str(tmp_path)])

    assert os.fsencode(found) == name
    assert corners(pixels_of(found)) == "rgbw"


def test_empty_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(MissingFileError, match="no picture"):
        list(find_pictures([str(tmp_path)]))


def test_glob_without_a_match_is_reported(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="matches no file"):
        list(find_pictures([f"{tmp_path}/*.jpg"]))


def test_name_that_is_too_long_is_reported_as_missing() -> None:
    with pytest.raises(MissingFileError):
        list(find_pictures(["x" * 5_000 + ".jpg"]))


def test_empty_name_is_not_taken_for_the_current_folder(album: Path) -> None:
    """It is what an unset shell variable leaves, and must not classify whatever lies around."""
    with pytest.raises(MissingFileError):
        list(find_pictures([""]))


def test_folder_with_a_pipe_in_it_does_not_wait_for_the_pipe(album: Path) -> None:
    os.mkfifo(album / "camera.jpg")

    assert "camera.jpg" not in [Path(name).name for name in find_pictures([str(album)])]


def test_folder_with_a_broken_link_gives_it_so_that_it_is_reported(album: Path) -> None:
    (album / "gone.jpg").symlink_to(album / "nowhere.jpg")

    (gone,) = (name for name in find_pictures([str(album)]) if name.endswith("gone.jpg"))

    with pytest.raises(MissingFileError):
        load_picture(gone)


def test_folder_with_a_link_to_itself_ends(album: Path) -> None:
    (album / "round").symlink_to(album)

    assert len(list(find_pictures([str(album)]))) == 6


@pytest.fixture
def closed() -> Iterator[Path]:
    """See ``closed_folder``."""
    with closed_folder() as folder:
        yield folder


def problem_of(reference: str) -> str:
    """What is wrong with one picture."""
    with pytest.raises(PictureError) as caught:
        load_picture(reference)
    return caught.value.problem


def test_unreadable_folder_is_reported_with_the_reason(closed: Path) -> None:
    """Not as an empty one."""
    with as_ordinary_user():
        assert list(find_pictures([str(closed)])) == [str(closed)]
        assert problem_of(str(closed)) == "cannot be read (Permission denied)"


def test_unreadable_folder_inside_another_is_reported_after_the_rest(closed: Path) -> None:
    """It neither goes unmentioned nor keeps the others from being classified."""
    with as_ordinary_user():
        first, last = find_pictures([str(closed.parent)])
        assert Path(first).name == "secret.png"
        assert problem_of(last) == "cannot be read (Permission denied)"


@pytest.mark.parametrize("name", ["closed/cat.png", "secret.png"])
def test_unreadable_picture_is_reported_with_the_reason(name: str, closed: Path) -> None:
    with as_ordinary_user():
        (found,) = find_pictures([str(closed.parent / name)])
        assert problem_of(found) == "cannot be read (Permission denied)"


def test_file_larger_than_any_picture_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    with path.open("wb") as file:
        file.truncate(256_000_001)

    with pytest.raises(PictureError, match="larger than 256 MB"):
        load_picture(str(path))
