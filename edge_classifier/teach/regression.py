"""Multinomial logistic regression with L2, by L-BFGS on all rows at once: no chance in it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_classifier.evaluation.measures import Classes
from edge_classifier.teach.head import BLOCK_ROWS, Head

# Pairs of steps that L-BFGS remembers.
_MEMORY = 10
_MOST_STEPS = 500
# Of the loss; less is lost in float32's rounding.
_CONVERGED, _ROUGHLY = 1e-7, 3e-4
# Rows up to which features are held as float32: 2,000 of 1280 take 10 MB.
_HELD_ROWS = 2000
# A feature that never changes is not divided by zero: half a step of int8.
_LEAST_SPREAD = 0.5

Vector = NDArray[np.float64]
Objective = Callable[[Vector], tuple[float, Vector]]


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A solution for scaled features: (features + 1, classes), the bias last."""

    parameters: Vector


class Regression:
    """The task on N pictures' features; which rows count, and how much, is said at each fit."""

    def __init__(self, stored: NDArray[np.int8], truth: Classes, classes: int) -> None:
        """``stored`` (N, features) as the network gives them, ``truth`` (N,)."""
        self.truth, self.classes = truth, classes
        self._rows = stored.astype(np.float32) if len(stored) <= _HELD_ROWS else stored
        count = len(stored)
        # Made anew for each sum: all blocks at once are four times what is stored.
        starts = range(0, count, BLOCK_ROWS)
        self._mean = sum(self._block(at).sum(axis=0, dtype=np.float64) for at in starts) / count
        squares = sum(np.square(self._block(at) - self._mean).sum(axis=0) for at in starts)
        spread = np.maximum(np.sqrt(squares / count), _LEAST_SPREAD)
        # Half way between standardizing each feature and none: of five flowers that named a point
        # more of the pictures rightly than the first, with either embedded network.
        self._spread = np.sqrt(spread * np.sqrt(np.square(spread).mean()))

    def _block(self, at: int) -> NDArray[np.float32]:
        return self._rows[at : at + BLOCK_ROWS].astype(np.float32, copy=False)

    def fit(
        self, weights: Vector, strength: float, start: Fit | None = None, *, rough: bool = False
    ) -> Fit:
        """The parameters that minimize the weighted cross-entropy and the squares of the weights.

        ``weights`` (N,), in pictures; ``strength`` times half the squares, without the bias.
        ``rough`` is for choosing among strengths.
        """
        shape = self._mean.shape[0] + 1, self.classes
        rows = np.arange(len(self.truth))

        def objective(flat: Vector) -> tuple[float, Vector]:
            parameters = flat.reshape(shape)
            # Changed in place: of 20,000 pictures and 500 classes each copy would be 80 MB.
            logits = self.logits(Fit(parameters)).astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            of_truth = logits[rows, self.truth]
            errors = np.exp(logits, out=logits)
            sums = errors.sum(axis=1, keepdims=True)
            errors /= sums
            errors[rows, self.truth] -= 1
            errors *= weights[:, None]
            inner = parameters[:-1]
            misses = np.log(sums[:, 0]) - of_truth
            loss = float(weights @ misses + 0.5 * strength * np.square(inner).sum())
            slope = self._slope(errors)
            slope[:-1] += strength * inner
            return loss, slope.ravel()

        first = np.zeros(shape) if start is None else start.parameters
        found = minimize(objective, first.ravel(), _ROUGHLY if rough else _CONVERGED)
        return Fit(found.reshape(shape))

    def logits(self, fit: Fit) -> NDArray[np.float32]:
        """Of all rows, (N, classes)."""
        return self.head(fit).logits(self._rows)

    def _slope(self, errors: Vector) -> Vector:
        """By the parameters, (features + 1, classes), of ``errors`` (N, classes)."""
        slope = np.zeros((self._mean.shape[0] + 1, self.classes))
        for at in range(0, len(errors), BLOCK_ROWS):
            slope[:-1] += self._block(at).T @ errors[at : at + BLOCK_ROWS].astype(np.float32)
        slope[-1] = errors.sum(axis=0)
        slope[:-1] = (slope[:-1] - np.outer(self._mean, slope[-1])) / self._spread[:, None]
        return slope

    def head(self, fit: Fit) -> Head:
        """The same for features as they are stored: their scaling is folded in."""
        weights = fit.parameters[:-1] / self._spread[:, None]
        return Head(weights, fit.parameters[-1] - self._mean @ weights)


def minimize(objective: Objective, start: Vector, converged: float) -> Vector:
    """Where a smooth convex function, given with its slope, is least.

    L-BFGS: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 7.4 and 7.5. It
    ends when a step lowers the value by less than the share ``converged``.
    """
    at = start
    value, slope = objective(at)
    pairs: list[tuple[Vector, Vector]] = []
    for _ in range(_MOST_STEPS):
        direction = -_approximate_inverse(pairs, slope)
        size, descent = 1.0, float(slope @ direction)
        while True:
            step = size * direction
            next_value, next_slope = objective(at + step)
            if next_value <= value + 1e-4 * size * descent or size < 1e-4:
                break
            size /= 2
        if next_value >= value:
            break
        change = next_slope - slope
        if step @ change > 0:
            pairs = [*pairs, (step, change)][-_MEMORY:]
        gained = value - next_value
        at, value, slope = at + step, next_value, next_slope
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
