"""The answer to "is it good enough?" in plain words, from a report's figures."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from edge_classifier.core.sentence import LabelText, Sentence
from edge_classifier.evaluation.matching import says_nothing

Facts = Mapping[str, Any]

# Shares of pictures named rightly. Judged by the ends of the interval, not by its middle.
GOOD, POOR = 0.9, 0.75
# An interval wider than this leaves open whether a model is good.
WIDE = 0.15
# Pictures of a label with fewer than these move its figures by more than 5 points each.
FEW = 20
WEAK = 0.8
CONFUSED = 0.05
# Expected calibration error from which a score is not a probability any more.
UNTRUE = 0.05

_HEADLINES = {
    "good": Sentence("Good enough for most uses"),
    "fair": Sentence("May do where a mistake costs little"),
    "poor": Sentence("Not good enough yet"),
    "unsure": Sentence("Too few pictures to tell"),
}


def verdict(facts: Facts) -> dict[str, Any]:
    """Grade, headline, what was found, and what to do next; ``facts`` as in report.json."""
    grade = _grade(facts["accuracy"]["top1"])
    return {
        "grade": grade,
        "headline": _HEADLINES[grade],
        "found": list(_found(facts)),
        "next": list(_next(facts)),
    }


def percent(share: float | None) -> str:
    """``93.2 %``; ``-`` for what is undefined."""
    return "-" if share is None else f"{100 * share:.1f} %"


def interval(share: Facts) -> Sentence:
    """``91.2 to 94.8 %``."""
    low, high = (f"{100 * share[end]:.1f}" for end in ("low", "high"))
    return Sentence("{low} to {high} %", low=low, high=high)


def _grade(top1: Facts) -> str:
    if top1["low"] >= GOOD:
        return "good"
    if top1["high"] < POOR:
        return "poor"
    return "unsure" if top1["high"] - top1["low"] > WIDE else "fair"


def _found(facts: Facts) -> Iterator[Sentence]:
    top1 = facts["accuracy"]["top1"]
    yield Sentence(
        "{share} of {count} pictures are named rightly (likely {range} of many more).",
        share=percent(top1["share"]),
        count=top1["count"],
        range=interval(top1),
    )
    worst = weakest(facts)
    # Of labels that are all found always, none is weak.
    if worst and worst["recall"]["share"] < 1:
        recall = worst["recall"]
        yield Sentence(
            "Weakest label: {label}, found in {share} of its {count} pictures ({range}).",
            label=LabelText(worst["label"]),
            share=percent(recall["share"]),
            count=recall["count"],
            range=interval(recall),
        )
    if pair := _confused(facts):
        yield Sentence(
            "Most often confused: {truth} taken for {predicted}, {hits} of {count} pictures.",
            truth=LabelText(pair["truth"]),
            predicted=LabelText(pair["predicted"]),
            hits=pair["hits"],
            count=pair["count"],
        )


def weakest(facts: Facts) -> Facts | None:
    """The label that is found least often; of equals the one with more pictures.

    Reject classes do not count: what it misses is told by the false accepts.
    """
    labels: list[Facts] = [one for one in facts["labels"] if not says_nothing(one["label"])]
    if len(labels) < 2:
        return None
    return min(labels, key=lambda one: (one["recall"]["share"], -one["pictures"]))


def _confused(facts: Facts) -> Facts | None:
    """The most frequent mistake between two labels that are decided on."""
    pairs: list[Facts] = facts["confused_pairs"]
    for pair in pairs:
        if not says_nothing(pair["truth"]) and not says_nothing(pair["predicted"]):
            return pair
    return None


def _next(facts: Facts) -> Iterator[Sentence]:
    """What to do, most urgent first; when there is nothing, to go on to the device."""
    for one in facts["data"]["left_out"][:3]:
        if one["similar"]:
            yield Sentence(
                "The folder {folder} is not a label of this model (similar: {similar}): "
                "rename it or move it.",
                folder=one["label"],
                similar=_listed(one["similar"]),
            )
        else:
            yield Sentence(
                "The folder {folder} is not a label of this model: rename it or move it.",
                folder=one["label"],
            )
    few = [LabelText(one["label"]) for one in facts["labels"] if one["pictures"] < FEW]
    if len(few) > 5:
        yield Sentence(
            "Measure on more pictures; fewer than {few} show {labels} and {others} more.",
            few=FEW,
            labels=_listed(few[:5]),
            others=len(few) - 5,
        )
    elif few:
        yield Sentence(
            "Measure on more pictures; fewer than {few} show {labels}.",
            few=FEW,
            labels=_listed(few),
        )
    worst = weakest(facts)
    if worst and worst["recall"]["share"] < WEAK:
        yield Sentence(
            "Look at the worst mistakes, then train with more pictures of {label}.",
            label=LabelText(worst["label"]),
        )
    pair = _confused(facts)
    if pair and pair["share"] >= CONFUSED and pair["hits"] > 2:
        yield Sentence(
            "Train with pictures of {truth} and {predicted} that look alike, "
            "or let the daemon publish both under one name (decision.groups).",
            truth=LabelText(pair["truth"]),
            predicted=LabelText(pair["predicted"]),
        )
    yield from _about_scores(facts)
    if _grade(facts["accuracy"]["top1"]) in ("good", "fair"):
        command = f"edge-classify --model {facts['model']['file']} --image FOLDER"
        yield Sentence("Try it on pictures that it has never seen: {command}", command=command)


def _listed(names: Sequence[str]) -> str:
    """``cat, dog, owl``: in other languages with their names, and a comma of their own."""
    return reduce(lambda all_, one: Sentence("{all}, {one}", all=all_, one=one), names)


def _about_scores(facts: Facts) -> Iterator[Sentence]:
    error = facts["calibration"]["expected_error"]
    if error > UNTRUE:
        yield Sentence(
            "Do not read a score as a probability: the two are {points} points apart on average.",
            points=f"{100 * error:.1f}",
        )
    other = facts["other_pictures"]
    if other is None:
        yield Sentence("Measure what it says of things that it does not know: --other FOLDER.")
        return
    yield from _about_thresholds(other)
    claimed = other["suggested"]["false_accepts"]["share"] or 0
    if claimed <= CONFUSED:
        return
    if other["has_reject_class"]:
        yield Sentence(
            "It claims to know {share} of the pictures of other things: "
            "train with more such pictures.",
            share=percent(claimed),
        )
    else:
        yield Sentence(
            "It claims to know {share} of the pictures of other things: "
            "train with such pictures (--other).",
            share=percent(claimed),
        )


def _about_thresholds(other: Facts) -> Iterator[Sentence]:
    """The suggested thresholds where they name less wrongly, with what that costs."""
    wrong, missed = (
        [other[key][what]["share"] or 0.0 for key in ("default", "suggested")]
        for what in ("false_accepts", "false_rejects")
    )
    if wrong[1] >= wrong[0]:
        return
    if missed[1] > missed[0]:
        yield Sentence(
            "The suggested thresholds (thresholds.toml) name {wrong} instead of {before} of other "
            "things, but miss {missed} instead of {missed_before} of what it knows: use them where "
            "a wrong name costs more than a missed one.",
            wrong=percent(wrong[1]),
            before=percent(wrong[0]),
            missed=percent(missed[1]),
            missed_before=percent(missed[0]),
        )
    else:
        yield Sentence(
            "Use the suggested thresholds (thresholds.toml): they name {wrong} instead of {before} "
            "of other things, and miss no more.",
            wrong=percent(wrong[1]),
            before=percent(wrong[0]),
        )
