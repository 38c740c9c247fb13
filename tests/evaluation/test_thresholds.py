"""Thresholds by hand, in the form the daemon takes; and what they let through."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.config.load import load
from edge_classifier.config.sources import SettingsSources
from edge_classifier.evaluation.matching import NONE
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.thresholds import (
    DEFAULT_ENTER,
    Suggestion,
    enter_of,
    rejection,
    suggest_thresholds,
    thresholds_toml,
)

LABELS = ("cat", "dog", "unknown")


def table(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32)


def of_two(*scores: float) -> np.ndarray:
    """Pictures of which the first label has these scores."""
    return table(*((score, 1 - score, 0.0) for score in scores))


def test_suggested_threshold_is_the_lowest_with_the_wanted_precision() -> None:
    probabilities = of_two(0.95, 0.9, 0.8, 0.7, 0.6)
    truth = np.array([0, 0, 0, 1, 0])
    cat, dog = suggest_thresholds(probabilities, truth, LABELS, 0.95)
    assert (cat.enter, cat.leave) == (0.71, 0.51)
    assert (cat.precision, cat.recall) == (Share(3, 3), Share(3, 4))
    assert (dog.enter, dog.precision, dog.recall) == (None, Share(0, 0), Share(0, 1))


def test_suggested_threshold_allows_as_many_mistakes_as_the_precision_does() -> None:
    truth = np.array([0, 0, 0, 1, 0])
    cat = suggest_thresholds(of_two(0.95, 0.9, 0.8, 0.7, 0.6), truth, LABELS, 0.75)[0]
    assert (cat.enter, cat.precision) == (0.5, Share(4, 5))


def test_suggested_threshold_is_a_half_at_least_however_good_the_scores_are() -> None:
    (cat,) = suggest_thresholds(table((0.4, 0.3, 0.3)), np.array([0]), LABELS, 0.5)
    assert (cat.enter, cat.recall) == (None, Share(0, 1))
    (cat,) = suggest_thresholds(of_two(0.99), np.array([0]), LABELS, 0.5)
    assert (cat.enter, cat.leave) == (0.5, 0.3)


def test_a_float32_score_of_nine_tenths_reaches_a_threshold_of_nine_tenths() -> None:
    # float32 has no 0.9; the wrong one just below must be shut out by 0.9, which lets 0.9 in.
    cat = suggest_thresholds(of_two(0.9, 0.895), np.array([0, 1]), LABELS, 0.99)[0]
    assert (cat.enter, cat.precision) == (0.9, Share(1, 1))


def test_a_label_that_is_never_right_enough_has_no_threshold_but_its_best() -> None:
    (cat, _) = suggest_thresholds(of_two(0.9, 0.9, 0.6), np.array([0, 1, 1]), LABELS, 0.95)
    assert (cat.enter, cat.leave) == (None, None)
    assert (cat.threshold, cat.precision) == (0.61, Share(1, 2))


def test_a_reject_class_and_labels_without_pictures_have_no_suggestion() -> None:
    probabilities = table((0.1, 0.0, 0.9), (0.9, 0.1, 0.0))
    assert [
        one.label for one in suggest_thresholds(probabilities, np.array([2, 0]), LABELS, 0.9)
    ] == ["cat"]


def test_pictures_of_other_things_count_against_the_label_they_are_claimed_for() -> None:
    (cat,) = suggest_thresholds(of_two(0.9, 0.8), np.array([0, NONE]), LABELS, 0.95)
    assert cat.enter == 0.81


@given(
    st.lists(st.tuples(st.floats(0.34, 1), st.integers(-1, 1)), min_size=1),
    st.floats(0.1, 0.99),
)
def test_suggested_thresholds_keep_the_wanted_precision_on_their_pictures(
    pictures: list[tuple[float, int]], wanted: float
) -> None:
    probabilities = of_two(*(score for score, _ in pictures))
    truth = np.array([number for _, number in pictures])
    for one in suggest_thresholds(probabilities, truth, LABELS, wanted):
        number = LABELS.index(one.label)
        best = probabilities.argmax(axis=1) == number
        claimed = best & (probabilities[:, number] >= one.threshold - 5e-7)
        assert one.precision == Share(int((claimed & (truth == number)).sum()), int(claimed.sum()))
        if one.enter is not None and one.leave is not None:
            assert one.precision.value is not None
            assert one.precision.value >= wanted
            assert 0 <= one.leave < one.enter


SUGGESTIONS = (
    Suggestion("cat", 0.71, True, Share(3, 3), Share(3, 4)),
    Suggestion('郁金香 "double"', 0.55, True, Share(9, 9), Share(9, 10)),
    Suggestion("dog", 0.9, False, Share(1, 2), Share(1, 7)),
    Suggestion("cow", 0.5, False, Share(0, 0), Share(0, 7)),
)


def test_thresholds_toml_is_what_the_daemons_settings_take(tmp_path: Path) -> None:
    text = thresholds_toml(SUGGESTIONS, 0.95, "flowers, 24 pictures")
    config = tmp_path / "config.toml"
    config.write_text(text + '\n[cameras.door]\nsource = "0"\n', "utf-8")
    rules = load(SettingsSources(config)).decision.labels
    assert {name: (one.enter, one.leave) for name, one in rules.items()} == {
        "cat": (0.71, 0.51),
        '郁金香 "double"': (0.55, 0.35),
    }


def test_thresholds_toml_tells_its_evidence_and_what_has_no_threshold() -> None:
    text = thresholds_toml(SUGGESTIONS, 0.95, "flowers\n[decision]")
    assert "enter = 0.71  # right in 3 of 3 claims, finds 3 of 4 pictures" in text
    assert "# dog: no threshold reaches 95%; at best 1 of 2 claims are right, at 0.9." in text
    assert "# cow: no threshold reaches 95%; no picture scores 0.5 for it." in text
    assert "\n[decision]\n" not in text


def test_thresholds_toml_of_nothing_is_comments_only() -> None:
    assert tomllib.loads(thresholds_toml(SUGGESTIONS[2:], 0.95, "x")) == {}


def test_rejection_counts_what_is_claimed_wrongly_and_what_is_missed() -> None:
    probabilities = table(
        (0.9, 0.1, 0.0),  # a cat, claimed
        (0.55, 0.4, 0.05),  # a cat, below its threshold
        (0.1, 0.2, 0.7),  # a dog, taken for unknown
        (0.8, 0.1, 0.1),  # something else, claimed to be a cat
        (0.1, 0.1, 0.8),  # something else, seen to be so
        (0.3, 0.6, 0.1),  # something else, of a set without a reject class
    )
    truth = np.array([0, 0, 1, 2, 2, NONE])
    found = rejection(probabilities, truth, LABELS, np.array([0.7, 0.6, 0.5]))
    assert (found.false_accepts, found.false_rejects) == (Share(2, 3), Share(2, 3))


def test_rejection_without_other_pictures_has_no_false_accepts() -> None:
    found = rejection(of_two(0.9, 0.9), np.array([0, 0]), LABELS, np.zeros(3))
    assert (found.false_accepts, found.false_rejects) == (Share(0, 0), Share(0, 2))


def test_enter_of_labels_without_a_suggestion_is_the_daemons_default() -> None:
    assert enter_of(SUGGESTIONS, ("dog", "cat", "fox")) == pytest.approx(
        [DEFAULT_ENTER, 0.71, DEFAULT_ENTER]
    )
