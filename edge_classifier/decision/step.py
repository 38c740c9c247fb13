"""One step of a camera's decision: scores and time in, state and verdict out.

The label that is published is *current*. On each frame, by smoothed scores:

- A label may *enter* if it reaches its ``enter``, has nearly all of the score at the top of its
  line (``specific_share``), and is ``margin`` ahead of the best label that is neither above nor
  below it in the tree, the current label included. It becomes current once it could on every frame
  for ``dwell_s``; a frame on which it could not starts that time anew. A dwell of 0 needs one
  frame. A tie with the current label is not a lead. Labels above the current one have been said
  with it, and do not enter.
- Of several that could, all in one line, the lowest is the most specific that is sure. Those above
  it wait while it is on its way, so that ``cat`` is not published for the blink until ``tabby`` is.
- The current label is *lost* while it is below its ``leave``, or has too little of the score at
  the top of its line. Between that and entering it stays, which is the hysteresis. After
  ``unknown_dwell_s`` of being lost it gives way to the nearest label above it that is not lost,
  else to ``unknown``, even if another label is about to enter: nothing is claimed for longer than
  that after it was last seen. A ``dwell_s`` above ``unknown_dwell_s`` therefore leads through
  ``unknown``.
- A label that enters at the same frame at which the current one gives way goes before that.

A change is an *event* unless it only says more or less of what the last event has told: ``tabby``
after ``cat``. With ``decision.specific`` each change is one.

Both times count from frame to frame, however far apart: two frames that agree a minute apart are
a minute. A clock that goes backwards stands still. Time in which nobody looked (the camera was
away, switched off or in its quiet hours) counts for neither: that is what ``resume`` is for.

A state made under another LabelMap (a model that was swapped, settings that were reloaded, a
restart) keeps its label until evidence says otherwise; its scores and times begin anew. Where the
new rules do not have the label, it gives way at the first frame.

A best score that is not a number counts as seeing nothing at all, lest it stay in the average.
"""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Output
from edge_classifier.core.events import Ranked
from edge_classifier.core.labels.label_tree import Rung, Scores
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.quantization import Quantization
from edge_classifier.core.scores import reaches, top_k
from edge_classifier.decision.label_map import LabelMap
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import Rules
from edge_classifier.decision.smoothing import (
    VoteRun,
    add_vote,
    exponential_average,
    vote,
    vote_shares,
)

# Frames at 0.2 s and 0.7 s are half a second apart, but for the error of a float.
TIME_TOLERANCE_S = 1e-6
# What a runner-up is called that ``decision.only`` leaves out; never published.
REST = "anything else"
_NOTHING: Mapping[int, float] = MappingProxyType({})


class DecidedChange(NamedTuple):
    """The current label became another. Score and margin as in FrameVerdict."""

    # Of an event: what the last event told.
    before: str
    after: str
    score: float
    margin: float
    # False: only the level within one line of the tree is another.
    is_event: bool = True


class PendingChange(NamedTuple):
    """``label`` will be current when it has held for ``needs_s``."""

    label: str
    held_s: float
    needs_s: float

    @property
    def is_due(self) -> bool:
        """Whether it has held for long enough."""
        return self.held_s >= self.needs_s - TIME_TOLERANCE_S


class FrameVerdict(NamedTuple):
    """What one frame led to."""

    reason: Reason
    # The current one, ``unknown`` if there is none.
    label: str
    # Smoothed score (for votes the share of frames) of ``label``; of ``best`` if it is unknown.
    score: float
    # How far that is ahead of the best label beside its line; negative if behind.
    margin: float
    # The most specific label that could be said, or is; else what comes nearest to it.
    best: Ranked
    # The best label beside the line of ``best``. With one label only: ``unknown``, 0.
    runner_up: Ranked
    # What is on its way, where the reason is DWELL.
    pending: PendingChange | None
    # What happened, where the reason is CHANGED.
    change: DecidedChange | None
    # The names from the top of the tree down to ``label``; empty if it is unknown.
    path: tuple[str, ...]
    # From the top down always the best label. Without a tree there is one.
    line: tuple[Ranked, ...]


