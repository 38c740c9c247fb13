"""What holds for every sequence of frames."""

import math
from dataclasses import replace
from itertools import accumulate
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.scores import reaches
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import rules_for
from edge_classifier.decision.step import DecisionState, FrameVerdict, initial_state, step
from tests.decision.made_scores import CRISP, LABELS, At, changes, play, scores_of, steps

Smoothing = Literal["exponential", "vote", "none"]
SMOOTHINGS: tuple[Smoothing, ...] = ("exponential", "vote", "none")

SCORES = st.sampled_from([0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9]) | st.floats(0, 1, width=32)
PAUSES_S = st.sampled_from([0.0, 0.1, 0.5, 2.0, 100.0]) | st.floats(0, 5)
DECISIONS = st.builds(
    DecisionSettings,
    smoothing=st.sampled_from(SMOOTHINGS),
    time_constant_s=st.floats(0.1, 10),
    window_s=st.floats(0.1, 10),
    enter=st.sampled_from([0.5, 0.6, 0.9]),
    leave=st.sampled_from([0.0, 0.3, 0.5]),
    margin=st.sampled_from([0.0, 0.1, 0.3]),
    dwell_s=st.sampled_from([0.0, 0.5, 3.0]),
    unknown_dwell_s=st.sampled_from([0.0, 0.5, 3.0]),
)
LABEL_NAMES = st.sampled_from([UNKNOWN, *LABELS[1:], "a label that is gone"])

CHECKED = settings(deadline=None)


@st.composite
def videos(draw: st.DrawFn) -> list[At]:
    """Frames at times that never go backwards; each triple may be a softmax or not."""
    drawn = draw(st.lists(st.tuples(PAUSES_S, SCORES, SCORES, SCORES), min_size=1, max_size=40))
    times = accumulate(pause_s for pause_s, *_ in drawn)
    return [(at_s, *frame[1:]) for at_s, frame in zip(times, drawn, strict=True)]


@CHECKED
@given(videos(), DECISIONS, LABEL_NAMES)
def test_events_there_is_one_exactly_when_the_label_became_another(
    frames: list[At], decision: DecisionSettings, label: str
) -> None:
    before = label
    for state, verdict in steps(frames, decision, initial_state(label)):
        assert verdict.label == state.label
        assert (verdict.reason is Reason.CHANGED) == (state.label != before)
        expected = (before, state.label) if state.label != before else None
        assert (verdict.change and verdict.change[:2]) == expected
        before = state.label


@CHECKED
@given(videos(), DECISIONS, LABEL_NAMES)
def test_labels_that_enter_have_reached_their_threshold_and_lead_by_the_margin(
    frames: list[At], decision: DecisionSettings, label: str
) -> None:
    for verdict in play(frames, decision, initial_state(label)):
        if verdict.change and verdict.label != UNKNOWN:
            assert reaches(verdict.score, decision.enter)
            assert reaches(verdict.margin, decision.margin)


@CHECKED
@given(videos(), DECISIONS, LABEL_NAMES)
def test_labels_stay_no_longer_than_the_unknown_dwell_after_they_were_last_seen(
    frames: list[At], decision: DecisionSettings, label: str
) -> None:
    lost_since: float | None = None
    for (at_s, *_), verdict in zip(
        frames, play(frames, decision, initial_state(label)), strict=True
    ):
        current = verdict.label != UNKNOWN and not verdict.change
        if not current or reaches(verdict.score, decision.leave):
            lost_since = None
            continue
        lost_since = at_s if lost_since is None else lost_since
        assert at_s - lost_since < decision.unknown_dwell_s


@CHECKED
@given(videos(), DECISIONS, LABEL_NAMES)
def test_labels_enter_only_after_they_have_led_for_the_dwell(
    frames: list[At], decision: DecisionSettings, label: str
) -> None:
    leading, since_s = "", math.inf
    for (at_s, *_), verdict in zip(
        frames, play(frames, decision, initial_state(label)), strict=True
    ):
        leads = verdict.best.score - verdict.runner_up.score
        fits = reaches(verdict.best.score, decision.enter) and reaches(leads, decision.margin)
        if not fits:
            leading = ""
        elif leading != verdict.best.label:
            leading, since_s = verdict.best.label, at_s
        if verdict.change and verdict.label != UNKNOWN:
            assert verdict.label == leading
            assert at_s - since_s >= decision.dwell_s - 1e-5


