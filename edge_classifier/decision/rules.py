"""What one camera's decisions go by: settings and labels, worked out once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.labels.label_tree import Scores
from edge_classifier.core.labels.taxonomy import NO_TAXONOMY, Taxonomy
from edge_classifier.core.scores import reaches
from edge_classifier.decision.label_map import LabelMap, label_map
from edge_classifier.decision.name_lines import positions_of


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """``enter``, ``leave`` and ``share`` have one value a label of ``label_map``."""

    label_map: LabelMap
    decision: DecisionSettings
    enter: tuple[float, ...]
    leave: tuple[float, ...]
    # How much of the score at the top of its line each needs beside that; 0 at the top itself.
    share: tuple[float, ...]

    def needs(self, position: int, top_score: float) -> float:
        """The score that a label needs to enter, where the top of its line has ``top_score``."""
        return max(self.enter[position], self.share[position] * top_score)

    def holds(self, position: int, totals: Scores) -> bool:
        """Whether the current label is not lost."""
        share = self.share[position] - (self.decision.enter - self.decision.leave)
        top_score = totals.item(self.label_map.tree.lines[position][0])
        return reaches(totals.item(position), max(self.leave[position], share * top_score))


def rules_for(
    labels: Sequence[str], decision: DecisionSettings, taxonomy: Taxonomy = NO_TAXONOMY
) -> Rules:
    """Rules for a model with these labels, one a class, and this tree above them.

    Raises UnknownLabelsError.
    """
    return _with_thresholds(label_map(labels, decision, taxonomy), decision)


def with_thresholds_of(rules: Rules, decision: DecisionSettings) -> Rules | None:
    """``rules`` with ``enter`` and ``leave`` of ``decision``: smoothed scores stay valid.

    None where it differs in more than these.
    """
    if decision == rules.decision:
        return rules
    same = replace(decision, enter=rules.decision.enter, leave=rules.decision.leave)
    return _with_thresholds(rules.label_map, decision) if same == rules.decision else None


def _with_thresholds(mapped: LabelMap, decision: DecisionSettings) -> Rules:
    enters = [decision.enter] * len(mapped.labels)
    leaves = [decision.leave] * len(mapped.labels)
    shares = [decision.specific_share if len(line) > 1 else 0.0 for line in mapped.tree.lines]
    for name, own in decision.labels.items():
        for position in positions_of(name, mapped.labels):
            if own.enter is not None:
                enters[position], shares[position] = own.enter, 0.0
            leaves[position] = decision.leave if own.leave is None else own.leave
    # Were ``leave`` above ``enter``, a label would come and go.
    leaves = [min(pair) for pair in zip(leaves, enters, strict=True)]
    return Rules(mapped, decision, tuple(enters), tuple(leaves), tuple(shares))
