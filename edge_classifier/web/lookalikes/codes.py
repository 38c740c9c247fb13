"""How far apart two pictures look, which of them are alike, and what is new. Pure.

All of it by the codes of ``worker.child_codes``, as whole numbers: a comparison is an exclusive or
and a count of bits, of which Python does some millions a second.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edge_classifier.web.worker.messages import CODE_BITS

# The network whose features are used: the one that lessons are taught on unless they name another.
BASE = "efficientnet-lite0"
# Up to this distance two pictures are alike.
ALIKE = 0.2
# Pictures that a camera must have shown before the next one can be far from them; and of these,
# distances that must be known before one of them is far for this camera.
LEAST_SEEN, LEAST_MEASURED = 50, 50
# New is what is farther from all others than this share of what came before was.
_USUAL = 0.98


class Seen(NamedTuple):
    """A picture that a place has shown before."""

    picture: int
    # The picture that leads those that it is alike with; itself, if it is the first of them.
    pile: int
    code: int
    # Distance to the nearest of those before; None: they were too few.
    nearest: float | None


def as_number(code: bytes) -> int:
    """A code as comparisons take it."""
    return int.from_bytes(code, "big")


def distance(one: int, other: int) -> float:
    """From 0, the same, to about 0.5, nothing in common: the angle between features over pi."""
    return (one ^ other).bit_count() / CODE_BITS


def nearest_distance(code: int, seen: Sequence[Seen]) -> float | None:
    """To the nearest of those that were seen before; None while they are too few."""
    if len(seen) < LEAST_SEEN:
        return None
    return min(distance(code, one.code) for one in seen)


def pile_of(code: int, seen: Iterable[Seen]) -> int | None:
    """The nearest leader that a picture with this code is alike with; None: it leads its own."""
    leaders = [(distance(code, one.code), one.picture) for one in seen if one.picture == one.pile]
    found, leader = min(leaders, default=(1.0, 0))
    return leader if found <= ALIKE else None


def is_new(nearest: float | None, seen: Iterable[Seen]) -> bool:
    """Whether a distance to the nearest is farther than is usual where these were seen."""
    usual = sorted(one.nearest for one in seen if one.nearest is not None)
    if nearest is None or len(usual) < LEAST_MEASURED:
        return False
    return nearest > usual[math.ceil(_USUAL * len(usual)) - 1]
