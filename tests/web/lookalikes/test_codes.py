"""Distances between pictures, what lies on one pile, and what is new. Without a database."""

import pytest

from edge_classifier.web.lookalikes import codes
from edge_classifier.web.lookalikes.codes import Seen
from edge_classifier.web.worker.messages import CODE_BITS

_LOTS = codes.LEAST_SEEN + codes.LEAST_MEASURED


def turned(code: int, share: float) -> int:
    """``code`` with so many of its first bits turned."""
    return code ^ ((1 << round(share * CODE_BITS)) - 1)


def seen(count: int, nearest: float | None = 0.1) -> list[Seen]:
    """So many pictures that all look the same, each its own pile."""
    return [Seen(n, n, 0, nearest) for n in range(1, count + 1)]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_distance_is_the_share_of_bits_that_differ(share: float) -> None:
    code = (1 << CODE_BITS) // 3
    assert codes.distance(code, turned(code, share)) == share


def test_pile_is_the_nearest_one_whose_leader_is_alike() -> None:
    leaders = [Seen(1, 1, turned(0, 0.15), None), Seen(2, 2, turned(0, 0.05), None)]
    assert codes.pile_of(0, leaders) == 2
    assert codes.pile_of(turned(0, 0.4), leaders) is None
    assert codes.pile_of(0, []) is None


def test_pile_does_not_wander_from_one_picture_to_the_next() -> None:
    # Alike with one that is alike with the leader is not enough.
    chain = [Seen(1, 1, 0, None), Seen(2, 1, turned(0, codes.ALIKE), None)]
    assert codes.pile_of(turned(0, 2 * codes.ALIKE), chain) is None


def test_nearest_is_not_told_while_a_camera_has_shown_little() -> None:
    assert codes.nearest_distance(turned(0, 0.25), seen(codes.LEAST_SEEN - 1)) is None
    assert codes.nearest_distance(turned(0, 0.25), seen(codes.LEAST_SEEN)) == 0.25


@pytest.mark.parametrize(
    ("nearest", "is_new"), [(None, False), (0.05, False), (0.1, False), (0.2, True)]
)
def test_new_is_what_is_farther_than_is_usual_at_this_camera(
    nearest: float | None, is_new: bool
) -> None:
    assert codes.is_new(nearest, seen(_LOTS)) == is_new


def test_new_is_nothing_before_distances_of_enough_pictures_are_known() -> None:
    assert not codes.is_new(0.5, seen(codes.LEAST_MEASURED - 1))
    assert not codes.is_new(0.5, seen(_LOTS, None))


def test_new_at_a_camera_of_many_sights_takes_more() -> None:
    assert codes.is_new(0.3, seen(_LOTS, 0.1))
    assert not codes.is_new(0.3, seen(_LOTS, 0.3))
