"""One step of a camera's decision: scores and time in, state and verdict out.

The label that is published is *present*. On each frame, by smoothed scores:

- The best label may *enter* if it reaches its ``enter`` and is ``margin`` ahead of the runner-up,
  the present label included. It becomes present once it could on every frame for ``dwell_s``;
  another best label, or a frame on which it could not, starts that time anew. A dwell of 0 needs
  one frame. A tie with the present label is no lead.
- The present label is *lost* while it is below its ``leave``. Between ``leave`` and ``enter`` it
  stays, which is the hysteresis. After ``unknown_dwell_s`` of being lost it gives way to
  ``unknown``, even if another label is about to enter: nothing is claimed for longer than that
  after it was last seen. A ``dwell_s`` above ``unknown_dwell_s`` therefore leads through
  ``unknown``.
- A label that enters at the same frame at which the present one gives way goes before ``unknown``.

Both times count from frame to frame, however far apart: two frames that agree a minute apart are
a minute. A clock that goes backwards stands still. Time in which nobody looked (the camera was
away, switched off or in its quiet hours) counts for neither: that is what ``resumed`` is for.

A state made under another LabelMap (a model that was swapped, settings that were reloaded, a
restart) keeps its label until evidence says otherwise; its scores and times begin anew. Where the
new rules do not have the label, it gives way at the first frame.

A best score that is no number counts as seeing nothing at all, lest it stay in the average.
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
from edge_classifier.decision.smoothing import Ballot, cast, exponential, shares, vote

# Frames at 0.2 s and 0.7 s are half a second apart, but for the error of a float.
TIME_TOLERANCE_S = 1e-6


class DecidedChange(NamedTuple):
    """The present label became another. Score and margin as in Verdict."""

    before: str
    after: str
    score: float
    margin: float


class PendingChange(NamedTuple):
    """``label`` will be present when it has held for ``needs_s``."""

    label: str
    held_s: float
    needs_s: float

    @property
    def over(self) -> bool:
        """Whether it is time."""
        return self.held_s >= self.needs_s - TIME_TOLERANCE_S


class Verdict(NamedTuple):
    """What one frame led to."""

    reason: Reason
    # The present one, ``unknown`` if there is none.
    label: str
    # Smoothed score (for votes the share of frames) of ``label``; of ``best`` if it is unknown.
    score: float
    # How far that is ahead of the best other label; negative if behind.
    margin: float
    best: Ranked
    # With one label only: ``unknown``, 0.
    runner_up: Ranked
    # What goes on, where the reason is DWELL.
    waiting: PendingChange | None
    # What happened, where the reason is CHANGED.
    change: DecidedChange | None


class DecisionState(NamedTuple):
    """All that a camera's decision remembers. Its arrays are never written to again."""

    label: str
    # Of the last frame.
    at_s: float = -inf
    # What ``scores``, ``ballots`` and ``candidate`` are of.
    labels: LabelMap | None = None
    # Smoothed, shape (names,); None before the first frame.
    scores: Scores | None = None
    ballots: tuple[Ballot, ...] = ()
    # The label that could enter on the last frame.
    candidate: str | None = None
    candidate_since: float = 0.0
    # None while the present label is at or above its ``leave``, or unknown.
    lost_since: float | None = None

    def top(self, k: int) -> tuple[Ranked, ...]:
        """The ``k`` best labels by smoothed score, best first, without those that score nothing."""
        if self.labels is None or self.scores is None:
            return ()
        best = top_k(self.scores, Quantization(), Output.PROBABILITIES, k)
        return tuple(Ranked(self.labels.names[index], score) for index, score in best if score > 0)


class _View(NamedTuple):
    """The best two labels by position, and the present one (None: unknown, or not in the rules)."""

    best: int
    score: float
    second: int | None
    next_score: float
    present: int | None
    present_score: float


def initial(label: str = UNKNOWN) -> DecisionState:
    """The state before the first frame; after a restart with the label that was remembered."""
    return DecisionState(label)


