"""The answer to "is it good enough?" in plain words, from a report's figures."""

from collections.abc import Iterator, Mapping
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


def interval(share: Facts) -> str:
    """``91.2 to 94.8 %``."""
    return f"{100 * share['low']:.1f} to {100 * share['high']:.1f} %"


def _grade(top1: Facts) -> str:
    if top1["low"] >= GOOD:
        return "good"
    if top1["high"] < POOR:
        return "poor"
    return "unsure" if top1["high"] - top1["low"] > WIDE else "fair"


def _found(facts: Facts) -> Iterator[str]:
    top1 = facts["accuracy"]["top1"]
    yield (
        f"{percent(top1['share'])} of {top1['count']} pictures are named rightly "
        f"(likely {interval(top1)} of many more)."
    )
    worst = weakest(facts)
    # Of labels that are all found always, none is weak.
    if worst and worst["recall"]["share"] < 1:
        recall = worst["recall"]
        yield (
            f"Weakest label: {worst['label']}, found in {percent(recall['share'])} of its "
            f"{recall['count']} pictures ({interval(recall)})."
        )
    if pair := _confused(facts):
        yield (
            f"Most often confused: {pair['truth']} taken for {pair['predicted']}, "
            f"{pair['hits']} of {pair['count']} pictures."
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


def _next(facts: Facts) -> Iterator[str]:
    """What to do, most urgent first; when there is nothing, to go on to the device."""
    for one in facts["data"]["left_out"][:3]:
        near = f" (similar: {', '.join(one['similar'])})" if one["similar"] else ""
        yield f"The folder {one['label']} is not a label of this model{near}: rename it or move it."
    few = [one["label"] for one in facts["labels"] if one["pictures"] < FEW]
    if few:
        names = ", ".join(few[:5]) + (f" and {len(few) - 5} more" if len(few) > 5 else "")
        yield f"Measure on more pictures; fewer than {FEW} show {names}."
    worst = weakest(facts)
    if worst and worst["recall"]["share"] < WEAK:
        yield f"Look at the worst mistakes, then train with more pictures of {worst['label']}."
    pair = _confused(facts)
    if pair and pair["share"] >= CONFUSED and pair["hits"] > 2:
        yield (
            f"Train with pictures of {pair['truth']} and {pair['predicted']} that look alike, "
            "or let the daemon publish both under one name (decision.groups)."
        )
    yield from _about_scores(facts)
    if _grade(facts["accuracy"]["top1"]) in ("good", "fair"):
        command = f"edge-classify --model {facts['model']['file']} --image FOLDER"
        yield f"Try it on pictures that it has never seen: {command}"


def _about_scores(facts: Facts) -> Iterator[str]:
    error = facts["calibration"]["expected_error"]
    if error > UNTRUE:
        yield (
            f"Do not read a score as a probability: the two are {100 * error:.1f} points apart on "
            "average."
        )
    other = facts["other_pictures"]
    if other is None:
        yield "Measure what it says of things that it does not know: --other FOLDER."
        return
    yield from _about_thresholds(other)
    if (other["suggested"]["false_accepts"]["share"] or 0) > CONFUSED:
        share = percent(other["suggested"]["false_accepts"]["share"])
        yield (
            f"It claims to know {share} of the pictures of other things: train with "
            f"{'more such pictures' if other['has_reject_class'] else 'such pictures (--other)'}."
        )


def _about_thresholds(other: Facts) -> Iterator[str]:
    """The suggested thresholds where they name less wrongly, with what that costs."""
    wrong, missed = (
        [other[key][what]["share"] or 0.0 for key in ("default", "suggested")]
        for what in ("false_accepts", "false_rejects")
    )
    if wrong[1] >= wrong[0]:
        return
    less = f"name {percent(wrong[1])} instead of {percent(wrong[0])} of other things"
    if missed[1] <= missed[0]:
        yield f"Use the suggested thresholds (thresholds.toml): they {less}, and miss no more."
    else:
        yield (
            f"The suggested thresholds (thresholds.toml) {less}, but miss {percent(missed[1])} "
            f"instead of {percent(missed[0])} of what it knows: use them where a wrong name costs "
            "more than a missed one."
        )
