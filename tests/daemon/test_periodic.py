"""What is looked after once a second."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.config.settings import MqttSettings, Settings, StoreSettings
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.cameras import Cameras
from edge_classifier.daemon.capture_store import CaptureStore
from edge_classifier.daemon.host import Host
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.notify import Notifier
from edge_classifier.daemon.periodic import PeriodicTasks
from edge_classifier.daemon.reporter import Reporter
from edge_classifier.mqtt.status import PublisherStatus
from tests.fake_parts import CAMERA, ONLINE, Bench, Told, network
from tests.fake_source import FakeClock

OFFLINE = replace(ONLINE, online=False, reason="not opened yet", opened=0)


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return network(tmp_path_factory.mktemp("model") / "rgb.tflite")


class Watch:
    """Rounds past two cameras, and a service manager that listens."""

    def __init__(self, rgb: ActiveModel, folder: Path, manager: socket.socket) -> None:
        self.manager = manager
        self.clock, self.told = FakeClock(), Told()
        settings = Settings(
            cameras={"door": CAMERA, "yard": CAMERA}, mqtt=MqttSettings(heartbeat_s=60, stats_s=30)
        )
        self.meters = Meters(clock=self.clock)
        self.meters.follow(settings.cameras)
        keeper = CaptureStore(StoreSettings(), folder)
        cameras = Cameras(wake=lambda: None, restored={}, overrides={})
        self.benches = {name: Bench(rgb, name=name) for name in settings.cameras}
        for bench in self.benches.values():
            bench.grabber.status = OFFLINE
        cameras.lanes = {name: bench.lane for name, bench in self.benches.items()}
        self.cameras = cameras
        reporter = Reporter(
            settings, meters=self.meters, publisher=self.told, keeper=keeper, clock=self.clock
        )
        self.notifier = Notifier(manager.getsockname())
        self.rounds = PeriodicTasks(
            cameras=cameras,
            reporter=reporter,
            publisher=self.told,
            keeper=keeper,
            meters=self.meters,
            host=Host(folder),
            notifier=self.notifier,
            settings=lambda: settings,
            clock=self.clock,
        )

    def go(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.clock.add(1)
            self.rounds.go()

    def turn(self, camera: str, *, online: bool, reason: str = "") -> None:
        status = replace(ONLINE, online=online, reason=reason, failures=not online)
        self.benches[camera].grabber.status = status

    def heard(self) -> list[str]:
        """What the service manager was told since the last time."""
        found = []
        while True:
            try:
                found.append(self.manager.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def watch(rgb: ActiveModel, tmp_path: Path) -> Iterator[Watch]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = tmp_path / "notify"
        manager.bind(str(path))
        manager.setblocking(False)
        made = Watch(rgb, tmp_path / "state", manager)
        yield made
        made.notifier.close()


def test_rounds_tell_a_cameras_health_when_it_changes_and_not_again(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    watch.go(3)
    watch.turn("yard", online=True)
    watch.go(3)
    watch.turn("yard", online=False, reason="unplugged")
    watch.go(3)
    assert watch.told.health == [
        ("door", False, "not opened yet"),
        ("yard", False, "not opened yet"),
        ("yard", True, ""),
        ("yard", False, "unplugged"),
    ]
    said = [(record.levelname, record.message) for record in caplog.records]
    assert said == [
        ("INFO", "camera yard is online: fed by hand"),
        ("WARNING", "camera yard is offline: unplugged"),
    ]


def test_rounds_tell_the_health_of_a_camera_that_was_away_again(watch: Watch) -> None:
    watch.go()
    both = watch.cameras.lanes
    watch.cameras.lanes = {"door": both["door"]}
    watch.go()
    watch.cameras.lanes = both
    watch.go()
    assert [name for name, *_ in watch.told.health] == ["door", "yard", "yard"]


def test_rounds_log_a_camera_that_could_not_be_opened_at_all(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = replace(OFFLINE, reason="no such device", failures=1)
    watch.benches["door"].grabber.status = failed
    watch.go(2)
    assert [record.message for record in caplog.records] == [
        "camera door is offline: no such device"
    ]


def test_rounds_repeat_states_after_the_heartbeat(watch: Watch) -> None:
    watch.go(125)
    assert {name: len(states) for name, states in watch.told.states.items()} == {
        "door": 3,
        "yard": 3,
    }


def test_rounds_publish_statistics_at_their_interval_with_all_parts(watch: Watch) -> None:
    watch.go(29)
    assert watch.told.figures == []
    watch.turn("door", online=True)
    watch.go(61)
    assert len(watch.told.figures) == 3
    stats: Any = watch.told.figures[-1]
    assert stats["cameras"]["door"]["online"] is True
    assert stats["cameras"]["yard"]["reason"] == "not opened yet"
    assert stats["cameras"]["door"]["for_s"] == pytest.approx(watch.clock())
    assert stats["publisher"]["connected"] is True
    assert stats["store"]["pictures"] == 0
    assert stats["host"].keys()


def test_rounds_tell_the_service_manager_in_one_line_when_it_changes(watch: Watch) -> None:
    watch.go(3)
    watch.turn("door", online=True)
    watch.go(3)
    watch.told.now = PublisherStatus(connected=False, reason="nothing listens there")
    watch.go(3)
    assert watch.heard() == [
        "STATUS=0 of 2 cameras online, broker connected",
        "STATUS=1 of 2 cameras online, broker connected",
        "STATUS=1 of 2 cameras online, broker away",
    ]


def test_rounds_name_what_is_wrong_and_count_it(watch: Watch) -> None:
    watch.turn("door", online=True)
    watch.told.now = PublisherStatus(connected=False, reason="away", trouble="disk full", waiting=3)
    cameras, others = watch.rounds.troubles()
    assert cameras == {"door": "", "yard": "not opened yet"}
    assert others == {"broker": "away", "outbox": "disk full", "store": ""}
    figures = {figure.name: figure.samples for figure in watch.rounds.figures()}
    online = {sample.labels["camera"]: sample.value for sample in figures["camera_online"]}
    assert online == {"door": True, "yard": False}
    assert figures["outbox_events"][0].value == 3
    assert figures["broker_connected"][0].value == 0
