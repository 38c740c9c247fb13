"""What became of one frame, for meters, the capture store and ``--explain``."""

from typing import NamedTuple

from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.core.events import LabelChange
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.step import FrameVerdict


class FrameResult(NamedTuple):
    """What became of one frame."""

    captured: CapturedFrame
    reason: Reason
    # From capture until the frame was taken up.
    age_ms: float
    # None: not looked at.
    verdict: FrameVerdict | None = None
    change: LabelChange | None = None
    # Zero, as the next, when the network was not run.
    preprocess_ms: float = 0.0
    inference_ms: float = 0.0
    decision_ms: float = 0.0
    # What the network saw of the frame; None: the whole, or the camera's region.
    box: RelativeBox | None = None
