"""What scores mean: bins by hand, temperatures that are known because they were put in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    fit_temperature,
    reliability,
    tempered,
)

SCORES = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()))


def drawn(logits: np.ndarray, seed: int) -> np.ndarray:
    """A truth that these logits are right about: drawn with their own probabilities."""
    ends = tempered(logits, 1.0).cumsum(axis=1)
    above = np.random.default_rng(seed).random((len(logits), 1)) > ends
    return np.asarray(above.sum(axis=1))


def example(seed: int = 0, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    logits = np.random.default_rng(seed).normal(0, 2, (count, 4))
    return logits, drawn(logits, seed + 1)


def test_reliability_bins_are_those_worked_out_by_hand() -> None:
    confidence = np.array([0.0, 0.2, 0.5, 0.51, 0.9, 1.0], np.float32)
    correct = np.array([False, True, True, False, True, True])
    low, high = reliability(confidence, correct, bins=2).bins
    assert (low.count, high.count) == (3, 3)
    assert low.confidence == pytest.approx(0.7 / 3)
    assert high.confidence == pytest.approx(2.41 / 3)
    assert (low.accuracy, high.accuracy) == (2 / 3, 2 / 3)


def test_expected_error_is_the_gap_weighted_by_pictures() -> None:
    confidence = np.array([0.3, 0.3, 0.3, 0.9])
    correct = np.array([True, False, False, False])
    # Three pictures: 0.3 against 1 / 3. One: 0.9 against 0.
    expected = 0.75 * (1 / 3 - 0.3) + 0.25 * 0.9
    assert reliability(confidence, correct, bins=2).expected_error == pytest.approx(expected)


def test_expected_error_of_sure_and_right_scores_is_0_and_of_sure_and_wrong_ones_1() -> None:
    assert reliability(np.ones(5), np.ones(5, bool)).expected_error == 0
    assert reliability(np.ones(5), np.zeros(5, bool)).expected_error == 1


def test_reliability_of_no_pictures_has_empty_bins() -> None:
    found = reliability(np.array([]), np.array([], bool))
    assert [one.count for one in found.bins] == [0] * 15
    assert found.expected_error == 0


@given(SCORES)
def test_reliability_puts_every_picture_into_the_bin_of_its_score(
    pictures: list[tuple[float, bool]],
) -> None:
    confidence = np.array([score for score, _ in pictures])
    found = reliability(confidence, np.array([right for _, right in pictures], bool), bins=10)
    assert sum(one.count for one in found.bins) == len(pictures)
    assert 0 <= found.expected_error <= 1
    for number, one in enumerate(found.bins):
        if one.confidence is not None:
            assert number / 10 - 1e-6 <= one.confidence <= (number + 1) / 10 + 1e-6


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_fit_temperature_finds_the_one_that_was_put_in(temperature: float) -> None:
    logits, truth = example(count=20_000)
    assert fit_temperature(logits * temperature, truth) == pytest.approx(temperature, rel=0.05)


@given(st.integers(0, 2**32 - 1))
def test_fit_temperature_is_no_worse_than_its_neighbours(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, truth = rng.normal(0, 3, (30, 3)), rng.integers(0, 3, 30)

    def loss(temperature: float) -> float:
        return float(-np.log(tempered(logits, temperature)[np.arange(30), truth]).sum())

    best = fit_temperature(logits, truth)
    assert COLDEST <= best <= HOTTEST
    for other in (best * 0.99, best * 1.01):
        if COLDEST <= other <= HOTTEST:
            assert loss(best) <= loss(other) + 1e-9


def test_fit_temperature_of_what_cannot_be_told_or_is_always_right_ends_at_a_limit() -> None:
    sure = np.array([[9.0, 0.0], [0.0, 9.0]])
    assert fit_temperature(sure, np.array([0, 1])) == pytest.approx(COLDEST)
    assert fit_temperature(sure, np.array([1, 0])) == pytest.approx(HOTTEST)


def test_fit_temperature_survives_logits_that_overflow_exp() -> None:
    logits = np.array([[1e4, 0.0], [0.0, 1e4], [1e4, 0.0]], np.float32)
    assert np.isfinite(fit_temperature(logits, np.array([0, 1, 1])))
