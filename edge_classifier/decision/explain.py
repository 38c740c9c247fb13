"""A verdict in one line, for people."""

from math import ceil, floor

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import Rules
from edge_classifier.decision.step import FrameVerdict


def explain(verdict: FrameVerdict, rules: Rules) -> str:
    """What a frame led to and why, e.g. ``below threshold: best is tabby 0.41, needs 0.60``.

    In a tree, the line of the best labels stands behind it: ``[cat 0.93 > tabby 0.41]``.
    Digits are cut such that a score that does not reach its threshold never looks as if it did.
    """
    best, score = verdict.best
    stays = "" if verdict.label == UNKNOWN else f"; still {verdict.label} {_floor(verdict.score)}"
    match verdict.reason:
        case Reason.CHANGED if verdict.change:
            found = "" if verdict.label == best else f", best is {best}"
            detail = f"{verdict.change.before} -> {verdict.label}{found} {_floor(score)}"
        case Reason.UNCHANGED:
            detail = f"{best} {_floor(score)}"
        case Reason.BELOW_THRESHOLD:
            needs = rules.needs(rules.label_map.position[best], verdict.line[0].score)
            found = f"best is {best} {_floor(score)}" if score > 0 else "no label scores"
            detail = f"{found}, needs {_ceil(needs)}{stays}"
        case Reason.MARGIN:
            ahead = f"{_floor(score - verdict.runner_up.score)} ahead of {verdict.runner_up.label}"
            needs = rules.decision.margin
            detail = f"{best} {_floor(score)} is {ahead}, needs {_ceil(needs)}{stays}"
        case Reason.DWELL if verdict.pending:
            label, held_s, needs_s = verdict.pending
            what = "no label" if label == UNKNOWN else label
            detail = f"{what} for {_floor(held_s)} s, needs {_ceil(needs_s)} s{stays}"
        case _:
            detail = verdict.reason.meaning
    line = " > ".join(f"{label} {_floor(score)}" for label, score in verdict.line)
    above = f" [{line}]" if len(verdict.line) > 1 else ""
    return f"{verdict.reason.replace('_', ' ')}: {detail}{above}"


def _floor(number: float) -> str:
    return f"{floor(number * 100 + 1e-5) / 100:.2f}"


def _ceil(number: float) -> str:
    return f"{ceil(number * 100 - 1e-5) / 100:.2f}"
