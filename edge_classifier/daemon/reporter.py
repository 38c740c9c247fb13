"""Who is told what of each frame: meters, subscribers, the capture store, whoever explains."""

import time
from collections.abc import Callable
from functools import partial

from edge_classifier.config.settings import Settings
from edge_classifier.core.events import LabelChange
from edge_classifier.core.frame import Frame
from edge_classifier.core.jpeg_comment import event_comment, with_comment
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.capture_store import CaptureStore, Why
from edge_classifier.daemon.frame_result import FrameResult
from edge_classifier.daemon.meters import Meters
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.protocols import Clock
from edge_classifier.vision.jpeg import jpeg_within

Explain = Callable[[CameraPipeline, FrameResult], None]
# What a comment takes in a JPEG beside its text.
_MARKER_BYTES = 4


class Reporter:
    """Hands on what the pipeline has seen; nothing here waits for a broker or a disk."""

    def __init__(
        self,
        settings: Settings,
        *,
        meters: Meters,
        publisher: Publisher,
        keeper: CaptureStore,
        explain: Explain | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._meters = meters
        self._publisher = publisher
        self._explain = explain
        self._clock = clock
        self._snapshots_wanted: set[str] = set()
        self._shown_at: dict[str, float] = {}

    def take(self, settings: Settings) -> None:
        """Let other settings take over."""
        self._settings = settings
        if not settings.snapshots.enabled:
            for camera in settings.cameras:
                # The broker would go on showing the last one to everybody, for ever.
                self._publisher.snapshot(camera, bytes)

    def seen(self, lane: CameraPipeline, outcome: FrameResult) -> None:
        """One frame has gone through."""
        self._meters.frame(
            lane.name,
            outcome.reason,
            outcome.age_ms,
            outcome.preprocess_ms,
            outcome.inference_ms,
            outcome.decision_ms,
        )
        if outcome.change:
            self._changed(lane, outcome, outcome.change)
        elif outcome.verdict and outcome.inference_ms:
            self._keep_if_uncertain(lane, outcome, outcome.verdict.best.score)
        if lane.name in self._snapshots_wanted:
            self._snapshot(lane, outcome)
        if self._explain:
            self._explain(lane, outcome)

    def show(self, lane: CameraPipeline) -> None:
        """Publish what the camera shows now."""
        self._shown_at[lane.name] = self._clock()
        self._publisher.state(lane.state())

    def heartbeat(self, lane: CameraPipeline) -> None:
        """Publish it again if that was long ago."""
        last = self._shown_at.get(lane.name, -float("inf"))
        if self._clock() - last >= self._settings.mqtt.heartbeat_s:
            self.show(lane)

    def want_snapshot(self, camera: str) -> None:
        """Publish and keep the next frame."""
        self._snapshots_wanted.add(camera)

    def _changed(self, lane: CameraPipeline, outcome: FrameResult, change: LabelChange) -> None:
        self._shown_at[lane.name] = self._clock()
        self._publisher.changed(change, lane.state(), self._jpeg(outcome, change))
        self._keep(lane, outcome, "changed")

    def _snapshot(self, lane: CameraPipeline, outcome: FrameResult) -> None:
        """As was asked for, whatever the configuration says of events."""
        self._snapshots_wanted.discard(lane.name)
        jpeg = partial(jpeg_within, outcome.captured.frame, self._settings.snapshots.max_bytes)
        self._publisher.snapshot(lane.name, jpeg)
        self._keep(lane, outcome, "requested")

    def _keep_if_uncertain(self, lane: CameraPipeline, outcome: FrameResult, score: float) -> None:
        if self._keeper.is_uncertain(lane.name, score):
            self._keep(lane, outcome, "uncertain")

    def _keep(self, lane: CameraPipeline, outcome: FrameResult, why: Why) -> None:
        state = lane.state()
        facts = {
            "label": state.label,
            "score": round(state.score, 4),
            "margin": round(state.margin, 4),
            "top": [[name, round(score, 4)] for name, score in state.top],
            "model": state.model,
        }
        captured = outcome.captured
        self._keeper.offer(lane.name, why, captured.frame, captured.at.utc, facts)

    def _jpeg(self, outcome: FrameResult, change: LabelChange) -> Callable[[], bytes] | None:
        if not self._settings.snapshots.enabled:
            return None
        max_bytes = self._settings.snapshots.max_bytes
        return partial(_event_jpeg, outcome.captured.frame, max_bytes, change.id)


def _event_jpeg(frame: Frame, max_bytes: int, event_id: str) -> bytes:
    """A JPEG that says which event it belongs to: topics of events and pictures are two."""
    comment = event_comment(event_id)
    room = max_bytes - _MARKER_BYTES - len(comment)
    return with_comment(jpeg_within(frame, room), comment)
