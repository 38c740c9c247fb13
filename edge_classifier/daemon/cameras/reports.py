"""What becomes an event of a camera, and which picture goes with it."""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.classifier import ScoredFrame
from edge_classifier.config.mqtt_settings import SnapshotSettings
from edge_classifier.core.events import (
    CameraEvent,
    CameraState,
    LabelChange,
    LabelEnd,
    LabelGlimpse,
    Moment,
    OpenEpisode,
    Peak,
)
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.jpeg_comment import event_comment, frame_comment, with_comment
from edge_classifier.daemon.cameras.best_picture import BestPicture
from edge_classifier.decision import episodes
from edge_classifier.decision.episodes import (
    FRAMES,
    TOP,
    EpisodeState,
    Outcome,
    SeenFrame,
)
from edge_classifier.decision.frame_scores import frame_scores
from edge_classifier.decision.rules import Rules
from edge_classifier.decision.step import DecisionState, FrameVerdict
from edge_classifier.mqtt.publisher import MakeJpeg, Publisher
from edge_classifier.protocols import Clock
from edge_classifier.vision.draw import with_box
from edge_classifier.vision.jpeg import jpeg_with_comment

# Of a camera with more than 20 frames a second no more are followed: to add up the scores of a tree
# once more takes some 40 us.
_EVERY_S = 0.045
# Of a JPEG's comment that names an event, with its marker and length.
_EVENT_COMMENT_BYTES = 4 + len(event_comment(32 * "0"))


