"""Intervals, against published figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.intervals import rise, wilson


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval_is_that_of_published_tables(
    hits: int, count: int, low: float, high: float
) -> None:
    assert wilson(hits, count) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_wilson_interval_holds_the_share_and_stays_within_0_and_1(hits: int, rest: int) -> None:
    low, high = wilson(hits, hits + rest)
    assert 0 <= low <= high <= 1
    if hits + rest:
        assert low <= hits / (hits + rest) <= high


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_interval_of_ten_times_the_pictures_lies_within(hits: int, rest: int) -> None:
    low, high = wilson(hits, hits + rest)
    inner_low, inner_high = wilson(10 * hits, 10 * (hits + rest))
    assert low <= inner_low
    assert inner_high <= high


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    [
        # Newcombe 1998, table II, method 10: 56/70 against 48/80, 9/10 against 3/10, and 0/20 at
        # 10/10 as extremes.
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((0, 10), (10, 10), 0.6075, 1.0),
    ],
)
def test_rise_is_that_of_newcombes_table(
    before: tuple[int, int], after: tuple[int, int], low: float, high: float
) -> None:
    assert rise(before, after) == pytest.approx((low, high), abs=1e-3)


def test_rise_without_observations_says_nothing() -> None:
    low, high = rise((0, 0), (5, 5))
    assert low < 0 < high


@pytest.mark.parametrize(("hits", "count"), [(2, 1), (-1, 5)])
def test_wilson_of_impossible_hits_is_refused(hits: int, count: int) -> None:
    with pytest.raises(ValueError, match=f"{hits} of {count}"):
        wilson(hits, count)