def resumed(state: DecisionState, at_s: float) -> DecisionState:
    """``state`` as it goes on at ``at_s``, when nobody has looked since its last frame."""
    if state.labels is None:
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
    labels = rules.labels
    if state.labels is not labels:
        state = DecisionState(state.label, state.at_s, labels)
    at_s = max(at_s, state.at_s)
    smoothed, ballots = _smooth(rules, state, labels.reduce(scores), at_s)
    view = _look(smoothed, labels.position.get(state.label))
    candidate = _candidate(rules, view)
    candidate_since = state.candidate_since if candidate == state.candidate else at_s
    lost_since = _lost_since(rules, state, view, at_s)
    state = DecisionState(
        state.label, at_s, labels, smoothed, ballots, candidate, candidate_since, lost_since
    )
    return _judge(rules, state, view)


def _smooth(
    rules: Rules, state: DecisionState, seen: Scores, at_s: float
) -> tuple[Scores, tuple[Ballot, ...]]:
    decision = rules.decision
    if decision.smoothing == "vote":
        ballots = cast(state.ballots, vote(seen, rules.enter), at_s, decision.window_s)
        return shares(ballots, len(seen)), ballots
    if decision.smoothing == "exponential" and state.scores is not None:
        seen = exponential(state.scores, seen, at_s - state.at_s, decision.time_constant_s)
    return seen, ()


def _look(smoothed: Scores, present: int | None) -> _View:
    """Two searches are cheaper than one sort; ``smoothed`` is as it was in the end."""
    best = int(smoothed.argmax())
    if not isfinite(smoothed.item(best)):
        smoothed.fill(0.0)
    score = smoothed.item(best)
    present_score = 0.0 if present is None else smoothed.item(present)
    if present is not None and present_score >= score:
        best = present
    smoothed[best] = -inf
    second = int(smoothed.argmax())
    smoothed[best] = score
    if second == best:
        return _View(best, score, None, 0.0, present, present_score)
    return _View(best, score, second, smoothed.item(second), present, present_score)


def _candidate(rules: Rules, view: _View) -> str | None:
    """The label that may enter on this frame."""
    fits = (
        view.best != view.present
        and reaches(view.score, rules.enter[view.best])
        and reaches(view.score - view.next_score, rules.decision.margin)
    )
    return rules.labels.names[view.best] if fits else None


def _lost_since(rules: Rules, state: DecisionState, view: _View, at_s: float) -> float | None:
    if view.present is None:
        return None if state.label == UNKNOWN else at_s
    if reaches(view.present_score, rules.leave[view.present]):
        return None
    return at_s if state.lost_since is None else state.lost_since


def _judge(rules: Rules, state: DecisionState, view: _View) -> tuple[DecisionState, Verdict]:
    """What ``state``, which has taken in the frame, leads to."""
    waits = _waits(rules, state, view)
    over = next((wait for wait in waits if wait.over), None)
    if over is None:
        reason = Reason.DWELL if waits else _standstill(rules, view)
        return state, _verdict(rules, state, view, reason, waits[0] if waits else None)
    after = state._replace(label=over.label, lost_since=None)
    verdict = _verdict(rules, after, view, Reason.CHANGED, None)
    change = DecidedChange(state.label, after.label, verdict.score, verdict.margin)
    return after, verdict._replace(change=change)


def _waits(rules: Rules, state: DecisionState, view: _View) -> list[PendingChange]:
    """What is on its way, the likelier first."""
    waits = []
    if state.candidate is not None:
        held_s = state.at_s - state.candidate_since
        waits.append(PendingChange(state.candidate, held_s, rules.decision.dwell_s))
    if state.lost_since is not None:
        needs_s = 0.0 if view.present is None else rules.decision.unknown_dwell_s
        waits.append(PendingChange(UNKNOWN, state.at_s - state.lost_since, needs_s))
    return waits


def _standstill(rules: Rules, view: _View) -> Reason:
    if view.best == view.present:
        return Reason.UNCHANGED
    enough = reaches(view.score, rules.enter[view.best])
    return Reason.MARGIN if enough else Reason.BELOW_THRESHOLD


def _verdict(
    rules: Rules, state: DecisionState, view: _View, reason: Reason, waiting: PendingChange | None
) -> Verdict:
    names = rules.labels.names
    score, margin = view.score, view.score - view.next_score
    if state.label != UNKNOWN and state.label != names[view.best]:
        score = view.present_score
        margin = score - view.score
    second = UNKNOWN if view.second is None else names[view.second]
    return Verdict(
        reason, state.label, score, margin,
        Ranked(names[view.best], view.score), Ranked(second, view.next_score), waiting, None,
    )  # fmt: skip
