"""The rules of each camera for the model that it runs, worked out again only when one is another.

A thousand labels and their tree take a small device a tenth of a second, in which no camera is
looked at.
"""

from typing import NamedTuple

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.decision.fit_to_model import fit_to_model
from edge_classifier.decision.label_map import require_labels


class FittedDecision(NamedTuple):
    """The part of a camera's rules that means something to its model."""

    decision: DecisionSettings
    # What rests, a line each.
    resting: tuple[str, ...] = ()


class FittedRules:
    """Belongs to the main loop's thread. ``use``: whose rules, and for what."""

    def __init__(self) -> None:
        # By the use: names of labels, the tree above them, and rules, with what came of them. No
        # model: one that is not in use any more shall leave the memory.
        self._known: dict[str, tuple[tuple[object, ...], FittedDecision]] = {}

    def require(self, use: str, model: ActiveModel, decision: DecisionSettings) -> FittedDecision:
        """``decision`` as it is. Raises UnknownLabelsError unless it fits the model."""
        of = model.labels, model.taxonomy, decision
        if known := self._find(use, of):
            return known
        require_labels(model.labels, decision, model.taxonomy)
        return self._keep(use, of, FittedDecision(decision))

    def fit(self, use: str, model: ActiveModel, decision: DecisionSettings) -> FittedDecision:
        """As ``fit_to_model``."""
        of = model.labels, model.taxonomy, decision
        if known := self._find(use, of):
            return known
        fitted = fit_to_model(model.labels, decision, model.taxonomy)
        return self._keep(use, of, FittedDecision(*fitted))

    def _find(self, use: str, of: tuple[object, ...]) -> FittedDecision | None:
        known = self._known.get(use)
        return known[1] if known and known[0] == of else None

    def _keep(self, use: str, of: tuple[object, ...], found: FittedDecision) -> FittedDecision:
        self._known[use] = of, found
        return found