class DecisionState(NamedTuple):
    """All that a camera's decision remembers. Its arrays are never written to again."""

    label: str
    # What the last event told: ``label``, or one in line with it.
    told: str
    # Of the last frame.
    at_s: float = -inf
    # What ``scores``, ``votes`` and ``since`` are of.
    label_map: LabelMap | None = None
    # Smoothed, what is each label's own, shape (slots,); None before the first frame.
    scores: Scores | None = None
    votes: tuple[VoteRun, ...] = ()
    # The labels that could be said on the last frame, by position: since when.
    since: Mapping[int, float] = _NOTHING
    # None while the current label is at or above its ``leave``, or unknown.
    lost_since: float | None = None

    def top(self, k: int) -> tuple[Ranked, ...]:
        """The ``k`` best labels by smoothed score, best first, without those that score nothing.

        Of a tree, those that classes count as.
        """
        if self.label_map is None or self.scores is None:
            return ()
        scores = self.label_map.tree.totals(self.scores)[: self.label_map.leaves]
        best = top_k(scores, Quantization(), Output.PROBABILITIES, k)
        return tuple(
            Ranked(self.label_map.labels[index], score) for index, score in best if score > 0
        )


def initial_state(label: str = UNKNOWN, told: str = "") -> DecisionState:
    """The state before the first frame; after a restart with what was remembered."""
    return DecisionState(label, told or label)


def resume(state: DecisionState, at_s: float) -> DecisionState:
    """``state`` as it goes on at ``at_s``, when nobody has looked since its last frame."""
    if state.label_map is None:
        return state
    missed_s = max(0.0, at_s - state.at_s)
    lost_since = None if state.lost_since is None else state.lost_since + missed_s
    since = {position: since_s + missed_s for position, since_s in state.since.items()}
    return state._replace(since=since, lost_since=lost_since)


def step(
    rules: Rules, state: DecisionState, scores: NDArray[np.float32], at_s: float
) -> tuple[DecisionState, FrameVerdict]:
    """Take in one frame's ``scores``, shape (classes,), in [0, 1], seen at ``at_s``.

    ``scores`` is neither kept nor written to. Raises ValueError for another number of classes.
    """
    label_map, tree = rules.label_map, rules.label_map.tree
    if state.label_map is not label_map:
        state = DecisionState(state.label, state.told, state.at_s, label_map)
    at_s = max(at_s, state.at_s)
    smoothed, votes = _smooth(rules, state, label_map.reduce(scores), at_s)
    current = label_map.position.get(state.label)
    totals = tree.totals(smoothed)
    line = tree.best_line(totals, current)
    if not isfinite(line[0].score + line[0].rival_score):
        smoothed.fill(0.0)
        totals = tree.totals(smoothed)
        line = tree.best_line(totals, current)
    since = {
        rung.position: state.since.get(rung.position, at_s)
        for rung in line
        if reaches(rung.score, rules.needs(rung.position, line[0].score))
        and reaches(rung.margin, rules.decision.margin)
    }
    lost_since = None
    if current is None:
        lost_since = None if state.label == UNKNOWN else at_s
    elif not rules.holds(current, totals):
        lost_since = at_s if state.lost_since is None else state.lost_since
    state = DecisionState(
        state.label, state.told, at_s, label_map, smoothed, votes, since, lost_since
    )
    return _judge(rules, state, totals, line)


def _smooth(
    rules: Rules, state: DecisionState, seen: Scores, at_s: float
) -> tuple[Scores, tuple[VoteRun, ...]]:
    decision, tree = rules.decision, rules.label_map.tree
    if decision.smoothing == "vote":
        winner = vote(tree.best_line(tree.totals(seen), None), rules.needs)
        votes = add_vote(state.votes, winner, at_s, decision.window_s)
        return vote_shares(votes, len(seen)), votes
    if decision.smoothing == "exponential" and state.scores is not None:
        elapsed_s = at_s - state.at_s
        seen = exponential_average(state.scores, seen, elapsed_s, decision.time_constant_s)
    return seen, ()


