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
from operator import is_

from edge_classifier.capture.frame_slot import CapturedFrame, FrameSupply
from edge_classifier.classifier import ScoredFrame
from edge_classifier.config.mqtt_settings import SnapshotSettings
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.events import CameraState
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.quiet_hours import (
    is_quiet,
    minute_of,
    quiet_minutes,
)
from edge_classifier.daemon.cameras.burst import CameraBurst
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.cameras.frame_scorer import FrameScorer
from edge_classifier.daemon.cameras.network_thread import NetworkThread, PendingInference
from edge_classifier.daemon.cameras.reports import CameraReports
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.daemon.store import CaptureStore, Why
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import rules_for, with_thresholds_of
from edge_classifier.decision.step import FrameVerdict, initial_state, resume, step
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.protocols import Clock
from edge_classifier.vision.draw import with_box
from edge_classifier.vision.jpeg import jpeg_within

_log = logging.getLogger(__name__)

# How often a camera that is not classified is looked at, to know that it still lives.
_IDLE_LOOK_S = 1.0
# By how much a score must move, lest each frame's be published.
_SCORE_STEP = 0.05


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
        fps: float | None = None,
        network: NetworkThread | None = None,
        clock: Clock = time.monotonic,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        minute_of_day: Callable[[], int] | None = None,
    ) -> None:
        """``restored``: what the camera showed before the restart.

        Its events count on from there, or from ``last_number`` if that is higher. ``fps``: frames
        a second of all cameras that share the network's time. ``network``: the thread that it runs
        in, if that is not the main loop's.
        """
        self.name, self.capture = name, capture
        self._outputs, self._clock = outputs, clock
        self._minute_of_day = minute_of_day or (lambda: minute_of(time.localtime()))
        self.reports = CameraReports(
            name,
            outputs.publisher,
            snapshots,
            last_number=last_number,
            restored=restored,
            new_id=new_id,
            clock=clock,
        )
        self.burst = CameraBurst(outputs.publisher, clock)
        # What is shown until the first verdict.
        self._shown = restored or CameraState.without_label(name, model.id, time.time())
        self._decision = initial_state(self._shown.label, self._shown.told)
        self._verdict: FrameVerdict | None = None
        self._verdict_at = self._shown.at
        # What the network saw of the last frame; None: all of it.
        self._box: RelativeBox | None = None
        self._snapshot_requested = False
        self._state_published_at = -inf
        self._published_score = self._shown.score
        self._published_health: tuple[bool, str] | None = None
        # A frame on its way through the network, in another thread.
        self.pending: PendingInference | None = None
        self.model = model
        self.settings, self._snapshots = settings, SnapshotSettings()
        self.rules = rules_for(model.labels, settings.decision, model.taxonomy)
        # When the next frame is wanted.
        self._due = -inf
        # Which opening of the camera the last frame is from; None: a gap, such as its being away.
        self._opening: int | None = None
        # What the scorer was made for.
        self._scorer_parts: tuple[object, ...] = ()
        self._scorer_look: tuple[object, ...] = ()
        self.configure(settings, snapshots, model, fps=fps, network=network)

    def configure(
        self,
        settings: CameraSettings,
        snapshots: SnapshotSettings,
        model: ActiveModel,
        *,
        fps: float | None = None,
        network: NetworkThread | None = None,
    ) -> None:
        """Take other settings or another model; the label stays while they know it.

        Raises UnknownLabelsError and changes nothing when the settings name labels that the model
        does not have.
        """
        # Averages and waiting times belong to their rules: these stay where they still hold.
        rules = None
        if (model.labels, model.taxonomy) == (self.model.labels, self.model.taxonomy):
            rules = with_thresholds_of(self.rules, settings.decision)
        self.rules = rules or rules_for(model.labels, settings.decision, model.taxonomy)
        if settings != self.settings:
            self._due, self.capture.wanted_from = -inf, 0.0
        self.settings, self.model, self._network = settings, model, network
        if not snapshots.enabled and snapshots != self._snapshots:
            # The broker would go on showing the last one to everybody, for ever.
            self._outputs.publisher.clear_snapshot(self.name)
        self._snapshots = self.reports.snapshots = snapshots
        self._quiet = tuple(quiet_minutes(hours) for hours in settings.quiet_hours)
        parts = self.capture, model, network, self.rules.label_map
        look = settings.look, settings.region, settings.motion
        is_same = bool(self._scorer_parts) and all(map(is_, parts, self._scorer_parts))
        if not is_same or look != self._scorer_look:
            self._scorer_parts, self._scorer_look = parts, look
            self._opening = None
            self._scorer = FrameScorer(
                model.classifier, settings, self.rules.label_map, fps=fps, clock=self._clock
            )
            self.capture.prepare = self._scorer.prepare
        self._scorer.fps = (settings.rate_fps or inf) if fps is None else fps

    def request_snapshot(self) -> None:
        """Publish and keep the next frame."""
        self._snapshot_requested = True

    def reset_label(self) -> None:
        """Begin anew, without a label, which ends its episode. Events go on being counted."""
        self.reports.end_episode(self.rules, self.model.id)
        self._decision = initial_state()
        self._verdict = None
        self._shown = CameraState.without_label(self.name, self.model.id, time.time())
        self._publish_events()

    @property
    def enabled(self) -> bool:
        """Whether the camera is to be classified."""
        return self.settings.enabled

    @property
    def threshold(self) -> float:
        """The ``enter`` threshold in force."""
        return self.settings.decision.enter

    @property
    def idle(self) -> Reason | None:
        """Why its frames are not looked at now, by the network or by anybody; None: they are."""
        if not self.enabled:
            return Reason.DISABLED
        is_quiet_now = self._quiet and is_quiet(self._quiet, self._minute_of_day())
        return Reason.QUIET_HOURS if is_quiet_now else None

    # The way of a frame.

    def process_frame(self) -> FrameResult | None:
        """Take the newest frame, if there is one, all the way to broker and capture store.

        Where the network has a thread of its own, it waits there, and nobody waits for it here.
        """
        if pending := self.pending:
            # A frame is with the network: go on with it when it comes out.
            if not pending.is_done:
                return None
            self.pending = None
            # The settings, the model or the time of day have changed meanwhile.
            if pending.scorer is not self._scorer or self.idle:
                return None
            result = self._decide(pending.captured, pending.scored(), pending.age_ms)
            self._report(result)
            return result
        captured = self.capture.take_frame()
        if captured is None:
            return None
        at_s = captured.at.monotonic
        age_ms = 1e3 * (self._clock() - at_s)
        if idle := self.idle:
            self._opening = None
            self.burst.end()
            self.reports.look_away(self.rules, self.model.id)
            self.capture.wanted_from = at_s + _IDLE_LOOK_S
            result = FrameResult(captured, idle, age_ms)
        else:
            self.capture.wanted_from = self._next_due_s(at_s)
            if self._network:
                self.pending = self._network.submit(self._scorer, captured, age_ms)
                return None
            result = self._decide(captured, self._scorer.score(captured), age_ms)
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

    def _decide(self, captured: CapturedFrame, scored: ScoredFrame, age_ms: float) -> FrameResult:
        """What the scores lead to, together with those before them."""
        started = self._clock()
        is_after_gap = captured.opening != self._opening
        if is_after_gap:
            # A label has not held while the camera was away or idle, nor has it been lost for it.
            self._opening = captured.opening
            self._decision = resume(self._decision, captured.at.monotonic)
        self._decision, verdict = step(
            self.rules, self._decision, scored.scores, captured.at.monotonic
        )
        self._verdict, self._verdict_at = verdict, captured.at.utc
        self._box = scored.box
        if verdict.change:
            self._shown = replace(self._shown, since=captured.at.utc)
        change = self.reports.follow(
            self.rules,
            self._decision,
            verdict,
            captured,
            scored,
            self.model.id,
            is_after_gap=is_after_gap,
        )
        decision_ms = 1e3 * (self._clock() - started)
        gated = not scored.inference_ms
        reason = Reason.GATED if gated and not verdict.change else verdict.reason
        return FrameResult(
            captured,
            reason,
            age_ms,
            verdict,
            change,
            scored.preprocess_ms,
            scored.inference_ms,
            decision_ms,
            scored.box,
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
        self._publish_events()
        if result.change:
            self._keep(result, "changed")
        elif result.verdict and result.verdict.change:
            # The label has become another of the same branch, which is not an event.
            self.publish_state()
        elif (
            result.verdict
            and result.inference_ms
            and out.store.is_uncertain(self.name, result.verdict.best.score)
        ):
            self._keep(result, "uncertain")
        self.burst.offer(result.captured, self.state)
        if self._snapshot_requested:
            # Whatever the configuration says of snapshots with events.
            self._snapshot_requested = False
            if result.box and self._snapshots.draw_box:
                frame = with_box(frame, result.box)
            out.publisher.put_snapshot(self.name, partial(jpeg_within, frame, max_bytes))
            self._keep(result, "requested")
        if out.explain:
            out.explain(self, result)

    def _publish_events(self) -> None:
        if self.reports.has_events:
            # Otherwise the news would come from a camera that is published as offline.
            self.publish_health()
            self._note_published()
        self.reports.publish(self.state)

    def _keep(self, result: FrameResult, why: Why) -> None:
        captured = result.captured
        self._outputs.store.offer(self.state(), why, captured.frame, captured.at.utc)

    # What is published without a frame.

    def state(self) -> CameraState:
        """What the camera shows now."""
        shown = replace(
            self._shown,
            seq=self.reports.seq,
            model=self.model.id,
            enabled=self.enabled,
            threshold=self.threshold,
            episode=self.reports.episode,
        )
        if self._verdict is None:
            return shown
        return replace(
            shown,
            label=self._verdict.label,
            path=self._verdict.path,
            told=self._decision.told,
            score=self._verdict.score,
            margin=self._verdict.margin,
            top=self._decision.top(self.settings.decision.top_k),
            at=self._verdict_at,
            box=self._box,
        )

    def publish_state(self) -> None:
        """Publish what the camera shows now."""
        self._note_published()
        self._outputs.publisher.put_state(self.state())

    def publish_due(self, *, heartbeat_s: float, score_s: float) -> None:
        """Once a second: the state if it is time or its score has moved, and what was glimpsed."""
        self.reports.look_away(self.rules, self.model.id)
        self._publish_events()
        waited_s = self._clock() - self._state_published_at
        moved = self._verdict and abs(self._verdict.score - self._published_score) >= _SCORE_STEP
        if waited_s >= heartbeat_s or (moved and waited_s >= score_s):
            self.publish_state()

    def _note_published(self) -> None:
        self._state_published_at = self._clock()
        if self._verdict:
            self._published_score = self._verdict.score

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
