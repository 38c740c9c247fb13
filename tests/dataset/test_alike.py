"""Pictures that are nearly the same are found, all of them and no others."""

import random
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.dataset.alike import alike, dominating_groups, duplicate_groups, members
from edge_classifier.dataset.facts import PictureFacts
from edge_classifier.dataset.folder import Sample

# A hash of 32 bits that are set.
FULL = 0xF0F0_A5A5_C3C3_9696


def facts_of(*hashes: int) -> dict[Path, PictureFacts]:
    """A picture each, all of different bytes."""
    return {
        Path(f"{n:05}.jpg"): PictureFacts(99, 99, f"{n:064}", bits) for n, bits in enumerate(hashes)
    }


def flipped(bits: int, *places: int) -> int:
    for place in places:
        bits ^= 1 << place
    return bits


def found(facts: dict[Path, PictureFacts], bits: int = 6) -> set[frozenset[int]]:
    """Numbers of the pictures in each group."""
    groups = members(alike(facts, facts, bits))
    return {frozenset(int(path.stem) for path in group) for group in groups}


def by_hand(hashes: list[int], bits: int) -> set[frozenset[int]]:
    """The same by comparing everything with everything."""
    groups = [{number} for number in range(len(hashes))]
    for one, other in combinations(range(len(hashes)), 2):
        if (hashes[one] ^ hashes[other]).bit_count() <= bits:
            (first,) = (group for group in groups if one in group)
            (second,) = (group for group in groups if other in group)
            if first is not second:
                first |= second
                groups.remove(second)
    return {frozenset(group) for group in groups if len(group) > 1}


@pytest.mark.parametrize("differing", range(10))
def test_alike_takes_hashes_up_to_the_distance_and_no_further(differing: int) -> None:
    places = [7 * n for n in range(differing)]
    together = found(facts_of(FULL, flipped(FULL, *places)))
    assert together == ({frozenset((0, 1))} if differing <= 6 else set())


@given(
    st.lists(st.lists(st.integers(0, 63), max_size=9), max_size=25),
    st.integers(0, 8),
)
def test_alike_groups_what_comparing_everything_would(flips: list[list[int]], bits: int) -> None:
    hashes = [flipped(FULL, *places) for places in flips]
    assert found(facts_of(*hashes), bits) == by_hand(hashes, bits)


def test_alike_links_the_shots_of_a_burst_by_their_neighbours() -> None:
    burst = [flipped(FULL, *range(4 * shot)) for shot in range(5)]
    assert found(facts_of(*burst)) == {frozenset(range(5))}


def test_alike_compares_flat_pictures_by_their_bytes_alone() -> None:
    facts = facts_of(0, 0, 1, 0b111, 1)
    assert found(facts) == set()
    facts[Path("copy.jpg")] = facts[Path("00000.jpg")]
    assert members(alike(facts, facts, 6)) == [(Path("00000.jpg"), Path("copy.jpg"))]


def test_alike_calls_a_group_the_same_whatever_the_order() -> None:
    generator = random.Random(0)  # noqa: S311
    facts = facts_of(*(flipped(FULL, n % 5, 20 + n % 3) for n in range(40)))
    expected = alike(facts, facts, 6)
    for _ in range(3):
        shuffled = generator.sample(sorted(facts), len(facts))
        assert alike(shuffled, facts, 6) == expected


@pytest.mark.timeout(30)  # comparing everything with everything would take minutes
def test_alike_of_many_different_pictures_takes_seconds() -> None:
    generator = random.Random(0)  # noqa: S311
    facts = facts_of(*(generator.getrandbits(64) | FULL for _ in range(30_000)))
    assert len(alike(facts, facts, 6)) == 30_000


def test_alike_of_nothing_is_nothing() -> None:
    assert alike([], {}, 6) == {}


def test_duplicate_groups_keep_near_duplicates_together() -> None:
    facts = facts_of(
        FULL, flipped(FULL, 1), ~FULL % 2**64, flipped(FULL, *range(20)), 77 * FULL % 2**64
    )
    samples = [Sample(path, 0) for path in facts]
    groups = duplicate_groups(samples, facts)
    first, second, *others = groups.values()
    assert first == second
    assert len({first, *others}) == 4


def test_duplicate_groups_before_a_still_camera_are_the_same_bytes_only() -> None:
    facts = facts_of(FULL, FULL, flipped(FULL, 1), flipped(FULL, 2))
    facts[Path("copy.jpg")] = facts[Path("00000.jpg")]
    samples = [Sample(path, 0) for path in facts]
    groups = duplicate_groups(samples, facts)
    assert members(groups) == [(Path("00000.jpg"), Path("copy.jpg"))]


def test_crowded_is_a_group_with_more_than_half_of_a_class() -> None:
    groups = {Path(name): key for name, key in zip("abcdef", "xxyxxz", strict=True)}
    samples = [Sample(Path(name), number // 3) for number, name in enumerate("abcdef")]
    assert dominating_groups(samples, groups) == {("x", 0), ("x", 1)}
    halves = [Sample(Path(name), 0) for name in "abcf"]
    assert dominating_groups(halves, groups) == frozenset()
