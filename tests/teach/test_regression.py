"""The fit is the minimum, the same each time, and its scaling is folded into the head."""

import tracemalloc

import numpy as np
import pytest

from edge_classifier.teach.regression import Regression, minimize


def clouds(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Stored features (count, 12) of three classes, and the classes."""
    chance = np.random.default_rng(seed)
    truth = np.arange(count) % 3
    centres = chance.normal(-60, 25, (3, 12))
    stored = centres[truth] + chance.normal(0, 15, (count, 12))
    return np.clip(np.rint(stored), -128, 127).astype(np.int8), truth


def test_minimum_of_a_bowl_is_found() -> None:
    scale = np.array([1.0, 100.0, 0.01])
    goal = np.array([3.0, -2.0, 7.0])
    found = minimize(
        lambda x: (1 + float(scale @ (x - goal) ** 2), 2 * scale * (x - goal)), np.zeros(3), 1e-12
    )
    np.testing.assert_allclose(found, goal, atol=1e-2)


def test_no_step_away_from_the_solution_is_better() -> None:
    stored, truth = clouds(60)
    regression = Regression([stored], truth, 3)
    weights, strength = np.ones(60), 3.0
    found = regression.fit(weights, strength)

    def loss(parameters: np.ndarray) -> float:
        logits = regression.logits(
            type(found)(parameters.astype(np.float32)), np.ones(60, bool)
        ).astype(float)
        logits -= logits.max(axis=1, keepdims=True)
        likely = logits[np.arange(60), truth] - np.log(np.exp(logits).sum(axis=1))
        return float(-likely.sum() + strength / 2 * np.square(parameters[:-1]).sum())

    chance = np.random.default_rng(4)
    best = loss(found.parameters)
    for _ in range(50):
        step = chance.normal(0, 0.05, found.parameters.shape)
        assert loss(found.parameters + step) > best - 1e-3


def test_same_rows_give_the_same_head_and_others_that_do_not_count_change_nothing() -> None:
    stored, truth = clouds(60)
    regression = Regression([stored], truth, 3)
    counted = (np.arange(60) < 40).astype(float)
    one = regression.fit(counted, 10.0)
    again = regression.fit(counted, 10.0)
    np.testing.assert_array_equal(one.parameters, again.parameters)
    mislabelled = truth.copy()
    mislabelled[40:] = 0
    other = Regression([stored], mislabelled, 3).fit(counted, 10.0)
    np.testing.assert_allclose(one.parameters, other.parameters, atol=1e-3)


@pytest.mark.parametrize("count", [30, 2500])
def test_head_of_stored_features_is_the_fit_however_many_rows_there_are(count: int) -> None:
    stored, truth = clouds(count)
    regression = Regression([stored], truth, 3)
    fit = regression.fit(np.ones(count), 10.0)
    logits = regression.head(fit).logits(stored)
    np.testing.assert_allclose(logits, regression.logits(fit, np.ones(count, bool)), atol=1e-4)
    assert (logits.argmax(axis=1) == truth).mean() > 0.9


def test_fit_of_many_classes_never_holds_the_logits_of_all_pictures() -> None:
    """Of 500 classes they took more memory than a small computer has to spare."""
    chance = np.random.default_rng(5)
    count, classes = 4000, 500
    stored = chance.integers(-100, 100, (count, 8), np.int8)
    regression = Regression([stored], np.arange(count) % classes, classes)
    tracemalloc.start()
    try:
        regression.fit(np.ones(count), 300.0, rough=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < count * classes * 8


def test_steps_that_are_remembered_are_bounded_in_bytes() -> None:
    """Ten pairs of 500 classes were 100 MB."""
    size = 300_000
    scale = np.geomspace(1, 30, size).astype(np.float32)
    tracemalloc.start()
    try:
        minimize(lambda x: (float(x @ (scale * x)), 2 * scale * x), np.ones_like(scale), 1e-6)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 32_000_000
