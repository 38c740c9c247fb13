"""What is kept of what ``edge-classify teach --json`` says, and how a page shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from edge_classifier.web.lessons.display import class_name, taught_name
from edge_classifier.web.lessons.tables import LessonClass, LessonPicture
from edge_classifier.web.lessons.teaching.tables import TaughtModel

# Of each kind that is listed.
_MOST_WRONG, _MOST_PAIRS, _MOST_LABELS, _MOST_WEAK = 60, 20, 500, 5


def kept(facts: Mapping[str, Any], classes: Mapping[str, int]) -> dict[str, Any]:
    """The part of the command's JSON that the page shows. Raises KeyError and TypeError.

    ``classes``: labels to the ids of the classes that they were taught from.
    """
    taught = facts["teach"]
    unknown: dict[str, Any] | None = None
    # Other things, own and shipped: taken for a label at the default threshold, and of all.
    if (others := taught["unknown"]) is not None:
        unknown = {"missed": _share(others["missed"])[:2]}
        for key in ("came_with_the_base", "own"):
            claimed = others[key]["default"]
            unknown[key] = [claimed["hits"], claimed["count"]]
            unknown["enter"] = others[key]["default_enter"]
    return {
        "right": _share(facts["accuracy"]["top1"]),
        "left_one_out": bool(taught["left_one_out"]),
        "classes": dict(classes),
        "labels": [
            [one["label"], one.get("names", {}).get("zh", ""), *_share(one["recall"])[:2]]
            for one in facts["labels"][:_MOST_LABELS]
        ],
        "want_more": [[one["label"], one["pictures"]] for one in taught["want_more"]],
        "wrong": [
            [PurePosixPath(one["picture"]).stem, one["label"], one["looks_like"], one["score"]]
            for one in taught["wrongly_filed"][:_MOST_WRONG]
        ],
        "alike": [
            [*one["labels"], one["hits"], one["count"]]
            for one in taught["cannot_be_told_apart"][:_MOST_PAIRS]
        ],
        "unknown": unknown,
        "unreadable": len(facts["data"]["unreadable"]),
        "base": taught["base"],
    }


def _share(one: Mapping[str, Any]) -> list[float]:
    """Hits, count, and the bounds of the 95 % interval."""
    return [one["hits"], one["count"], one["low"], one["high"]]


class Pair(NamedTuple):
    """Two classes that are taken for each other."""

    one: str
    other: str
    hits: int
    pictures: int


class ShownWeakClass(NamedTuple):
    """A class that wants more pictures."""

    name: str
    pictures: int
    found: int


class PictureToMove(NamedTuple):
    """A picture that looks like another class's."""

    picture: LessonPicture
    label: str
    # Where it seems to belong.
    to: LessonClass
    looks_like: str
    score: float


@dataclass(frozen=True, slots=True)
class ShownResult:
    """One model's result, with names in the page's language."""

    taught: TaughtModel
    hits: int
    count: int
    low: float
    high: float
    left_one_out: bool
    # How much one picture is worth, in points.
    points: float
    # The weakest, and how many there are beside them.
    weak: Sequence[ShownWeakClass]
    more_weak: int
    pairs: Sequence[Pair]
    wrong: Sequence[PictureToMove]
    unknown: Mapping[str, Any] | None
    unreadable: int
    base: str


def shown(taught: TaughtModel, classes: Sequence[LessonClass]) -> ShownResult | None:
    """What the page shows of ``taught``; None: nothing is known but that it is there.

    ``classes`` are the lesson's as they are now, by whatever name. Pictures that were moved,
    removed or said to be right since then are not asked about again.
    """
    result = taught.result
    if not result:
        return None
    hits, count, low, high = result["right"]
    by_id = {one.pk: one for one in classes}
    # The classes that are still there, by the labels that they were taught as. Results that were
    # kept before this version have no ids; nor has a model from elsewhere.
    ids = result.get("classes", {})
    by_label = {label: by_id[of] for label, of in ids.items() if of in by_id}
    names = {label: taught_name(label, chinese) for label, chinese, *_ in result["labels"]}
    # A class that was renamed goes by its new name.
    names |= {label: class_name(one) for label, one in by_label.items()}
    found = {label: hits for label, _, hits, _ in result["labels"]}
    return ShownResult(
        taught,
        hits,
        count,
        low,
        high,
        left_one_out=result["left_one_out"],
        points=100 / max(1, count),
        weak=[
            ShownWeakClass(names.get(label, label), pictures, found.get(label, 0))
            for label, pictures in result["want_more"][:_MOST_WEAK]
        ],
        more_weak=max(0, len(result["want_more"]) - _MOST_WEAK),
        pairs=[
            Pair(names.get(one, one), names.get(other, other), hits, count)
            for one, other, hits, count in result["alike"]
        ],
        wrong=_wrongly_filed(taught, by_label, names),
        unknown=result["unknown"],
        unreadable=result["unreadable"],
        base=result["base"],
    )


def _wrongly_filed(
    taught: TaughtModel, by_label: Mapping[str, LessonClass], names: Mapping[str, str]
) -> list[PictureToMove]:
    suspects = {sha256: rest for sha256, *rest in taught.result["wrong"]}
    pictures = (
        LessonPicture.objects.filter(
            lesson=taught.lesson_id, picture__sha256__in=list(suspects), removed_at=None
        )
        .select_related("picture", "of", "right_as_it_is")
        .order_by("pk")
    )
    found = []
    for one in pictures:
        label, looks_like, score = suspects[one.picture.sha256]
        said = getattr(one, "right_as_it_is", None)
        is_settled = said is not None and said.of_id == one.of_id
        of, to = by_label.get(label), by_label.get(looks_like)
        if of and to and one.of_id == of.pk and not is_settled:
            shown_names = names.get(label, label), names.get(looks_like, looks_like)
            found.append(PictureToMove(one, shown_names[0], to, shown_names[1], score))
    return sorted(found, key=lambda one: -one.score)
