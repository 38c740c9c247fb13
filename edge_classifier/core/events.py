"""What the daemon has to tell: events of a camera's labels, and the camera's present state."""

from dataclasses import dataclass
from typing import NamedTuple

from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.labels.labels import UNKNOWN


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraEvent:
    """What every event of a camera has."""

    # Unique for ever; repeated deliveries carry the same one.
    id: str
    # Counts this camera's events of all kinds from 1, through restarts.
    seq: int
    camera: str
    # Of the frame that decided it.
    captured: Moment
    model: str
    # From the root of the model's tree of labels to the event's label; empty for ``unknown``.
    path: tuple[str, ...] = ()
    # The best labels, best first: smoothed for a change, else those of the frame with the peak.
    top: tuple[Ranked, ...] = ()
    # What the network saw of that frame; None: all of it, or all of the camera's region.
    box: RelativeBox | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChange(CameraEvent):
    """A camera's label became another. Its id is that of the episode that it begins."""

    before: str
    after: str
    # Smoothed.
    score: float
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelEnd(CameraEvent):
    """An episode is over: a label that had come has gone."""

    # The id of the change that it began with.
    episode: str
    # The most specific one that held.
    label: str
    # UTC seconds.
    started: float
    ended: float
    duration_s: float
    # The highest score that the label had in one frame, and the UTC seconds of that frame.
    peak_score: float
    peak_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelGlimpse(CameraEvent):
    """A label was seen for too short a time to be published."""

    label: str
    # UTC seconds of the first and the last frame in which it was seen.
    started: float
    ended: float
    duration_s: float
    # In how many frames it was seen.
    frames: int
    # As in LabelEnd.
    peak_score: float
    peak_at: float
    # Why it was not held: ``dwell``, ``margin`` or ``below_threshold``.
    reason: str
    # Seconds for which it would have had to hold.
    needs_s: float


@dataclass(frozen=True, slots=True)
class Peak:
    """The frame in which a label scored highest, by itself."""

    label: str
    # As in CameraEvent.
    path: tuple[str, ...]
    score: float
    # UTC seconds.
    at: float
    # The best labels of that frame, best first.
    top: tuple[Ranked, ...] = ()
    # As in CameraEvent.
    box: RelativeBox | None = None


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """A label that has come and not gone; remembered through restarts."""

    # Of the change that it began with.
    id: str
    # UTC seconds of that change.
    started: float
    # Of its most specific label.
    peak: Peak


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
    # What the network saw of the frame that the scores are of; None: as in CameraEvent.
    box: RelativeBox | None = None
    # As in CameraEvent.
    path: tuple[str, ...] = ()
    # The label that the last event told, where ``label`` is another one of its line. Empty:
    # ``label``. Remembered, not published.
    told: str = ""
    # What ``label`` is part of; None: there is no label, or an older version has seen it come.
    episode: OpenEpisode | None = None

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
