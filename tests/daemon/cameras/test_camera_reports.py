"""What becomes an event of a camera, and which picture goes with it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from edge_classifier.config.mqtt_settings import SnapshotSettings
from edge_classifier.config.settings import DecisionSettings, MotionSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.events import (
    CameraEvent,
    CameraState,
    LabelChange,
    LabelEnd,
    LabelGlimpse,
)
from edge_classifier.core.frame import Frame
from edge_classifier.core.jpeg_comment import (
    comments_of,
    event_comment,
    event_of,
    frame_comment,
    frame_of,
)
from edge_classifier.daemon.cameras import reports
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.decision.frame_scores import FrameScores, frame_scores
from edge_classifier.mqtt.codec.camera_payloads import kept_state, restored_state
from edge_classifier.vision.jpeg import jpeg_with_comment
from tests.daemon.parts import CAMERA, UTC_S, PipelineBench, colour_model

# A label is published when it has held for a second.
SLOW = replace(CAMERA, decision=DecisionSettings(smoothing="none", dwell_s=1, unknown_dwell_s=1))
BEST_EVERY_S = SnapshotSettings().best_every_s


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return colour_model(tmp_path_factory.mktemp("reports") / "rgb.tflite", "red", "green", "blue")


@pytest.fixture
def bench(rgb: ActiveModel) -> PipelineBench:
    return PipelineBench(rgb, SLOW, new_ids=hex_ids())


def hex_ids() -> Iterator[str]:
    return (f"{number:032x}" for number in range(1, 1000))


def colour(strength: int, channel: int = 0, noise: float = 0.0) -> Frame:
    """More or less red (green, blue), and perhaps sharp."""
    pixels = np.zeros((48, 64, 3), np.float64)
    pixels[..., channel] = strength
    pixels += np.random.default_rng(1).normal(0, noise, pixels.shape) if noise else 0
    return Frame(pixels.clip(0, 255).astype(np.uint8), ColourOrder.RGB)


def kinds(bench: PipelineBench) -> list[type[CameraEvent]]:
    return [type(event) for event in bench.publisher.events]


def redness(jpeg: bytes | None) -> int:
    """The strength of what a picture shows."""
    assert jpeg
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    return round(float(decoded[..., 2].mean()))  # type: ignore[index]


def pictures_of(bench: PipelineBench, event: CameraEvent) -> list[bytes]:
    return [jpeg for _, jpeg in bench.publisher.pictures if jpeg and event_of(jpeg) == event.id]


def watch(bench: PipelineBench, frame: Frame, seconds: int) -> None:
    """A frame a second."""
    for _ in range(seconds):
        bench.clock.add(1)
        bench.capture.show(frame, bench.clock())
        bench.pipeline.process_frame()


def test_label_that_goes_is_told_before_the_change_with_its_length_and_its_peak(
    bench: PipelineBench,
) -> None:
    watch(bench, colour(200), 5)
    watch(bench, colour(200, channel=1), 3)
    first, ended, second = bench.publisher.events
    assert isinstance(first, LabelChange)
    assert isinstance(ended, LabelEnd)
    assert isinstance(second, LabelChange)
    assert (ended.episode, ended.label, ended.path) == (first.id, "red", ("red",))
    assert ended.duration_s == second.captured.monotonic - first.captured.monotonic == 5
    assert (ended.started, ended.ended) == (first.captured.utc, second.captured.utc)
    assert ended.peak_score >= first.score
    assert ended.top[0].label == "red"
    assert [event.seq for event in bench.publisher.events] == [1, 2, 3]
    assert len({event.id for event in bench.publisher.events}) == 3


def test_label_that_comes_has_the_best_picture_of_the_time_in_which_it_was_on_its_way(
    bench: PipelineBench,
) -> None:
    watch(bench, colour(30), 1)
    watch(bench, colour(250), 1)
    (change,) = bench.publisher.events
    watch(bench, colour(30), 1)
    (jpeg,) = pictures_of(bench, change)
    assert redness(jpeg) > 240
    about = frame_of(jpeg)
    assert comments_of(jpeg) == [event_comment(change.id), frame_comment(UTC_S + 1002)]
    assert about
    assert about.captured_ms == round(1000 * (UTC_S + 1002))


def test_picture_of_an_episode_becomes_better_but_not_at_once_and_never_worse(
    bench: PipelineBench,
) -> None:
    watch(bench, colour(30), 2)
    (change,) = bench.publisher.events
    watch(bench, colour(250), 2)
    assert [redness(one) for one in pictures_of(bench, change)] == [30]
    watch(bench, colour(25), round(BEST_EVERY_S))
    assert [redness(one) > 240 for one in pictures_of(bench, change)] == [False, True]
    watch(bench, colour(35), 20)
    assert len(pictures_of(bench, change)) == 2


def test_picture_that_has_not_been_sent_is_sent_when_the_episode_ends(
    bench: PipelineBench,
) -> None:
    watch(bench, colour(30), 2)
    change = bench.publisher.events[0]
    watch(bench, colour(250), 1)
    watch(bench, colour(200, channel=1), 2)
    assert kinds(bench) == [LabelChange, LabelEnd, LabelChange]
    assert [redness(one) > 240 for one in pictures_of(bench, change)] == [False, True]


def test_picture_that_has_not_been_sent_is_sent_when_the_daemon_ends(
    bench: PipelineBench,
) -> None:
    watch(bench, colour(30), 2)
    watch(bench, colour(250), 1)
    bench.pipeline.reports.publish_best_picture()
    bench.pipeline.reports.publish_best_picture()
    pictures = pictures_of(bench, bench.publisher.events[0])
    assert [redness(one) > 240 for one in pictures] == [False, True]


def test_sharper_picture_of_the_same_thing_is_the_better_one(bench: PipelineBench) -> None:
    watch(bench, colour(200), 2)
    watch(bench, colour(200, noise=20), 1)
    watch(bench, colour(200), round(BEST_EVERY_S))
    assert len(pictures_of(bench, bench.publisher.events[0])) == 2


def test_short_visit_is_a_glimpse_with_a_picture_and_no_state(bench: PipelineBench) -> None:
    watch(bench, colour(0), 1)
    bench.clock.add(0.2)
    for strength in (30, 250, 30):
        bench.capture.show(colour(strength), bench.clock())
        bench.pipeline.process_frame()
        bench.clock.add(0.4)
    watch(bench, colour(0), 4)
    (glimpse,) = bench.publisher.events
    assert isinstance(glimpse, LabelGlimpse)
    assert (glimpse.label, glimpse.frames, glimpse.reason) == ("red", 3, "dwell")
    assert glimpse.duration_s == pytest.approx(0.8)
    assert glimpse.needs_s == 1
    (jpeg,) = pictures_of(bench, glimpse)
    assert redness(jpeg) > 240
    assert {state.label for state in bench.publisher.states["door"]} == {"unknown"}
    assert bench.publisher.states["door"][-1].seq == glimpse.seq == 1


def test_frames_of_a_fast_camera_are_followed_twenty_times_a_second(
    bench: PipelineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[object] = []

    def follow(*given: Any) -> FrameScores:
        followed.append(given)
        return frame_scores(*given)

    monkeypatch.setattr(reports, "frame_scores", follow)
    for _ in range(240):
        bench.clock.add(1 / 120)
        bench.capture.show(colour(200), bench.clock())
        bench.pipeline.process_frame()
    assert kinds(bench) == [LabelChange]
    assert 30 <= len(followed) <= 2 * 22


def test_event_of_a_scene_in_which_nothing_moves_any_more_has_a_picture(rgb: ActiveModel) -> None:
    motion = MotionSettings(enabled=True, max_interval_s=3600)
    bench = PipelineBench(rgb, replace(SLOW, motion=motion), new_ids=hex_ids())
    watch(bench, colour(200), 4)
    (change,) = bench.publisher.events
    assert bench.explained[-1].inference_ms == 0
    assert len(pictures_of(bench, change)) == 1


def test_pictures_are_not_made_of_what_is_another_thing_in_each_frame(
    bench: PipelineBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def make(*given: Any) -> bytes:
        made.append(given)
        return jpeg_with_comment(*given)

    monkeypatch.setattr(reports, "jpeg_with_comment", make)
    for number in range(60):
        watch(bench, colour(200, channel=number % 3), 1)
    assert made == []


def test_glimpse_of_a_camera_that_is_lost_or_switched_off_is_told_all_the_same(
    bench: PipelineBench,
) -> None:
    for _ in range(2):
        bench.clock.add(0.2)
        bench.capture.show(colour(200), bench.clock())
        bench.pipeline.process_frame()
    bench.clock.add(3)
    bench.pipeline.publish_due(heartbeat_s=1000, score_s=1000)
    assert kinds(bench) == [LabelGlimpse]


def test_pictures_are_neither_made_nor_sent_without_snapshots(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, SLOW, snapshots=SnapshotSettings(enabled=False))
    bench.publisher.pictures.clear()
    watch(bench, colour(200), 8)
    watch(bench, colour(250, channel=1), 8)
    assert kinds(bench) == [LabelChange, LabelEnd, LabelChange]
    assert bench.publisher.pictures == []


def test_pictures_with_both_comments_keep_to_their_size(rgb: ActiveModel) -> None:
    snapshots = SnapshotSettings(max_bytes=2_000)
    bench = PipelineBench(rgb, SLOW, snapshots=snapshots, new_ids=hex_ids())
    watch(bench, colour(200, noise=60), 4)
    watch(bench, colour(0, noise=60), 4)
    jpegs = [jpeg for _, jpeg in bench.publisher.pictures if jpeg]
    assert [event_of(jpeg) for jpeg in jpegs]
    assert all(len(jpeg) <= 2_000 and frame_of(jpeg) for jpeg in jpegs)


def test_label_that_is_reset_or_whose_camera_goes_ends_its_episode(bench: PipelineBench) -> None:
    watch(bench, colour(200), 4)
    bench.clock.add(100)
    bench.pipeline.reset_label()
    change, ended = bench.publisher.events
    assert isinstance(ended, LabelEnd)
    assert (ended.episode, ended.duration_s) == (change.id, 2)
    assert bench.publisher.states["door"][-1].label == "unknown"
    assert bench.pipeline.state().episode is None
    bench.pipeline.reset_label()
    assert len(bench.publisher.events) == 2


def test_episode_goes_on_through_quiet_hours_if_its_label_is_still_there(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, replace(SLOW, quiet_hours=("22:00-06:00",)), minute=21 * 60)
    watch(bench, colour(200), 4)
    bench.minute = 23 * 60
    watch(bench, colour(0), 100)
    bench.minute = 7 * 60
    watch(bench, colour(200), 10)
    assert kinds(bench) == [LabelChange]
    watch(bench, colour(0), 3)
    ended = bench.publisher.events[1]
    assert isinstance(ended, LabelEnd)
    assert ended.duration_s > 100


def test_episode_whose_label_has_gone_in_quiet_hours_ended_when_they_began(
    rgb: ActiveModel,
) -> None:
    bench = PipelineBench(rgb, replace(SLOW, quiet_hours=("22:00-06:00",)), minute=21 * 60)
    watch(bench, colour(200), 4)
    last_s = bench.clock()
    bench.minute = 23 * 60
    watch(bench, colour(0), 100)
    bench.minute = 7 * 60
    watch(bench, colour(0), 3)
    ended = bench.publisher.events[1]
    assert isinstance(ended, LabelEnd)
    assert ended.ended == UTC_S + last_s
    # It is told when it is known.
    assert ended.captured.monotonic > last_s + 100


def test_episode_goes_on_with_another_model_and_other_settings(
    bench: PipelineBench, rgb: ActiveModel
) -> None:
    watch(bench, colour(200), 4)
    before = bench.pipeline.state().episode
    bench.configure(settings=replace(SLOW, rate_fps=4), model=replace(rgb))
    watch(bench, colour(200), 4)
    assert kinds(bench) == [LabelChange]
    assert before
    assert bench.pipeline.state().episode == before


def restarted(bench: PipelineBench, rgb: ActiveModel) -> PipelineBench:
    """Another daemon, that remembers what the first has written."""
    kept: dict[str, Any] = json.loads(json.dumps(kept_state(bench.pipeline.state())))
    state: CameraState | None = restored_state(kept)
    assert state
    after = PipelineBench(rgb, SLOW, before=state, clock=bench.clock)
    after.publisher.pictures.clear()
    return after


def test_episode_goes_on_through_a_restart_and_keeps_its_picture(
    bench: PipelineBench, rgb: ActiveModel
) -> None:
    watch(bench, colour(250), 4)
    change = bench.publisher.events[0]
    after = restarted(bench, rgb)
    # No better picture than the one that the broker has.
    watch(after, colour(250), 10)
    assert after.publisher.events == []
    assert after.publisher.pictures == []
    watch(after, colour(0), 3)
    ended = after.publisher.events[0]
    assert isinstance(ended, LabelEnd)
    assert (ended.episode, ended.label, ended.seq) == (change.id, "red", 2)
    assert ended.started == change.captured.utc
    assert ended.duration_s == pytest.approx(ended.ended - ended.started)


def test_episode_of_an_older_version_ends_with_the_change_alone(
    bench: PipelineBench, rgb: ActiveModel
) -> None:
    watch(bench, colour(250), 4)
    kept = kept_state(bench.pipeline.state())
    del kept["episode"]
    after = PipelineBench(rgb, SLOW, before=restored_state(kept), clock=bench.clock)
    watch(after, colour(0), 3)
    assert kinds(after) == [LabelChange]


# --- the state between events ---------------------------------------------------------------------


def scores_sent(bench: PipelineBench) -> list[float]:
    return [state.score for state in bench.publisher.states["door"]]


def look_and_publish(bench: PipelineBench, *strengths: int) -> None:
    """A frame a second, and after each what is due."""
    for strength in strengths:
        watch(bench, colour(strength), 1)
        bench.pipeline.publish_due(heartbeat_s=1000, score_s=2)


def test_state_is_sent_again_when_the_score_has_moved_but_not_more_often_than_it_may(
    bench: PipelineBench,
) -> None:
    look_and_publish(bench, 250, 250)
    before = len(scores_sent(bench))
    look_and_publish(bench, *[250] * 20)
    assert len(scores_sent(bench)) == before
    look_and_publish(bench, *[25, 250] * 10)
    sent = len(scores_sent(bench)) - before
    # In 20 s, every two.
    assert 1 <= sent <= 10
    look_and_publish(bench, *[25] * 4)
    assert scores_sent(bench)[-1] == bench.pipeline.state().score


def test_state_is_not_sent_again_for_a_score_that_hardly_moves(bench: PipelineBench) -> None:
    look_and_publish(bench, 250, 250)
    before = len(scores_sent(bench))
    look_and_publish(bench, *[250, 60] * 20)
    assert len(scores_sent(bench)) == before