def _judge(
    rules: Rules, state: DecisionState, totals: Scores, line: Sequence[Rung]
) -> tuple[DecisionState, FrameVerdict]:
    """What ``state``, which has taken in the frame, leads to."""
    label_map, decision = rules.label_map, rules.decision
    current = label_map.position.get(state.label)
    said = () if current is None else label_map.tree.lines[current]
    # What is neither said nor implied.
    news = [rung for rung in line if rung.position not in said]
    able = [rung for rung in news if rung.position in state.since]
    arrivals = [
        PendingChange(
            label_map.labels[rung.position],
            state.at_s - state.since[rung.position],
            decision.dwell_s,
        )
        for rung in able
    ]
    departure = _departure(rules, state, totals, said)
    is_on_line = current in [rung.position for rung in line]
    if able:
        best = able[-1]
    elif is_on_line:
        best = line[len(said) - 1]
    else:
        best = news[0]
    due = next((one for one in reversed(arrivals) if one.is_due), None)
    if departure and departure.is_due:
        due = due or departure
    elif due is not None and due is not arrivals[-1]:
        # What is more specific is on its way.
        due = None
    if due is not None:
        return _change(rules, state, totals, line, best, due.label)
    pending = [*arrivals[-1:], *([departure] if departure else [])]
    if pending:
        reason = Reason.DWELL
    elif is_on_line:
        reason = Reason.UNCHANGED
    elif reaches(best.score, rules.needs(best.position, line[0].score)):
        reason = Reason.MARGIN
    else:
        reason = Reason.BELOW_THRESHOLD
    verdict = _verdict(rules, state.label, totals, line, best, reason)
    return state, verdict._replace(pending=pending[0] if pending else None)


def _departure(
    rules: Rules, state: DecisionState, totals: Scores, said: Sequence[int]
) -> PendingChange | None:
    """What the current label gives way to while it is lost, ``said`` being its line."""
    if state.lost_since is None:
        return None
    held_s = state.at_s - state.lost_since
    if not said:
        return PendingChange(UNKNOWN, held_s, 0.0)
    holds = (at for at in reversed(said) if rules.holds(at, totals))
    above = next(holds, None)
    label = UNKNOWN if above is None else rules.label_map.labels[above]
    return PendingChange(label, held_s, rules.decision.unknown_dwell_s)


def _change(
    rules: Rules,
    state: DecisionState,
    totals: Scores,
    line: Sequence[Rung],
    best: Rung,
    label: str,
) -> tuple[DecisionState, FrameVerdict]:
    """``label`` becomes current."""
    position = rules.label_map.position
    told, other = position.get(state.told), position.get(label)
    is_event = (
        rules.decision.specific
        or told is None
        or other is None
        or not rules.label_map.tree.are_in_line(told, other)
    )
    before = state.told if is_event else state.label
    after = state._replace(label=label, told=label if is_event else state.told, lost_since=None)
    verdict = _verdict(rules, label, totals, line, best, Reason.CHANGED)
    change = DecidedChange(before, label, verdict.score, verdict.margin, is_event)
    return after, verdict._replace(change=change)


def _verdict(
    rules: Rules, label: str, totals: Scores, line: Sequence[Rung], best: Rung, reason: Reason
) -> FrameVerdict:
    label_map = rules.label_map

    def ranked(position: int | None, score: float) -> Ranked:
        if position is None:
            return Ranked(UNKNOWN, score)
        is_rest = position == len(label_map.labels)
        return Ranked(REST if is_rest else label_map.labels[position], score)

    position = label_map.position.get(label)
    shown = best if position is None else label_map.tree.rung_of(position, totals, line)
    return FrameVerdict(
        reason,
        label,
        shown.score,
        shown.margin,
        ranked(best.position, best.score),
        ranked(best.rival, best.rival_score),
        None,
        None,
        () if label == UNKNOWN else label_map.path(label),
        tuple(ranked(rung.position, rung.score) for rung in line),
    )
