"""What a lane is fed from, what may be set for it over MQTT, and what it makes of a frame."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from edge_classifier.capture.frame_slot import CameraStatus, CapturedFrame, Prepare
from edge_classifier.core.events import LabelChange
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.step import Verdict


class FrameSupply(Protocol):
    """What a lane asks of its grabber."""

    wanted_from: float
    prepare: Prepare | None

    @property
    def status(self) -> CameraStatus:
        """How the camera is."""

    def take(self) -> CapturedFrame | None:
        """The newest frame that was not taken yet."""


@dataclass(frozen=True, slots=True)
class CameraOverride:
    """What was set over MQTT and outlives a restart; None: as the configuration says."""

    enabled: bool | None = None
    threshold: float | None = None


class FrameResult(NamedTuple):
    """What became of one frame."""

    captured: CapturedFrame
    reason: Reason
    # None: not looked at.
    verdict: Verdict | None
    change: LabelChange | None
    # Zero, as the next, when the network was not run.
    preprocess_ms: float
    inference_ms: float
    decision_ms: float
    # From capture until the frame was taken up.
    age_ms: float
