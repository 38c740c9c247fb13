"""Figures of how good predictions are. Pure: truth and predictions are class numbers, (N,)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.intervals import wilson

# Class numbers, shape (N,).
Classes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` of ``count`` pictures; never shown without its interval."""

    hits: int
    count: int

    @property
    def value(self) -> float | None:
        """In [0, 1]; None of no picture."""
        return self.hits / self.count if self.count else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON: share and its 95 % Wilson interval in [0, 1]."""
        low, high = (round(end, 4) for end in wilson(self.hits, self.count))
        return {
            "hits": self.hits,
            "count": self.count,
            "share": rounded(self.value),
            "low": low,
            "high": high,
        }


def rounded(value: float | None) -> float | None:
    """Four digits, as reports have them."""
    return None if value is None else round(float(value), 4)


def top_k_hits(probabilities: NDArray[np.float32], truth: Classes, k: int) -> int:
    """How many pictures have the truth among their ``k`` best classes; (N, C) and (N,).

    Of equal scores the lower class goes first, as everywhere on the device.
    """
    of_truth = np.take_along_axis(probabilities, truth[:, None], axis=1)
    earlier = np.arange(probabilities.shape[1]) < truth[:, None]
    ahead = (probabilities > of_truth) | ((probabilities == of_truth) & earlier)
    return int(np.count_nonzero(np.count_nonzero(ahead, axis=1) < k))


def confusion(truth: Classes, predicted: Classes, classes: int) -> NDArray[np.int64]:
    """Shape (classes, classes): how often a picture of the row's class was taken for the column's.

    Raises ValueError for a class that is not one of them.
    """
    both = np.concatenate([truth, predicted])
    if both.size and (both.min() < 0 or both.max() >= classes):
        raise ValueError(f"classes {both.min()} to {both.max()} for {classes}")
    counts = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """How good one class is. None: of nothing, so undefined."""

    hits: int
    # Pictures that show it.
    count: int
    # Pictures that were taken for it.
    predicted: int
    # Share of those taken for it that show it.
    precision: float | None
    # Share of those that show it that were taken for it.
    recall: float | None
    # Harmonic mean of the two.
    f1: float | None


def class_figures(matrix: NDArray[np.int64]) -> tuple[ClassFigures, ...]:
    """One a class of a confusion matrix."""
    counts = (np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0))
    return tuple(
        ClassFigures(
            hits,
            count,
            predicted,
            precision=Share(hits, predicted).value,
            recall=Share(hits, count).value,
            f1=Share(2 * hits, count + predicted).value,
        )
        for hits, count, predicted in zip(*(c.tolist() for c in counts), strict=True)
    )


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """``count`` of ``of`` pictures of class ``truth`` were taken for ``predicted``."""

    truth: int
    predicted: int
    count: int
    of: int


def confused_pairs(matrix: NDArray[np.int64], limit: int) -> tuple[ConfusedPair, ...]:
    """The ``limit`` most frequent mistakes; of equals, the larger share of its class first."""
    totals = matrix.sum(axis=1)
    pairs = [
        ConfusedPair(int(row), int(column), int(matrix[row, column]), int(totals[row]))
        for row, column in np.argwhere(matrix)
        if row != column
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair.count, pair.of))[:limit])
