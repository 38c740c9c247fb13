"""Label files, and fitting them to a model's outputs."""

from types import MappingProxyType

import pytest

from edge_classifier.core.contract import Contract
from edge_classifier.core.labels.labels import (
    LabelCountError,
    display_names,
    fit_labels,
    node_names,
    parse_labels,
    unknown_name,
)
from edge_classifier.core.labels.taxonomy import Taxonomy, TaxonomyNode


def contract(*labels: str, **names: tuple[str, ...]) -> Contract:
    return Contract(8, 8).with_labels(labels, names)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("cat\ndog", ("cat", "dog")),
        ("great white shark\ntiger shark\n", ("great white shark", "tiger shark")),
        ("猫\n狗\n", ("猫", "狗")),
        ("  cat \n\tdog\n", ("cat", "dog")),
        ("cat\n", ("cat",)),
        ("", ()),
        ("\n\n", ()),
    ],
)
def test_parse_labels_plain_file_gives_its_lines(text: str, labels: tuple[str, ...]) -> None:
    assert parse_labels(text) == labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("0  background\n1  great white shark\n", ("background", "great white shark")),
        ("0 cat\n1 dog\n2 cow\n", ("cat", "dog", "cow")),
        ("0\tcat\n1\tdog\n", ("cat", "dog")),
        ("  0  cat\n  1  dog\n", ("cat", "dog")),
        ("0  cat\r\n1  dog\r\n\r\n", ("cat", "dog")),
        ("0  7 up\n1  2 by 4\n", ("7 up", "2 by 4")),
    ],
)
def test_parse_labels_numbered_coral_file_loses_its_numbers(
    text: str, labels: tuple[str, ...]
) -> None:
    assert parse_labels(text) == labels


def test_parse_labels_numbered_file_of_a_thousand_loses_its_numbers() -> None:
    text = "".join(f"{index}  label of {index}\n" for index in range(1001))
    assert parse_labels(text) == tuple(f"label of {index}" for index in range(1001))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("0 degrees\nwarm\n", ("0 degrees", "warm")),
        ("3 toed sloth\ncat\n", ("3 toed sloth", "cat")),
        ("0 cat\n2 dog\n", ("0 cat", "2 dog")),
        ("1 cat\n2 dog\n", ("1 cat", "2 dog")),
        ("1 cat\n0 dog\n", ("1 cat", "0 dog")),
        ("0\n1\n2\n", ("0", "1", "2")),
        ("0: cat\n1: dog\n", ("0: cat", "1: dog")),
        ("00 cat\n01 dog\n", ("00 cat", "01 dog")),
    ],
)
def test_parse_labels_numbers_that_are_no_line_numbers_are_kept(
    text: str, labels: tuple[str, ...]
) -> None:
    assert parse_labels(text) == labels


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("blank_lines", [0, 1, 3])
@pytest.mark.parametrize("numbers", [("", ""), ("0  ", "1  ")])
def test_parse_labels_byte_order_mark_line_ends_and_blank_ends_are_dropped(
    newline: str, start: str, blank_lines: int, numbers: tuple[str, str]
) -> None:
    lines = [f"{numbers[0]}cat", f"{numbers[1]}dog"]
    assert parse_labels(start + newline.join(lines + [""] * blank_lines)) == ("cat", "dog")


def test_parse_labels_blank_line_in_between_keeps_its_place() -> None:
    assert parse_labels("cat\n\ndog\n") == ("cat", "", "dog")


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0", "\u3000"])
def test_parse_labels_any_space_keeps_words_apart(space: str) -> None:
    (label,) = parse_labels(f"great{space}white{space}shark\n")
    assert label.split() == ["great", "white", "shark"]


def test_fit_labels_one_an_output_changes_nothing() -> None:
    given = contract("cat", "dog", zh=("猫", "狗"))
    fitted = fit_labels(given, 2)
    assert fitted.contract == given
    assert fitted.note == ""


def test_fit_labels_one_output_more_is_no_background_unless_that_is_known() -> None:
    with pytest.raises(LabelCountError, match="2 labels for 3 outputs"):
        fit_labels(contract("cat", "dog"), 3)


