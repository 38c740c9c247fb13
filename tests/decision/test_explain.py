"""Reasons, for people."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.decision.explain import explain
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import rules_for
from edge_classifier.decision.step import initial_state
from tests.decision.made_scores import CRISP, LABELS, At, play


def said(frames: list[At], label: str = "unknown", **settings: Any) -> str:
    """The line on the last frame."""
    decision = replace(CRISP, **settings)
    return explain(play(frames, decision, initial_state(label))[-1], rules_for(LABELS, decision))


@pytest.mark.parametrize(
    ("frames", "label", "line"),
    [
        ([(0, 0.41, 0, 0)], "unknown", "below threshold: best is cat 0.41, needs 0.60"),
        ([(0, 0.599, 0, 0)], "unknown", "below threshold: best is cat 0.59, needs 0.60"),
        ([(0, 0, 0, 0)], "unknown", "below threshold: no label scores, needs 0.60"),
        (
            [(0, 0.5, 0.59, 0)],
            "cat",
            "below threshold: best is dog 0.59, needs 0.60; still cat 0.50",
        ),
        (
            [(0, 0.7, 0.625, 0)],
            "unknown",
            "margin: cat 0.70 is 0.07 ahead of dog, needs 0.10",
        ),
        (
            [(0, 0.7, 0.625, 0)],
            "dog",
            "margin: cat 0.70 is 0.07 ahead of dog, needs 0.10; still dog 0.62",
        ),
        ([(0, 0.9, 0, 0)], "unknown", "dwell: cat for 0.00 s, needs 0.50 s"),
        ([(0, 0.9, 0, 0), (0.2, 0.9, 0, 0)], "unknown", "dwell: cat for 0.20 s, needs 0.50 s"),
        (
            [(0, 0.1, 0, 0), (0.2, 0.1, 0, 0)],
            "cat",
            "dwell: no label for 0.20 s, needs 2.00 s; still cat 0.10",
        ),
        ([(0, 0.5, 0, 0)], "cat", "unchanged: cat 0.50"),
        ([(0, 0.9, 0, 0), (0.5, 0.9, 0, 0)], "unknown", "changed: unknown -> cat 0.90"),
        (
            [(0, 0, 0.3, 0), (2, 0, 0.3, 0)],
            "cat",
            "changed: cat -> unknown, best is dog 0.30",
        ),
    ],
)
def test_explain_one_line_says_what_and_why(frames: list[At], label: str, line: str) -> None:
    assert said(frames, label) == line


@pytest.mark.parametrize("reason", [Reason.GATED, Reason.DISABLED, Reason.QUIET_HOURS])
def test_explain_frames_that_were_not_classified_have_the_reasons_meaning(reason: Reason) -> None:
    (verdict,) = play([(0, 0.5, 0, 0)])
    line = explain(verdict._replace(reason=reason), rules_for(LABELS, CRISP))
    assert line == f"{reason.replace('_', ' ')}: {reason.meaning}"


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0.01, 1))
@example(0.6035, 0.604)
@example(0.599, 0.6)
def test_explain_a_score_below_its_threshold_never_looks_as_if_it_reached_it(
    score: float, enter: float
) -> None:
    decision = DecisionSettings(enter=enter, leave=0, dwell_s=0)
    (verdict,) = play([(0, score, 0, 0)], decision)
    line = explain(verdict, rules_for(LABELS, decision))
    if verdict.reason is Reason.BELOW_THRESHOLD and verdict.score > 0:
        shown, needed = line.removeprefix("below threshold: best is cat ").split(", needs ")
        assert float(shown) < float(needed)


@pytest.mark.parametrize("reason", Reason)
def test_reason_has_a_meaning_of_one_line(reason: Reason) -> None:
    assert reason.meaning
    assert "\n" not in reason.meaning
