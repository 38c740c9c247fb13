"""Scores over time: fading averages, and majority votes. Times are seconds of any clock."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from math import expm1
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from edge_classifier.core.labels.label_tree import Rung, Scores
from edge_classifier.core.scores import reaches

# The vote of a frame whose best label does not reach its threshold.
ABSTAINED = -1

# Frames that vote alike within this part of the window are kept as one entry: 10 minutes at 240
# frames per second are 144 000 frames.
SLOTS = 64


class VoteRun(NamedTuple):
    """``frames`` frames in a row, or nearly so, that voted for the label at ``winner``."""

    # Of the first of them.
    at_s: float
    winner: int
    frames: int


def exponential_average(
    before: Scores, seen: Scores, elapsed_s: float, time_constant_s: float
) -> Scores:
    """``seen`` becomes the average, in place: an old score fades to 1/e in ``time_constant_s``.

    ``seen`` counts as what was there all the time since ``before``, so the average does not depend
    on how many frames say the same, and after a gap of many time constants it is ``seen`` alone.
    """
    weight = -expm1(-elapsed_s / time_constant_s)
    seen -= before
    seen *= weight
    seen += before
    return seen


def vote(line: Sequence[Rung], needs: Callable[[int, float], float]) -> int:
    """The lowest label of one frame's best line that could enter; else ABSTAINED.

    ``needs`` tells which score, of a label's position and the score at the top of the line. What is
    better than any label wins where no label stands for it (the rest of ``only``).
    """
    top = line[0]
    if top.rival is not None and top.rival_score > top.score:
        return top.rival
    for rung in reversed(line):
        if reaches(rung.score, needs(rung.position, top.score)):
            return rung.position
    return ABSTAINED


def add_vote(
    votes: tuple[VoteRun, ...], winner: int, at_s: float, window_s: float
) -> tuple[VoteRun, ...]:
    """The votes of the ``window_s`` before ``at_s``, in order, and one frame's more."""
    first = bisect_right(votes, at_s - window_s, key=attrgetter("at_s"))
    for index in range(len(votes) - 1, first - 1, -1):
        since_s, other, frames = votes[index]
        if at_s - since_s >= window_s / SLOTS:
            break
        if other == winner:
            joined = VoteRun(since_s, winner, frames + 1)
            return (*votes[first:index], joined, *votes[index + 1 :])
    return (*votes[first:], VoteRun(at_s, winner, 1))


def vote_shares(votes: Sequence[VoteRun], names: int) -> Scores:
    """Which share of the frames voted for each label, shape (names,). Abstentions are frames."""
    frames = 0
    won: dict[int, int] = {}
    for run in votes:
        frames += run.frames
        won[run.winner] = won.get(run.winner, 0) + run.frames
    scores = np.zeros(names)
    for winner, count in won.items():
        if winner != ABSTAINED:
            scores[winner] = count / frames
    return scores
