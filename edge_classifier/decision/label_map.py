"""From a model's classes to the labels that are decided on: ignored, renamed, grouped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.labels import BACKGROUND, UNKNOWN_NAMES

# Shape (names,), in [0, 1]. Not float32: a slow average would stop short of its goal.
Scores = NDArray[np.float64]

# Ignored unless ``aliases`` or ``groups`` name it.
BACKGROUNDS = frozenset({BACKGROUND, "背景"})

# A class of this name says that nothing is seen, so it is never a label that is seen.
UNKNOWNS = frozenset(UNKNOWN_NAMES.values())


class UnknownLabelsError(ValueError):
    """Settings name labels that cannot be meant: ``problems`` has all of them, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Which classes make up which label. Equal only to itself: smoothed scores belong to one."""

    # The labels that are decided on, each once, in the order of their first classes.
    names: tuple[str, ...]
    # Where a name stands in ``names``.
    position: Mapping[str, int]
    # Shape (classes,): the name's position of each class, ``len(names)`` if it is ignored.
    place: NDArray[np.intp]
    # The classes, where each name is one class and none between them is ignored.
    span: slice | None

    def reduce(self, scores: NDArray[np.float32]) -> Scores:
        """Scores of the names from those of the classes, shape (classes,): sums, clipped to 1.

        The array is new, and the caller's to write into. Raises ValueError for another number of
        classes: these scores are another model's.
        """
        if scores.shape != self.place.shape:
            raise ValueError(f"scores {scores.shape} for {self.place.shape[0]} classes")
        if self.span is not None:
            return scores[self.span].astype(np.float64)
        sums = np.asarray(np.bincount(self.place, scores, len(self.names) + 1)[:-1], np.float64)
        return np.minimum(sums, 1.0, out=sums)


def label_map(labels: Sequence[str], rules: DecisionSettings) -> LabelMap:
    """The labels that ``rules`` leave of a model's ``labels``, one a class.

    A label in the settings means every class of that very name, or else every one that differs in
    upper and lower case alone. Classes that end under one name count as one label: the members of
    a group, two labels with one alias, an alias that is another label, a name that the model has
    twice. Group members and aliases are the model's own labels.

    Raises UnknownLabelsError with every label that the model does not have, that is claimed twice,
    or that has thresholds and is not decided on; and if no label is left.
    """
    chosen, problems = _choose(labels, rules)
    names = tuple(dict.fromkeys(name for name in chosen if name is not None))
    unmatched = [label for label in rules.labels if not find(names, label)]
    problems += [_threshold_problem(label, labels, names) for label in unmatched]
    if not names:
        problems.append("ignore: no label is left to decide on")
    if problems:
        raise UnknownLabelsError(problems)
    position = {name: index for index, name in enumerate(names)}
    place = [len(names) if name is None else position[name] for name in chosen]
    return LabelMap(
        names, MappingProxyType(position), np.array(place, np.intp), _span(place, len(names))
    )


def find(labels: Sequence[str], wanted: str) -> list[int]:
    """Every position of ``wanted``: exactly, or else in whatever case."""
    exact = [index for index, label in enumerate(labels) if label == wanted]
    folded = wanted.casefold()
    return exact or [index for index, label in enumerate(labels) if label.casefold() == folded]


def _choose(labels: Sequence[str], rules: DecisionSettings) -> tuple[list[str | None], list[str]]:
    """The name under which each class is decided on, None for ignored; and what is wrong."""
    claimed: dict[int, str | None] = {}
    problems = []
    for key, label, name in _claims(rules):
        classes = find(labels, label)
        if not classes:
            problems.append(f"{key}: {label!r} is no label of this model{_hint(label, labels)}")
        others = {claimed[index] for index in classes if index in claimed} - {name}
        problems += [f"{key}: {label!r} {_treatment(other)} already" for other in others]
        claimed |= dict.fromkeys(classes, name)
    chosen = [claimed.get(index, _own(label)) for index, label in enumerate(labels)]
    return [None if name and name.casefold() in UNKNOWNS else name for name in chosen], problems


def _claims(rules: DecisionSettings) -> Iterator[tuple[str, str, str | None]]:
    """Each setting's key, the model's label in it, and that label's new name (None: ignored)."""
    for label in rules.ignore:
        yield "ignore", label, None
    for label, name in rules.aliases.items():
        yield "aliases", label, name
    for name, members in rules.groups.items():
        for label in members:
            yield f"groups.{name}", label, name


def _own(label: str) -> str | None:
    return None if label.casefold() in BACKGROUNDS else label


def _treatment(name: str | None) -> str:
    return "is ignored" if name is None else f"counts as {name!r}"


def _threshold_problem(label: str, labels: Sequence[str], names: Sequence[str]) -> str:
    if find(labels, label):
        return f"labels.{label}: it is ignored, or counts as another label"
    return f"labels.{label}: no such label{_hint(label, names)}"


def _hint(label: str, labels: Sequence[str]) -> str:
    """The nearest of ``labels``, if any is near."""
    from difflib import get_close_matches  # only ever needed for a mistake

    folded = {known.casefold(): known for known in labels}
    close = [folded[match] for match in get_close_matches(label.casefold(), folded)]
    return f"; similar: {', '.join(map(repr, close))}" if close else ""


def _span(place: Sequence[int], names: int) -> slice | None:
    """Where the positions 0, 1, 2 ... stand in one run, if all else is ignored."""
    start = place.index(0)
    run = slice(start, start + names)
    whole = list(place[run]) == list(range(names)) and place.count(names) == len(place) - names
    return run if whole else None
