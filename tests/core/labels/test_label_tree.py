"""Labels below labels: against the plainest way to say the same."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.labels.label_tree import LabelTree, Rung

CHECKED = settings(deadline=None)


@st.composite
def trees(draw: st.DrawFn) -> tuple[list[int | None], bool]:
    """Each label's parent, those above anywhere in the order; and whether there is a rest."""
    size = draw(st.integers(1, 12))
    above = [draw(st.none() | st.integers(0, at - 1)) if at else None for at in range(size)]
    order = draw(st.permutations(range(size)))
    parents: list[int | None] = [None] * size
    for at, parent in enumerate(above):
        parents[order[at]] = None if parent is None else order[parent]
    return parents, draw(st.booleans())


def scores_for(
    draw: st.DataObject, tree: LabelTree
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    eighths = draw.draw(st.lists(st.integers(0, 3), min_size=tree.slots, max_size=tree.slots))
    return np.array(eighths) / 8


@CHECKED
@given(trees(), st.data())
def test_totals_are_each_labels_own_with_all_that_is_below_it(
    given_tree: tuple[list[int | None], bool], data: st.DataObject
) -> None:
    parents, has_rest = given_tree
    tree = LabelTree(parents, has_rest=has_rest)
    own = scores_for(data, tree)
    before = own.tolist()
    expected = [
        min(1.0, sum(before[one] for one in range(len(parents)) if at in tree.lines[one]))
        for at in range(len(parents))
    ]
    assert tree.totals(own).tolist()[: len(parents)] == expected
    assert tree.totals(own).tolist()[len(parents) :] == before[len(parents) :]
    assert own.tolist() == before


@CHECKED
@given(trees(), st.data())
def test_best_line_goes_from_the_top_always_to_the_best_and_knows_what_is_best_beside_it(
    given_tree: tuple[list[int | None], bool], data: st.DataObject
) -> None:
    parents, has_rest = given_tree
    tree = LabelTree(parents, has_rest=has_rest)
    totals = tree.totals(scores_for(data, tree))
    before = totals.tolist()
    current = data.draw(st.none() | st.sampled_from(range(len(parents))))
    line = tree.best_line(totals, current)
    assert totals.tolist() == before
    assert tuple(rung.position for rung in line) == tree.lines[line[-1].position]
    assert line[-1].position not in parents
    for rung in line:
        siblings = [at for at, one in enumerate(parents) if one == parents[rung.position]]
        assert rung.score == before[rung.position] == max(before[at] for at in siblings)
    for position in range(len(parents)):
        rung = tree.rung_of(position, totals, line)
        assert rung == expected_rung(tree, before, position, rung.rival)
        assert rung in line or position not in [one.position for one in line]


def expected_rung(tree: LabelTree, totals: list[float], position: int, rival: int | None) -> Rung:
    """Of equals any may be the rival."""
    beside = [at for at in range(len(tree.lines)) if not tree.are_in_line(at, position)]
    beside += range(len(tree.lines), tree.slots)
    highest = max((totals[at] for at in beside), default=0.0)
    assert rival in [at for at in beside if totals[at] == highest] or (rival is None and not beside)
    return Rung(position, totals[position], rival, highest)


@CHECKED
@given(trees(), st.data())
def test_best_line_of_equals_goes_towards_the_current_label(
    given_tree: tuple[list[int | None], bool], data: st.DataObject
) -> None:
    parents, has_rest = given_tree
    tree = LabelTree(parents, has_rest=has_rest)
    totals = tree.totals(scores_for(data, tree))
    current = data.draw(st.sampled_from(range(len(parents))))
    line = [rung.position for rung in tree.best_line(totals, current)]
    for above, below in pairwise(tree.lines[current]):
        siblings = [at for at, one in enumerate(parents) if one == above]
        if above in line and totals[below] == max(totals[at] for at in siblings):
            assert below in line


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(0, 0, True), (0, 2, True), (2, 0, True), (1, 2, True), (2, 3, False), (0, 4, False)],
)
def test_are_in_line_is_what_is_above_or_below_or_the_same(
    one: int, other: int, expected: bool
) -> None:
    assert LabelTree([None, 0, 1, 1, None]).are_in_line(one, other) is expected
