"""Per-label thresholds for a wanted precision, and what the daemon would claim with them.

A picture counts as claimed for its best label if that label's score reaches ``enter``. The daemon
smooths scores over time, so it is right more often than single pictures are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.config.toml import Key, document
from edge_classifier.core.scores import SCORE_TOLERANCE
from edge_classifier.core.text import escaped
from edge_classifier.evaluation.matching import NONE, says_nothing
from edge_classifier.evaluation.measures import Classes, Share, rounded

_DEFAULTS = DecisionSettings()
DEFAULT_ENTER = _DEFAULTS.enter
HYSTERESIS = round(_DEFAULTS.enter - _DEFAULTS.leave, 2)
# Thresholds that are tried. From a half on no other label can have as much.
_GRID = np.arange(50, 100) / 100

# Shape (N, C), in [0, 1].
Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """For one label: the lowest threshold with the wanted precision, or the most precise one."""

    label: str
    # What ``precision`` and ``recall`` were measured at.
    threshold: float
    # Whether the wanted precision is reached there.
    reached: bool
    # Of the pictures claimed for the label: those that show it.
    precision: Share
    # Of the pictures that show it: those claimed for it.
    recall: Share

    @property
    def enter(self) -> float | None:
        """None: no threshold has the wanted precision."""
        return self.threshold if self.reached else None

    @property
    def leave(self) -> float | None:
        """Below ``enter`` by as much as the daemon's defaults are apart."""
        return round(max(0.0, self.threshold - HYSTERESIS), 2) if self.reached else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "label": self.label,
            "enter": self.enter,
            "leave": self.leave,
            "measured_at": self.threshold,
            "precision": self.precision.as_dict(),
            "recall": self.recall.as_dict(),
        }


def suggest_thresholds(
    probabilities: Probabilities, truth: Classes, labels: Sequence[str], wanted_precision: float
) -> tuple[Suggestion, ...]:
    """One for each of ``labels`` that pictures show, reject classes left out.

    ``truth`` (N,) may be NONE: such a picture is wrong for whatever it is claimed for.
    """
    best, score = probabilities.argmax(axis=1), probabilities.max(axis=1)
    suggestions = []
    for number, label in enumerate(labels):
        count = int(np.count_nonzero(truth == number))
        if not count or says_nothing(label):
            continue
        # Of the pictures whose best label this is.
        right = truth[best == number] == number
        claimed = (
            score[best == number][:, None] >= _GRID - SCORE_TOLERANCE
        )  # (pictures, thresholds)
        claims = np.count_nonzero(claimed, axis=0)
        hits = np.count_nonzero(claimed & right[:, None], axis=0)
        precision = np.divide(hits, claims, out=np.zeros(len(_GRID)), where=claims > 0)
        enough = np.flatnonzero((claims > 0) & (precision >= wanted_precision))
        at = int(enough[0]) if enough.size else int(precision.argmax())
        suggestions.append(
            Suggestion(
                label,
                threshold=float(_GRID[at]),
                reached=bool(enough.size),
                precision=Share(int(hits[at]), int(claims[at])),
                recall=Share(int(hits[at]), count),
            )
        )
    return tuple(suggestions)


def thresholds_toml(suggestions: Sequence[Suggestion], wanted_precision: float, source: str) -> str:
    """Settings for the daemon, ``[decision.labels.NAME]``; ``source`` tells what they are of.

    Labels that never reach the wanted precision are comments: no number would be right for them.
    """
    by_label = {one.label: one for one in suggestions if one.reached}
    tables = {name: {"enter": one.enter, "leave": one.leave} for name, one in by_label.items()}
    head = [
        f"# Thresholds for a precision of {wanted_precision:.0%}: {escaped(source)}.",
        "# Copy them into the daemon's settings. They were chosen on the very pictures they are",
        "# measured on: watch the first days, and the labels with few pictures longer.",
    ]
    for one in suggestions:
        if one.reached:
            continue
        reason = f"no picture scores {one.threshold:g} for it"
        best = one.precision
        if best.count:
            reason = f"at best {best.hits} of {best.count} claims are right, at {one.threshold:g}"
        missed = f"no threshold reaches {wanted_precision:.0%}; {reason}."
        head.append(f"# {escaped(one.label)}: {missed}")

    def evidence(key: Key) -> str:
        if key[-1] != "enter":
            return ""
        one = by_label[str(key[-2])]
        return (
            f"right in {one.precision.hits} of {one.precision.count} claims, "
            f"finds {one.recall.hits} of {one.recall.count} pictures"
        )

    body = document({"decision": {"labels": tables}}, evidence) if tables else ""
    return "\n".join([*head, "", body]).rstrip("\n") + "\n"


@dataclass(frozen=True, slots=True)
class Rejection:
    """What happens at some thresholds to pictures that a model is to know, and to all others."""

    # Of the pictures that show nothing it knows: those claimed for some label.
    false_accepts: Share
    # Of the pictures that show something it knows: those claimed for no label.
    false_rejects: Share

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "false_accepts": self.false_accepts.as_dict(),
            "false_rejects": self.false_rejects.as_dict(),
        }


def rejection(
    probabilities: Probabilities, truth: Classes, labels: Sequence[str], enter: NDArray[np.float64]
) -> Rejection:
    """At one threshold a label, ``enter`` (C,); ``truth`` (N,) may be NONE."""
    best, score = probabilities.argmax(axis=1), probabilities.max(axis=1)
    nothing = np.array([says_nothing(label) for label in labels])
    claimed = (score >= enter[best] - SCORE_TOLERANCE) & ~nothing[best]
    other = (truth == NONE) | nothing[truth]
    return Rejection(
        Share(int(np.count_nonzero(claimed & other)), int(np.count_nonzero(other))),
        Share(int(np.count_nonzero(~claimed & ~other)), int(np.count_nonzero(~other))),
    )


def enter_of(suggestions: Sequence[Suggestion], labels: Sequence[str]) -> NDArray[np.float64]:
    """The suggested thresholds of all ``labels``, (C,), or else the daemon's default."""
    suggested = {one.label: one.threshold for one in suggestions if one.reached}
    return np.array([suggested.get(label, DEFAULT_ENTER) for label in labels])


def threshold_facts(suggestions: Sequence[Suggestion], wanted_precision: float) -> dict[str, Any]:
    """For JSON."""
    return {
        "wanted_precision": rounded(wanted_precision),
        "labels": [one.as_dict() for one in suggestions],
    }
