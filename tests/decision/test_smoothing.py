"""Averages and votes over seconds."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.labels.label_tree import LabelTree, Scores
from edge_classifier.decision.smoothing import (
    ABSTAINED,
    SLOTS,
    VoteRun,
    add_vote,
    exponential_average,
    vote,
    vote_shares,
)

FRACTIONS = st.floats(0, 1)
SECONDS = st.floats(0, 1000)


def of(*scores: float) -> Scores:
    return np.array(scores, np.float64)


@pytest.mark.parametrize(
    ("elapsed_s", "expected"),
    [
        (0.0, 0.0),
        (2.0, 1 - 1 / math.e),
        (2.0 * math.log(2), 0.5),
        (600.0, 1.0),
        (1e9, 1.0),
    ],
)
def test_exponential_what_is_old_fades_by_the_seconds(elapsed_s: float, expected: float) -> None:
    assert exponential_average(of(0.0), of(1.0), elapsed_s, 2.0).tolist() == pytest.approx(
        [expected]
    )
    assert exponential_average(of(1.0), of(0.0), elapsed_s, 2.0).tolist() == pytest.approx(
        [1 - expected]
    )


@settings(deadline=None)
@given(FRACTIONS, FRACTIONS, st.lists(SECONDS, min_size=1, max_size=20), st.floats(0.1, 600))
def test_exponential_of_one_score_does_not_depend_on_how_many_frames_say_it(
    before: float, seen: float, pauses_s: list[float], time_constant_s: float
) -> None:
    average = of(before)
    for pause_s in pauses_s:
        average = exponential_average(average, of(seen), pause_s, time_constant_s)
    once = exponential_average(of(before), of(seen), sum(pauses_s), time_constant_s)
    assert average.tolist() == pytest.approx(once.tolist(), abs=1e-9)


@settings(deadline=None)
@given(FRACTIONS, FRACTIONS, SECONDS, SECONDS)
def test_exponential_comes_nearer_with_time_and_never_passes(
    before: float, seen: float, one_s: float, other_s: float
) -> None:
    early, late = sorted((one_s, other_s))
    far = abs(exponential_average(of(before), of(seen), early, 1.0).item() - seen)
    near = abs(exponential_average(of(before), of(seen), late, 1.0).item() - seen)
    assert near <= far + 1e-12
    assert far <= abs(before - seen) + 1e-12


def test_exponential_very_slow_averages_arrive() -> None:
    """In float32 steps of 4 ms in 600 s would be lost in rounding 0.005 below."""
    average = of(0.59)
    for _ in range(20):
        for _ in range(1000):
            average = exponential_average(average, of(0.6), 0.5, 600.0)
    assert average.item() == pytest.approx(0.6, abs=1e-6)


@pytest.mark.parametrize(
    ("scores", "winner"),
    [((0.7, 0.2), 0), ((0.59, 0.3), ABSTAINED), ((0.3, 0.31), 1), ((0.6, 0.6), 0),
     ((0.59999996, 0.0), 0), ((math.nan, 0.9), ABSTAINED)],
)  # fmt: skip
def test_vote_goes_to_the_best_label_that_reaches_its_own_enter(
    scores: Sequence[float], winner: int
) -> None:
    line = LabelTree([None] * len(scores)).best_line(of(*scores), None)
    assert vote(line, lambda position, _: (0.6, 0.3)[position]) == winner


def shares_of(frames: Sequence[tuple[float, int]], window_s: float) -> list[float]:
    votes: tuple[VoteRun, ...] = ()
    for at_s, winner in frames:
        votes = add_vote(votes, winner, at_s, window_s)
    return list(map(float, vote_shares(votes, 3)))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([(0, 1)], [0, 1, 0]),
        ([(0, ABSTAINED)], [0, 0, 0]),
        ([(0, 0), (1, 1), (2, 1), (3, ABSTAINED)], [0.25, 0.5, 0]),
        ([(0, 0), (1, 1), (2, 1), (10, 1)], [0, 1, 0]),
        ([(0, 0), (9.9, 1)], [0.5, 0.5, 0]),
        ([(0, 0), (0, 0), (0, 0), (0, 1)], [0.75, 0.25, 0]),
        ([(0, 0), (300, 2)], [0, 0, 1]),
    ],
)
def test_votes_are_counted_by_frames_within_the_window(
    frames: list[tuple[float, int]], expected: list[float]
) -> None:
    assert shares_of(frames, 10.0) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-1, 2)), min_size=1, max_size=60))
def test_votes_frames_apart_are_counted_exactly(pauses: list[tuple[int, int]]) -> None:
    """Frames a slot or more apart, and such as come at the same time."""
    at_s, frames = 0, []
    for pause_s, winner in pauses:
        at_s += pause_s
        frames.append((float(at_s), winner))
    window = [winner for time, winner in frames if time > at_s - SLOTS]
    expected = [window.count(label) / len(window) for label in range(3)]
    assert shares_of(frames, float(SLOTS)) == pytest.approx(expected)


def test_votes_of_many_frames_stay_few_entries_and_nearly_exact() -> None:
    """240 frames a second, two in three for label 1; before them as many for label 0."""
    votes: tuple[VoteRun, ...] = ()
    for number in range(4800):
        winner = 0 if number < 2400 else (1, 1, ABSTAINED)[number % 3]
        votes = add_vote(votes, winner, number / 240, 10.0)
        assert len(votes) <= 2 * (SLOTS + 1)
    assert vote_shares(votes, 3).tolist() == pytest.approx([0.0, 2 / 3, 0.0], abs=1e-3)
    for number in range(4800, 6000):
        votes = add_vote(votes, 2, number / 240, 10.0)
    assert vote_shares(votes, 3).tolist() == pytest.approx([0.0, 1 / 3, 0.5], abs=1.5 / SLOTS)
