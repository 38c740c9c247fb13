"""One step of a camera's decision: scores and time in, state and verdict out.

The label that is published is *current*. On each frame, by smoothed scores:

- The best label may *enter* if it reaches its ``enter`` and is ``margin`` ahead of the runner-up,
  the current label included. It becomes current once it could on every frame for ``dwell_s``;
  another best label, or a frame on which it could not, starts that time anew. A dwell of 0 needs
  one frame. A tie with the current label is no lead.
- The current label is *lost* while it is below its ``leave``. Between ``leave`` and ``enter`` it
  stays, which is the hysteresis. After ``unknown_dwell_s`` of being lost it gives way to
  ``unknown``, even if another label is about to enter: nothing is claimed for longer than that
  after it was last seen. A ``dwell_s`` above ``unknown_dwell_s`` therefore leads through
  ``unknown``.
- A label that enters at the same frame at which the current one gives way goes before ``unknown``.

Both times count from frame to frame, however far apart: two frames that agree a minute apart are
a minute. A clock that goes backwards stands still. Time in which nobody looked (the camera was
away, switched off or in its quiet hours) counts for neither: that is what ``resume`` is for.

A state made under another LabelMap (a model that was swapped, settings that were reloaded, a
restart) keeps its label until evidence says otherwise; its scores and times begin anew. Where the
new rules do not have the label, it gives way at the first frame.

A best score that is not a number counts as seeing nothing at all, lest it stay in the average.
"""

from math import inf, isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Output
from edge_classifier.core.events import Ranked
from edge_classifier.core.labels import UNKNOWN
from edge_classifier.core.quantization import Quantization
from edge_classifier.core.scores import top_k
from edge_classifier.decision.label_map import LabelMap, Scores
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import Rules, reaches
from edge_classifier.decision.smoothing import (
    VoteRun,
    add_vote,
    exponential_average,
    vote,
    vote_shares,
)

# Frames at 0.2 s and 0.7 s are half a second apart, but for the error of a float.
TIME_TOLERANCE_S = 1e-6


class DecidedChange(NamedTuple):
    """The current label became another. Score and margin as in Verdict."""

    before: str
    after: str
    score: float
    margin: float


class PendingChange(NamedTuple):
    """``label`` will be current when it has held for ``needs_s``."""

    label: str
    held_s: float
    needs_s: float

    @property
    def is_due(self) -> bool:
        """Whether it has held for long enough."""
        return self.held_s >= self.needs_s - TIME_TOLERANCE_S


class Verdict(NamedTuple):
    """What one frame led to."""

    reason: Reason
    # The current one, ``unknown`` if there is none.
    label: str
    # Smoothed score (for votes the share of frames) of ``label``; of ``best`` if it is unknown.
    score: float
    # How far that is ahead of the best other label; negative if behind.
    margin: float
    best: Ranked
    # With one label only: ``unknown``, 0.
    runner_up: Ranked
    # What is on its way, where the reason is DWELL.
    pending: PendingChange | None
    # What happened, where the reason is CHANGED.
    change: DecidedChange | None


class DecisionState(NamedTuple):
    """All that a camera's decision remembers. Its arrays are never written to again."""

    label: str
    # Of the last frame.
    at_s: float = -inf
    # What ``scores``, ``votes`` and ``candidate`` are of.
    label_map: LabelMap | None = None
    # Smoothed, shape (labels,); None before the first frame.
    scores: Scores | None = None
    votes: tuple[VoteRun, ...] = ()
    # The label that could enter on the last frame.
    candidate: str | None = None
    candidate_since: float = 0.0
    # None while the current label is at or above its ``leave``, or unknown.
    lost_since: float | None = None

    def top(self, k: int) -> tuple[Ranked, ...]:
        """The ``k`` best labels by smoothed score, best first, without those that score nothing."""
        if self.label_map is None or self.scores is None:
            return ()
        best = top_k(self.scores, Quantization(), Output.PROBABILITIES, k)
        return tuple(
            Ranked(self.label_map.labels[index], score) for index, score in best if score > 0
        )


class _BestLabels(NamedTuple):
    """The best two labels by position, and the current one (None: unknown, or not in the rules)."""

    best: int
    score: float
    second: int | None
    second_score: float
    current: int | None
    current_score: float


def initial_state(label: str = UNKNOWN) -> DecisionState:
    """The state before the first frame; after a restart with the label that was remembered."""
    return DecisionState(label)


def resume(state: DecisionState, at_s: float) -> DecisionState:
    """``state`` as it goes on at ``at_s``, when nobody has looked since its last frame."""
    if state.label_map is None:
        return state
    missed_s = max(0.0, at_s - state.at_s)
    lost_since = None if state.lost_since is None else state.lost_since + missed_s
    return state._replace(candidate_since=state.candidate_since + missed_s, lost_since=lost_since)


