"""Measures against tables that were worked out by hand, and what holds for any predictions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from edge_classifier.evaluation.measures import (
    ConfusedPair,
    Share,
    class_figures,
    confused_pairs,
    confusion,
    top_k_hits,
)

TRUTH = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 2])
CLASSES = st.integers(0, 3)


def numbers(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def test_share_of_nothing_is_none_and_its_interval_is_everything() -> None:
    found = Share(0, 0).as_dict()
    assert found == {"hits": 0, "count": 0, "share": None, "low": 0.0, "high": 1.0}


def test_confusion_has_a_row_for_the_truth_and_a_column_for_the_prediction() -> None:
    expected = [[3, 1, 0, 0], [1, 2, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]]
    assert_array_equal(confusion(TRUTH, PREDICTED, 4), expected)


def test_confusion_of_no_pictures_is_zero() -> None:
    assert_array_equal(confusion(numbers([]), numbers([]), 2), np.zeros((2, 2)))


@pytest.mark.parametrize("strange", [-1, 3])
def test_confusion_with_a_class_that_there_is_not_is_refused(strange: int) -> None:
    with pytest.raises(ValueError, match="for 3"):
        confusion(numbers([0, strange]), numbers([0, 0]), 3)


@given(st.lists(st.tuples(CLASSES, CLASSES)))
def test_confusion_counts_every_picture_once(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = numbers([t for t, _ in pairs]), numbers([p for _, p in pairs])
    matrix = confusion(truth, predicted, 4)
    assert matrix.sum() == len(pairs)
    assert_array_equal(matrix.sum(axis=1), np.bincount(truth, minlength=4))
    assert_array_equal(matrix.sum(axis=0), np.bincount(predicted, minlength=4))
    assert np.trace(matrix) == np.count_nonzero(truth == predicted)


def test_class_figures_are_those_worked_out_by_hand() -> None:
    first, second, third, fourth = class_figures(confusion(TRUTH, PREDICTED, 4))
    assert (first.hits, first.count, first.predicted) == (3, 4, 6)
    assert (first.precision, first.recall, first.f1) == (0.5, 0.75, 0.6)
    assert (second.precision, second.recall, second.f1) == (2 / 3, 2 / 3, 2 / 3)
    assert (third.precision, third.recall, third.f1) == (1.0, 1 / 3, 0.5)
    assert (fourth.precision, fourth.recall, fourth.f1) == (None, None, None)


@given(st.lists(st.tuples(CLASSES, CLASSES), min_size=1))
def test_f1_is_the_harmonic_mean_of_precision_and_recall(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = numbers([t for t, _ in pairs]), numbers([p for _, p in pairs])
    for one in class_figures(confusion(truth, predicted, 4)):
        if one.precision and one.recall:
            mean = 2 * one.precision * one.recall / (one.precision + one.recall)
            assert one.f1 == pytest.approx(mean)
        else:
            assert not one.f1


def test_confused_pairs_come_most_frequent_first_and_without_the_diagonal() -> None:
    matrix = np.array([[50, 3, 0], [3, 4, 1], [0, 5, 0]])
    assert confused_pairs(matrix, 3) == (
        ConfusedPair(2, 1, 5, 5),
        ConfusedPair(1, 0, 3, 8),
        ConfusedPair(0, 1, 3, 53),
    )
    assert confused_pairs(np.diag([1, 2, 3]), 3) == ()


def test_top_k_hits_of_equal_scores_prefer_the_lower_class() -> None:
    probabilities = np.array([[0.4, 0.4, 0.2], [0.1, 0.1, 0.8]], np.float32)
    assert top_k_hits(probabilities, numbers([1, 1]), 1) == 0
    assert top_k_hits(probabilities, numbers([0, 1]), 1) == 1
    assert top_k_hits(probabilities, numbers([1, 1]), 2) == 1
    assert top_k_hits(probabilities, numbers([1, 1]), 3) == 2


@given(st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=1), st.data())
def test_top_1_hits_are_those_of_the_best_class(rows: list[list[int]], data: st.DataObject) -> None:
    probabilities = np.array(rows, np.float32)
    truth = numbers(data.draw(st.lists(CLASSES, min_size=len(rows), max_size=len(rows))))
    hits = np.count_nonzero(probabilities.argmax(axis=1) == truth)
    assert top_k_hits(probabilities, truth, 1) == hits
