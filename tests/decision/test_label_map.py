"""Classes become labels: ignored, renamed, added up."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edge_classifier.config.settings import DecisionSettings, Thresholds
from edge_classifier.decision.label_map import LabelMap, label_map
from edge_classifier.decision.name_lines import UnknownLabelsError, positions_of

PETS = ("background", "tabby", "tiger cat", "beagle", "crane", "Crane", "crane")
SCORES = np.array([0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125], np.float32)


def mapped(classes: tuple[str, ...] = PETS, **settings: Any) -> LabelMap:
    return label_map(classes, DecisionSettings(**settings))


def reduced(labels: LabelMap) -> dict[str, float]:
    scores = labels.reduce(SCORES[: len(labels.class_positions)])
    assert scores.dtype == np.float64
    return dict(zip(labels.labels, scores.tolist(), strict=True))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"tabby": 0.25, "tiger cat": 0.125, "beagle": 0.0625, "crane": 0.0390625,
              "Crane": 0.015625}),
        ({"ignore": ("crane", "Crane")}, {"tabby": 0.25, "tiger cat": 0.125, "beagle": 0.0625}),
        ({"ignore": ("CRANE", "TABBY")}, {"tiger cat": 0.125, "beagle": 0.0625}),
        ({"ignore": ("CRANE", "tiger cat")}, {"tabby": 0.25, "beagle": 0.0625}),
        ({"ignore": ("CRANE",), "aliases": {"beagle": "dog"}},
         {"tabby": 0.25, "tiger cat": 0.125, "dog": 0.0625}),
        ({"ignore": ("CRANE",), "aliases": {"Tabby": "cat", "tiger cat": "cat"}},
         {"cat": 0.375, "beagle": 0.0625}),
        ({"ignore": ("CRANE",), "aliases": {"tiger cat": "tabby"}},
         {"tabby": 0.375, "beagle": 0.0625}),
        ({"ignore": ("CRANE",), "groups": {"cat": ("tiger cat", "TABBY")}},
         {"cat": 0.375, "beagle": 0.0625}),
        ({"ignore": ("CRANE",), "groups": {"cat": ("tabby",)}, "aliases": {"tiger cat": "cat"}},
         {"cat": 0.375, "beagle": 0.0625}),
        ({"ignore": ("CRANE",), "groups": {"tabby": ("beagle",)}},
         {"tabby": 0.3125, "tiger cat": 0.125}),
        ({"ignore": ("CRANE",), "groups": {"animal": ("tabby", "tiger cat", "beagle")},
          "aliases": {"background": "background"}}, {"background": 0.5, "animal": 0.4375}),
        ({"ignore": ("CRANE",), "aliases": {"beagle": "Unknown"}},
         {"tabby": 0.25, "tiger cat": 0.125}),
    ],
)  # fmt: skip
def test_label_map_each_setting_gives_these_labels_in_the_order_of_their_classes(
    settings: Mapping[str, Any], expected: dict[str, float]
) -> None:
    labels = mapped(**settings)
    assert reduced(labels) == expected
    assert labels.labels == tuple(expected)
    assert dict(labels.position) == {name: index for index, name in enumerate(expected)}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("a", "b", "c"), ("a", "b", "c")),
        (("a", "Background", "c"), ("a", "c")),
        (("背景", "b"), ("b",)),
        (("a", "unknown", "未知"), ("a",)),
        (("UNKNOWN", "a"), ("a",)),
    ],
)
def test_label_map_background_and_unknown_are_no_labels(
    labels: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    found = mapped(labels)
    assert found.labels == expected
    kept = [labels.index(name) for name in expected]
    assert found.reduce(SCORES[: len(labels)]).tolist() == SCORES[kept].tolist()


def test_reduce_sums_of_scores_that_do_not_share_one_are_clipped_to_one() -> None:
    labels = mapped(("a", "b", "c"), groups={"both": ("a", "b")})
    assert labels.reduce(np.array([0.75, 0.5, 0.25], np.float32)).tolist() == [1.0, 0.25]


@pytest.mark.parametrize("groups", [{}, {"both": ("a", "b")}])
def test_reduce_result_shares_no_memory_with_the_scores(
    groups: Mapping[str, tuple[str, ...]],
) -> None:
    scores = np.array([0.5, 0.25, 0.125], np.float32)
    result = mapped(("a", "b", "c"), groups=groups).reduce(scores)
    result[:] = 9
    assert scores.tolist() == [0.5, 0.25, 0.125]


@pytest.mark.parametrize("groups", [{}, {"both": ("tabby", "beagle")}])
@pytest.mark.parametrize("classes", [1, 6, 8])
def test_reduce_scores_of_another_model_are_refused(
    groups: Mapping[str, tuple[str, ...]], classes: int
) -> None:
    with pytest.raises(ValueError, match="for 7 classes"):
        mapped(groups=groups).reduce(np.zeros(classes, np.float32))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"ignore": ("tabbi",)}, "ignore: 'tabbi' is no label of this model; similar: 'tabby'"),
        ({"ignore": ("zebra",)}, "ignore: 'zebra' is no label of this model"),
        ({"aliases": {"TIGERCAT": "cat"}},
         "aliases: 'TIGERCAT' is no label of this model; similar: 'tiger cat'"),
        ({"groups": {"dog": ("eagle",)}},
         "groups.dog: 'eagle' is no label of this model; similar: 'beagle'"),
        ({"labels": {"Beagles": Thresholds()}}, "labels.Beagles: no such label; similar: 'beagle'"),
        ({"labels": {"tabby": Thresholds()}, "groups": {"cat": ("tabby",)}},
         "labels.tabby: it is ignored, or counts as another label"),
        ({"labels": {"background": Thresholds()}},
         "labels.background: it is ignored, or counts as another label"),
        ({"ignore": ("Tabby",), "groups": {"cat": ("tabby",)}},
         "groups.cat: 'tabby' is ignored already"),
        ({"aliases": {"tabby": "puss"}, "groups": {"cat": ("tabby",)}},
         "groups.cat: 'tabby' counts as 'puss' already"),
        ({"groups": {"bird": ("Crane",), "machine": ("CRANE",)}},
         "groups.machine: 'CRANE' counts as 'bird' already"),
    ],
)  # fmt: skip
def test_label_map_a_setting_for_labels_that_are_not_there_is_named(
    settings: Mapping[str, Any], problem: str
) -> None:
    with pytest.raises(UnknownLabelsError) as caught:
        mapped(**settings)
    assert caught.value.problems == (problem,)


def test_label_map_every_problem_is_reported_at_once() -> None:
    with pytest.raises(UnknownLabelsError) as caught:
        mapped(
            ignore=("emu",),
            aliases={"yak": "cow"},
            groups={"cat": ("tabby", "ocelot")},
            labels={"dingo": Thresholds()},
        )
    told = [problem.split(":")[0] for problem in caught.value.problems]
    assert told == ["ignore", "aliases", "groups.cat", "labels.dingo"]
    assert str(caught.value).splitlines() == list(caught.value.problems)


@pytest.mark.parametrize("labels", [("a", "b"), ("background", "b", "a")])
def test_label_map_nothing_left_is_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(UnknownLabelsError, match="no label is left"):
        mapped(labels, ignore=("a", "b"))


def test_positions_of_takes_a_letter_with_its_accent_in_either_form() -> None:
    composed, decomposed = "Bl\u00e4sshuhn", "Bla\u0308sshuhn"
    assert positions_of(decomposed, ("a", composed)) == [1]
    assert positions_of(composed.upper(), ("a", decomposed)) == [1]
    assert label_map(("a", decomposed), DecisionSettings(ignore=(composed,))).labels == ("a",)


@pytest.mark.parametrize(
    ("wanted", "found"), [("crane", [4, 6]), ("Crane", [5]), ("CRANE", [4, 5, 6]), ("cran", [])]
)
def test_positions_of_the_very_name_goes_before_other_cases(wanted: str, found: list[int]) -> None:
    assert positions_of(wanted, PETS) == found
