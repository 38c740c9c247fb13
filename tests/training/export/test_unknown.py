"""A trained network says "unknown" no more readily than the labels can bear."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edge_classifier.evaluation.measures import Classes
from edge_classifier.training import qat
from edge_classifier.training.export import convert, unknown
from tests.training.export.test_convert import folded

UNKNOWN = 2


def drawn(readiness: float) -> tuple[NDArray[np.float32], Classes]:
    """Logits of 400 pictures of two labels and 60 of other things.

    The logit of "unknown" is higher by ``readiness`` than the pictures give reason for.
    """
    random = np.random.default_rng(3)
    truth = np.array([0, 1] * 200 + [UNKNOWN] * 60)
    logits = random.normal(0, 1.5, (len(truth), 3))
    logits[np.arange(len(truth)), truth] += 6
    logits[:, UNKNOWN] += readiness
    return logits.astype(np.float32), truth


def lost(logits: NDArray[np.float32], truth: Classes) -> float:
    """Share of the labels' pictures that are taken for "unknown"."""
    return float((logits[truth != UNKNOWN].argmax(axis=1) == UNKNOWN).mean())


def test_unknown_that_costs_the_labels_pictures_is_held_back_until_it_hardly_does() -> None:
    logits, truth = drawn(readiness=4)
    assert lost(logits, truth) > 0.1
    logits[:, UNKNOWN] -= unknown.excess(logits, truth, UNKNOWN, 0.01)
    assert lost(logits, truth) <= 0.01


@pytest.mark.parametrize(("readiness", "share"), [(-4, 0.01), (4, 1.0)])
def test_it_is_not_held_back_where_it_costs_nothing_or_may_cost_all(
    readiness: float, share: float
) -> None:
    logits, truth = drawn(readiness)
    assert unknown.excess(logits, truth, UNKNOWN, share) == 0


def test_most_other_things_stay_unknown_whatever_it_costs() -> None:
    logits, truth = drawn(readiness=0)
    # Pictures of the labels that look like nothing known.
    logits[:100, UNKNOWN] += 12
    logits[:, UNKNOWN] -= unknown.excess(logits, truth, UNKNOWN, 0.01)
    other = logits[truth == UNKNOWN]
    assert (other.argmax(axis=1) == UNKNOWN).mean() >= 0.79
    assert lost(logits, truth) > 0.1


def test_how_sure_a_network_is_by_itself_does_not_matter() -> None:
    logits, truth = drawn(readiness=4)
    twice = unknown.excess(2 * logits, truth, UNKNOWN, 0.01)
    assert twice == pytest.approx(2 * unknown.excess(logits, truth, UNKNOWN, 0.01), rel=1e-3)


@pytest.mark.parametrize("prepare", [False, True])
def test_lowered_logit_is_of_its_class_alone(prepare: bool) -> None:
    plain, shown = folded(prepare=prepare)
    before = plain(shown)
    convert.lower_logit(plain, UNKNOWN, 1.5)
    wanted = before - 1.5 * torch.eye(3)[UNKNOWN]
    assert torch.allclose(plain(shown), wanted, atol=1e-5)
    if prepare:
        # Nor is it cut off where int8 rounds.
        qat.observe_only(plain, False)
        assert bool((plain(shown)[:, UNKNOWN] <= wanted[:, UNKNOWN] + 0.2).all())
