"""A reviewer's queue, with those that look alike on one pile where the first of them stands."""

from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Count, QuerySet

from edge_classifier.web.models import PictureCode, Record
from edge_classifier.web.review.verdicts import queue_after

# Pictures of one pile: what a page can show. Of more the rest is a pile of its own.
MOST = 48
# Records of the queue that are looked at in one step, and steps for one page.
_STEP, _MOST_STEPS = 80, 25
_MOST_MEMBERS = 20_000
# Piles of pictures that are looked at in one step for those of which most wait.
_PILES = 20


class Pile(NamedTuple):
    """Records that look alike and were taken for the same, as they stand in the queue.

    Mostly one alone. Where a camera's whole picture is compared, two animals before the same hedge
    look alike: what the model makes of them is the second opinion.
    """

    first: Record
    others: list[Record]


def next_piles(
    wait: QuerySet[Record],
    after: Record | None,
    count: int,
    by_id: QuerySet[Record] | None = None,
) -> list[Pile]:
    """The next ``count`` piles of the queue ``wait``, or of what is behind ``after`` in it.

    What stands behind ``after`` but is on the pile of one before it comes with that one only.
    ``by_id``: the same queue, where few that are known are looked for in it.
    """
    by_id = wait if by_id is None else by_id
    found: list[list[int]] = []
    rest = queue_after(wait, after.margin, after.pk) if after else wait
    for _ in range(_MOST_STEPS):
        ahead = list(rest.values_list("margin", "pk", "picture__code__pile")[:_STEP])
        begun = _by_first(by_id, {pile for *_, pile in ahead if pile is not None})
        for _, pk, pile in ahead:
            if pile is None:
                found.append([pk])
            elif pk in begun:
                found.append(begun[pk])
        if len(found) >= count or len(ahead) < _STEP:
            break
        rest = queue_after(wait, *ahead[-1][:2])
    return _piles(by_id, found[:count])


def largest_piles(wait: QuerySet[Record], after: Record | None, count: int) -> list[Pile]:
    """The ``count`` largest piles of ``wait``, a queue by id, none of one alone.

    Those behind the one that ``after`` is on, if that waits. Of ``_PILES`` at a time, by how many
    pictures lie on them, those come first of which most wait.
    """
    # As many codes are kept as the settings say, however many records there are.
    sizes = PictureCode.objects.values("pile").annotate(size=Count("pk")).filter(size__gt=1)
    order = sizes.order_by("-size", "-pile").values_list("pile", flat=True)
    known = list(order[: _PILES * _MOST_STEPS])
    found: list[list[int]] = []
    begin = 0
    for step in range(0, len(known), _PILES):
        members = _by_first(wait, set(known[step : step + _PILES]))
        several = [pile for pile in members.values() if len(pile) > 1]
        # Where several have as many, the newest.
        found += sorted(several, key=lambda pile: (len(pile), max(pile)), reverse=True)
        before = [place for place, pile in enumerate(found, 1) if after and after.pk in pile]
        begin = before[0] if before else 0
        if len(found) - begin >= count and (before or not after):
            break
    return _piles(wait, found[begin : begin + count])


def _by_first(wait: QuerySet[Record], piles: set[int]) -> dict[int, list[int]]:
    """The members of these piles that wait, in the order of the queue, by the first one."""
    if not piles:
        return {}
    members: dict[tuple[int, int], list[int]] = {}
    found = wait.filter(picture__code__pile__in=piles).order_by()
    rows = found.values_list("margin", "pk", "picture__code__pile", "label")[:_MOST_MEMBERS]
    for _, pk, *pile in sorted(rows):
        members.setdefault(tuple(pile), []).append(pk)
    return {
        all_of_it[begin]: all_of_it[begin : begin + MOST]
        for all_of_it in members.values()
        for begin in range(0, len(all_of_it), MOST)
    }


def _piles(wait: QuerySet[Record], found: list[list[int]]) -> list[Pile]:
    wait = wait.order_by()
    records = wait.in_bulk([members[0] for members in found])
    records |= without_details(wait).in_bulk([pk for members in found for pk in members[1:]])
    # One that was judged just now is not there any more.
    piles = [[records[pk] for pk in members if pk in records] for members in found]
    return [Pile(members[0], members[1:]) for members in piles if members]


def without_details(records: QuerySet[Record]) -> QuerySet[Record]:
    """``records`` with no more than what tells them apart: of a pile there are many."""
    few = ("key", "at", "score", "margin", "camera_id", "label__name", "label__chinese")
    return records.select_related(None).select_related("label").only("label", *few)


def together(records: Iterable[Record]) -> list[Pile]:
    """``records``, which know their ``pile``, each pile where its first one stands."""
    piles: dict[object, list[Record]] = {}
    for one in records:
        key = ("alone", one.pk) if one.pile is None else (one.pile, one.label_id)
        piles.setdefault(key, []).append(one)
    return [Pile(members[0], members[1:]) for members in piles.values()]
