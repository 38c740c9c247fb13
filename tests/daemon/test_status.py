"""What is told of the daemon as a whole: each second, and over HTTP."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.config.settings import StoreSettings
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_pipeline import DaemonOutputs
from edge_classifier.daemon.host import Host
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.daemon.status import HealthReport, StatusReporter, judge_health
from edge_classifier.daemon.store import CaptureStore
from edge_classifier.daemon.systemd import Notifier
from edge_classifier.mqtt.publisher_thread import PublisherStatus
from tests.daemon.parts import ONLINE, PipelineBench, RecordingPublisher, colour_model
from tests.fake_source import FakeClock

OFFLINE = replace(ONLINE, online=False, reason="not opened yet", opened=0)


@pytest.fixture(scope="module")
def rgb(tmp_path_factory: pytest.TempPathFactory) -> ActiveModel:
    return colour_model(tmp_path_factory.mktemp("model") / "rgb.tflite")


class StatusBench:
    """Two cameras that are reported on, and a service manager that listens."""

    def __init__(self, rgb: ActiveModel, folder: Path, manager: socket.socket) -> None:
        self.manager = manager
        self.clock, self.publisher = FakeClock(), RecordingPublisher()
        self.meters, store = Meters(clock=self.clock), CaptureStore(StoreSettings(), folder)
        outputs = DaemonOutputs(self.publisher, store, self.meters)
        self.cameras = Cameras(wake=lambda: None, outputs=outputs, restored={})
        self.benches = {
            name: PipelineBench(rgb, name=name, clock=self.clock, publisher=self.publisher)
            for name in ("door", "yard")
        }
        for bench in self.benches.values():
            bench.capture.status = OFFLINE
        self.meters.set_cameras(self.benches)
        self.cameras.pipelines = {name: one.pipeline for name, one in self.benches.items()}
        self.notifier = Notifier(manager.getsockname())
        mqtt = MqttSettings(heartbeat_s=60, stats_s=30)
        self.status = StatusReporter(
            cameras=self.cameras,
            outputs=outputs,
            host=Host(folder),
            notifier=self.notifier,
            model_trouble=lambda: "",
            mqtt=lambda: mqtt,
            clock=self.clock,
        )

    def report(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.clock.add(1)
            self.status.report()

    def turn(self, camera: str, *, online: bool, reason: str = "") -> None:
        status = replace(ONLINE, online=online, reason=reason, failures=not online)
        self.benches[camera].capture.status = status

    def heard(self) -> list[str]:
        """What the service manager was told since the last time."""
        found = []
        while True:
            try:
                found.append(self.manager.recv(4096).decode())
            except BlockingIOError:
                return found


@pytest.fixture
def bench(rgb: ActiveModel, tmp_path: Path) -> Iterator[StatusBench]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = tmp_path / "notify"
        manager.bind(str(path))
        manager.setblocking(False)
        made = StatusBench(rgb, tmp_path / "state", manager)
        yield made
        made.notifier.close()


def test_status_publishes_each_cameras_health_when_it_changes(bench: StatusBench) -> None:
    bench.report(3)
    bench.turn("yard", online=True)
    bench.report(3)
    bench.turn("yard", online=False, reason="unplugged")
    bench.report(3)
    assert bench.publisher.health == [
        ("door", False, "not opened yet"),
        ("yard", False, "not opened yet"),
        ("yard", True, ""),
        ("yard", False, "unplugged"),
    ]


def test_status_repeats_states_after_the_heartbeat(bench: StatusBench) -> None:
    bench.report(125)
    assert {name: len(states) for name, states in bench.publisher.states.items()} == {
        "door": 3,
        "yard": 3,
    }


def test_status_publishes_statistics_at_their_interval_with_all_parts(bench: StatusBench) -> None:
    bench.report(29)
    assert bench.publisher.statistics == []
    bench.turn("door", online=True)
    bench.report(61)
    assert len(bench.publisher.statistics) == 3
    stats: Any = bench.publisher.statistics[-1]
    assert stats["cameras"]["door"]["online"] is True
    assert stats["cameras"]["yard"]["reason"] == "not opened yet"
    assert stats["cameras"]["door"]["for_s"] == pytest.approx(bench.clock())
    assert stats["publisher"]["connected"] is True
    assert stats["store"]["pictures"] == 0
    assert stats["host"].keys()


def test_status_informs_the_service_manager_in_one_line_when_it_changes(bench: StatusBench) -> None:
    bench.report(3)
    bench.turn("door", online=True)
    bench.report(3)
    bench.publisher.now = PublisherStatus(connected=False, reason="nothing listens there")
    bench.report(3)
    assert bench.heard() == [
        "STATUS=0 of 2 cameras online, broker connected",
        "STATUS=1 of 2 cameras online, broker connected",
        "STATUS=1 of 2 cameras online, broker away",
    ]


def test_status_names_what_is_wrong_and_counts_it(bench: StatusBench) -> None:
    bench.turn("door", online=True)
    bench.publisher.now = PublisherStatus(
        connected=False, reason="away", trouble="disk full", waiting=3
    )
    degraded = ("yard: not opened yet", "broker: away", "outbox: disk full")
    sources = dict.fromkeys(("door", "yard"), "fed by hand")
    assert bench.status.health(1.0) == HealthReport((), degraded, sources)
    metrics = {metric.name: metric.samples for metric in bench.status.metrics()}
    online = {sample.labels["camera"]: sample.value for sample in metrics["camera_online"]}
    assert online == {"door": True, "yard": False}
    assert metrics["outbox_events"][0].value == 3
    assert metrics["broker_connected"][0].value == 0


def no_camera() -> dict[str, str]:
    return {"door": "no frame for 5 s", "yard": "cannot be opened"}


@pytest.mark.parametrize(
    ("idle_s", "cameras", "others", "expected"),
    [
        (1.0, dict.fromkeys(("door", "yard"), ""), {"broker": ""}, HealthReport()),
        (1.0, {"door": "", "yard": "lost"}, {}, HealthReport((), ("yard: lost",))),
        (1.0, {"door": ""}, {"broker": "refused"}, HealthReport((), ("broker: refused",))),
        (61.0, {"door": ""}, {}, HealthReport(("pipeline: no progress for 61 s",))),
        (
            1.0, no_camera(), {},
            HealthReport(
                ("no camera is online",), ("door: no frame for 5 s", "yard: cannot be opened")
            ),
        ),
    ],
    ids=["well", "one camera", "broker", "stuck", "no camera"],
)  # fmt: skip
def test_health_is_judged_by_main_loop_and_cameras(
    idle_s: float, cameras: dict[str, str], others: dict[str, str], expected: HealthReport
) -> None:
    assert judge_health(idle_s, 60.0, cameras, others) == expected
