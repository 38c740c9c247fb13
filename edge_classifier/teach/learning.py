"""The fit: its strength, its scores of pictures that it had not seen, its temperature."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import NDArray

from edge_classifier.evaluation.calibration import fit_temperature, tempered
from edge_classifier.evaluation.measures import Classes
from edge_classifier.evaluation.unknown import lead_of_most
from edge_classifier.teach.folds import FOLDS
from edge_classifier.teach.head import Head
from edge_classifier.teach.regression import Fit, Regression

# The strongest first: each fit begins where the one before ended.
STRENGTHS = (300.0, 100.0, 30.0, 10.0)
# What pictures of other things that came with the base count together, in classes. With more of it
# more pictures are lost to ``unknown`` than are saved from it: at 1, of 100 pictures of flowers 5.
_SHIPPED_SHARE = 0.15
# Share of the pictures of the classes that may be expected to be lost to ``unknown``, and of what
# is to be ``unknown`` that may be lost to the classes.
_LOST_SHARE = 0.005
# The same of other things that came with the base. They are many, and so the better measure.
_ACCEPTED_SHARE = 0.2
# Beyond these there was too little to learn a temperature from: nothing, or hardly anything, wrong.
_COLDEST, _HOTTEST = 0.25, 4.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """Features to learn from: N pictures in several views, and M of other things."""

    # (N, views, features), int8.
    pictures: NDArray[np.int8]
    # (N,).
    truth: Classes
    # (N,): pictures in the same part are measured together, by what the others teach.
    parts: Classes
    classes: int
    # (M, features); M may be 0.
    other: NDArray[np.int8]
    # Number of the class that ``other`` is of, always the last; None: none.
    unknown: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """A head, and what was found out about it."""

    # Calibrated.
    head: Head
    strength: float
    temperature: float
    # (N, classes): of each picture by a head that had not seen it; calibrated.
    probabilities: NDArray[np.float64]
    # (M, classes), the same of other things.
    of_other: NDArray[np.float64]
    # Calibrated logits of all that it was learned from: the range that the file needs.
    logits: NDArray[np.float32] = field(repr=False)


def learn(material: Material, progress: Progress = lambda _done, _all: None) -> Learned:
    """Choose a strength by cross-validation, and fit. The same material gives the same head."""
    pictures, views, _ = material.pictures.shape
    # Of each row: the pictures' views one after the other, then other things.
    others = len(material.other)
    dealt = np.arange(others) % (material.parts.max() + 1)
    truth = np.r_[np.tile(material.truth, views), np.full(others, material.classes - 1)]
    parts = np.r_[np.tile(material.parts, views), dealt]
    seen = [material.pictures[:, view] for view in range(views)]
    regression = Regression([*seen, material.other], truth, material.classes)
    weights = _weights(material)
    # What progress is told in: one fit after the other.
    steps = FOLDS * len(STRENGTHS) + 1
    if _leaves_one_out(parts):
        steps += len(np.unique(parts))
    strength, unseen = _cross_validate(
        regression, weights, parts, material, lambda done: progress(done, steps)
    )
    logits = unseen[np.r_[:pictures, pictures * views : len(truth)]]
    # Of many pictures and classes it is large.
    del unseen
    fit = regression.fit(weights, strength)
    fitting = fit_temperature(logits[:pictures], material.truth)
    temperature = float(np.clip(fitting, _COLDEST, _HOTTEST))
    head = regression.head(fit).divided(temperature)
    logits /= temperature
    if material.unknown is not None:
        held_back = _held_back(logits, material.truth, material.unknown)
        head.bias[material.unknown] -= held_back
        logits[:, material.unknown] -= held_back
    progress(steps, steps)
    probabilities = tempered(logits, 1.0)
    return Learned(
        head=head,
        strength=strength,
        temperature=temperature,
        probabilities=probabilities[:pictures],
        of_other=probabilities[pictures:],
        logits=np.concatenate([head.logits(rows) for rows in (seen[0], material.other)]),
    )


def _cross_validate(
    regression: Regression,
    weights: NDArray[np.float64],
    parts: Classes,
    material: Material,
    progress: Callable[[int], None],
) -> tuple[float, NDArray[np.float32]]:
    """The best strength, and by it logits (rows, classes) of each row by what all others teach.

    ``progress`` gets the number of fits that are done.
    """
    pictures, done = len(material.truth), count(1)
    # Only those of the best strength until now, and of the one that is tried, are kept.
    least, best, unseen = np.inf, STRENGTHS[0], np.empty((0, material.classes), np.float32)
    fits: list[Fit | None] = [None] * FOLDS
    starts = fits
    for strength in STRENGTHS:
        logits = np.empty((len(parts), material.classes), np.float32)
        # Five parts tell well enough which strength is good.
        for part in range(FOLDS):
            without = parts % FOLDS != part
            fits[part] = fit = regression.fit(weights * without, strength, fits[part], rough=True)
            logits[~without] = regression.logits(fit, ~without)
            progress(next(done))
        loss = _loss(logits[:pictures], material, weights[:pictures])
        if loss < least:
            least, best, unseen = loss, strength, logits
            # Of many classes they are too large to be kept in vain.
            starts = list(fits) if _leaves_one_out(parts) else []
    for part in np.unique(parts) if _leaves_one_out(parts) else ():
        # It begins with what had not seen the picture either.
        without = parts != part
        fit = regression.fit(weights * without, best, starts[part % FOLDS], rough=True)
        unseen[~without] = regression.logits(fit, ~without)
        progress(next(done))
    return best, unseen


def _leaves_one_out(parts: Classes) -> bool:
    """Whether each picture is a part by itself, because there are few."""
    return len(np.unique(parts)) > FOLDS


def _weights(material: Material) -> NDArray[np.float64]:
    """Of each row: all classes count the same, and all pictures together as many as they are."""
    count, views, _ = material.pictures.shape
    sizes = np.bincount(material.truth, minlength=material.classes)
    present = int(np.count_nonzero(sizes))
    one = count / present / np.maximum(sizes, 1)
    shipped = _SHIPPED_SHARE * count / present / max(1, len(material.other))
    of_pictures = np.tile(one[material.truth] / views, views)
    return np.concatenate([of_pictures, np.full(len(material.other), shipped)])


def _loss(logits: NDArray[np.float32], material: Material, weights: NDArray[np.float64]) -> float:
    """Mean cross-entropy at the temperature that suits them: strength makes scores too mild.

    Of the classes that are to be told apart: of other things the strongest would seem the best,
    because it never says ``unknown``.
    """
    truth = material.truth
    if material.unknown is not None:
        known = truth != material.unknown
        truth, weights = truth[known], weights[known]
        logits = np.delete(logits[known], material.unknown, axis=1)
    temperature = float(np.clip(fit_temperature(logits, truth), _COLDEST, _HOTTEST))
    likely = tempered(logits, temperature)[np.arange(len(truth)), truth]
    return float(np.average(-np.log(np.maximum(likely, 1e-12)), weights=weights))


def _held_back(logits: NDArray[np.float32], truth: Classes, unknown: int) -> float:
    """By how much ``unknown`` is to be less likely than it was learned; below 0: more likely.

    So that hardly a picture is lost to it, nor too many other things are taken for a class.
    ``logits`` of the pictures, and behind them of other things that came with the base.
    """
    known = np.delete(logits, unknown, axis=1)
    ahead = known.max(axis=1) - logits[:, unknown]
    shipped = ahead[len(truth) :]
    right = known[: len(truth)].argmax(axis=1) == truth
    wanted = max(0.0, -lead_of_most(ahead[: len(truth)][right], _LOST_SHARE))
    own = ahead[: len(truth)][truth == unknown]
    allowed = max(0.0, lead_of_most(-own, _LOST_SHARE)) if len(own) else np.inf
    return float(min(wanted, allowed, -np.quantile(shipped, 1 - _ACCEPTED_SHARE)))