def test_fit_labels_one_output_more_that_is_known_is_background_and_said() -> None:
    given = contract("cat", "dog", en=("cat", "dog"), zh=("猫", "狗"), de=("Katze", "Hund"))
    fitted = fit_labels(given, 3, has_background=True)
    assert fitted.contract.labels == ("background", "cat", "dog")
    assert fitted.contract.names == {
        "en": ("background", "cat", "dog"),
        "zh": ("背景", "猫", "狗"),
        "de": ("background", "Katze", "Hund"),
    }
    assert "background" in fitted.note
    assert fitted.contract.problems() == []


@pytest.mark.parametrize("first", ["background", "Background", "BACKGROUND"])
def test_fit_labels_background_without_an_output_is_dropped_and_said(first: str) -> None:
    fitted = fit_labels(contract(first, "cat", "dog", zh=("背景", "猫", "狗")), 2)
    assert fitted.contract.labels == ("cat", "dog")
    assert fitted.contract.names == {"zh": ("猫", "狗")}
    assert "background" in fitted.note
    assert fitted.contract.problems() == []


def test_fit_labels_imagenet_both_ways_keeps_every_other_label_at_its_output() -> None:
    thousand = ("tench, Tinca tinca", *(f"label {index}" for index in range(1, 1000)))
    wider = fit_labels(contract(*thousand), 1001).contract
    assert wider.labels == ("background", *thousand)
    assert fit_labels(wider, 1000).contract.labels == thousand


@pytest.mark.parametrize(
    ("labels", "outputs"),
    [
        (("cat", "dog"), 4),
        (("cat", "dog"), 1),
        (("cat", "dog", "cow"), 1),
        (("background", "cat"), 3),
        (("background", "cat", "dog"), 1),
        (("cat", "background"), 1),
        (("a",) * 1000, 5),
    ],
)
def test_fit_labels_any_other_difference_is_refused_with_both_numbers(
    labels: tuple[str, ...], outputs: int
) -> None:
    with pytest.raises(LabelCountError, match=rf"^{len(labels)} labels for {outputs} outputs$"):
        fit_labels(contract(*labels), outputs)


def test_fit_labels_none_known_numbers_the_classes_and_says_so() -> None:
    fitted = fit_labels(contract(), 3)
    assert fitted.contract.labels == ("class 0", "class 1", "class 2")
    assert fitted.contract.names == {}
    assert fitted.note


@pytest.mark.parametrize("language", ["zh", "zh-CN", "zh_CN", "zh-Hans-CN", "zh_CN-x"])
def test_display_names_chinese_however_it_is_tagged_is_chinese(language: str) -> None:
    assert display_names(contract("cat", zh=("猫",), en=("cat",)), language) == ("猫",)


def test_display_names_exact_tag_wins_over_the_language_alone() -> None:
    names = {"zh": ("猫",), "zh-TW": ("貓",)}
    assert display_names(Contract(8, 8).with_labels(("cat",), names), "zh-TW") == ("貓",)


@pytest.mark.parametrize("language", ["de", "", "-", "x-klingon", "z", "zhx"])
def test_display_names_language_not_known_gives_the_labels(language: str) -> None:
    assert display_names(contract("cat", zh=("猫",)), language) == ("cat",)


def test_display_names_none_at_all_gives_the_labels() -> None:
    assert display_names(contract("cat"), "zh") == ("cat",)


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("en", "unknown"),
        ("en-GB", "unknown"),
        ("zh", "未知"),
        ("zh-CN", "未知"),
        ("zh_CN", "未知"),
        ("de", "unknown"),
        ("", "unknown"),
    ],
)
def test_unknown_name_follows_the_language(language: str, name: str) -> None:
    assert unknown_name(language) == name


def test_parse_labels_drops_what_cannot_be_printed() -> None:
    assert parse_labels("red\x1b[31m\ngre\x00en\n埃及猫\n") == ("red[31m", "green", "埃及猫")


def test_node_names_are_those_of_the_language_where_a_node_has_one() -> None:
    names = MappingProxyType({"zh": "猫", "zh-TW": "貓"})
    taxonomy = Taxonomy((TaxonomyNode("animal"), TaxonomyNode("cat", 0, names)), (1,), ("",))
    assert node_names(taxonomy, "zh-TW") == ("animal", "貓")
    assert node_names(taxonomy, "zh_CN") == ("animal", "猫")
    assert node_names(taxonomy, "de") == ("animal", "cat")
