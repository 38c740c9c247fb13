"""The answer to "is it good enough?" in plain words, from a report's figures."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

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
    "good": "Good enough for most uses",
    "fair": "May do where a mistake costs little",
    "poor": "Not good enough yet",
    "unsure": "Too few pictures to tell",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: texts and the names of labels are given in their language."""

    translate: Callable[[str], str] = str
    # By label; one without a name is shown as it is.
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, label: str) -> str:
        """What the reader calls ``label``."""
        return self.names.get(label, label)


ENGLISH = Reader()


def verdict(facts: Facts, reader: Reader = ENGLISH) -> dict[str, Any]:
    """Grade, headline, what was found, and what to do next; ``facts`` as in report.json."""
    grade = _grade(facts["accuracy"]["top1"])
    return {
        "grade": grade,
        "headline": reader.translate(_HEADLINES[grade]),
        "found": list(_found(facts, reader)),
        "next": list(_next(facts, reader)),
    }


def percent(share: float | None) -> str:
    """``93.2 %``; ``-`` for what is undefined."""
    return "-" if share is None else f"{100 * share:.1f} %"


def interval(share: Facts, translate: Callable[[str], str] = str) -> str:
    """``91.2 to 94.8 %``."""
    low, high = (f"{100 * share[end]:.1f}" for end in ("low", "high"))
    return translate("{low} to {high} %").format(low=low, high=high)


def _grade(top1: Facts) -> str:
    if top1["low"] >= GOOD:
        return "good"
    if top1["high"] < POOR:
        return "poor"
    return "unsure" if top1["high"] - top1["low"] > WIDE else "fair"


def _found(facts: Facts, reader: Reader) -> Iterator[str]:
    _, top1 = reader.translate, facts["accuracy"]["top1"]
    yield _("{share} of {count} pictures are named rightly (likely {range} of many more).").format(
        share=percent(top1["share"]), count=top1["count"], range=interval(top1, _)
    )
    worst = weakest(facts)
    # Of labels that are all found always, none is weak.
    if worst and worst["recall"]["share"] < 1:
        recall = worst["recall"]
        yield _(
            "Weakest label: {label}, found in {share} of its {count} pictures ({range})."
        ).format(
            label=reader.name(worst["label"]),
            share=percent(recall["share"]),
            count=recall["count"],
            range=interval(recall, _),
        )
    if pair := _confused(facts):
        yield _(
            "Most often confused: {truth} taken for {predicted}, {hits} of {count} pictures."
        ).format(
            truth=reader.name(pair["truth"]),
            predicted=reader.name(pair["predicted"]),
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


def _next(facts: Facts, reader: Reader) -> Iterator[str]:
    """What to do, most urgent first; when there is nothing, to go on to the device."""
    _, name = reader.translate, reader.name
    for one in facts["data"]["left_out"][:3]:
        text = _("The folder {folder} is not a label of this model: rename it or move it.")
        if one["similar"]:
            text = _(
                "The folder {folder} is not a label of this model (similar: {similar}): "
                "rename it or move it."
            )
        yield text.format(folder=one["label"], similar=", ".join(one["similar"]))
    few = [name(one["label"]) for one in facts["labels"] if one["pictures"] < FEW]
    if few:
        text = _("Measure on more pictures; fewer than {few} show {labels}.")
        if len(few) > 5:
            text = _("Measure on more pictures; fewer than {few} show {labels} and {others} more.")
        yield text.format(few=FEW, labels=", ".join(few[:5]), others=len(few) - 5)
    worst = weakest(facts)
    if worst and worst["recall"]["share"] < WEAK:
        yield _("Look at the worst mistakes, then train with more pictures of {label}.").format(
            label=name(worst["label"])
        )
    pair = _confused(facts)
    if pair and pair["share"] >= CONFUSED and pair["hits"] > 2:
        yield _(
            "Train with pictures of {truth} and {predicted} that look alike, "
            "or let the daemon publish both under one name (decision.groups)."
        ).format(truth=name(pair["truth"]), predicted=name(pair["predicted"]))
    yield from _about_scores(facts, _)
    if _grade(facts["accuracy"]["top1"]) in ("good", "fair"):
        command = f"edge-classify --model {facts['model']['file']} --image FOLDER"
        yield _("Try it on pictures that it has never seen: {command}").format(command=command)


def _about_scores(facts: Facts, _: Callable[[str], str]) -> Iterator[str]:
    error = facts["calibration"]["expected_error"]
    if error > UNTRUE:
        yield _(
            "Do not read a score as a probability: the two are {points} points apart on average."
        ).format(points=f"{100 * error:.1f}")
    other = facts["other_pictures"]
    if other is None:
        yield _("Measure what it says of things that it does not know: --other FOLDER.")
        return
    yield from _about_thresholds(other, _)
    if (other["suggested"]["false_accepts"]["share"] or 0) > CONFUSED:
        text = _(
            "It claims to know {share} of the pictures of other things: "
            "train with such pictures (--other)."
        )
        if other["has_reject_class"]:
            text = _(
                "It claims to know {share} of the pictures of other things: "
                "train with more such pictures."
            )
        yield text.format(share=percent(other["suggested"]["false_accepts"]["share"]))


def _about_thresholds(other: Facts, _: Callable[[str], str]) -> Iterator[str]:
    """The suggested thresholds where they name less wrongly, with what that costs."""
    wrong, missed = (
        [other[key][what]["share"] or 0.0 for key in ("default", "suggested")]
        for what in ("false_accepts", "false_rejects")
    )
    if wrong[1] >= wrong[0]:
        return
    text = _(
        "Use the suggested thresholds (thresholds.toml): they name {wrong} instead of {before} of "
        "other things, and miss no more."
    )
    if missed[1] > missed[0]:
        text = _(
            "The suggested thresholds (thresholds.toml) name {wrong} instead of {before} of other "
            "things, but miss {missed} instead of {missed_before} of what it knows: use them where "
            "a wrong name costs more than a missed one."
        )
    yield text.format(
        wrong=percent(wrong[1]),
        before=percent(wrong[0]),
        missed=percent(missed[1]),
        missed_before=percent(missed[0]),
    )
