"""Who is told what of each frame."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.capture.frame_slot import CameraStatus
from edge_classifier.config.mqtt_settings import SnapshotSettings
from edge_classifier.config.settings import StoreSettings
from edge_classifier.core.jpeg_comment import comment_of, event_comment
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.daemon.store import CaptureStore
from tests.daemon.parts import ONLINE, SNAPSHOTS, PipelineBench, colour_model

# Every frame's score, 0.996, counts as uncertain.
STORE = StoreSettings(enabled=True, uncertain_from=0.9, uncertain_to=1.0, distance=0)
NO_SNAPSHOTS = SnapshotSettings(enabled=False)


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return colour_model(tmp_path_factory.mktemp("model") / "rgb.tflite")


def bench_with_store(
    rgb: ActiveModel,
    folder: Path,
    store: StoreSettings = STORE,
    snapshots: SnapshotSettings = SNAPSHOTS,
) -> PipelineBench:
    return PipelineBench(rgb, snapshots=snapshots, store=CaptureStore(store, folder))


def kept(bench: PipelineBench, folder: Path) -> list[dict[str, Any]]:
    """What the store has, when all is written."""
    bench.store.start()
    assert bench.store.stop(20)
    lines = [line for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


@pytest.fixture
def bench(rgb: ActiveModel, tmp_path: Path) -> PipelineBench:
    return bench_with_store(rgb, tmp_path)


def test_pipeline_on_a_change_publishes_event_state_and_picture_and_keeps_it(
    bench: PipelineBench, tmp_path: Path
) -> None:
    result = bench.see("red")
    assert bench.publisher.events == [result.change]
    assert bench.publisher.states["door"][-1].label == "red"
    camera, picture = bench.publisher.pictures[0]
    assert camera == "door"
    assert picture is not None
    assert picture.startswith(b"\xff\xd8\xff")
    (line,) = kept(bench, tmp_path)
    assert (line["camera"], line["why"], line["label"]) == ("door", "changed", "red")
    assert line["model"] == bench.model.id
    assert line["top"][0][0] == "red"


def test_pipeline_without_a_change_publishes_nothing(bench: PipelineBench) -> None:
    bench.see("red")
    bench.see("red")
    assert len(bench.publisher.events) == 1
    assert len(bench.publisher.states["door"]) == 1
    assert len(bench.publisher.pictures) == 1


def test_pipeline_with_snapshots_off_sends_none_but_the_one_that_is_asked_for(
    rgb: ActiveModel, tmp_path: Path
) -> None:
    bench = bench_with_store(rgb, tmp_path, snapshots=NO_SNAPSHOTS)
    bench.publisher.pictures.clear()
    bench.see("red")
    assert bench.publisher.pictures == []
    bench.pipeline.request_snapshot()
    bench.see("red")
    bench.see("red")
    assert len(bench.publisher.pictures) == 1


def test_pipeline_whose_snapshots_are_switched_off_takes_back_the_last_ones(
    bench: PipelineBench,
) -> None:
    bench.see("red")
    bench.publisher.pictures.clear()
    bench.configure()
    assert bench.publisher.pictures == []
    bench.snapshots = NO_SNAPSHOTS
    bench.configure()
    assert bench.publisher.pictures == [("door", b"")]


def test_pipeline_keeps_pictures_to_their_size(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb, snapshots=SnapshotSettings(max_bytes=2_000))
    bench.see("red")
    picture = bench.publisher.pictures[0][1]
    assert picture is not None
    assert len(picture) <= 2_000


def test_pipeline_names_the_event_in_its_picture_and_none_in_one_that_was_asked_for(
    bench: PipelineBench,
) -> None:
    result = bench.see("red")
    bench.pipeline.request_snapshot()
    bench.see("red")
    (_, of_event), (_, asked_for) = bench.publisher.pictures
    assert result.change
    assert of_event
    assert asked_for
    assert comment_of(of_event) == event_comment(result.change.id)
    assert comment_of(asked_for) is None


def test_pipeline_keeps_an_uncertain_frame_that_changed_nothing(
    rgb: ActiveModel, tmp_path: Path
) -> None:
    bench = bench_with_store(rgb, tmp_path, store=replace(STORE, changed=False))
    bench.see("red")
    bench.see("red")
    (line,) = kept(bench, tmp_path)
    assert (line["why"], line["label"], line["ts"][:4]) == ("uncertain", "red", "2023")


def test_pipeline_keeps_a_picture_that_was_asked_for(bench: PipelineBench, tmp_path: Path) -> None:
    bench.pipeline.request_snapshot()
    bench.see("red")
    assert [one["why"] for one in kept(bench, tmp_path)] == ["changed", "requested"]


def test_pipeline_counts_and_explains_each_frame(bench: PipelineBench) -> None:
    results = [bench.see(colour) for colour in ("red", "red", "green")]
    assert bench.explained == results
    cameras = bench.meters.stats()["cameras"]
    assert isinstance(cameras, dict)
    assert cameras["door"]["reasons"] == {"changed": 2, "unchanged": 1}


def test_pipeline_repeats_its_state_after_the_heartbeat_alone(rgb: ActiveModel) -> None:
    bench = PipelineBench(rgb)
    bench.see("red")
    for _ in range(59):
        bench.clock.add(1)
        bench.pipeline.publish_due(heartbeat_s=60, score_s=2)
    assert len(bench.publisher.states["door"]) == 1
    bench.clock.add(1)
    bench.pipeline.publish_due(heartbeat_s=60, score_s=2)
    bench.pipeline.publish_due(heartbeat_s=60, score_s=2)
    assert len(bench.publisher.states["door"]) == 2


def test_pipeline_takes_other_settings_of_snapshots(bench: PipelineBench) -> None:
    bench.snapshots = NO_SNAPSHOTS
    bench.configure()
    bench.publisher.pictures.clear()
    bench.see("red")
    assert bench.publisher.pictures == []


def offline(reason: str, failures: int = 1) -> CameraStatus:
    return replace(ONLINE, online=False, reason=reason, failures=failures)


def test_pipeline_publishes_its_cameras_health_when_it_changes_and_not_again(
    bench: PipelineBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for status in (offline("not opened yet", failures=0), ONLINE, offline("unplugged")):
        bench.capture.status = status
        for _ in range(3):
            bench.pipeline.publish_health()
    assert bench.publisher.health == [
        ("door", False, "not opened yet"),
        ("door", True, ""),
        ("door", False, "unplugged"),
    ]
    said = [(record.levelname, record.message) for record in caplog.records]
    assert said == [
        ("INFO", "camera door is online: fed by hand"),
        ("WARNING", "camera door is offline: unplugged"),
    ]


def test_pipeline_logs_a_camera_that_could_not_be_opened_at_all(
    bench: PipelineBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.capture.status = offline("no such device")
    bench.pipeline.publish_health()
    bench.pipeline.publish_health()
    said = [record.message for record in caplog.records]
    assert said == ["camera door is offline: no such device"]


def test_pipeline_publishes_that_its_camera_is_online_before_its_event(
    bench: PipelineBench,
) -> None:
    bench.see("red")
    assert bench.publisher.calls == ["camera", "changed"]
