"""Which label file belongs to a model, and what becomes of one that does not fit."""

from pathlib import Path

import pytest

from edge_classifier.errors import ContractError
from edge_classifier.modelfile.bundle import append_bundle
from edge_classifier.modelfile.label_sources import COMMON_NAMES
from tests.modelfile.model_files import load
from tests.tiny import COLOURS, Tiny, build

CONTENTS = {
    "txt": "2 blue\n0 red\n1 green\n",
    "json": '{"red": 0, "blue": 2, "green": 1}',
    "pbtxt": "item { id: 3 name: 'blue' } item { id: 1 name: 'red' } item { id: 2 name: 'green' }",
}
OWN_NAMES = ("tiny.labels.json", "tiny_labels.pbtxt", "tiny-labels.txt", "tiny.pbtxt")


@pytest.mark.parametrize("name", [*COMMON_NAMES, *OWN_NAMES])
def test_label_file_of_a_usual_name_is_found_and_read_by_its_numbers(
    name: str, tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / name).write_text(CONTENTS[name.rpartition(".")[2]])

    resolved = load(path).resolved

    assert resolved.contract.labels == COLOURS
    assert resolved.labels_from == str(tmp_path / name)


@pytest.mark.parametrize("name", ["tiny.json", "words.txt", "other.labels.txt"])
def test_files_of_other_names_are_left_alone(name: str, tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / name).write_text('["red", "green", "blue"]')

    assert load(path).resolved.labels_from == "none"


def test_label_file_of_the_model_comes_before_one_of_a_common_name(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    (tmp_path / "tiny_labels.txt").write_text("red\ngreen\nblue\n")

    assert load(path).resolved.contract.labels == COLOURS


def test_numbered_labels_inside_the_model_are_read_by_their_numbers(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"labels.txt": CONTENTS["txt"]})

    assert load(path).resolved.contract.labels == COLOURS


@pytest.mark.parametrize("count", [2, 8, 1000])
def test_missing_line_shifts_no_label_and_makes_no_background(count: int, tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny(classes=count + 1))
    mine = tmp_path / "mine.txt"
    mine.write_text("\n".join(f"name {index}" for index in range(count)))

    with pytest.raises(ContractError, match=f"{count} labels for {count + 1} outputs") as caught:
        load(path, labels=mine)

    assert "One label is missing" in str(caught.value)
    assert str(mine) in str(caught.value)


def test_label_map_from_one_has_the_background_at_output_0_or_none(tmp_path: Path) -> None:
    mine = tmp_path / "map.pbtxt"
    mine.write_text(CONTENTS["pbtxt"])

    wide = load(build(tmp_path / "tiny.tflite", Tiny(classes=4)), labels=mine).resolved
    assert wide.contract.labels == ("background", *COLOURS)
    assert any("background" in note for note in wide.notes)

    exact = load(build(tmp_path / "tiny.tflite"), labels=mine).resolved
    assert exact.contract.labels == COLOURS
    assert any("begin at 1" in note for note in exact.notes)


def test_line_that_makes_one_label_too_many_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("# made by hand\nred\ngreen\nblue\n")

    with pytest.raises(ContractError, match=r"4 labels for 3 outputs.*line 1 begins with #"):
        load(build(tmp_path / "tiny.tflite"), labels=mine)


def test_empty_line_is_passed_over_and_told(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("red\n\ngreen\nblue\n")

    resolved = load(build(tmp_path / "tiny.tflite"), labels=mine).resolved

    assert resolved.contract.labels == COLOURS
    assert any("line 2 is empty" in note for note in resolved.notes)


def test_labels_that_outputs_share_are_told(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("cat\ncat\ndog\n")

    resolved = load(build(tmp_path / "tiny.tflite"), labels=mine).resolved

    assert any("outputs 0, 1 have the same label, cat" in note for note in resolved.notes)


@pytest.mark.parametrize("inside", [True, False])
def test_label_file_that_cannot_be_right_is_refused_with_its_name_and_line(
    inside: bool, tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite")
    if inside:
        append_bundle(path, {"labels.txt": "0 red\n2 blue\n"})
    else:
        (tmp_path / "labels.txt").write_text("0 red\n2 blue\n")

    with pytest.raises(ContractError, match="no number 1: line 2") as caught:
        load(path)

    assert "labels.txt" in caught.value.subject
    assert "--labels" in caught.value.remedy
