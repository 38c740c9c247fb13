"""From a model's raw output to ranked, named predictions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Output
from edge_classifier.core.quantization import Array, Quantization, TensorSpec, dequantize, softmax

# A float32 score of 0.9 is a little less than 0.9, and still reaches it.
SCORE_TOLERANCE = 5e-7


class Prediction(NamedTuple):
    """One label of a picture.

    ``index`` is the output's number; None for ``unknown``, and for a name above several classes.
    """

    label: str
    index: int | None  # type: ignore[assignment]  # hides tuple.index, which nobody misses
    score: float
    # In a vocabulary outside; empty: none is known.
    id: str = ""
    # The names from the top of the model's tree down to this one; empty: there is no tree.
    path: tuple[str, ...] = ()


def reaches(score: float, threshold: float) -> bool:
    """Whether ``score`` is at least ``threshold``, but for the error of a float32."""
    return score >= threshold - SCORE_TOLERANCE


class ScoreReader:
    """Reads all scores of a model's output at once, to be smoothed over time."""

    def __init__(self, spec: TensorSpec, output: Output) -> None:
        self._quantization = spec.quantization
        self._logits = output is Output.LOGITS
        self._table: Array | None = None
        if spec.dtype.itemsize == 1 and spec.quantization:
            # One look-up a score instead of three passes: after a network has swept the caches,
            # each call into numpy's machinery costs more than what it computes.
            stored = np.arange(256, dtype=np.uint8).view(spec.dtype)
            with np.errstate(over="ignore"):  # A damaged scale: what it makes is looked at later.
                self._table = dequantize(stored, spec.quantization)

    def read(self, raw: Array) -> NDArray[np.float32]:
        """Scores in [0, 1] of ``raw``, both of shape (classes,); the caller's own."""
        if self._table is None:
            scores = dequantize(raw, self._quantization)
        else:
            scores = self._table.take(raw.view(np.uint8))
        return softmax(scores) if self._logits else scores


def top_k(
    raw: Array, quantization: Quantization, output: Output, k: int
) -> list[tuple[int, float]]:
    """Index and score in [0, 1] of the ``k`` best of ``raw``, shape (classes,), best first.

    Ties go to the lower index. Quantized values are ranked as they are stored, which their
    positive scale allows, and only the winners are dequantized. There is one call into numpy's
    machinery: with caches that a network has just swept, each costs more than what it computes.
    """
    # Back to front, the last of the equals that a stable ascending sort leaves is the first here.
    ascending = raw[::-1].argsort(kind="stable")
    last = raw.shape[0] - 1
    best = [last - index for index in ascending[: -k - 1 : -1].tolist()]
    if output is Output.LOGITS:
        raw, quantization = softmax(dequantize(raw, quantization)), Quantization()
    scale, zero_point = (quantization.scale, quantization.zero_point) if quantization else (1.0, 0)
    return [(index, (raw.item(index) - zero_point) * scale) for index in best]


def name_predictions(
    ranked: list[tuple[int, float]],
    names: tuple[str, ...],
    threshold: float | None,
    unknown: str,
) -> tuple[Prediction, ...]:
    """Named predictions, best first; those below ``threshold`` go.

    When none is left there is one, ``unknown`` with the best score and no index.
    """
    kept = tuple(
        Prediction(names[index], index, score)
        for index, score in ranked
        if threshold is None or reaches(score, threshold)
    )
    return kept or (Prediction(unknown, None, ranked[0][1]),)
