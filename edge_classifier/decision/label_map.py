"""From a model's classes to the labels that are decided on: ignored, renamed, grouped."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.labels import BACKGROUND, UNKNOWN_NAMES
from edge_classifier.core.text import folded

# Shape (labels,), in [0, 1]. Not float32: a slow average would stop short of its goal.
Scores = NDArray[np.float64]

# Ignored unless ``aliases`` or ``groups`` name it.
BACKGROUNDS = frozenset({BACKGROUND, "背景"})

# A class of this name says that nothing is seen, so it is never a label that is seen.
UNKNOWNS = frozenset(UNKNOWN_NAMES.values())


class UnknownLabelsError(ValueError):
    """Settings name labels that the model does not have, or name them twice.

    ``problems`` has all of them, one line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Which classes make up which label. Equal only to itself: smoothed scores belong to one."""

    # The labels that are decided on, each once, in the order of their first classes.
    labels: tuple[str, ...]
    # Where a label stands in ``labels``.
    position: MappingProxyType[str, int]
    # Shape (classes,): the label's position of each class, ``len(labels)`` if it is ignored.
    class_positions: NDArray[np.intp]
    # The classes, where each label is one class and none between them is ignored.
    class_slice: slice | None

    def reduce(self, scores: NDArray[np.float32]) -> Scores:
        """Scores of the labels from those of the classes, shape (classes,): sums, clipped to 1.

        The array is new, and the caller's to write into. Raises ValueError for another number of
        classes: these scores are another model's.
        """
        if scores.shape != self.class_positions.shape:
            raise ValueError(f"scores {scores.shape} for {self.class_positions.shape[0]} classes")
        if self.class_slice is not None:
            return scores[self.class_slice].astype(np.float64)
        counted = np.bincount(self.class_positions, scores, len(self.labels) + 1)
        sums = np.asarray(counted[:-1], np.float64)
        return np.minimum(sums, 1.0, out=sums)


def label_map(labels: Sequence[str], decision: DecisionSettings) -> LabelMap:
    """The labels that ``decision`` leaves of a model's ``labels``, one a class.

    A label in the settings means every class of that very name, or else every one that differs in
    upper and lower case alone. Classes that end under one name count as one label: the members of
    a group, two labels with one alias, an alias that is another label, a name that the model has
    twice. Group members and aliases are the model's own labels.

    Raises UnknownLabelsError with every label that the model does not have, that is claimed twice,
    or that has thresholds and is not decided on; and if no label is left.
    """
    class_names, problems = _names_of_classes(labels, decision)
    names = tuple(dict.fromkeys(name for name in class_names if name is not None))
    for label in decision.labels:
        if positions_of(label, labels) and not positions_of(label, names):
            problems.append(f"labels.{label}: it is ignored, or counts as another label")
        elif not positions_of(label, names):
            problems.append(f"labels.{label}: no such label{_similar(label, names)}")
    if not names:
        problems.append("ignore: no label is left to decide on")
    if problems:
        raise UnknownLabelsError(problems)
    position = {name: index for index, name in enumerate(names)}
    positions = [len(names) if name is None else position[name] for name in class_names]
    # Most models need no sums: their labels are one run of classes, in order.
    run = slice(positions.index(0), positions.index(0) + len(names))
    is_run = positions[run] == list(range(len(names)))
    is_run = is_run and positions.count(len(names)) == len(positions) - len(names)
    return LabelMap(
        names, MappingProxyType(position), np.array(positions, np.intp), run if is_run else None
    )


def require_labels(labels: Sequence[str], decision: DecisionSettings) -> None:
    """Raise UnknownLabelsError unless ``decision`` fits a model's ``labels``."""
    label_map(labels, decision)


def positions_of(wanted: str, labels: Sequence[str]) -> list[int]:
    """Every position of ``wanted`` in ``labels``: exactly, or else in whatever case and form.

    Editors and file systems disagree on how to write an é.
    """
    exact = [index for index, label in enumerate(labels) if label == wanted]
    if exact:
        return exact
    key = folded(wanted)
    return [index for index, label in enumerate(labels) if folded(label) == key]


def _names_of_classes(
    labels: Sequence[str], decision: DecisionSettings
) -> tuple[list[str | None], list[str]]:
    """The name under which each class is decided on, None for ignored; and what is wrong."""
    # Each setting's key, the model's label in it, and that label's new name.
    renamings: list[tuple[str, str, str | None]] = [
        *(("ignore", label, None) for label in decision.ignore),
        *(("aliases", label, name) for label, name in decision.aliases.items()),
        *(
            (f"groups.{name}", label, name)
            for name, members in decision.groups.items()
            for label in members
        ),
    ]
    renamed: dict[int, str | None] = {}
    problems = []
    for key, label, name in renamings:
        classes = positions_of(label, labels)
        if not classes:
            problems.append(f"{key}: {label!r} is no label of this model{_similar(label, labels)}")
        for other in {renamed[index] for index in classes if index in renamed} - {name}:
            treatment = "is ignored" if other is None else f"counts as {other!r}"
            problems.append(f"{key}: {label!r} {treatment} already")
        renamed |= dict.fromkeys(classes, name)
    names: list[str | None] = []
    for index, label in enumerate(labels):
        kept = None if label.casefold() in BACKGROUNDS else label
        name = renamed.get(index, kept)
        names.append(None if name and name.casefold() in UNKNOWNS else name)
    return names, problems


def _similar(label: str, labels: Sequence[str]) -> str:
    """The nearest of ``labels``, if any is near."""
    # Only ever needed for a mistake.
    from difflib import get_close_matches

    known = {folded(name): name for name in labels}
    close = [known[match] for match in get_close_matches(folded(label), known)]
    return f"; similar: {', '.join(map(repr, close))}" if close else ""
