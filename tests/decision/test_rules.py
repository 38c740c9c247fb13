"""Thresholds of each label."""

import numpy as np
import pytest

from edge_classifier.config.settings import DecisionSettings, Thresholds
from edge_classifier.decision.rules import Rules, reaches, rules_for, with_enter

LABELS = ("background", "cat", "dog", "cow")


def pairs(rules: Rules) -> list[tuple[float, float]]:
    return list(zip(rules.enter, rules.leave, strict=True))


def ruled(**labels: Thresholds) -> Rules:
    return rules_for(LABELS, DecisionSettings(enter=0.6, leave=0.4, labels=labels))


def test_rules_for_labels_without_thresholds_have_those_of_all() -> None:
    assert pairs(ruled()) == [(0.6, 0.4)] * 3


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (Thresholds(enter=0.9), (0.9, 0.4)),
        (Thresholds(leave=0.2), (0.6, 0.2)),
        (Thresholds(enter=0.9, leave=0.8), (0.9, 0.8)),
        (Thresholds(enter=0.3), (0.3, 0.3)),
        (Thresholds(leave=0.7), (0.6, 0.6)),
        (Thresholds(enter=0.0), (0.0, 0.0)),
        (Thresholds(), (0.6, 0.4)),
    ],
)
def test_rules_for_one_labels_own_thresholds_count_and_leave_is_never_above_enter(
    own: Thresholds, expected: tuple[float, float]
) -> None:
    assert pairs(ruled(Dog=own)) == [(0.6, 0.4), expected, (0.6, 0.4)]


def test_rules_for_a_group_has_thresholds_by_its_name() -> None:
    decision = DecisionSettings(
        groups={"pet": ("cat", "dog")}, labels={"pet": Thresholds(enter=0.8)}
    )
    rules = rules_for(LABELS, decision)
    assert rules.label_map.labels == ("pet", "cow")
    assert pairs(rules) == [(0.8, 0.4), (0.6, 0.4)]


@pytest.mark.parametrize(
    ("threshold", "expected"), [(0.9, (0.9, 0.4)), (0.3, (0.3, 0.3)), (0.0, (0.0, 0.0))]
)
def test_with_enter_moves_all_but_labels_with_an_enter_of_their_own(
    threshold: float, expected: tuple[float, float]
) -> None:
    rules = with_enter(ruled(dog=Thresholds(enter=0.7)), threshold)
    assert pairs(rules) == [expected, (0.7, 0.4), expected]
    assert rules.threshold == threshold


def test_with_enter_back_up_restores_the_configured_leave() -> None:
    before = ruled()
    after = with_enter(with_enter(before, 0.1), 0.6)
    assert pairs(after) == pairs(before)
    assert after.label_map is before.label_map


@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.6, 0.7, 0.9, 1.0])
def test_reaches_a_float32_score_reaches_the_threshold_it_was_made_from(threshold: float) -> None:
    assert reaches(np.array([threshold], np.float32).item(0), threshold)
    assert not reaches(threshold - 1e-6, threshold)
