"""A picture's answer in a model's tree of names: ids, paths, and the most specific name."""

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Contract
from edge_classifier.core.labels.label_tree import SPECIFIC_SHARE, LabelTree
from edge_classifier.core.labels.labels import display_names, node_names
from edge_classifier.core.scores import Prediction, reaches


class TreeNames:
    """The names of a model's classes and of the nodes above them, in one language."""

    def __init__(self, contract: Contract, language: str) -> None:
        self._taxonomy = contract.taxonomy
        self._class_names = display_names(contract, language)
        self._node_names = node_names(contract.taxonomy, language)
        # Made when it is first needed: few pictures need it.
        self._tree: LabelTree | None = None
        # Of each class that has been described: a camera shows the same few again and again.
        self._paths: dict[int, tuple[str, ...]] = {}

    def described(self, found: Prediction) -> Prediction:
        """A class with its id, and with the names from the top of the tree down to it."""
        label, index, score = found[:3]
        if index is None or not self._taxonomy.class_nodes:
            return found
        path = self._paths.get(index)
        if path is None:
            line = self._taxonomy.line(self._taxonomy.class_nodes[index])
            path = self._paths[index] = (*(self._node_names[at] for at in line), label)
        return Prediction(label, index, score, self._taxonomy.ids[index], path)

    def most_specific(self, scores: NDArray[np.float32], threshold: float) -> Prediction | None:
        """The most specific name that is sure; None: no name is.

        A name needs ``threshold``, and SPECIFIC_SHARE of the score at the top of its line.
        ``scores`` has shape (classes,), in [0, 1]. A node has the sum of what is below it.
        """
        if self._tree is None:
            self._tree = self._spoken_tree()
        classes = len(self._class_names)
        own = np.zeros(self._tree.slots)
        own[:classes] = scores
        line = self._tree.best_line(self._tree.totals(own), None)
        specific = max(threshold, SPECIFIC_SHARE * line[0].score)
        sure = [rung for rung in line[:1] if reaches(rung.score, threshold)]
        sure += [rung for rung in line[1:] if reaches(rung.score, specific)]
        if not sure:
            return None
        position, score = sure[-1].position, sure[-1].score
        if position < classes:
            return self.described(Prediction(self._class_names[position], position, score))
        at = position - classes
        path = tuple(self._node_names[above] for above in self._taxonomy.line(at))
        return Prediction(path[-1], None, score, self._taxonomy.nodes[at].id, path)

    def _spoken_tree(self) -> LabelTree:
        """Classes, then nodes. One that is never said alone has nothing below it, and scores 0."""
        nodes, classes = self._taxonomy.nodes, len(self._class_names)

        def spoken(position: int | None) -> int | None:
            while position is not None and not nodes[position].spoken:
                position = nodes[position].parent
            return None if position is None else position + classes

        class_nodes = self._taxonomy.class_nodes or (None,) * classes
        return LabelTree([spoken(at) for at in (*class_nodes, *(node.parent for node in nodes))])
