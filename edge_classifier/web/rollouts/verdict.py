"""Whether a device does worse with the new model than with the one before. Pure.

Four things are looked at. What is counted is never taken for the truth itself:

``unknown``
    The share of the time in which a camera's label was ``unknown``, from its records. A spell (from
    one change of label to the next) is taken for one observation, so that a camera that changed 20
    times gives 20, however long they lasted; where the new model is silent, as many as the model
    before had in such a time. The rise of the share is judged by Newcombe's interval, made of two
    Wilson intervals (``core.intervals``): it is worse where the share rose by more than the limit,
    and the 95 % interval says that it rose at all. Spells are not quite independent, and the days
    differ: that is why a rise must be above the limit, too. Below ``observations`` on either side
    nothing is concluded.
``times``
    The median time of the network, by the device's own statistics, as a ratio.
``restarts``
    How often the daemon has been started again while it was watched.
``disagreement``
    In how many of the last pictures of the device's cameras the two models name different labels,
    of those that both know. It is worse where the lower end of the Wilson interval is above the
    limit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from edge_classifier.core.intervals import rise, wilson

FINE, WORSE, UNCLEAR = "fine", "worse", "unclear"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device may lose with the new model, and what a roll-out may lose of devices."""

    # By how much the share of ``unknown`` may rise: 0.1 is from 20 % to 30 %.
    unknown: float = 0.1
    # How many times as long a frame may take.
    slower: float = 1.5
    restarts: int = 1
    # Share of pictures that the two models see differently.
    disagreement: float = 0.5
    # Devices that fail, or are away for too long, in all steps together.
    lost: int = 1
    # Fewest spells, before and after, of a camera that is judged.
    observations: int = 20
    # Fewest pictures likewise.
    pictures: int = 10
    # Whether a device of which too little was seen halts the roll-out.
    needs_evidence: bool = False

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Self:
        """What ``as_json`` gave; what an older version did not have is as above."""
        return replace(cls(), **{f.name: found[f.name] for f in fields(cls) if f.name in found})

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RolloutFinding:
    """One of the four things, of a device or of one of its cameras."""

    what: str
    verdict: str
    limit: float
    # Shares from 0 to 1, milliseconds, or a count; None: not known.
    before: float | None = None
    after: float | None = None
    # How many observations it rests on: the fewer of both sides.
    observations: int = 0
    camera: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class UnknownTime:
    """How long a camera was watched, and how long of that its label was ``unknown``."""

    seconds: float = 0.0
    unknown_s: float = 0.0
    # From one change of label to the next.
    spells: int = 0

    def __add__(self, other: "UnknownTime") -> "UnknownTime":
        return UnknownTime(
            self.seconds + other.seconds,
            self.unknown_s + other.unknown_s,
            self.spells + other.spells,
        )

    @property
    def share(self) -> float | None:
        """None: it was not watched."""
        return self.unknown_s / self.seconds if self.seconds else None


def judge_unknown(
    camera: str, before: UnknownTime, after: UnknownTime, limits: Limits
) -> RolloutFinding:
    """Whether a camera says ``unknown`` for more of the time."""
    expected = before.spells * after.seconds / before.seconds if before.seconds else 0.0
    counts = before.spells, max(after.spells, round(expected))
    found = RolloutFinding(
        "unknown", UNCLEAR, limits.unknown, before.share, after.share, min(counts), camera
    )
    if before.share is None or after.share is None or min(counts) < limits.observations:
        return found
    low, _high = rise(
        (round(before.share * counts[0]), counts[0]), (round(after.share * counts[1]), counts[1])
    )
    is_worse = low > 0 and after.share - before.share > limits.unknown
    return replace(found, verdict=WORSE if is_worse else FINE)


def judge_times(before_ms: float | None, after_ms: float | None, limits: Limits) -> RolloutFinding:
    """Whether the network takes longer."""
    found = RolloutFinding("times", UNCLEAR, limits.slower, before_ms, after_ms)
    if not before_ms or after_ms is None:
        return found
    return replace(found, verdict=WORSE if after_ms / before_ms > limits.slower else FINE)


def judge_restarts(restarts: int, limits: Limits) -> RolloutFinding:
    """Whether the daemon was started again too often."""
    verdict = WORSE if restarts > limits.restarts else FINE
    return RolloutFinding("restarts", verdict, limits.restarts, None, restarts)


def judge_disagreement(differ: int, pictures: int, limits: Limits) -> RolloutFinding:
    """Whether the models see too many pictures differently."""
    share = differ / pictures if pictures else None
    found = RolloutFinding("disagreement", UNCLEAR, limits.disagreement, None, share, pictures)
    if pictures < limits.pictures:
        return found
    low, _high = wilson(differ, pictures)
    return replace(found, verdict=WORSE if low > limits.disagreement else FINE)


def worst(findings: Iterable[RolloutFinding]) -> RolloutFinding | None:
    """The first that is worse; None: there is none."""
    return next((one for one in findings if one.verdict == WORSE), None)