def step(
    rules: Rules, state: DecisionState, scores: NDArray[np.float32], at_s: float
) -> tuple[DecisionState, Verdict]:
    """Take in one frame's ``scores``, shape (classes,), in [0, 1], seen at ``at_s``.

    ``scores`` is neither kept nor written to. Raises ValueError for another number of classes.
    """
    label_map = rules.label_map
    if state.label_map is not label_map:
        state = DecisionState(state.label, state.at_s, label_map)
    at_s = max(at_s, state.at_s)
    smoothed, votes = _smooth(rules, state, label_map.reduce(scores), at_s)
    best_labels = _find_best_labels(smoothed, label_map.position.get(state.label))
    may_enter = (
        best_labels.best != best_labels.current
        and reaches(best_labels.score, rules.enter[best_labels.best])
        and reaches(best_labels.score - best_labels.second_score, rules.decision.margin)
    )
    candidate = label_map.labels[best_labels.best] if may_enter else None
    candidate_since = state.candidate_since if candidate == state.candidate else at_s
    lost_since = None
    if best_labels.current is None:
        lost_since = None if state.label == UNKNOWN else at_s
    elif not reaches(best_labels.current_score, rules.leave[best_labels.current]):
        lost_since = at_s if state.lost_since is None else state.lost_since
    state = DecisionState(
        state.label, at_s, label_map, smoothed, votes, candidate, candidate_since, lost_since
    )
    return _judge(rules, state, best_labels)


def _smooth(
    rules: Rules, state: DecisionState, seen: Scores, at_s: float
) -> tuple[Scores, tuple[VoteRun, ...]]:
    decision = rules.decision
    if decision.smoothing == "vote":
        votes = add_vote(state.votes, vote(seen, rules.enter), at_s, decision.window_s)
        return vote_shares(votes, len(seen)), votes
    if decision.smoothing == "exponential" and state.scores is not None:
        elapsed_s = at_s - state.at_s
        seen = exponential_average(state.scores, seen, elapsed_s, decision.time_constant_s)
    return seen, ()


def _find_best_labels(smoothed: Scores, current: int | None) -> _BestLabels:
    """The best two labels and the current one; restores ``smoothed``.

    Only where the best score is not a number, all of it becomes 0.
    """
    best = int(smoothed.argmax())
    if not isfinite(smoothed.item(best)):
        smoothed.fill(0.0)
    score = smoothed.item(best)
    current_score = 0.0 if current is None else smoothed.item(current)
    if current is not None and current_score >= score:
        best = current
    # Two searches are cheaper than one sort.
    smoothed[best] = -inf
    second = int(smoothed.argmax())
    smoothed[best] = score
    if second == best:
        return _BestLabels(best, score, None, 0.0, current, current_score)
    return _BestLabels(best, score, second, smoothed.item(second), current, current_score)


def _judge(
    rules: Rules, state: DecisionState, best_labels: _BestLabels
) -> tuple[DecisionState, Verdict]:
    """What ``state``, which has taken in the frame, leads to."""
    # The likelier first.
    pending = []
    if state.candidate is not None:
        held_s = state.at_s - state.candidate_since
        pending.append(PendingChange(state.candidate, held_s, rules.decision.dwell_s))
    if state.lost_since is not None:
        needs_s = 0.0 if best_labels.current is None else rules.decision.unknown_dwell_s
        pending.append(PendingChange(UNKNOWN, state.at_s - state.lost_since, needs_s))
    due = next((one for one in pending if one.is_due), None)
    if due is not None:
        after = state._replace(label=due.label, lost_since=None)
        verdict = _verdict(rules, after, best_labels, Reason.CHANGED, None)
        change = DecidedChange(state.label, after.label, verdict.score, verdict.margin)
        return after, verdict._replace(change=change)
    if pending:
        reason = Reason.DWELL
    elif best_labels.best == best_labels.current:
        reason = Reason.UNCHANGED
    elif reaches(best_labels.score, rules.enter[best_labels.best]):
        reason = Reason.MARGIN
    else:
        reason = Reason.BELOW_THRESHOLD
    return state, _verdict(rules, state, best_labels, reason, pending[0] if pending else None)


def _verdict(
    rules: Rules,
    state: DecisionState,
    best_labels: _BestLabels,
    reason: Reason,
    pending: PendingChange | None,
) -> Verdict:
    names = rules.label_map.labels
    score, margin = best_labels.score, best_labels.score - best_labels.second_score
    if state.label != UNKNOWN and state.label != names[best_labels.best]:
        score = best_labels.current_score
        margin = score - best_labels.score
    best = Ranked(names[best_labels.best], best_labels.score)
    second = UNKNOWN if best_labels.second is None else names[best_labels.second]
    runner_up = Ranked(second, best_labels.second_score)
    return Verdict(reason, state.label, score, margin, best, runner_up, pending, None)
