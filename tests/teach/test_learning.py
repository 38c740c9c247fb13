"""Where ``unknown`` begins: hardly a picture is lost to it, and few other things are let in."""

import numpy as np
import pytest

from edge_classifier.teach.learning import _held_back

UNKNOWN = 2
# By how many logits the right class of ten pictures is ahead of ``unknown``; the last one is not.
PICTURES = np.array([9.0] * 9 + [-1.0], np.float32)
# The same of a hundred other things: more and more like the classes.
THINGS = np.linspace(-10, -0.1, 100, dtype=np.float32)


def held_back(pictures: np.ndarray, things: np.ndarray, own: float | None = None) -> float:
    """For pictures of class 0, ``own`` ones of nothing, and other things that came along."""
    truth = np.zeros(len(pictures), np.int64)
    if own is not None:
        pictures, truth = np.r_[pictures, own], np.r_[truth, UNKNOWN]
    ahead = np.r_[pictures, things]
    logits = np.stack([ahead, np.full_like(ahead, -20), np.zeros_like(ahead)], axis=1)
    return _held_back(logits, truth, UNKNOWN)


def test_unknown_is_held_back_for_a_picture_that_would_be_lost_to_it() -> None:
    held = held_back(PICTURES, THINGS - 10)
    assert held > 1
    assert not (PICTURES + held < 0).any()


def test_unknown_is_not_held_back_further_than_other_things_allow() -> None:
    held = held_back(PICTURES, THINGS)
    assert (THINGS + held > 0).sum() == 20


def test_unknown_is_as_it_was_learned_where_nothing_is_lost_to_it() -> None:
    assert held_back(np.full(10, 9, np.float32), THINGS - 10) == 0


def test_unknown_comes_nearer_where_too_many_other_things_pass() -> None:
    held = held_back(np.full(10, 9, np.float32), THINGS + 5)
    assert held < 0
    assert (THINGS + 5 + held > 0).sum() == 20


@pytest.mark.parametrize(("own", "most"), [(-6.0, 1.0), (-0.5, 0.0)])
def test_pictures_of_nothing_stay_nothing(own: float, most: float) -> None:
    """As much of it would be lost to the classes as is saved from it."""
    assert held_back(PICTURES, THINGS - 10, own) <= most < held_back(PICTURES, THINGS - 10)