@CHECKED
@given(videos(), DECISIONS, st.sampled_from([1024.0, -4096.0]))
def test_time_only_differences_count(
    frames: list[At], decision: DecisionSettings, shift_s: float
) -> None:
    """In eighths of a second, which floats hold exactly."""
    eighths: list[At] = [(round(at_s * 8) / 8, *scores) for at_s, *scores in frames]  # type: ignore[misc]
    shifted: list[At] = [(at_s + shift_s, *scores) for at_s, *scores in eighths]  # type: ignore[misc]
    assert play(shifted, decision) == play(eighths, decision)


@CHECKED
@given(videos(), DECISIONS, st.floats(0, 1000))
def test_time_that_goes_backwards_stands_still(
    frames: list[At], decision: DecisionSettings, back_s: float
) -> None:
    rules = rules_for(LABELS, decision)
    state, _ = steps(frames, rules)[-1]
    scores = scores_of(0.7, 0.2, 0.1)
    still = step(rules, state, scores, state.at_s)
    back = step(rules, state, scores, state.at_s - back_s)
    assert back[1] == still[1]
    assert back[0].at_s == state.at_s


def after(
    rules_of: DecisionSettings, frames: list[At], pause_s: float
) -> tuple[DecisionState, FrameVerdict]:
    """The last frame once more, ``pause_s`` later than it came."""
    *earlier, (at_s, *scores) = frames
    return steps([*earlier, (at_s + pause_s, *scores)], rules_of)[-1]  # type: ignore[list-item]


@CHECKED
@given(videos(), DECISIONS, PAUSES_S)
def test_time_what_a_frame_changes_it_changes_a_later_frame_as_well(
    frames: list[At], decision: DecisionSettings, pause_s: float
) -> None:
    """Without smoothing: there a later frame is a different average."""
    crisp = replace(decision, smoothing="none")
    _, soon = after(crisp, frames, 0.0)
    _, late = after(crisp, frames, pause_s)
    assert (soon.best, soon.runner_up) == (late.best, late.runner_up)
    if soon.change:
        assert late.change
    elif late.change:
        assert soon.pending


@CHECKED
@given(videos(), DECISIONS, st.tuples(SCORES, SCORES, SCORES))
def test_time_a_scene_that_stays_the_same_settles(
    frames: list[At], decision: DecisionSettings, scene: tuple[float, float, float]
) -> None:
    """At most the way through unknown to one label, and then nothing for ever."""
    state, _ = steps(frames, rules := rules_for(LABELS, decision))[-1]
    # By then the averages are the scene's own, to within every tolerance.
    long_ago = state.at_s + 1000
    ((state, _),) = steps([(long_ago, *scene)], rules, state)
    still: list[At] = [(long_ago + 0.25 * number, *scene) for number in range(1, 80)]
    verdicts = play(still, rules, state)
    assert len(changes(verdicts)) <= 2
    assert changes(verdicts[20:]) == []


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@CHECKED
@given(st.integers(1, 4), st.integers(1, 4), st.floats(0, 1, width=32), st.booleans())
def test_flapping_alternating_noise_brings_no_label_twice(
    smoothing: Smoothing, cats: int, dogs: int, height: float, begin_known: bool
) -> None:
    """A cat and a dog in turns, up to 0.4 s of each, against a dwell of half a second.

    The first frame counts as it is, and may bring a label that the average then does not hold.
    """
    decision = replace(CRISP, smoothing=smoothing, window_s=3.0)
    cat, dog = (height, 1 - height, 0.0), (1 - height, height, 0.0)
    pattern = [cat] * cats + [dog] * dogs
    frames: list[At] = [(n / 10, *pattern[n % len(pattern)]) for n in range(300)]
    verdicts = play(frames, decision, initial_state("cat" if begin_known else UNKNOWN))
    assert len(changes(verdicts)) <= 3
    settled, later = verdicts[99].label, changes(verdicts[100:])
    labels = [settled, *(label for _, label in later)]
    assert len(labels) == len(set(labels))


@CHECKED
@given(st.lists(st.floats(0.41, 0.99), min_size=1, max_size=60), st.floats(0, 2))
def test_flapping_a_score_that_stays_above_leave_never_ends_a_label(
    heights: list[float], pause_s: float
) -> None:
    frames: list[At] = [(n * pause_s, height, 0, 0) for n, height in enumerate(heights)]
    assert changes(play(frames, state=initial_state("cat"))) == []
