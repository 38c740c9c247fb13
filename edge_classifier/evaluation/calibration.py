"""Whether a score of 0.8 is right in about 80 of 100 cases, and the temperature that makes it so.

Guo et al., "On Calibration of Modern Neural Networks", 2017.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.quantization import Array
from edge_classifier.evaluation.measures import Classes, rounded

# As in Guo et al.
BINS = 15
# Temperatures beyond these mean that there is too little to fit.
COLDEST, HOTTEST = 0.05, 20.0
# Of the temperature's range on a logarithmic scale: leaves less than one part in 10^8.
_HALVINGS = 30
# Of logits that are real numbers of eight bytes at a time: of 20,000 pictures and 500 classes all
# of them are 80 MB, and several copies are needed.
_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures whose best score lies in one stretch of [0, 1]. None: there are none."""

    count: int
    # Mean of their best scores.
    confidence: float | None
    # Share of them that is right.
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of equal width, from score 0 to 1."""

    bins: tuple[Bin, ...]

    @property
    def expected_error(self) -> float:
        """Expected calibration error in [0, 1]: how far score and accuracy are apart, on average.

        The mean over bins of the gap between confidence and accuracy, weighted by their pictures
        (Guo et al., equation 3).
        """
        total = sum(one.count for one in self.bins)
        gaps = (
            one.count * abs(one.confidence - one.accuracy)
            for one in self.bins
            if one.confidence is not None and one.accuracy is not None
        )
        return sum(gaps) / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        bins = [
            {
                "count": one.count,
                "confidence": rounded(one.confidence),
                "accuracy": rounded(one.accuracy),
            }
            for one in self.bins
        ]
        return {"expected_error": rounded(self.expected_error), "bins": bins}


def reliability(confidence: Array, correct: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Best scores in [0, 1] and whether each was right, both of shape (N,), in ``bins`` bins.

    A bin has its upper end and not its lower one, but for the first, which has 0 as well.
    """
    place = np.clip(np.ceil(confidence.astype(np.float64) * bins) - 1, 0, bins - 1).astype(int)
    counts = np.bincount(place, minlength=bins)
    sums = np.bincount(place, confidence.astype(np.float64), bins)
    hits = np.bincount(place, correct.astype(np.float64), bins)
    return Reliability(
        tuple(
            Bin(int(n), float(s / n), float(h / n)) if n else Bin(0, None, None)
            for n, s, h in zip(counts, sums, hits, strict=True)
        )
    )


def fit_temperature(logits: Array, truth: Classes) -> float:
    """The T for which softmax(logits / T) gives ``truth`` the least negative log-likelihood.

    ``logits`` (N, C), ``truth`` (N,), N at least 1. As a function of 1 / T the likelihood is
    convex, so its slope changes sign once: that place is found by halving, within COLDEST and
    HOTTEST. Classes do not change their order.
    """
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(_HALVINGS):
        middle = np.sqrt(low * high)
        starts = range(0, len(logits), _BLOCK_ROWS)
        rows = ((logits[at : at + _BLOCK_ROWS], truth[at : at + _BLOCK_ROWS]) for at in starts)
        if np.concatenate([_too_sure(*some, middle) for some in rows]).mean() > 0:
            high = middle
        else:
            low = middle
    return float(1 / np.sqrt(low * high))


def _too_sure(logits: Array, truth: Classes, factor: float) -> NDArray[np.float64]:
    """By how much the logit that softmax(factor * logits) expects is above that of ``truth``."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    of_truth = np.take_along_axis(shifted, truth[:, None], axis=1)[:, 0]
    return np.asarray((_softmax(shifted * factor) * shifted).sum(axis=1) - of_truth)


def _softmax(shifted: NDArray[np.float64]) -> NDArray[np.float64]:
    """In its place."""
    powers = np.exp(shifted, out=shifted)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def tempered(logits: Array, temperature: float) -> NDArray[np.float64]:
    """softmax(logits / temperature), (N, C)."""
    scaled = logits.astype(np.float64)
    scaled /= temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return _softmax(scaled)
