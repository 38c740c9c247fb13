"""What one frame says by itself, before it is smoothed with those before it."""

from math import isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Output
from edge_classifier.core.events import Ranked
from edge_classifier.core.labels.label_tree import Scores
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.quantization import Quantization
from edge_classifier.core.scores import top_k
from edge_classifier.decision.label_map import LabelMap
from edge_classifier.decision.rules import Rules
from edge_classifier.decision.smoothing import vote


class FrameScores(NamedTuple):
    """The scores of one frame's labels. Nothing here is written to."""

    label_map: LabelMap
    # With all that is below each label; shape (slots,).
    scores: Scores
    # What would be said of this frame alone: the most specific label that reaches its ``enter``.
    sighted: str

    def of(self, label: str) -> float:
        """The score of ``label``; 0 where it is not decided on."""
        position = self.label_map.position.get(label)
        score = 0.0 if position is None else self.scores.item(position)
        return score if isfinite(score) else 0.0

    def path(self, label: str) -> tuple[str, ...]:
        """The names from the top of the model's tree down to ``label``."""
        return self.label_map.path(label)

    def are_in_line(self, one: str, other: str) -> bool:
        """Whether one of two labels is the other, or stands above it in the tree."""
        return self.common(one, other) in {one, other}

    def common(self, one: str, other: str) -> str | None:
        """The most specific label that both of two are, or stand below; None if there is none."""
        position, tree = self.label_map.position, self.label_map.tree
        if one not in position or other not in position:
            return None
        lines = tree.lines[position[one]], tree.lines[position[other]]
        shared = [at for at, also in zip(*lines, strict=False) if at == also]
        return self.label_map.labels[shared[-1]] if shared else None

    def top(self, k: int) -> tuple[Ranked, ...]:
        """The ``k`` best labels, best first, without those that score nothing.

        Of a tree, those that classes count as.
        """
        scores = self.scores[: self.label_map.leaves]
        best = top_k(scores, Quantization(), Output.PROBABILITIES, k)
        labels = self.label_map.labels
        return tuple(Ranked(labels[index], score) for index, score in best if score > 0)


def frame_scores(rules: Rules, scores: NDArray[np.float32]) -> FrameScores:
    """Of the classes' ``scores``, shape (classes,), in [0, 1]."""
    label_map = rules.label_map
    totals = label_map.tree.totals(label_map.reduce(scores))
    winner = vote(label_map.tree.best_line(totals, None), rules.needs)
    # Neither an abstention nor what ``decision.only`` leaves out is a label.
    sighted = label_map.labels[winner] if 0 <= winner < len(label_map.labels) else UNKNOWN
    return FrameScores(label_map, totals, sighted)
