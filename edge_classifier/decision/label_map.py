"""From a model's classes to the labels that are decided on, and the tree in which they stand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.labels.label_tree import LabelTree, Scores
from edge_classifier.core.labels.taxonomy import NO_TAXONOMY, Taxonomy
from edge_classifier.decision.name_lines import (
    NamedClasses,
    NameLine,
    UnknownLabelsError,
    names_above,
    positions_of,
    similar,
)


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Which classes make up which label. Equal only to itself: smoothed scores belong to one."""

    # The labels that are decided on, each once: those that classes count as, in the order of their
    # first classes, and then those that only have others below them.
    labels: tuple[str, ...]
    # How many of them are labels that classes count as.
    leaves: int
    # Where a label stands in ``labels``.
    position: MappingProxyType[str, int]
    # The names from the top of the model's tree down to each label, itself included; also of
    # nodes that are never said.
    paths: tuple[NameLine, ...]
    tree: LabelTree
    # Shape (classes,): the slot of each class in ``tree``, their number if it is ignored.
    class_positions: NDArray[np.intp]
    # The classes, where each leaf is one class and none between them is ignored.
    class_slice: slice | None

    def reduce(self, scores: NDArray[np.float32]) -> Scores:
        """What is each label's own of the classes' scores, shape (classes,): sums, clipped to 1.

        The array, one number a slot of ``tree``, is new, and the caller's to write into. Raises
        ValueError for another number of classes: these scores are another model's.
        """
        if scores.shape != self.class_positions.shape:
            raise ValueError(f"scores {scores.shape} for {self.class_positions.shape[0]} classes")
        slots = self.tree.slots
        if self.class_slice is not None:
            if self.leaves == slots:
                return scores[self.class_slice].astype(np.float64)
            own = np.zeros(slots)
            own[: self.leaves] = scores[self.class_slice]
            return own
        counted = np.bincount(self.class_positions, scores, slots + 1)
        sums = np.asarray(counted[:-1], np.float64)
        return np.minimum(sums, 1.0, out=sums)

    def path(self, label: str) -> NameLine:
        """The names down to ``label``; of one that is not decided on it alone."""
        position = self.position.get(label)
        return (label,) if position is None else self.paths[position]


def label_map(
    labels: Sequence[str], decision: DecisionSettings, taxonomy: Taxonomy = NO_TAXONOMY
) -> LabelMap:
    """The labels that ``decision`` leaves of a model's ``labels``, one a class, and its nodes.

    Classes that end under one name count as one label: the members of a group, two labels with one
    alias, an alias that is another label, a name that the model has twice. Group members and
    aliases are the model's own labels and nodes.

    Raises UnknownLabelsError with every label that the model does not have, that is claimed twice,
    or that has thresholds and is not decided on; and if no label is left.
    """
    classes = NamedClasses(labels, taxonomy, decision)
    lines = classes.lines()
    said = _said(lines, classes.unspoken(), decision)
    # What each class counts as: the deepest name of its line that may be said.
    owners = [next((name for name in reversed(line) if name in said), None) for line in lines]
    leaves = tuple(dict.fromkeys(name for name in owners if name is not None))
    above = names_above(lines)
    parents = _parents(leaves, above, said)
    names = tuple(parents)
    problems = [*classes.problems, *_problems(decision, names, classes.names)]
    if problems:
        raise UnknownLabelsError(problems)
    position = {name: index for index, name in enumerate(names)}
    tree = LabelTree(
        [None if parent is None else position[parent] for parent in parents.values()],
        has_rest=bool(decision.only),
    )
    ignored, rest = tree.slots, len(names)
    class_positions = [
        position[owner] if owner is not None else rest if line else ignored
        for owner, line in zip(owners, lines, strict=True)
    ]
    # Most models need no sums: the leaves are a run of classes, and all others are ignored.
    first = class_positions.index(0)
    run = slice(first, first + len(leaves))
    is_run = class_positions[run] == list(range(len(leaves)))
    others = len(class_positions) - len(leaves)
    return LabelMap(
        names,
        len(leaves),
        MappingProxyType(position),
        tuple(_path(name, parents, above) for name in names),
        tree,
        np.array(class_positions, np.intp),
        run if is_run and class_positions.count(ignored) == others else None,
    )


def require_labels(
    labels: Sequence[str], decision: DecisionSettings, taxonomy: Taxonomy = NO_TAXONOMY
) -> None:
    """Raise UnknownLabelsError unless ``decision`` fits a model's ``labels`` and nodes."""
    label_map(labels, decision, taxonomy)


def _said(lines: Sequence[NameLine], unspoken: Set[str], decision: DecisionSettings) -> set[str]:
    """The names that may be said, of all that are left."""
    names = tuple(dict.fromkeys(name for line in lines for name in line))
    if decision.only:
        return {names[at] for name in decision.only for at in positions_of(name, names)}
    # A node that has thresholds of its own is meant to be said.
    asked_for = {names[at] for name in decision.labels for at in positions_of(name, names)}
    labels = {line[-1] for line in lines if line}
    return labels | asked_for | {name for name in names if name not in unspoken}


def _problems(
    decision: DecisionSettings, names: Sequence[str], known: Sequence[str]
) -> Iterator[str]:
    """What is wrong with what is asked of ``names``, of a model where all of ``known`` are."""
    asked_for = [(f"labels.{name}:", name) for name in decision.labels]
    asked_for += [(f"only: {name!r}:", name) for name in decision.only]
    for subject, name in asked_for:
        if positions_of(name, names):
            continue
        if positions_of(name, known):
            yield f"{subject} it is ignored, or counts as another label"
        else:
            yield f"{subject} no such label{similar(name, (*known, *names))}"
    if not (names or decision.only):
        yield "ignore: no label is left to decide on"


def _parents(
    leaves: Iterable[str], above: Mapping[str, NameLine], said: Set[str]
) -> Mapping[str, str | None]:
    """Each label with the one just above it: first ``leaves``, then what stands above them."""
    parents: dict[str, str | None] = {}
    waiting = list(leaves)
    for name in waiting:
        if name not in parents:
            parent = next((one for one in reversed(above[name]) if one in said), None)
            parents[name] = parent
            waiting += [] if parent is None else [parent]
    return parents


def _path(name: str, parents: Mapping[str, str | None], above: Mapping[str, NameLine]) -> NameLine:
    """The path of the label above ``name``, nodes that are never said, and ``name``."""
    parent, between = parents[name], above[name]
    if parent is None:
        return (*between, name)
    return (*_path(parent, parents, above), *between[between.index(parent) + 1 :], name)
