"""What the daemon has to tell: a changed label, and the present state of a camera."""

from dataclasses import dataclass
from typing import NamedTuple

from edge_classifier.core.labels import UNKNOWN


class Ranked(NamedTuple):
    """One label with its smoothed score in [0, 1]."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant by both clocks, taken when a frame was captured."""

    # Seconds since 1970: for stamps that leave the process.
    utc: float
    # Seconds since the machine was started (CLOCK_MONOTONIC): for durations.
    monotonic: float


@dataclass(frozen=True, slots=True)
class LabelChange:
    """One event: a camera's label became another."""

    # Unique for ever; repeated deliveries carry the same one.
    id: str
    # Counts this camera's events from 1, through restarts.
    seq: int
    camera: str
    before: str
    after: str
    score: float
    margin: float
    # Of the frame that decided it.
    captured: Moment
    model: str


@dataclass(frozen=True, slots=True)
class CameraState:
    """What a camera shows now; published retained, and remembered through restarts."""

    camera: str
    label: str
    score: float
    margin: float
    top: tuple[Ranked, ...]
    # UTC seconds of the frame that brought the label.
    since: float
    # UTC seconds of the frame that the scores are of.
    at: float
    # Of the last event.
    seq: int
    model: str
    enabled: bool
    # The ``enter`` threshold in force.
    threshold: float

    @classmethod
    def without_label(cls, camera: str, model: str, utc_s: float) -> "CameraState":
        """What is shown before the first frame, since ``utc_s``."""
        return cls(
            camera=camera,
            label=UNKNOWN,
            score=0.0,
            margin=0.0,
            top=(),
            since=utc_s,
            at=utc_s,
            seq=0,
            model=model,
            enabled=True,
            threshold=0.0,
        )
