"""Thresholds of each label."""

from dataclasses import replace

import numpy as np
import pytest

from edge_classifier.config.settings import DecisionSettings, Thresholds
from edge_classifier.core.labels.label_tree import SPECIFIC_SHARE
from edge_classifier.core.scores import reaches
from edge_classifier.decision.rules import Rules, rules_for, with_thresholds_of
from tests.decision.made_scores import pet_rules

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


def test_rules_with_other_thresholds_keep_their_labels_and_else_are_others() -> None:
    before = ruled(dog=Thresholds(enter=0.7))
    higher = with_thresholds_of(before, replace(before.decision, enter=0.9, leave=0.3))
    assert higher is not None
    assert pairs(higher) == [(0.9, 0.3), (0.7, 0.3), (0.9, 0.3)]
    assert higher.label_map is before.label_map
    assert with_thresholds_of(before, replace(before.decision, ignore=("cow",))) is None


def test_names_below_another_need_nearly_all_of_its_score() -> None:
    rules = pet_rules(DecisionSettings(labels={"pug": Thresholds(enter=0.7)}))
    position = rules.label_map.position

    assert rules.needs(position["car"], 0.9) == 0.6
    assert rules.needs(position["pug"], 0.9) == 0.7
    assert rules.needs(position["tabby"], 0.9) == pytest.approx(0.855)
    assert rules.needs(position["tabby"], 0.6) == 0.6


@pytest.mark.parametrize(("score", "holds"), [(0.7, True), (0.66, False), (0.39, False)])
def test_name_below_another_is_lost_when_it_has_too_little_of_its_score(
    score: float, holds: bool
) -> None:
    rules = pet_rules(DecisionSettings())
    totals = np.zeros(len(rules.label_map.labels))
    totals[[rules.label_map.position[name] for name in ("tabby", "animal")]] = score, 0.9
    assert rules.holds(rules.label_map.position["tabby"], totals) is holds


def test_command_line_is_as_sure_of_specific_names_as_the_daemon() -> None:
    assert DecisionSettings().specific_share == SPECIFIC_SHARE


@pytest.mark.parametrize("threshold", [0.1, 0.4, 0.6, 0.7, 0.9, 1.0])
def test_reaches_a_float32_score_reaches_the_threshold_it_was_made_from(threshold: float) -> None:
    assert reaches(np.array([threshold], np.float32).item(0), threshold)
    assert not reaches(threshold - 1e-6, threshold)
