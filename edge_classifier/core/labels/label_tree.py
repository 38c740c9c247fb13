"""Labels below labels: what each scores with all below it, and the line of the best. Pure."""

from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Shape (slots,), in [0, 1]. Not float32: a slow average would stop short of its goal.
Scores = NDArray[np.float64]

# How much of the score at the top of its line a name needs that stands below another: the default
# of ``decision.specific_share``. Chosen with scripts/benchmarks/label_coverage.py: as many pictures
# have an answer, and more answers are right.
SPECIFIC_SHARE = 0.95


class Rung(NamedTuple):
    """One label of the best line."""

    position: int
    score: float
    # The best that is neither above nor below it, by position; None: there is none.
    rival: int | None
    rival_score: float

    @property
    def margin(self) -> float:
        """How far it is ahead of its rival."""
        return self.score - self.rival_score


class LabelTree:
    """Which labels stand below which; without a tree all of them stand at the top.

    Scores have one slot a label, and perhaps one more, the last: of what no label stands for, which
    competes with those at the top.
    """

    def __init__(self, parents: Sequence[int | None], *, has_rest: bool = False) -> None:
        """``parents`` has the position of the label just above each, None at the top."""
        self.slots = len(parents) + has_rest
        self._has_rest = has_rest
        # Positions of the labels from the top down to each label, itself included.
        self.lines = tuple(_line(position, parents) for position in range(len(parents)))
        # The labels just below each label, and at the top.
        below: dict[int | None, list[int]] = {None: []}
        for position, parent in enumerate(parents):
            below.setdefault(parent, []).append(position)
        self._below = {parent: np.array(found, np.intp) for parent, found in below.items()}
        # Those that have others below them.
        branches = [position for position in below if position is not None]
        self._branches = np.array(branches, np.intp)
        # All labels, each before those below it; and where each branch begins and ends there.
        order = sorted(range(len(parents)), key=self.lines.__getitem__)
        ends = {
            position: place + 1
            for place, label in enumerate(order)
            for position in self.lines[label]
        }
        starts = {position: place for place, position in enumerate(order)}
        self._order = np.array(order, np.intp)
        self._spans = np.array([(starts[at], ends[at]) for at in branches], np.intp).ravel()

    def totals(self, own: Scores) -> Scores:
        """Scores of the labels with all that is below them, clipped to 1.

        ``own`` has what is each label's alone; without a tree it is returned as it is.
        """
        if not len(self._branches):
            return own
        # One more, as the last branch ends after the last label.
        ordered = np.append(own.take(self._order), 0.0)
        totals = own.copy()
        # Of each pair of places the sum from the first to the second, and what is between pairs.
        totals[self._branches] = np.add.reduceat(ordered, self._spans)[::2]
        return np.minimum(totals, 1.0, out=totals)

    def best_line(self, totals: Scores, current: int | None) -> list[Rung]:
        """From the top down always the best label, to one that has none below it.

        All that reach a threshold with a margin over what is beside them are in this line. Of
        equals the ``current`` label, or the one above it, is the best. ``totals`` is restored.
        """
        toward = () if current is None else self.lines[current]
        rival, rival_score = self._rest(totals)
        line: list[Rung] = []
        among: NDArray[np.intp] | None = self._below[None]
        while among is not None:
            # Where all labels stand at the top, nothing needs to be picked out.
            scores = totals if len(among) == len(totals) else totals.take(among)
            best = int(scores.argmax())
            score = scores.item(best)
            if len(line) < len(toward):
                if totals.item(toward[len(line)]) >= score:
                    best = int(among.searchsorted(toward[len(line)]))
                else:
                    toward = ()
            # Two searches are cheaper than one sort.
            scores[best] = -inf
            second = int(scores.argmax())
            scores[best] = score
            if second != best and (rival is None or scores.item(second) > rival_score):
                rival, rival_score = among.item(second), scores.item(second)
            position = among.item(best)
            line.append(Rung(position, score, rival, rival_score))
            among = self._below.get(position)
        return line

    def rung_of(self, position: int, totals: Scores, line: Iterable[Rung]) -> Rung:
        """The rung of any label, by the best ``line`` of the same ``totals``."""
        rival, rival_score = self._rest(totals)
        for rung, own in zip(line, self.lines[position], strict=False):
            if rung.position != own:
                if rival is None or rung.score > rival_score:
                    rival, rival_score = rung.position, rung.score
                break
            rival, rival_score = rung.rival, rung.rival_score
        return Rung(position, totals.item(position), rival, rival_score)

    def _rest(self, totals: Scores) -> tuple[int | None, float]:
        """The slot of what no label stands for, if there is one, and its score."""
        return (self.slots - 1, totals.item(-1)) if self._has_rest else (None, 0.0)

    def are_in_line(self, one: int, other: int) -> bool:
        """Whether one of the two is above the other, or they are the same."""
        return one in self.lines[other] or other in self.lines[one]


def _line(position: int, parents: Sequence[int | None]) -> tuple[int, ...]:
    parent = parents[position]
    return (position,) if parent is None else (*_line(parent, parents), position)
