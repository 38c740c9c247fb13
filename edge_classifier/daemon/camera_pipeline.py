"""The way of a frame: from its camera's slot to a verdict, and out to broker and capture store.

``CameraPipeline.process_frame`` is that way from top to bottom: take the newest frame, classify it,
decide on a label, report. The frame comes from the camera's own thread (``capture``); its event
goes on in the publisher's thread (``mqtt``), its picture in the capture store's (``store``).
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.capture.frame_slot import CapturedFrame, FrameSupply
from edge_classifier.classifier import ScoredFrame
from edge_classifier.config.settings import CameraSettings, SnapshotSettings
from edge_classifier.core.events import CameraState, LabelChange
from edge_classifier.core.jpeg_comment import event_comment
from edge_classifier.core.labels import UNKNOWN
from edge_classifier.core.quiet_hours import is_quiet, quiet_minutes
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.store import CaptureStore, Why
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import Rules, rules_for, with_enter
from edge_classifier.decision.step import Verdict, initial_state, resume, step
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.protocols import Clock
from edge_classifier.vision.camera_preprocess import CameraPreprocessor, region_of
from edge_classifier.vision.jpeg import jpeg_with_comment, jpeg_within
from edge_classifier.vision.motion import MotionGate

_log = logging.getLogger(__name__)

# How often a camera that is not classified is looked at, to know that it still lives.
_IDLE_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class CameraOverride:
    """What was set over MQTT and outlives a restart; None: as the configuration says."""

    enabled: bool | None = None
    threshold: float | None = None


class FrameResult(NamedTuple):
    """What became of one frame."""

    captured: CapturedFrame
    reason: Reason
    # From capture until the frame was taken up.
    age_ms: float
    # None: not looked at.
    verdict: Verdict | None = None
    change: LabelChange | None = None
    # Zero, as the next, when the network was not run.
    preprocess_ms: float = 0.0
    inference_ms: float = 0.0
    decision_ms: float = 0.0


Explain = Callable[["CameraPipeline", FrameResult], None]


@dataclass(frozen=True, slots=True)
class DaemonOutputs:
    """Where everything goes that the daemon has to report; none waits for a broker or a disk."""

    publisher: Publisher
    store: CaptureStore
    meters: Meters
    explain: Explain | None = None


class CameraPipeline:
    """Settings, model, smoothed state and pace of one camera. Belongs to the main loop's thread."""

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        snapshots: SnapshotSettings,
        model: ActiveModel,
        capture: FrameSupply,
        outputs: DaemonOutputs,
        *,
        restored: CameraState | None = None,
        last_number: int = 0,
        override: CameraOverride = CameraOverride(),
        clock: Clock = time.monotonic,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        minute_of_day: Callable[[], int] | None = None,
    ) -> None:
        """``restored``: what the camera showed before the restart.

        Its events count on from there, or from ``last_number`` if that is higher.
        """
        self.name = name
        self.capture = capture
        self.override = override
        self._outputs = outputs
        self._clock = clock
        self._new_id = new_id
        self._minute_of_day = minute_of_day or _local_minute
        self._decision = initial_state(restored.label if restored else UNKNOWN)
        self._seq = max(last_number, restored.seq if restored else 0)
        # What is shown until the first verdict.
        self._shown = restored or CameraState.without_label(name, model.id, time.time())
        self._verdict: Verdict | None = None
        self._verdict_at = self._shown.at
        self._snapshot_requested = False
        self._state_published_at = -inf
        self._published_health: tuple[bool, str] | None = None
        self.model = model
        self._configured_rules = rules_for(model.labels, settings.decision)
        self.configure(settings, snapshots, model)

    def configure(
        self, settings: CameraSettings, snapshots: SnapshotSettings, model: ActiveModel
    ) -> None:
        """Take other settings or another model; the label stays while they know it.

        Raises UnknownLabelsError and changes nothing when the settings name labels that the model
        does not have.
        """
        old_rules = self._configured_rules
        # Averages and waiting times belong to their rules: these stay where they still hold.
        if (model.labels, settings.decision) != (self.model.labels, old_rules.decision):
            self._configured_rules = rules_for(model.labels, settings.decision)
        self.settings, self._snapshots, self.model = settings, snapshots, model
        self._quiet = tuple(quiet_minutes(hours) for hours in settings.quiet_hours)
        # None: a gap, such as the camera's being away.
        self._opening: int | None = None
        # Of the frame that was classified last; only behind a motion gate.
        self._scores: NDArray[np.float32] | None = None
        self._classified_at = self._due = -inf
        self._gate = MotionGate(settings.motion) if settings.motion.enabled else None
        classifier = model.classifier
        # None behind a gate: most frames would be prepared in vain.
        self._preprocessor = (
            None
            if self._gate
            else CameraPreprocessor(classifier.contract, classifier.engine.input, settings.region)
        )
        self.capture.prepare = self._preprocessor
        self.capture.wanted_from = 0.0
        self.set_override(self.override)
        if not snapshots.enabled:
            # The broker would go on showing the last one to everybody, for ever.
            self._outputs.publisher.clear_snapshot(self.name)

    def set_override(self, override: CameraOverride) -> None:
        """Take what was set over MQTT."""
        self.override = override
        threshold, rules = override.threshold, self._configured_rules
        self.rules: Rules = rules if threshold is None else with_enter(rules, threshold)

    def request_snapshot(self) -> None:
        """Publish and keep the next frame."""
        self._snapshot_requested = True

    def reset_label(self) -> None:
        """Begin anew, without a label. Events go on being counted."""
        self._decision = initial_state()
        self._verdict = None
        self._shown = CameraState.without_label(self.name, self.model.id, time.time())

    @property
    def enabled(self) -> bool:
        """Whether the camera is to be classified."""
        wanted = self.override.enabled
        return self.settings.enabled if wanted is None else wanted

    @property
    def threshold(self) -> float:
        """The ``enter`` threshold in force."""
        return self.rules.threshold

    # The way of a frame.

    def process_frame(self) -> FrameResult | None:
        """Take the newest frame, if there is one, all the way to broker and capture store."""
        captured = self.capture.take_frame()
        if captured is None:
            return None
        at_s = captured.at.monotonic
        age_ms = 1e3 * (self._clock() - at_s)
        idle = None
        if not self.enabled:
            idle = Reason.DISABLED
        elif self._quiet and is_quiet(self._quiet, self._minute_of_day()):
            idle = Reason.QUIET_HOURS
        if idle:
            self._opening = None
            self.capture.wanted_from = at_s + _IDLE_LOOK_S
            result = FrameResult(captured, idle, age_ms)
        else:
            self.capture.wanted_from = self._next_due_s(at_s)
            result = self._decide(captured, self._classify(captured), age_ms)
        self._report(result)
        return result

    def _next_due_s(self, at_s: float) -> float:
        """One period after this frame was due, without running after what was missed."""
        if not self.settings.rate_fps:
            return 0.0
        period_s = 1.0 / self.settings.rate_fps
        on_time = at_s - self._due < period_s
        self._due = (self._due if on_time else at_s) + period_s
        return self._due

    def _classify(self, captured: CapturedFrame) -> ScoredFrame:
        """The frame's scores; while nothing moves, those of the last one that was classified."""
        classifier, prepared = self.model.classifier, captured.prepared
        # Preprocessed by another one: captured before the model or the region was exchanged.
        if prepared is not None and prepared.preprocessor is self._preprocessor:
            return classifier.score_prepared(prepared)
        region = region_of(captured.frame, self.settings.region)
        if self._gate is None:
            return classifier.score(region)
        at_s = captured.at.monotonic
        recent = at_s - self._classified_at < self.settings.motion.max_interval_s
        if self._scores is not None and recent and not self._gate.moved(region):
            return ScoredFrame(self._scores, 0.0, 0.0)
        scored = classifier.score(region)
        self._gate.classified(region)
        self._scores, self._classified_at = scored.scores, at_s
        return scored

    def _decide(self, captured: CapturedFrame, scored: ScoredFrame, age_ms: float) -> FrameResult:
        """What the scores lead to, together with those before them."""
        started = self._clock()
        if captured.opening != self._opening:
            # A label has not held while the camera was away or idle, nor has it been lost for it.
            self._opening = captured.opening
            self._decision = resume(self._decision, captured.at.monotonic)
        self._decision, verdict = step(
            self.rules, self._decision, scored.scores, captured.at.monotonic
        )
        self._verdict, self._verdict_at = verdict, captured.at.utc
        change = None
        if verdict.change:
            self._seq += 1
            self._shown = replace(self._shown, since=captured.at.utc)
            change = LabelChange(
                id=self._new_id(),
                seq=self._seq,
                camera=self.name,
                before=verdict.change.before,
                after=verdict.change.after,
                score=verdict.change.score,
                margin=verdict.change.margin,
                captured=captured.at,
                model=self.model.id,
            )
        decision_ms = 1e3 * (self._clock() - started)
        gated = not scored.inference_ms
        reason = Reason.GATED if gated and not change else verdict.reason
        _, preprocess_ms, inference_ms = scored
        return FrameResult(
            captured, reason, age_ms, verdict, change, preprocess_ms, inference_ms, decision_ms
        )

    def _report(self, result: FrameResult) -> None:
        """To meters, subscribers, the capture store, and --explain."""
        out, frame, max_bytes = self._outputs, result.captured.frame, self._snapshots.max_bytes
        out.meters.count_frame(
            self.name,
            result.reason,
            result.age_ms,
            result.preprocess_ms,
            result.inference_ms,
            result.decision_ms,
        )
        if result.change:
            # Otherwise the news would come from a camera that is published as offline.
            self.publish_health()
            jpeg = partial(jpeg_with_comment, frame, max_bytes, event_comment(result.change.id))
            self._state_published_at = self._clock()
            out.publisher.put_event(
                result.change, self.state(), jpeg if self._snapshots.enabled else None
            )
            self._keep(result, "changed")
        elif (
            result.verdict
            and result.inference_ms
            and out.store.is_uncertain(self.name, result.verdict.best.score)
        ):
            self._keep(result, "uncertain")
        if self._snapshot_requested:
            # Whatever the configuration says of snapshots with events.
            self._snapshot_requested = False
            out.publisher.put_snapshot(self.name, partial(jpeg_within, frame, max_bytes))
            self._keep(result, "requested")
        if out.explain:
            out.explain(self, result)

    def _keep(self, result: FrameResult, why: Why) -> None:
        captured = result.captured
        self._outputs.store.offer(self.state(), why, captured.frame, captured.at.utc)

    # What is published without a frame.

    def state(self) -> CameraState:
        """What the camera shows now."""
        shown = replace(
            self._shown,
            seq=self._seq,
            model=self.model.id,
            enabled=self.enabled,
            threshold=self.threshold,
        )
        if self._verdict is None:
            return shown
        return replace(
            shown,
            label=self._verdict.label,
            score=self._verdict.score,
            margin=self._verdict.margin,
            top=self._decision.top(self.settings.decision.top_k),
            at=self._verdict_at,
        )

    def publish_state(self, *, unless_within_s: float = 0.0) -> None:
        """Publish what the camera shows now, unless that was done a short while ago."""
        now_s = self._clock()
        if now_s - self._state_published_at >= unless_within_s:
            self._state_published_at = now_s
            self._outputs.publisher.put_state(self.state())

    def publish_health(self) -> None:
        """Let subscribers and the log know how the camera is, if they do not yet."""
        status = self.capture.status
        health = status.online, status.reason
        if health == self._published_health:
            return
        self._published_health = health
        if status.online:
            _log.info("camera %s is online: %s", self.name, status.description)
        elif status.failures:
            # Else it has not had its first chance.
            _log.warning("camera %s is offline: %s", self.name, status.reason)
        self._outputs.publisher.put_camera_health(
            self.name, online=status.online, reason=status.reason
        )


def _local_minute() -> int:
    now = time.localtime()
    return 60 * now.tm_hour + now.tm_min
