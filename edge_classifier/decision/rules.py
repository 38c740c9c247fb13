"""What one camera's decisions go by: settings and labels, worked out once."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.decision.label_map import LabelMap, label_map, positions_of

# A float32 score of 0.9 is a little less than 0.9, and still reaches it.
SCORE_TOLERANCE = 5e-7


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """``enter`` and ``leave`` have one threshold a label of ``label_map``."""

    label_map: LabelMap
    # As it was configured.
    decision: DecisionSettings
    # What a label without an ``enter`` of its own needs: ``decision.enter``, or as commanded.
    threshold: float
    enter: tuple[float, ...]
    leave: tuple[float, ...]


def rules_for(labels: Sequence[str], decision: DecisionSettings) -> Rules:
    """Rules for a model with these labels, one a class. Raises UnknownLabelsError."""
    return _with_thresholds(label_map(labels, decision), decision, decision.enter)


def with_enter(rules: Rules, threshold: float) -> Rules:
    """The same rules with another threshold for every label that has no ``enter`` of its own.

    ``leave`` moves down with it where it would be above, and is as configured again once the
    threshold is. Smoothed scores stay valid.
    """
    return _with_thresholds(rules.label_map, rules.decision, threshold)


def reaches(score: float, threshold: float) -> bool:
    """Whether ``score`` is at least ``threshold``, but for the error of a float32."""
    return score >= threshold - SCORE_TOLERANCE


def _with_thresholds(mapped: LabelMap, decision: DecisionSettings, threshold: float) -> Rules:
    enters = [threshold] * len(mapped.labels)
    leaves = [decision.leave] * len(mapped.labels)
    for name, own in decision.labels.items():
        for position in positions_of(name, mapped.labels):
            enters[position] = threshold if own.enter is None else own.enter
            leaves[position] = decision.leave if own.leave is None else own.leave
    # Were ``leave`` above ``enter``, a label would come and go.
    leaves = [min(pair) for pair in zip(leaves, enters, strict=True)]
    return Rules(mapped, decision, threshold, tuple(enters), tuple(leaves))
