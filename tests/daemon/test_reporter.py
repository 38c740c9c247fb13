"""Who is told what of each frame."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.config.settings import MqttSettings, Settings, SnapshotSettings, StoreSettings
from edge_classifier.core.jpeg_comment import comment_of, event_comment
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.capture_store import CaptureStore
from edge_classifier.daemon.frame_result import FrameResult
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.reporter import Reporter
from tests.fake_parts import CAMERA, Bench, Told, network
from tests.fake_source import FakeClock

# Every frame's score, 0.996, counts as uncertain.
STORE = StoreSettings(enabled=True, uncertain_from=0.9, uncertain_to=1.0, distance=0)


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return network(tmp_path_factory.mktemp("model") / "rgb.tflite")


class Office:
    """A reporter, those it tells, and a camera."""

    def __init__(self, rgb: ActiveModel, folder: Path, **settings: Any) -> None:
        self.settings = Settings(cameras={"door": CAMERA}, **settings)
        self.told, self.meters, self.clock = Told(), Meters(), FakeClock()
        self.meters.follow(["door"])
        self.folder = folder
        self.keeper = CaptureStore(self.settings.store, folder)
        self.explained: list[FrameResult] = []
        self.reporter = Reporter(
            self.settings,
            meters=self.meters,
            publisher=self.told,
            keeper=self.keeper,
            explain=self._explain,
            clock=self.clock,
        )
        self.bench = Bench(rgb)

    def see(self, colour: str) -> FrameResult:
        outcome = self.bench.see(colour)
        self.reporter.seen(self.bench.lane, outcome)
        return outcome

    def kept(self) -> list[dict[str, Any]]:
        """What the store has, when all is written."""
        self.keeper.start()
        assert self.keeper.stop(20)
        lines = [
            line for path in self.folder.rglob("*.jsonl") for line in path.read_text().splitlines()
        ]
        return [json.loads(line) for line in lines]

    def _explain(self, _lane: CameraPipeline, outcome: FrameResult) -> None:
        self.explained.append(outcome)


@pytest.fixture
def office(rgb: ActiveModel, tmp_path: Path) -> Office:
    return Office(rgb, tmp_path, store=STORE)


def test_reporter_of_a_change_tells_event_state_and_picture_and_keeps_it(office: Office) -> None:
    outcome = office.see("red")
    assert office.told.events == [outcome.change]
    assert office.told.states["door"][-1].label == "red"
    camera, picture = office.told.pictures[0]
    assert camera == "door"
    assert picture is not None
    assert picture.startswith(b"\xff\xd8\xff")
    (kept,) = office.kept()
    assert (kept["camera"], kept["why"], kept["label"]) == ("door", "changed", "red")
    assert kept["model"] == office.bench.network.id
    assert kept["top"][0][0] == "red"


def test_reporter_without_a_change_publishes_nothing(office: Office) -> None:
    office.see("red")
    office.see("red")
    assert len(office.told.events) == 1
    assert len(office.told.states["door"]) == 1
    assert len(office.told.pictures) == 1


def test_reporter_with_snapshots_off_sends_none_but_the_one_that_is_asked_for(
    rgb: ActiveModel, tmp_path: Path
) -> None:
    office = Office(rgb, tmp_path, snapshots=SnapshotSettings(enabled=False), store=STORE)
    office.see("red")
    assert office.told.pictures == []
    office.reporter.want_snapshot("door")
    office.see("red")
    office.see("red")
    assert len(office.told.pictures) == 1


def test_reporter_whose_snapshots_are_switched_off_takes_back_the_last_ones(office: Office) -> None:
    office.see("red")
    office.told.pictures.clear()
    office.reporter.take(office.settings)
    assert office.told.pictures == []
    office.reporter.take(replace(office.settings, snapshots=SnapshotSettings(enabled=False)))
    assert office.told.pictures == [("door", b"")]


def test_reporter_keeps_pictures_to_their_size(rgb: ActiveModel, tmp_path: Path) -> None:
    office = Office(rgb, tmp_path, snapshots=SnapshotSettings(max_bytes=2_000))
    office.see("red")
    picture = office.told.pictures[0][1]
    assert picture is not None
    assert len(picture) <= 2_000


def test_reporter_names_the_event_in_its_picture_and_none_in_one_that_was_asked_for(
    office: Office,
) -> None:
    outcome = office.see("red")
    office.reporter.want_snapshot("door")
    office.see("red")
    (_, of_event), (_, asked_for) = office.told.pictures
    assert outcome.change
    assert of_event
    assert asked_for
    assert comment_of(of_event) == event_comment(outcome.change.id)
    assert comment_of(asked_for) is None


def test_reporter_keeps_an_uncertain_frame_that_changed_nothing(
    rgb: ActiveModel, tmp_path: Path
) -> None:
    office = Office(rgb, tmp_path, store=replace(STORE, changed=False))
    office.see("red")
    office.see("red")
    (kept,) = office.kept()
    assert (kept["why"], kept["label"], kept["ts"][:4]) == ("uncertain", "red", "2023")


def test_reporter_keeps_a_picture_that_was_asked_for(office: Office) -> None:
    office.reporter.want_snapshot("door")
    office.see("red")
    assert [one["why"] for one in office.kept()] == ["changed", "requested"]


def test_reporter_tells_its_meters_and_whoever_wants_reasons(office: Office) -> None:
    outcomes = [office.see(colour) for colour in ("red", "red", "green")]
    assert office.explained == outcomes
    cameras = office.meters.stats()["cameras"]
    assert isinstance(cameras, dict)
    assert cameras["door"]["reasons"] == {"changed": 2, "unchanged": 1}


def test_reporter_repeats_a_state_after_the_heartbeat_alone(
    rgb: ActiveModel, tmp_path: Path
) -> None:
    office = Office(rgb, tmp_path, mqtt=MqttSettings(heartbeat_s=60))
    office.see("red")
    for _ in range(59):
        office.clock.add(1)
        office.reporter.heartbeat(office.bench.lane)
    assert len(office.told.states["door"]) == 1
    office.clock.add(1)
    office.reporter.heartbeat(office.bench.lane)
    office.reporter.heartbeat(office.bench.lane)
    assert len(office.told.states["door"]) == 2


def test_reporter_takes_other_settings(office: Office) -> None:
    office.reporter.take(Settings(cameras={}, snapshots=SnapshotSettings(enabled=False)))
    office.see("red")
    assert office.told.pictures == []
