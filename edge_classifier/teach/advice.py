"""What to do about pictures and classes, from the scores of pictures that were not seen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.intervals import wilson
from edge_classifier.core.sentence import LabelText, Sentence
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
    mistakes = matrix + matrix.T
    # ``unknown`` is told apart by more pictures, not by another name.
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
    alike = [pair for pair in pairs if (pair[2].value or 0) >= _ALIKE]
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
        # The worst pair first.
        alike=tuple(sorted(alike, key=lambda pair: -(pair[2].value or 0))),
    )


def sentences(advice: Advice, right: Share, *, left_one_out: bool) -> list[Sentence]:
    """For people, the most important first; ``right``: pictures named rightly, unseen."""
    low, high = wilson(right.hits, right.count)
    found = [
        Sentence(
            "right on {hits} of {count} pictures that it had not seen "
            "({low} to {high} %, 95 % interval)",
            hits=right.hits,
            count=right.count,
            low=f"{100 * low:.0f}",
            high=f"{100 * high:.0f}",
        )
    ]
    if left_one_out:
        text = Sentence(
            "so few pictures tell little: each of the {count} was left out in turn, and "
            "each is worth {points} points",
            count=right.count,
            points=f"{100 / max(1, right.count):.0f}",
        )
        found.append(text)
    found += [
        Sentence(
            "{one} and {other} cannot be told apart: taken for each other in {hits} of "
            "{count} pictures. Are the same things in both? If so, make one class of them",
            one=LabelText(one),
            other=LabelText(other),
            hits=share.hits,
            count=share.count,
        )
        for one, other, share in advice.alike
    ]
    found += [
        Sentence(
            "{label} wants more pictures: it has {pictures}, of which {count} was recognized",
            "{label} wants more pictures: it has {pictures}, of which {count} were recognized",
            label=LabelText(one.label),
            pictures=one.pictures,
            count=one.found,
        )
        for one in advice.want_more[:_SHOWN]
    ]
    rest = len(advice.want_more) - _SHOWN
    if rest > 0:
        text = Sentence(
            "{count} other class wants more pictures as well",
            "{count} other classes want more pictures as well",
            count=rest,
        )
        found.append(text)
    return found
