"""Class folders become samples: whatever people and their phones leave in them."""

import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from edge_classifier.dataset.facts import examine
from edge_classifier.dataset.folder import UNSURE, Dataset, Sample, scan, scan_like
from edge_classifier.errors import DatasetError, MissingFileError

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Fills a folder with empty files: nobody decodes them here."""

    def files(*names: str, root: str = "data") -> Path:
        for name in names:
            path = tmp_path / root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / root

    return files


def places(dataset: Dataset) -> list[tuple[str, str]]:
    """Label and place of each sample."""
    return [(dataset.labels[s.label], dataset.place(s.path)) for s in dataset.samples]


def problems(root: Path, other: Path | None = None) -> tuple[str, ...]:
    """What ``scan`` says of a folder that it refuses."""
    with pytest.raises(DatasetError) as caught:
        scan(root, other=other)
    return caught.value.lines


def test_scan_numbers_sorted_class_folders_and_sorts_their_pictures(make: Make) -> None:
    root = make("rose/b.jpg", "rose/a.png", "daisy/2023/x.JPG", "daisy/z.webp")
    dataset = scan(root)
    assert dataset.labels == ("daisy", "rose")
    assert dataset.names == {}
    assert places(dataset) == [
        ("daisy", "daisy/2023/x.JPG"),
        ("daisy", "daisy/z.webp"),
        ("rose", "rose/a.png"),
        ("rose", "rose/b.jpg"),
    ]
    assert dataset.samples[0] == Sample(root / "daisy/2023/x.JPG", 0)


@pytest.mark.parametrize("name", ["雏菊", "Róse", "n01440764", "two words", "מגנוליה", "daisy (1)"])
def test_scan_keeps_names_of_folders_as_labels(make: Make, name: str) -> None:
    assert name in scan(make(f"{name}/1.jpg", "other/1.jpg")).labels


def test_scan_of_a_decomposed_name_gives_the_composed_label(make: Make) -> None:
    decomposed = unicodedata.normalize("NFD", "Röschen")
    assert scan(make(f"{decomposed}/1.jpg", "other/1.jpg")).labels == ("Röschen", "other")


def test_scan_leaves_hidden_and_foreign_files_out(make: Make) -> None:
    root = make("a/1.jpg", "a/.DS_Store", "a/._1.jpg", "a/.thumbs/1.jpg", "b/1.jpg", ".DS_Store")
    make(".git/1.jpg", "__MACOSX/a/1.jpg", "a/@eaDir/1.jpg", "readme.txt")
    dataset = scan(root)
    assert places(dataset) == [("a", "a/1.jpg"), ("b", "b/1.jpg")]
    assert dataset.left_out == {}


def test_scan_counts_what_no_decoder_reads(make: Make) -> None:
    root = make("a/1.jpg", "a/1.DNG", "b/2.dng", "b/1.jpg", "b/film.mov", "b/notes")
    (root / "a/more").symlink_to(root / "b")
    left_out = scan(root).left_out
    assert left_out == {".dng": 2, ".mov": 1, "without suffix": 1, "linked folder": 1}


def test_scan_follows_a_linked_class_folder_and_a_linked_picture(make: Make) -> None:
    root = make("a/1.jpg")
    elsewhere = make("x.jpg", root="elsewhere")
    (root / "b").symlink_to(elsewhere)
    (root / "a/2.jpg").symlink_to(elsewhere / "x.jpg")
    assert places(scan(root)) == [("a", "a/1.jpg"), ("a", "a/2.jpg"), ("b", "b/x.jpg")]


def test_scan_of_pictures_nobody_sorted_makes_no_class_of_them_and_says_so(make: Make) -> None:
    dataset = scan(make("a/1.jpg", "b/1.jpg", f"{UNSURE}/1.jpg", f"{UNSURE}/2.jpg"))
    assert dataset.labels == ("a", "b")
    assert dataset.left_out == {"in unsure/": 2}


def test_scan_with_other_makes_unknown_the_last_class(make: Make) -> None:
    other = make("deep/cat.jpg", root="anything")
    dataset = scan(make("zebra/1.jpg", "ant/1.jpg"), other=other)
    assert dataset.labels == ("ant", "zebra", "unknown")
    assert places(dataset)[-1] == ("unknown", "unknown/deep/cat.jpg")


def test_scan_joins_an_own_unknown_folder_with_other(make: Make) -> None:
    root = make("zebra/1.jpg", "Unknown/1.jpg", "ant/1.jpg")
    assert scan(root).labels == ("ant", "zebra", "unknown")
    dataset = scan(root, other=make("cat.jpg", root="anything"))
    assert [place for label, place in places(dataset) if label == "unknown"] == [
        "Unknown/1.jpg",
        "unknown/cat.jpg",
    ]


def test_scan_with_other_inside_the_root_makes_no_second_class_of_it(make: Make) -> None:
    root = make("a/1.jpg", "rest/1.jpg")
    assert scan(root, other=root / "rest").labels == ("a", "unknown")


def test_two_folders_of_one_name_are_not_called_a_single_class(make: Make) -> None:
    with pytest.raises(DatasetError) as refused:
        scan(make("Rose/1.jpg", "rose/1.jpg"))
    assert "only one class" not in str(refused.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["a/1.jpg"], ["only one class, a"]),
        (["readme.txt"], ["no class folder"]),
        (["1.jpg", "2.HEIC", "a/1.jpg", "b/1.jpg"], ["pictures in no class folder (2,"]),
        (["a/1.jpg", "b/1.txt"], ["b has no picture in it, but 1 .txt"]),
        (["a/1.jpg", "b/1.nef"], ["convert them to JPEG"]),
        (["Rose/1.jpg", "rose/1.jpg"], ["'Rose' and 'rose' are the same name"]),
        (["a/1.jpg", "b\x1b[31m/1.jpg"], ["cannot be printed"]),
        (["train/a/1.jpg", "val/a/1.jpg"], ["train, val are not classes", "--validation"]),
        (["0 cat/1.jpg", "1 dog/1.jpg"], ["numbered"]),
        (["1.jpg", "a/1.txt"], ["(1, ", "only one class", "a has no picture"]),
    ],
)
def test_scan_of_a_folder_to_mend_says_everything_at_once(
    make: Make, files: list[str], said: list[str]
) -> None:
    text = "\n".join(problems(make(*files)))
    assert all(part in text for part in said), text
    assert "data: " in text


def test_scan_of_an_empty_other_folder_is_refused(make: Make, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (said,) = problems(make("a/1.jpg", "b/1.jpg"), tmp_path / "nothing")
    assert "nothing has no picture" in said


def test_scan_of_no_folder_is_a_missing_file(make: Make, tmp_path: Path) -> None:
    root = make("a/1.jpg", "b/1.jpg")
    with pytest.raises(MissingFileError, match="no such folder"):
        scan(tmp_path / "nowhere")
    with pytest.raises(MissingFileError, match="is a file"):
        scan(root / "a/1.jpg")
    with pytest.raises(MissingFileError, match="no such folder"):
        scan(root, other=tmp_path / "nowhere")


def test_scan_like_takes_label_numbers_from_the_labels(make: Make) -> None:
    dataset = scan_like(make("Tulip/1.jpg", "daisy/1.jpg"), ("rose", "tulip", "daisy"))
    assert [(s.label, s.path.name) for s in dataset.samples] == [(1, "1.jpg"), (2, "1.jpg")]
    assert dataset.labels == ("rose", "tulip", "daisy")


def test_scan_like_of_a_foreign_class_is_refused(make: Make) -> None:
    with pytest.raises(DatasetError, match="no classes of this name: dog"):
        scan_like(make("cat/1.jpg", "dog/1.jpg"), ("cat", "mouse"))


def test_scan_like_of_a_folder_without_classes_is_refused(make: Make) -> None:
    with pytest.raises(DatasetError, match="no class folder"):
        scan_like(make("readme.txt"), ("cat", "mouse"))


def named(make: Make, text: str, other: Path | None = None) -> Dataset:
    """A dataset of daisy and rose with this ``names.toml``."""
    root = make("daisy/1.jpg", "rose/1.jpg")
    (root / "names.toml").write_text(text, "utf-8")
    return scan(root, other=other)


def test_names_of_a_language_are_complete_with_labels_for_those_that_miss(make: Make) -> None:
    dataset = named(make, '\ufeffdaisy = {zh = "雏菊", en = "Daisy"}\nrose = {en = "Rose"}')
    assert dataset.names == {"en": ("Daisy", "Rose"), "zh": ("雏菊", "rose")}


def test_names_of_unknown_come_by_themselves_and_can_be_given(make: Make) -> None:
    other = make("cat.jpg", root="anything")
    text = 'daisy = {zh = "雏菊", fr = "marguerite"}'
    assert named(make, text, other).names["zh"] == ("雏菊", "rose", "未知")
    text += '\nunknown = {fr = "autre"}'
    assert named(make, text, other).names["fr"] == ("marguerite", "rose", "autre")
    assert named(make, text).names["fr"] == ("marguerite", "rose")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('rouse = {zh = "x"}\ndaisy = 3', ["'rouse' is not a class folder", "daisy is 3"]),
        ('daisy = {zh = 1, en = ""}', ["daisy.zh is 1", "daisy.en is ''"]),
        ('daisy = {"not a tag" = "x"}', ["language tag"]),
        ('daisy = {zh = "\\u001b"}', ["cannot be printed"]),
        ("daisy = {", ["cannot be read"]),
    ],
)
def test_names_that_are_wrong_are_refused_all_at_once(
    make: Make, text: str, said: list[str]
) -> None:
    with pytest.raises(DatasetError) as caught:
        named(make, text)
    assert all(part in str(caught.value) for part in (*said, "names.toml"))


def test_pictures_of_iphones_are_pictures_and_say_what_reads_them_where_nothing_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    pillow_heif.register_heif_opener()
    for label, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / label).mkdir()
        Image.new("RGB", (64, 64), colour).save(tmp_path / label / "1.HEIC", "HEIF")
    paths = [sample.path for sample in scan(tmp_path).samples]
    assert len(paths) == 2
    found = examine(paths, workers=1, progress=lambda _: None)
    assert [found[path].problem for path in paths] == ["", ""]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    found = examine(paths, workers=1, progress=lambda _: None)
    assert ["[heic]" in found[path].problem for path in paths] == [True, True]
