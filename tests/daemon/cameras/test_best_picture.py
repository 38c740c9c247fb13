"""The best frame of what a camera sees."""

from functools import partial
from itertools import count

import numpy as np

from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.daemon.cameras.best_picture import BestPicture

FLAT = Frame(np.full((60, 80, 3), 90, np.uint8), ColourOrder.RGB)


def noisy(deviation: float) -> Frame:
    noise = np.random.default_rng(1).normal(90, deviation, (60, 80, 3))
    return Frame(noise.clip(0, 255).astype(np.uint8), ColourOrder.RGB)


TIMES_S = count()


def offer(
    picture: BestPicture, score: float, name: bytes, frame: Frame = FLAT, at_s: float | None = None
) -> None:
    """A second after the one before."""
    at_s = next(TIMES_S) if at_s is None else at_s
    picture.offer(frame, None, score, at_s, partial(bytes, name))


def test_best_picture_is_that_of_the_highest_score_and_taken_once() -> None:
    picture = BestPicture()
    for score in (0.7, 0.9, 0.8):
        offer(picture, score, f"{score}".encode())
    assert picture.is_new
    assert picture.take() == b"0.9"
    assert (picture.is_new, picture.take()) == (False, None)


def test_best_picture_that_was_taken_makes_way_for_a_better_one_only() -> None:
    picture = BestPicture()
    offer(picture, 0.8, b"first")
    picture.take()
    offer(picture, 0.8, b"as good")
    assert not picture.is_new
    offer(picture, 0.9, b"better")
    assert picture.take() == b"better"


def test_best_picture_of_equal_scores_is_the_sharper_one_and_sharpness_is_not_all() -> None:
    picture = BestPicture()
    offer(picture, 0.9, b"blurred", noisy(2))
    offer(picture, 0.88, b"sharp", noisy(20))
    assert picture.take() == b"sharp"
    offer(picture, 0.5, b"noise", noisy(60))
    assert not picture.is_new


def test_best_picture_is_encoded_seldom_in_a_scene_that_only_flickers() -> None:
    picture, encoded = BestPicture(), 0
    for score in np.random.default_rng(1).normal(0.8, 0.03, 1000):
        offer(picture, float(score), b"one more")
        encoded += picture.take() is not None
    assert 1 <= encoded < 10


def test_best_picture_is_looked_for_a_few_times_a_second() -> None:
    picture = BestPicture()
    offer(picture, 0.8, b"first", at_s=0.0)
    offer(picture, 0.9, b"too soon", at_s=0.05)
    assert picture.take() == b"first"
    offer(picture, 0.85, b"later", at_s=0.4)
    assert picture.take() == b"later"


def test_best_picture_after_a_restart_must_be_better_than_the_one_that_was_sent() -> None:
    picture = BestPicture(above=0.9)
    offer(picture, 0.9, b"as good")
    assert not picture.is_new
    offer(picture, 0.92, b"better")
    assert picture.take() == b"better"
