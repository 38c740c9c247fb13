"""What to do about pictures and classes, from the scores of pictures that were not seen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.intervals import wilson
from edge_classifier.evaluation.matching import says_nothing
from edge_classifier.evaluation.measures import Classes, Share, confusion

# Pictures of a class with fewer than these: each more teaches a good deal.
FEW = 20
# A class that is found less often than this wants more pictures, up to so many.
_WEAK, _MANY = 0.85, 200
# A picture that another class gets with this score may be filed there by mistake.
_SURE = 0.9
# Of two classes that are taken for each other in this share of their pictures, nothing is known:
# a coin would give a half.
_ALIKE, _LEAST_MISTAKES = 0.3, 3
# Classes that want more pictures, each with a sentence of its own.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class WronglyFiled:
    """A picture that looks like another class's."""

    # As ``dataset.Dataset.place`` names it.
    picture: str
    label: str
    looks_like: str
    # In [0, 1].
    score: float


@dataclass(frozen=True, slots=True)
class WeakClass:
    """A class that more pictures would help."""

    label: str
    pictures: int
    # Of these, named rightly.
    found: int


@dataclass(frozen=True, slots=True)
class Advice:
    """All of it."""

    # The one that is found least often first.
    want_more: tuple[WeakClass, ...]
    # The surest first.
    wrongly_filed: tuple[WronglyFiled, ...]
    # Two labels, and how often they are taken for each other.
    alike: tuple[tuple[str, str, Share], ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "want_more": [asdict(one) for one in self.want_more],
            "wrongly_filed": [asdict(one) for one in self.wrongly_filed],
            "cannot_be_told_apart": [
                {"labels": [one, other], **share.as_dict()} for one, other, share in self.alike
            ],
        }


def advise(
    labels: Sequence[str],
    places: Sequence[str],
    truth: Classes,
    probabilities: NDArray[np.float64],
) -> Advice:
    """``truth`` (N,), ``probabilities`` (N, classes) of pictures that were not seen."""
    predicted = probabilities.argmax(axis=1)
    score = probabilities.max(axis=1)
    matrix = confusion(truth, predicted, len(labels))
    sizes = matrix.sum(axis=1)
    share = np.diag(matrix) / np.maximum(sizes, 1)
    weak = [
        number
        for number in np.argsort(share, kind="stable").tolist()
        # What is not there at all comes with the base.
        if 0 < sizes[number] < FEW or (0 < sizes[number] < _MANY and share[number] < _WEAK)
    ]
    suspects = np.flatnonzero((predicted != truth) & (score >= _SURE))
    return Advice(
        want_more=tuple(
            WeakClass(labels[number], int(sizes[number]), int(matrix[number, number]))
            for number in weak
        ),
        wrongly_filed=tuple(
            WronglyFiled(
                places[number],
                labels[truth[number]],
                labels[predicted[number]],
                round(float(score[number]), 4),
            )
            for number in suspects[np.argsort(-score[suspects], kind="stable")]
        ),
        alike=tuple(_alike(labels, matrix)),
    )


def _alike(labels: Sequence[str], matrix: NDArray[np.int64]) -> list[tuple[str, str, Share]]:
    """The worst pair first; ``unknown`` is told apart by more pictures, not by another name."""
    mistakes = matrix + matrix.T
    sizes = matrix.sum(axis=1)
    pairs = [
        (
            labels[one],
            labels[other],
            Share(int(mistakes[one, other]), int(sizes[one] + sizes[other])),
        )
        for one, other in combinations(range(len(labels)), 2)
        if mistakes[one, other] >= _LEAST_MISTAKES
        and not says_nothing(labels[one])
        and not says_nothing(labels[other])
    ]
    pairs = [pair for pair in pairs if (pair[2].value or 0) >= _ALIKE]
    return sorted(pairs, key=lambda pair: -(pair[2].value or 0))


def sentences(advice: Advice, right: Share, *, left_one_out: bool) -> list[str]:
    """For people, the most important first; ``right``: pictures named rightly, unseen."""
    low, high = wilson(right.hits, right.count)
    interval = f"{100 * low:.0f} to {100 * high:.0f} %, 95 % interval"
    found = [f"right on {right.hits} of {right.count} pictures that it had not seen ({interval})"]
    if left_one_out:
        found.append(
            f"so few pictures tell little: each of the {right.count} was left out in turn, and "
            f"each is worth {100 / max(1, right.count):.0f} points"
        )
    for one, other, share in advice.alike:
        found.append(
            f"{one} and {other} cannot be told apart: taken for each other in {share.hits} of "
            f"{share.count} pictures. Are the same things in both? If so, make one class of them"
        )
    found += [
        f"{one.label} wants more pictures: it has {one.pictures}, of which {one.found} "
        f"{'was' if one.found == 1 else 'were'} recognized"
        for one in advice.want_more[:_SHOWN]
    ]
    rest = len(advice.want_more) - _SHOWN
    if rest > 0:
        classes = "class wants" if rest == 1 else "classes want"
        found.append(f"{rest} other {classes} more pictures as well")
    return found
