"""Multinomial logistic regression with L2, by L-BFGS on all rows at once: no chance in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_classifier.evaluation.measures import Classes
from edge_classifier.teach.head import BLOCK_ROWS, Head

# Pairs of steps that L-BFGS remembers, where they are not too large: of 500 classes each pair is
# 5 MB, and three do.
_MEMORY, _LEAST_MEMORY, _MEMORY_BYTES = 10, 3, 16_000_000
_MOST_STEPS = 500
# Of the loss; less is lost in float32's rounding.
_CONVERGED, _ROUGHLY = 1e-7, 3e-4
# Rows up to which features are held as float32: 2,000 of 1280 take 10 MB.
_HELD_ROWS = 2000
# A feature that never changes is not divided by zero: half a step of int8.
_LEAST_SPREAD = 0.5

# float32 where a fit is sought: of 500 classes each is 2.6 MB, and a dozen are needed at a time.
Vector = NDArray[np.floating]
Objective = Callable[[Vector], tuple[float, Vector]]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A solution for scaled features: (features + 1, classes), the bias last."""

    parameters: NDArray[np.float32]


class Regression:
    """The task on N pictures' features; which rows count, and how much, is said at each fit."""

    def __init__(self, stored: Sequence[NDArray[np.int8]], truth: Classes, classes: int) -> None:
        """``stored``: arrays (., features) as the network gives them, N rows in all; they are kept.

        ``truth`` (N,).
        """
        self.truth, self.classes = truth, classes
        # Rows of features as they are stored; all at once as float32 are four times as many bytes.
        self._stored = [
            part[at : at + BLOCK_ROWS] for part in stored for at in range(0, len(part), BLOCK_ROWS)
        ]
        count = len(truth)
        self._mean = sum(block.sum(axis=0, dtype=np.float64) for block in self._stored) / count
        squares = sum(np.square(block - self._mean).sum(axis=0) for block in self._stored)
        spread = np.maximum(np.sqrt(squares / count), _LEAST_SPREAD)
        # Half way between standardizing each feature and none: of five flowers that named a point
        # more of the pictures rightly than the first, with either embedded network.
        self._spread = np.sqrt(spread * np.sqrt(np.square(spread).mean()))
        self._held: list[NDArray[np.float32]] = []
        if count <= _HELD_ROWS:
            self._held = [self._centred(block) for block in self._stored]

    def fit(
        self,
        weights: NDArray[np.float64],
        strength: float,
        start: Fit | None = None,
        *,
        rough: bool = False,
    ) -> Fit:
        """The parameters that minimize the weighted cross-entropy and the squares of the weights.

        ``weights`` (N,), in pictures; ``strength`` times half the squares, without the bias.
        ``rough`` is for choosing among strengths.
        """
        shape = len(self._mean) + 1, self.classes

        def objective(flat: Vector) -> tuple[float, Vector]:
            parameters = flat.reshape(shape)
            inner = parameters[:-1]
            slope = np.zeros(shape, np.float32)
            loss = 0.5 * strength * float(np.einsum("ij,ij->", inner, inner, dtype=np.float64))
            scaled = self._scaled(inner)
            for rows, block in self._blocks():
                # Changed in place, some rows at a time: of 20,000 pictures and 500 classes each
                # copy of all would be 80 MB.
                logits = (block @ scaled + parameters[-1]).astype(np.float64)
                logits -= logits.max(axis=1, keepdims=True)
                place = np.arange(len(block)), self.truth[rows]
                of_truth = logits[place]
                errors = np.exp(logits, out=logits)
                sums = errors.sum(axis=1, keepdims=True)
                errors /= sums
                errors[place] -= 1
                errors *= weights[rows, None]
                loss += float(weights[rows] @ (np.log(sums[:, 0]) - of_truth))
                slope[:-1] += block.T @ errors.astype(np.float32)
                slope[-1] += errors.sum(axis=0)
            slope[:-1] /= self._spread[:, None]
            slope[:-1] += np.float32(strength) * inner
            return loss, slope.ravel()

        first = np.zeros(shape, np.float32) if start is None else start.parameters
        found = minimize(objective, first.ravel(), _ROUGHLY if rough else _CONVERGED)
        return Fit(found.reshape(shape))

    def logits(self, fit: Fit, wanted: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Of the rows that are ``wanted`` (N,), in their order: (rows, classes)."""
        scaled, bias = self._scaled(fit.parameters[:-1]), fit.parameters[-1]
        blocks = ((block, wanted[rows]) for rows, block in self._blocks())
        return np.concatenate([block[chosen] @ scaled + bias for block, chosen in blocks])

    def head(self, fit: Fit) -> Head:
        """The same for features as they are stored: their scaling is folded in."""
        weights = fit.parameters[:-1] / self._spread[:, None]
        return Head(weights, fit.parameters[-1] - self._mean @ weights)

    def _scaled(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """For features that are centred, and have their spread."""
        return np.asarray(weights / self._spread[:, None].astype(np.float32))

    def _blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Which rows, and their features, centred."""
        at = 0
        for number, stored in enumerate(self._stored):
            block = self._held[number] if self._held else self._centred(stored)
            yield slice(at, at + len(block)), block
            at += len(block)

    def _centred(self, stored: NDArray[np.int8]) -> NDArray[np.float32]:
        """Around 0: of features that are all far from it rounding would leave less."""
        block = stored.astype(np.float32)
        block -= self._mean.astype(np.float32)
        return block


def minimize(objective: Objective, start: Vector, converged: float) -> Vector:
    """Where a smooth convex function, given with its slope, is least.

    L-BFGS: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 7.4 and 7.5. It
    ends when a step lowers the value by less than the share ``converged``.
    """
    at = start
    value, slope = objective(at)
    pairs: list[tuple[Vector, Vector]] = []
    memory = max(_LEAST_MEMORY, min(_MEMORY, _MEMORY_BYTES // (2 * start.nbytes)))
    for _ in range(_MOST_STEPS):
        step = _approximate_inverse(pairs, slope)
        step *= -1
        size, descent = 1.0, float(slope @ step)
        while True:
            next_at = at + step
            next_value, next_slope = objective(next_at)
            if next_value <= value + 1e-4 * size * descent or size < 1e-4:
                break
            size /= 2
            step /= 2
        if next_value >= value:
            break
        change = np.subtract(next_slope, slope, out=slope)
        if step @ change > 0:
            pairs = [*pairs, (step, change)][-memory:]
        gained = value - next_value
        at, value, slope = next_at, next_value, next_slope
        if gained <= converged * abs(value):
            break
    return at


def _approximate_inverse(pairs: list[tuple[Vector, Vector]], slope: Vector) -> Vector:
    """The slope times the inverse of the curvature that ``pairs`` of steps have shown."""
    if not pairs:
        return slope / max(1.0, float(np.abs(slope).sum()))
    result, factors = slope.copy(), []
    for step, change in reversed(pairs):
        factor = float(step @ result) / float(step @ change)
        factors.append(factor)
        result -= factor * change
    step, change = pairs[-1]
    result *= float(step @ change) / float(change @ change)
    for (step, change), factor in zip(pairs, reversed(factors), strict=True):
        result += step * (factor - float(change @ result) / float(step @ change))
    return result
