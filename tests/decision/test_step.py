"""One step after the other: which label comes, which goes, and why not.

Frames are (seconds, cat, dog, cow); the scores count as they are unless a test smooths them.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from edge_classifier.config.settings import DecisionSettings, Thresholds
from edge_classifier.core.events import Ranked
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import rules_for, with_thresholds_of
from edge_classifier.decision.step import DecidedChange, PendingChange, initial_state, resume, step
from tests.decision.made_scores import CRISP, LABELS, At, changes, play, scores_of, steps

CHANGED, UNCHANGED, DWELL = Reason.CHANGED, Reason.UNCHANGED, Reason.DWELL
BELOW, MARGIN = Reason.BELOW_THRESHOLD, Reason.MARGIN

CAT = initial_state("cat")
NO_DWELL = replace(CRISP, dwell_s=0.0)


@pytest.mark.parametrize(
    ("frame", "reason", "label"),
    [
        ((0, 0.9, 0.1, 0), CHANGED, "cat"),
        ((0, 0.6, 0.1, 0), CHANGED, "cat"),
        ((0, 0.599, 0.1, 0), BELOW, "unknown"),
        ((0, 0.7, 0.6, 0), CHANGED, "cat"),
        ((0, 0.7, 0.601, 0), MARGIN, "unknown"),
        ((0, 0.8, 0.8, 0), MARGIN, "unknown"),
        ((0, 0, 0, 0), BELOW, "unknown"),
    ],
)
def test_step_without_dwell_decides_on_the_first_frame(
    frame: At, reason: Reason, label: str
) -> None:
    (verdict,) = play([frame], NO_DWELL)
    assert (verdict.reason, verdict.label) == (reason, label)


@pytest.mark.parametrize(
    ("frames", "reasons", "label"),
    [
        # A label comes once it has held for the dwell, exactly.
        ([(0, 0.9, 0, 0), (0.49, 0.9, 0, 0), (0.5, 0.9, 0, 0)], [DWELL, DWELL, CHANGED], "cat"),
        # Times are floats: from 0.2 to 0.7 is a little less than half a second.
        ([(0.2, 0.9, 0, 0), (0.7, 0.9, 0, 0)], [DWELL, CHANGED], "cat"),
        # One frame below the threshold begins the dwell anew.
        (
            [(0, 0.9, 0, 0), (0.4, 0.5, 0, 0), (0.5, 0.9, 0, 0), (0.9, 0.9, 0, 0), (1, 0.9, 0, 0)],
            [DWELL, BELOW, DWELL, DWELL, CHANGED],
            "cat",
        ),
        # So does one without the margin.
        (
            [(0, 0.9, 0, 0), (0.4, 0.9, 0.85, 0), (0.5, 0.9, 0, 0), (0.9, 0.9, 0, 0)],
            [DWELL, MARGIN, DWELL, DWELL],
            "unknown",
        ),
        # And another candidate.
        (
            [(0, 0.9, 0, 0), (0.4, 0, 0.9, 0), (0.8, 0.9, 0, 0), (1.2, 0.9, 0, 0), (1.3, 1, 0, 0)],
            [DWELL, DWELL, DWELL, DWELL, CHANGED],
            "cat",
        ),
        # Two frames that agree are enough, however far apart.
        ([(0, 0.9, 0, 0), (600, 0.9, 0, 0)], [DWELL, CHANGED], "cat"),
        # A clock that goes backwards stands still.
        ([(5, 0.9, 0, 0), (1, 0.9, 0, 0), (5.5, 0.9, 0, 0)], [DWELL, DWELL, CHANGED], "cat"),
    ],
)
def test_step_a_label_enters_after_its_dwell(
    frames: list[At], reasons: list[Reason], label: str
) -> None:
    verdicts = play(frames)
    assert [verdict.reason for verdict in verdicts] == reasons
    assert verdicts[-1].label == label


@pytest.mark.parametrize(
    ("frames", "reasons", "label"),
    [
        # Between leave and enter it stays.
        ([(0, 0.5, 0, 0), (9, 0.4, 0, 0)], [UNCHANGED, UNCHANGED], "cat"),
        # Below leave, with no other label, it goes after the unknown dwell.
        ([(1, 0.39, 0, 0), (2.9, 0, 0, 0), (3, 0, 0, 0)], [DWELL, DWELL, CHANGED], "unknown"),
        # Back at leave in time, it stays, and the time begins anew.
        (
            [(0, 0.1, 0, 0), (1.9, 0.4, 0, 0), (2, 0.1, 0, 0), (3.9, 0.1, 0, 0)],
            [DWELL, UNCHANGED, DWELL, DWELL],
            "cat",
        ),
        # Gone to unknown, it needs enter again, not leave.
        (
            [(0, 0, 0, 0), (2, 0, 0, 0), (3, 0.5, 0, 0), (9, 0.5, 0, 0)],
            [DWELL, CHANGED, BELOW, BELOW],
            "unknown",
        ),
        # Another label leads, but not high enough.
        ([(0, 0.45, 0.55, 0), (9, 0.45, 0.55, 0)], [BELOW, BELOW], "cat"),
        # Or not far enough.
        ([(0, 0.55, 0.64, 0), (9, 0.55, 0.64, 0)], [MARGIN, MARGIN], "cat"),
        # Both above their thresholds: with the margin and the dwell the other one comes.
        ([(0, 0.5, 0.61, 0), (0.5, 0.5, 0.61, 0)], [DWELL, CHANGED], "dog"),
        # Another label enters, the current one is lost: straight from one to the other.
        ([(0, 0.1, 0.9, 0), (0.5, 0.1, 0.9, 0)], [DWELL, CHANGED], "dog"),
        # Others that come and go do not keep alive what is lost.
        (
            [(0, 0, 0.9, 0), (0.4, 0, 0, 0.9), (0.8, 0, 0.9, 0), (1.2, 0, 0, 0.9),
             (1.6, 0, 0.9, 0), (2.0, 0, 0, 0.9)],
            [DWELL, DWELL, DWELL, DWELL, DWELL, CHANGED],
            "unknown",
        ),
        # Both at once: the label that enters goes before unknown.
        ([(0, 0, 0, 0), (1.9, 0, 0.9, 0), (2.4, 0, 0.9, 0)], [DWELL, DWELL, CHANGED], "dog"),
        # The label that came has an unknown dwell of its own.
        (
            [(0, 0, 0.9, 0), (0.5, 0, 0.9, 0), (0.6, 0, 0, 0), (2.5, 0, 0, 0), (2.6, 0, 0, 0)],
            [DWELL, CHANGED, DWELL, DWELL, CHANGED],
            "unknown",
        ),
        # A tie is no lead, whichever label is first in the list.
        ([(0, 0.5, 0.5, 0), (9, 0.5, 0.5, 0)], [UNCHANGED, UNCHANGED], "cat"),
    ],
)  # fmt: skip
def test_step_a_current_label_leaves_only_for_a_reason(
    frames: list[At], reasons: list[Reason], label: str
) -> None:
    verdicts = play(frames, state=CAT)
    assert [verdict.reason for verdict in verdicts] == reasons
    assert verdicts[-1].label == label


def test_step_a_tie_is_no_lead_even_over_a_current_label_later_in_the_list() -> None:
    frames: list[At] = [(0, 0.5, 0.5, 0), (9, 0.5, 0.5, 0)]
    loose = replace(NO_DWELL, enter=0.5, margin=0.0)
    assert changes(play(frames, loose, initial_state("dog"))) == []


def test_step_longer_dwell_than_unknown_dwell_leads_through_unknown() -> None:
    slow = replace(CRISP, dwell_s=5.0)
    verdicts = play([(at_s, 0, 0.9, 0) for at_s in range(7)], slow, CAT)
    assert changes(verdicts) == [("cat", "unknown"), ("unknown", "dog")]
    assert [at_s for at_s, verdict in enumerate(verdicts) if verdict.change] == [2, 5]


def test_step_no_unknown_dwell_lets_go_at_once() -> None:
    (verdict,) = play([(0, 0.39, 0, 0)], replace(CRISP, unknown_dwell_s=0.0), CAT)
    assert (verdict.reason, verdict.label) == (CHANGED, "unknown")


def test_step_thresholds_of_one_label_are_its_own() -> None:
    own = replace(NO_DWELL, labels={"dog": Thresholds(enter=0.9, leave=0.1)})
    verdicts = play([(0, 0, 0.8, 0), (1, 0, 0.9, 0), (9, 0, 0.1, 0), (10, 0.9, 0, 0)], own)
    assert [verdict.reason for verdict in verdicts] == [BELOW, CHANGED, UNCHANGED, CHANGED]


@pytest.mark.parametrize(
    ("frame", "score", "margin", "best", "second"),
    [
        ((0, 0.75, 0.25, 0), 0.75, 0.5, Ranked("cat", 0.75), Ranked("dog", 0.25)),
        ((0, 0.25, 0.5, 0.125), 0.25, -0.25, Ranked("dog", 0.5), Ranked("cat", 0.25)),
        ((0, 0.125, 0.5, 0.25), 0.125, -0.375, Ranked("dog", 0.5), Ranked("cow", 0.25)),
        ((0, 0.5, 0.5, 0), 0.5, 0.0, Ranked("cat", 0.5), Ranked("dog", 0.5)),
    ],
)
def test_verdict_score_and_margin_are_of_the_current_label(
    frame: At, score: float, margin: float, best: Ranked, second: Ranked
) -> None:
    (verdict,) = play([frame], state=CAT)
    assert (verdict.label, verdict.score, verdict.margin) == ("cat", score, margin)
    assert (verdict.best, verdict.runner_up) == (best, second)


def test_verdict_score_and_margin_are_of_the_best_while_unknown() -> None:
    (verdict,) = play([(0, 0.125, 0.5, 0.25)])
    assert (verdict.label, verdict.score, verdict.margin) == ("unknown", 0.5, 0.25)


@pytest.mark.parametrize(
    ("frame", "change"),
    [
        ((0, 0.25, 0.75, 0), DecidedChange("cat", "dog", 0.75, 0.5)),
        ((0, 0.25, 0.375, 0.125), DecidedChange("cat", "unknown", 0.375, 0.125)),
    ],
)
def test_verdict_change_has_what_came_with_its_score(frame: At, change: DecidedChange) -> None:
    (verdict,) = play([frame], replace(NO_DWELL, unknown_dwell_s=0.0), CAT)
    assert verdict.change == change
    assert (verdict.label, verdict.score, verdict.margin) == change[1:4]


def test_verdict_pending_has_what_is_on_its_way() -> None:
    verdicts = play([(0, 0, 0.9, 0), (0.25, 0, 0.9, 0), (0.375, 0, 0, 0)], state=CAT)
    assert [verdict.pending for verdict in verdicts] == [
        PendingChange("dog", 0.0, 0.5),
        PendingChange("dog", 0.25, 0.5),
        PendingChange("unknown", 0.375, 2.0),
    ]


def test_step_of_a_single_label_has_no_runner_up() -> None:
    rules = rules_for(("background", "cat"), NO_DWELL)
    state, verdict = step(rules, initial_state(), np.array([0, 0.75], np.float32), 0)
    assert (verdict.label, verdict.margin) == ("cat", 0.75)
    assert verdict.runner_up == Ranked("unknown", 0.0)
    assert state.top(5) == (Ranked("cat", 0.75),)


@pytest.mark.parametrize(
    ("k", "expected"),
    [
        (1, (Ranked("cow", 0.5),)),
        (2, (Ranked("cow", 0.5), Ranked("cat", 0.25))),
        (5, (Ranked("cow", 0.5), Ranked("cat", 0.25))),
    ],
)
def test_top_lists_the_best_labels_that_score_anything(k: int, expected: object) -> None:
    ((state, _),) = steps([(0, 0.25, 0, 0.5)])
    assert state.top(k) == expected
    assert initial_state().top(k) == ()


def test_step_leaves_scores_and_states_as_they_were() -> None:
    rules, scores = rules_for(LABELS, DecisionSettings()), scores_of(0.5, 0.25, 0.125)
    first, _ = step(rules, initial_state(), scores, 0)
    assert first.scores is not None
    before = first.scores.tolist()
    step(rules, first, scores_of(0, 1, 0), 1)
    assert first.scores.tolist() == before == [0.5, 0.25, 0.125]
    assert scores.tolist() == [1.0, 0.5, 0.25, 0.125]


def test_step_exponential_takes_the_first_frame_as_it_is_and_smooths_the_next() -> None:
    smooth = replace(NO_DWELL, smoothing="exponential", time_constant_s=2.0)
    verdicts = play([(0, 0.9, 0, 0), (2, 0, 0.9, 0)], smooth)
    assert verdicts[0].score == pytest.approx(0.9)
    assert verdicts[1].score == pytest.approx(0.9 / math.e)
    assert verdicts[1].best.score == pytest.approx(0.9 * (1 - 1 / math.e))


def test_step_exponential_forgets_in_a_long_gap_and_the_label_stays_until_its_dwell() -> None:
    smooth = replace(CRISP, smoothing="exponential")
    frames: list[At] = [(at_s / 10, 0.9, 0, 0) for at_s in range(20)]
    verdicts = play([*frames, (300, 0, 0.9, 0), (300.5, 0, 0.9, 0)], smooth)
    assert changes(verdicts) == [("unknown", "cat"), ("cat", "dog")]
    assert verdicts[-2].best.score == pytest.approx(0.9)
    assert verdicts[-1].change


def test_step_vote_counts_frames_that_are_sure_enough() -> None:
    voting = replace(NO_DWELL, smoothing="vote", window_s=4.0)
    cats: list[At] = [(0, 0.7, 0, 0), (1, 0.5, 0, 0)]
    dogs: list[At] = [(at_s, 0, 0.9, 0) for at_s in (2, 3, 4, 5)]
    verdicts = play([*cats, *dogs], voting)
    labels = [verdict.best.label for verdict in verdicts]
    assert labels == ["cat", "cat", "cat", "dog", "dog", "dog"]
    scores = [verdict.best.score for verdict in verdicts]
    assert scores == pytest.approx([1, 1 / 2, 1 / 3, 1 / 2, 3 / 4, 1])
    assert changes(verdicts) == [("unknown", "cat"), ("cat", "dog")]


@pytest.mark.parametrize("smoothing", ["exponential", "vote", "none"])
def test_step_a_restored_label_stays_until_evidence_says_otherwise(smoothing: str) -> None:
    decision = DecisionSettings(smoothing=smoothing)  # type: ignore[arg-type]
    sure = play([(0, 0.7, 0, 0), (9, 0.7, 0, 0)], decision, CAT)
    assert [verdict.reason for verdict in sure] == [UNCHANGED, UNCHANGED]
    gone = play([(0, 0, 0, 0), (1.9, 0, 0, 0), (2, 0, 0, 0)], decision, CAT)
    assert changes(gone) == [("cat", "unknown")]
    assert gone[2].change


def test_step_other_rules_keep_the_label_and_drop_the_scores() -> None:
    (state, _), *_ = steps([(10, 0.9, 0, 0)], DecisionSettings(), CAT)
    swapped = rules_for(("dog", "cat"), DecisionSettings())
    after, verdict = step(swapped, state, np.array([0.25, 0.5], np.float32), 11)
    assert (verdict.reason, verdict.label, verdict.score) == (UNCHANGED, "cat", 0.5)
    assert after.top(2) == (Ranked("cat", 0.5), Ranked("dog", 0.25))


def test_step_other_rules_let_no_time_run_backwards() -> None:
    ((state, _),) = steps([(10, 0.9, 0, 0)])
    assert [after.at_s for after, _ in steps([(9, 0, 0, 0), (11, 0, 0, 0)], CRISP, state)] == [
        10,
        11,
    ]


def test_step_other_rules_without_the_label_let_it_go_at_the_first_frame() -> None:
    swapped = rules_for(("dog", "cow"), DecisionSettings())
    state, verdict = step(swapped, CAT, np.array([0.75, 0.25], np.float32), 0)
    assert verdict.change == DecidedChange("cat", "unknown", 0.75, 0.5)
    _, verdict = step(swapped, state, np.array([0.75, 0.25], np.float32), 0.5)
    assert verdict.change == DecidedChange("unknown", "dog", 0.75, 0.5)


def test_step_other_rules_begin_the_dwell_anew() -> None:
    ((state, _),) = steps([(0, 0.9, 0, 0)])
    assert changes(play([(0.5, 0.9, 0, 0)], CRISP, state)) == []


def test_step_a_commanded_threshold_keeps_scores_and_dwell() -> None:
    rules = rules_for(LABELS, CRISP)
    ((state, _),) = steps([(0, 0.9, 0, 0)], rules)
    higher = with_thresholds_of(rules, replace(CRISP, enter=0.8))
    assert higher is not None
    assert changes(play([(0.5, 0.9, 0, 0)], higher, state)) == [("unknown", "cat")]
    assert changes(play([(0.5, 0.7, 0, 0)], higher, state)) == []


@pytest.mark.parametrize("smoothing", ["exponential", "vote", "none"])
def test_step_scores_that_are_no_numbers_are_nothing_seen_and_do_not_stay(smoothing: str) -> None:
    decision = DecisionSettings(smoothing=smoothing, dwell_s=0.0)  # type: ignore[arg-type]
    frames: list[At] = [
        (0, 0.9, 0, 0),
        (1, math.nan, 0.9, 0),
        (20, 0.9, math.nan, math.inf),
        (40, 0.9, 0, 0),
        (60, 0, 0.9, 0),
    ]
    verdicts = play(frames, decision)
    assert all(math.isfinite(verdict.score + verdict.margin) for verdict in verdicts)
    assert verdicts[1].reason in {DWELL, UNCHANGED}
    assert verdicts[-1].change
    assert verdicts[-1].label == "dog"


def test_step_scores_of_another_model_are_refused() -> None:
    with pytest.raises(ValueError, match="for 4 classes"):
        step(rules_for(LABELS, CRISP), initial_state(), np.zeros(5, np.float32), 0)


def test_step_a_score_that_float32_rounds_down_still_reaches_its_threshold() -> None:
    high = replace(NO_DWELL, enter=0.9, leave=0.9)
    assert np.array([0.9], np.float32).item() < 0.9
    verdicts = play([(0, 0.9, 0, 0), (9, 0.9, 0, 0)], high)
    assert [verdict.reason for verdict in verdicts] == [CHANGED, UNCHANGED]


def test_step_time_without_frames_counts_for_no_dwell() -> None:
    rules = rules_for(LABELS, CRISP)
    state, _ = steps([(0, 0.9, 0, 0), (0.4, 0.9, 0, 0)], rules)[-1]
    seen = play([(7200.4, 0.9, 0, 0), (7200.5, 0.9, 0, 0)], rules, resume(state, 7200.4))
    assert [verdict.reason for verdict in seen] == [DWELL, CHANGED]
    state, _ = steps([(0, 0.9, 0, 0), (1, 0.9, 0, 0), (2, 0, 0, 0), (3.5, 0, 0, 0)], rules)[-1]
    assert state.label == "cat"
    gone = play([(99, 0, 0, 0), (99.4, 0, 0, 0), (99.5, 0, 0, 0)], rules, resume(state, 99))
    assert [verdict.label for verdict in gone] == ["cat", "cat", "unknown"]


def test_step_resumed_at_once_or_before_any_frame_is_the_same_state() -> None:
    rules = rules_for(LABELS, CRISP)
    assert resume(initial_state("cat"), 5) == initial_state("cat")
    state, _ = steps([(1, 0.9, 0, 0), (2, 0, 0.9, 0)], rules)[-1]
    for at_s in (2, 1):
        assert resume(state, at_s) == state
