"""One camera's way from frame to label."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.classifier import ScoredFrame
from edge_classifier.config.settings import CameraSettings, DecisionSettings
from edge_classifier.core.events import CameraState, LabelChange, Moment
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels import UNKNOWN
from edge_classifier.core.quiet_hours import is_quiet, quiet_minutes
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.frame_result import CameraOverride, FrameResult, FrameSupply
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import Rules, rules_for, with_enter
from edge_classifier.decision.step import DecidedChange, Verdict, initial, resumed, step
from edge_classifier.protocols import Clock
from edge_classifier.vision.motion import MotionGate
from edge_classifier.vision.prepare import Preparer
from edge_classifier.vision.region import region_of

# How often a camera that is not classified is looked at, to know that it still lives.
_IDLE_LOOK_S = 1.0


def _local_minute() -> int:
    now = time.localtime()
    return 60 * now.tm_hour + now.tm_min


class CameraPipeline:
    """Settings, smoothed state and pace of one camera. Belongs to the pipeline's thread."""

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        grabber: FrameSupply,
        network: ActiveModel,
        *,
        before: CameraState | None = None,
        override: CameraOverride = CameraOverride(),
        clock: Clock = time.monotonic,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        minute_of_day: Callable[[], int] = _local_minute,
    ) -> None:
        self.name = name
        self.grabber = grabber
        self.override = override
        self._clock = clock
        self._new_id = new_id
        self._minute_of_day = minute_of_day
        self._decided = initial(before.label) if before else initial()
        self._seq = before.seq if before else 0
        self._shown = before or _nothing_yet(name, network.id)
        self._verdict: Verdict | None = None
        self._at_utc = self._shown.at
        self._labels = network.labels
        self._base = rules_for(network.labels, settings.decision)
        self.configure(settings, network)

    def configure(self, settings: CameraSettings, network: ActiveModel) -> None:
        """Take other settings or another network; the label stays while they know it.

        Raises UnknownLabelsError and changes nothing when the settings name labels that the
        network has not.
        """
        self._base = self._rules_for(network.labels, settings.decision)
        self._labels = network.labels
        self.settings = settings
        self._model = network.id
        self._connection: int | None = None
        self._scores: NDArray[np.float32] | None = None
        self._gate = MotionGate(settings.motion) if settings.motion.enabled else None
        self._classified_at = self._due = -inf
        self._preparer = self._make_preparer(network)
        self.grabber.prepare = self._preparer
        self.grabber.wanted_from = 0.0
        self._quiet = tuple(quiet_minutes(hours) for hours in settings.quiet_hours)
        self._apply_threshold()

    def set_override(self, override: CameraOverride) -> None:
        """Take what was set over MQTT."""
        self.override = override
        self._apply_threshold()

    def forget(self) -> None:
        """Begin anew, without a label. Events go on being counted."""
        self._decided = initial()
        self._verdict = None
        self._shown = replace(_nothing_yet(self.name, self._model), seq=self._seq)

    @property
    def enabled(self) -> bool:
        """Whether the camera is to be classified."""
        wanted = self.override.enabled
        return self.settings.enabled if wanted is None else wanted

    @property
    def threshold(self) -> float:
        """The ``enter`` threshold in force."""
        wanted = self.override.threshold
        return self.settings.decision.enter if wanted is None else wanted

    @property
    def rules(self) -> Rules:
        """In force."""
        return self._rules

    def turn(self, network: ActiveModel) -> FrameResult | None:
        """Take the newest frame, if there is one, all the way to a verdict."""
        captured = self.grabber.take()
        if captured is None:
            return None
        age_ms = 1e3 * (self._clock() - captured.at.monotonic)
        idle = self._idle_reason()
        if idle:
            self._connection = None
            self.grabber.wanted_from = captured.at.monotonic + _IDLE_LOOK_S
            return FrameResult(captured, idle, None, None, 0.0, 0.0, 0.0, age_ms)
        self._pace(captured.at.monotonic)
        return self._decide(captured, network, age_ms)

    def state(self) -> CameraState:
        """What the camera shows now."""
        verdict = self._verdict
        shown = replace(
            self._shown,
            seq=self._seq,
            model=self._model,
            enabled=self.enabled,
            threshold=self.threshold,
        )
        if verdict is None:
            return shown
        return replace(
            shown,
            label=verdict.label,
            score=verdict.score,
            margin=verdict.margin,
            top=self._decided.top(self.settings.decision.top_k),
            at=self._at_utc,
        )

    def _decide(self, captured: CapturedFrame, network: ActiveModel, age_ms: float) -> FrameResult:
        at_s = captured.at.monotonic
        preprocess_ms = inference_ms = 0.0
        scores = self._gated_scores(captured)
        gated = scores is not None
        if scores is None:
            scores, preprocess_ms, inference_ms = self._score(captured, network)
            self._remember(captured, scores)
        started = self._clock()
        self._resume_after_gap(captured)
        self._decided, verdict = step(self._rules, self._decided, scores, at_s)
        self._verdict, self._at_utc = verdict, captured.at.utc
        change = self._change(verdict.change, captured.at) if verdict.change else None
        decision_ms = 1e3 * (self._clock() - started)
        reason = Reason.GATED if gated and not change else verdict.reason
        return FrameResult(
            captured, reason, verdict, change, preprocess_ms, inference_ms, decision_ms, age_ms
        )

    def _resume_after_gap(self, captured: CapturedFrame) -> None:
        """A label has not held while the camera was away or idle, nor has it been lost for it."""
        if captured.connection != self._connection:
            self._connection = captured.connection
            self._decided = resumed(self._decided, captured.at.monotonic)

    def _rules_for(self, labels: tuple[str, ...], decision: DecisionSettings) -> Rules:
        """The present rules where they still hold: averages and waiting times are theirs."""
        same = labels == self._labels and decision == self._base.decision
        return self._base if same else rules_for(labels, decision)

    def _make_preparer(self, network: ActiveModel) -> Preparer | None:
        """None behind a gate: most frames would be prepared in vain."""
        if self._gate:
            return None
        classifier = network.classifier
        return Preparer(classifier.contract, classifier.engine.input, self.settings.region)

    def _score(self, captured: CapturedFrame, network: ActiveModel) -> ScoredFrame:
        prepared = captured.prepared
        # By another one: it was captured before the network or the region was exchanged.
        if prepared is None or prepared.by is not self._preparer:
            return network.classifier.score(self._region(captured))
        return network.classifier.score_prepared(prepared)

    def _region(self, captured: CapturedFrame) -> Frame:
        return region_of(captured.frame, self.settings.region)

    def _gated_scores(self, captured: CapturedFrame) -> NDArray[np.float32] | None:
        """The last scores, where they may stand for this frame's, because nothing has moved."""
        if self._gate is None or self._scores is None:
            return None
        old_s = captured.at.monotonic - self._classified_at
        if old_s >= self.settings.motion.max_interval_s:
            return None
        return None if self._gate.moved(self._region(captured)) else self._scores

    def _remember(self, captured: CapturedFrame, scores: NDArray[np.float32]) -> None:
        if self._gate:
            self._gate.classified(self._region(captured))
            self._scores, self._classified_at = scores, captured.at.monotonic

    def _change(self, change: DecidedChange, at: Moment) -> LabelChange:
        self._seq += 1
        self._shown = replace(self._shown, since=at.utc)
        return LabelChange(
            id=self._new_id(),
            seq=self._seq,
            camera=self.name,
            before=change.before,
            after=change.after,
            score=change.score,
            margin=change.margin,
            captured=at,
            model=self._model,
        )

    def _idle_reason(self) -> Reason | None:
        if not self.enabled:
            return Reason.DISABLED
        if self._quiet and is_quiet(self._quiet, self._minute_of_day()):
            return Reason.QUIET_HOURS
        return None

    def _pace(self, at_s: float) -> None:
        """Want the next frame one period after this one was due, without running after."""
        if self.settings.rate_fps:
            period_s = 1.0 / self.settings.rate_fps
            on_time = at_s - self._due < period_s
            self._due = (self._due if on_time else at_s) + period_s
            self.grabber.wanted_from = self._due
        else:
            self.grabber.wanted_from = 0.0

    def _apply_threshold(self) -> None:
        wanted = self.override.threshold
        self._rules = self._base if wanted is None else with_enter(self._base, wanted)


def _nothing_yet(camera: str, model: str) -> CameraState:
    now = time.time()
    return CameraState(
        camera=camera,
        label=UNKNOWN,
        score=0.0,
        margin=0.0,
        top=(),
        since=now,
        at=now,
        seq=0,
        model=model,
        enabled=True,
        threshold=0.0,
    )