class CameraReports:
    """One camera's events, their numbers and their pictures. Belongs to the main loop's thread.

    In memory are at most two pictures, encoded: the best of the episode that has not been sent, and
    the best of what is sighted.
    """

    def __init__(
        self,
        camera: str,
        publisher: Publisher,
        snapshots: SnapshotSettings,
        *,
        last_number: int,
        restored: CameraState | None,
        new_id: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._camera = camera
        self._publisher = publisher
        self.snapshots = snapshots
        # The number of the last event.
        self.seq = max(last_number, restored.seq if restored else 0)
        self._new_id = new_id
        self._clock = clock
        self._state = EpisodeState()
        self._of_episode, self._of_sighting = BestPicture(), BestPicture()
        self._picture_sent_at = self._followed_at = -inf
        # What waits to be published, with pictures by the ids of their events.
        self._events: list[CameraEvent] = []
        self._pictures: dict[str, MakeJpeg] = {}
        if restored and restored.episode:
            self._state = episodes.restored(restored.episode, restored.at)
            self._of_episode = BestPicture(restored.episode.peak.score)

    @property
    def episode(self) -> OpenEpisode | None:
        """What the present label is part of."""
        return self._state.episode

    @property
    def glimpses_left_out(self) -> int:
        """How many glimpses were not told, as they were too many."""
        return self._state.left_out

    def follow(
        self,
        rules: Rules,
        decision: DecisionState,
        verdict: FrameVerdict,
        captured: CapturedFrame,
        scored: ScoredFrame,
        model: str,
        *,
        is_after_gap: bool,
    ) -> LabelChange | None:
        """Take in a frame's scores and what they led to; ``publish`` sends what becomes of it.

        Returns the change that is an event.
        """
        news = verdict.change if verdict.change and verdict.change.is_event else None
        at_s = captured.at.monotonic
        if at_s - self._followed_at < _EVERY_S and not (news or is_after_gap):
            return None
        self._followed_at = at_s
        scores = frame_scores(rules, scored.scores)
        seen = SeenFrame(captured.at, scores, decision.told, scored.box, is_after_gap)
        change_id = self._new_id() if news else ""
        before = self._state
        self._state, outcome = episodes.follow(rules, before, seen, verdict, change_id)
        self._tell(outcome, captured.at, model, rules)
        sighting, episode = self._state.sighting, self._state.episode
        if news and episode:
            led_here = episodes.has_led_to(scores, before.sighting, episode)
            self._of_episode = self._of_sighting if led_here else BestPicture()
        if not (sighting and before.sighting and sighting.first == before.sighting.first):
            self._of_sighting = BestPicture()
        # One frame is not a sighting yet, and each new one would cost a JPEG.
        if sighting and sighting.last == captured.at and sighting.frames >= FRAMES:
            self._offer(self._of_sighting, captured, scored, scores.of(sighting.peak.label))
        if episode:
            self._offer(self._of_episode, captured, scored, scores.of(episode.peak.label))
        if news is None:
            return None
        change = LabelChange(
            id=change_id,
            seq=self._next_number(),
            camera=self._camera,
            before=news.before,
            after=news.after,
            score=news.score,
            margin=news.margin,
            captured=captured.at,
            model=model,
            path=verdict.path,
            top=decision.top(TOP),
            box=scored.box,
        )
        self._events.append(change)
        if episode:
            self._picture_sent_at = -inf
        elif self.snapshots.enabled:
            self._pictures[change.id] = partial(self._encode, captured, scored.box, change.id)
        return change

    def look_away(self, rules: Rules, model: str) -> None:
        """No frame is looked at, now: what was sighted may be over."""
        self._state, outcome = episodes.look_away(rules, self._state, self._clock())
        self._tell(outcome, self._state.last, model, rules)

    def end_episode(self, rules: Rules, model: str) -> None:
        """The label is taken away: forgotten, as asked, or with its camera."""
        self._state, outcome = episodes.end(rules, self._state)
        self._tell(outcome, self._state.last, model, rules)

    @property
    def has_events(self) -> bool:
        """Whether there is something to ``publish``."""
        return bool(self._events)

    def publish_best_picture(self) -> None:
        """Send the best picture of the episode until now, as no better one will come."""
        episode = self._state.episode
        if episode:
            self._add_picture(episode.id, self._of_episode)
        self._put_pictures()

    def publish(self, state: Callable[[], CameraState]) -> None:
        """Send what has become an event, with ``state``.

        And a better picture of the episode, if it is time for one.
        """
        episode, now_s = self._state.episode, self._clock()
        is_time = now_s - self._picture_sent_at >= self.snapshots.best_every_s
        if episode and is_time and self._of_episode.is_new:
            self._add_picture(episode.id, self._of_episode)
            self._picture_sent_at = now_s
        if self._events:
            self._publisher.put_events(self._events, state(), self._pictures)
            self._events, self._pictures = [], {}
        self._put_pictures()

    def _put_pictures(self) -> None:
        for event_id, jpeg in self._pictures.items():
            self._publisher.put_snapshot(self._camera, jpeg, event_id)
        self._pictures = {}

    def _offer(
        self, picture: BestPicture, captured: CapturedFrame, scored: ScoredFrame, score: float
    ) -> None:
        # While nothing moves the scores are those of an earlier frame, and that was offered.
        is_classified = scored.inference_ms > 0
        if self.snapshots.enabled and (is_classified or picture.is_empty):
            encode = partial(self._encode, captured, scored.box)
            picture.offer(captured.frame, scored.box, score, captured.at.monotonic, encode)

    def _tell(self, outcome: Outcome, captured: Moment | None, model: str, rules: Rules) -> None:
        """Turn what has become clear, with the frame of ``captured``, into events."""
        if outcome.glimpse and captured:
            glimpse = outcome.glimpse
            event_id = self._new_id()
            self._add_picture(event_id, self._of_sighting)
            self._events.append(
                LabelGlimpse(
                    **self._common(event_id, glimpse.peak, captured, model),
                    started=glimpse.first.utc,
                    ended=glimpse.last.utc,
                    duration_s=glimpse.duration_s,
                    frames=glimpse.frames,
                    reason=glimpse.reason,
                    needs_s=rules.decision.dwell_s,
                )
            )
        if outcome.ended and captured:
            episode, ended, duration_s = outcome.ended
            self._add_picture(episode.id, self._of_episode)
            self._events.append(
                LabelEnd(
                    **self._common(self._new_id(), episode.peak, captured, model),
                    episode=episode.id,
                    started=episode.started,
                    ended=ended.utc,
                    duration_s=duration_s,
                )
            )

    def _common(self, event_id: str, peak: Peak, captured: Moment, model: str) -> dict[str, Any]:
        """What ends and glimpses have in common."""
        return {
            "id": event_id,
            "seq": self._next_number(),
            "camera": self._camera,
            "captured": captured,
            "model": model,
            "label": peak.label,
            "path": peak.path,
            "top": peak.top,
            "box": peak.box,
            "peak_score": peak.score,
            "peak_at": peak.at,
        }

    def _add_picture(self, event_id: str, picture: BestPicture) -> None:
        """Have the picture published that has not been yet, if there is one."""
        jpeg = picture.take()
        if jpeg is not None:
            self._pictures[event_id] = partial(with_comment, jpeg, event_comment(event_id))

    def _encode(
        self, captured: CapturedFrame, box: RelativeBox | None, event_id: str = ""
    ) -> bytes:
        """The frame as a JPEG that says when it was captured, and perhaps of which event it is.

        What does not say that yet has room for it.
        """
        about_frame = frame_comment(captured.at.utc, box)
        frame, max_bytes = captured.frame, self.snapshots.max_bytes
        if box and self.snapshots.draw_box:
            frame = with_box(frame, box)
        if event_id:
            return jpeg_with_comment(frame, max_bytes, event_comment(event_id), about_frame)
        return jpeg_with_comment(frame, max_bytes - _EVENT_COMMENT_BYTES, about_frame)

    def _next_number(self) -> int:
        self.seq += 1
        return self.seq
