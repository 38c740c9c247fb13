"""Which of a model's labels a class folder means."""

import pytest

from edge_classifier.evaluation.matching import NONE, match, says_nothing, says_unknown, similar

KNOWN = ("background", "Hot Dog", "tench, Tinca tinca", "daisy", "crane", "Crane")
NAMES = {"zh": ("背景", "热狗", "丁鱥", "雏菊", "鹤", "起重机")}


@pytest.mark.parametrize(
    ("label", "number"),
    [
        ("daisy", 3),
        ("DAISY", 3),
        ("hot_dog", 1),
        ("hot-dog", 1),
        ("雏菊", 3),
        ("tench, Tinca tinca", 2),
        ("tench", 2),
        ("tinca TINCA", 2),
        ("Crane", 5),
        ("CRANE", 4),
        ("unknown", NONE),
        ("Unknown", NONE),
        ("未知", NONE),
        ("dasy", None),
        ("", None),
    ],
)
def test_match_finds_the_label_that_a_folder_means(label: str, number: int | None) -> None:
    assert match([label], {}, KNOWN, NAMES) == (number,)


def test_match_by_a_display_name_of_the_folder() -> None:
    names = {"en": ("hot dog", "castle"), "zh": ("雏菊", "雏菊")}
    assert match(["n07697537", "castle"], names, KNOWN, NAMES) == (1, 3)


def test_match_unknown_in_a_model_that_has_it_is_that_label() -> None:
    assert match(["unknown", "cat"], {}, ("cat", "unknown"), {}) == (1, 0)


def test_similar_labels_are_found_in_any_language_and_case() -> None:
    assert similar("DAISIES", KNOWN, NAMES) == ("daisy",)
    assert similar("丁鱥鱼", KNOWN, NAMES) == ("丁鱥",)
    assert similar("zzz", KNOWN, NAMES) == ()


def test_labels_that_are_never_decided_on_are_known_by_their_names() -> None:
    assert [says_nothing(label) for label in ("Unknown", "未知", "background", "cat")] == [
        True,
        True,
        True,
        False,
    ]
    assert not says_unknown("background")
