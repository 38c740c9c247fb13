"""What may be changed while the daemon runs: all of it or nothing, and always with an answer."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.config.settings import (
    CameraSettings,
    DecisionSettings,
    DeviceSettings,
    ModelSettings,
    Settings,
    StoreSettings,
)
from edge_classifier.core.events import CameraState
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.background import BackgroundWorker
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.cameras import Cameras
from edge_classifier.daemon.capture_store import CaptureStore
from edge_classifier.daemon.commands import CommandHandler
from edge_classifier.daemon.loop import MainLoop
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.model_files import ModelFiles
from edge_classifier.daemon.reporter import Reporter
from edge_classifier.errors import ConfigurationError, MissingFileError
from tests.fake_parts import AT_ONCE, Told
from tests.running_daemon import colours, model
from tests.waiting import eventually

GERMAN = ("rot", "grün", "blau")


class Office:
    """Everything that a request may reach, and a folder with models."""

    def __init__(self, folder: Path, *, requested: str = "") -> None:
        self.folder = folder
        pictures = colours(folder / "pictures", "red", "green")
        self.camera = CameraSettings(
            source=f"pictures:{pictures}", picture_s=0, rate_fps=50, decision=AT_ONCE
        )
        self.models, self.uploads = folder / "models", folder / "uploads"
        model(self.models / "german.tflite", GERMAN, size=16)
        use = str(model(folder / "rgb.tflite"))
        self.settings = Settings(
            device=DeviceSettings(name="pi"),
            model=ModelSettings(use=use),
            cameras={"door": self.camera, "yard": self.camera},
            store=StoreSettings(enabled=True),
        )
        # What reading the configuration gives.
        self.file: Settings | Exception = self.settings
        # What it gives before that, once each.
        self.files: list[Settings] = []
        self.told, self.worker = Told(), BackgroundWorker()
        self.installed: list[tuple[str, Settings]] = []
        self.keeper = CaptureStore(self.settings.store, folder / "kept")
        self.meters = Meters()
        self.reporter = Reporter(
            self.settings, meters=self.meters, publisher=self.told, keeper=self.keeper
        )
        self.pipeline = MainLoop(
            seen=self.reporter.seen, housekeeping=lambda: None, progress=lambda: None
        )
        self.cameras = Cameras(wake=self.pipeline.wake, restored={}, overrides={})
        self.control = self.make_control(requested)

    def make_control(self, requested: str = "") -> CommandHandler:
        return CommandHandler(
            self.settings,
            pipeline=self.pipeline,
            cameras=self.cameras,
            reporter=self.reporter,
            publisher=self.told,
            keeper=self.keeper,
            worker=self.worker,
            read_settings=self._read,
            installed=self._installed,
            shelf=ModelFiles(self.models, self.folder / "copies", self.uploads),
            requested_model=requested,
        )

    def start(self) -> None:
        self.worker.start()
        self.control.start()

    def ask(self, command: str, **body: object) -> dict[str, Any]:
        """The response."""
        before = len(self.told.responses)
        self.control.request(command, json.dumps({"transaction": 5, **body}).encode())
        self.turn_until(lambda: len(self.told.responses) > before)
        to, payload = self.told.responses[-1]
        assert to == command
        assert payload["transaction"] == 5
        return dict(payload)

    def done(self, command: str, **body: object) -> dict[str, Any]:
        """What a request that is done answers."""
        answer = self.ask(command, **body)
        assert (answer["status"], answer["error"]) == ("ok", None)
        data: dict[str, Any] = answer["data"]
        return data

    def refused(self, command: str, **body: object) -> str:
        """Why a request is refused; nothing has changed."""
        before = self.in_force()
        answer = self.ask(command, **body)
        assert (answer["status"], answer["data"]) == ("error", {})
        assert self.in_force() == before
        self.goes_on()
        return str(answer["error"])

    def in_force(self) -> tuple[Any, ...]:
        lanes = self.cameras.lanes
        facts = [(name, lane.settings, lane.override, lane.grabber) for name, lane in lanes.items()]
        return self.control.settings, facts, list(self.told.notes.items()), len(self.installed)

    def goes_on(self) -> None:
        """Every camera is classified."""
        before = {name: lane.state().seq for name, lane in self.cameras.lanes.items()}
        lanes = self.cameras.lanes
        self.turn_until(lambda: all(lanes[name].state().seq > seq for name, seq in before.items()))

    def state(self, camera: str) -> CameraState:
        return self.cameras.lanes[camera].state()

    def turn_until(self, condition: Callable[[], object]) -> None:
        def met() -> bool:
            self.pipeline.turn()
            return bool(condition())

        eventually(met, 30)

    def _read(self) -> Settings:
        found = self.files.pop(0) if self.files else self.file
        if isinstance(found, Exception):
            raise found
        return found

    def _installed(self, network: ActiveModel, settings: Settings) -> None:
        self.installed.append((network.id, settings))
        self.meters.follow(settings.cameras)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    made.start()
    yield made
    assert made.cameras.stop(20)


# --- requests ----------------------------------------------------------------------------------


def test_control_switches_one_camera_or_all_and_remembers(office: Office) -> None:
    assert office.done("enable", enabled=False, camera="door") == {
        "cameras": ["door"],
        "enabled": False,
    }
    assert office.told.states["door"][-1].enabled is False
    assert office.state("yard").enabled is True
    assert office.told.notes["overrides"] == {
        "cameras": {"door": {"enabled": False, "threshold": None}},
        "model": "",
    }
    assert office.done("enable", enabled=True)["cameras"] == ["door", "yard"]
    assert office.told.states["yard"][-1].enabled is True


def test_control_sets_thresholds_and_takes_them_back(office: Office) -> None:
    assert office.done("threshold", threshold=0.9, camera="yard") == {"thresholds": {"yard": 0.9}}
    assert office.told.states["yard"][-1].threshold == 0.9
    assert office.state("door").threshold == 0.6
    assert office.done("threshold", threshold=None)["thresholds"] == {"door": 0.6, "yard": 0.6}
    assert office.told.notes["overrides"] == {"cameras": {}, "model": ""}


def test_control_publishes_a_picture_on_request(office: Office) -> None:
    office.goes_on()
    office.done("enable", enabled=False)
    before = len(office.told.pictures)
    assert office.done("snapshot", camera="door") == {"cameras": ["door"]}
    office.turn_until(lambda: len(office.told.pictures) > before)
    camera, picture = office.told.pictures[-1]
    assert camera == "door"
    assert picture is not None
    assert picture.startswith(b"\xff\xd8\xff")


def test_control_clears_what_is_named(office: Office) -> None:
    office.goes_on()
    office.done("threshold", threshold=0.7)
    seq = office.state("door").seq
    assert office.done("clear", what="label", camera="door")["cameras"] == ["door"]
    shown = office.told.states["door"][-1]
    assert (shown.label, shown.seq >= seq) == ("unknown", True)
    office.done("clear", what="overrides", camera="door")
    assert [office.state(name).threshold for name in ("door", "yard")] == [0.6, 0.7]
    office.done("clear", what="outbox")
    assert office.told.cleared == 1
    office.done("clear", what="store")


@pytest.mark.parametrize(
    ("command", "body", "words"),
    [
        ("enable", {"enabled": 1}, "enabled must be true or false"),
        ("enable", {"enabled": True, "camera": "roof"}, "no camera 'roof'; there are door, yard"),
        ("threshold", {"threshold": 2}, "threshold must be a number from 0 to 1"),
        ("snapshot", {"camera": 3}, "no camera 3"),
        ("clear", {"what": "disk"}, "what must be one of"),
        ("model", {"model": 5}, "model must be a text"),
        ("reload", {"now": True}, "reload takes no now"),
        ("reboot", {}, "no such command"),
    ],
)
def test_control_refuses_what_cannot_be_meant(
    office: Office, command: str, body: dict[str, object], words: str
) -> None:
    assert words in office.refused(command, **body)


def test_control_with_too_many_requests_drops_and_says_so(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(300):
        office.control.request("enable", b'{"enabled": true}')
    assert "request enable dropped: too many are waiting" in caplog.text
    office.goes_on()
    assert len(office.told.responses) == 256


def test_control_outlives_a_request_nested_as_deep_as_python_can_just_read(office: Office) -> None:
    most = sys.getrecursionlimit()
    for depth in range(most - 200, most):
        nested = b"[" * depth + b"]" * depth
        office.control.request("snapshot", b'{"transaction": %b}' % nested)
    office.goes_on()
    assert office.ask("snapshot")["status"] == "ok"


# --- another model -----------------------------------------------------------------------------


def test_control_exchanges_the_model_and_back(office: Office) -> None:
    office.goes_on()
    data = office.done("model", model="german")
    assert data["model"].startswith("german@")
    assert office.installed[-1][0] == data["model"]
    assert office.told.notes["overrides"] == {"cameras": {}, "model": "german"}
    office.goes_on()
    assert {office.state("door").label, office.state("yard").label} <= {"rot", "grün"}
    assert office.state("door").model == data["model"]
    assert office.done("model", model="")["model"].startswith("rgb@")
    assert office.told.notes["overrides"]["model"] == ""


def test_control_keeps_the_model_where_the_new_one_cannot_be_used(office: Office) -> None:
    (office.models / "junk.tflite").write_bytes(b"\0\0\0\0TFL3" + b"junk" * 1000)
    model(office.models / "long.tflite", ("a", "b", "c", "d", "e"))
    assert "junk.tflite" in office.refused("model", model="junk")
    assert "5 labels for 3 outputs" in office.refused("model", model="long")
    assert "Known are" in office.refused("model", model="missing")
    assert "no such model" in office.refused("model", model=str(office.folder / "rgb.tflite"))
    assert office.state("door").model.startswith("rgb@")


def test_control_refuses_a_model_without_the_labels_that_are_configured(office: Office) -> None:
    warm = replace(AT_ONCE, groups={"warm": ("red",)})
    office.file = replace(
        office.settings,
        cameras={**office.settings.cameras, "yard": replace(office.camera, decision=warm)},
    )
    office.done("reload")
    assert "groups.warm: 'red' is no label of this model" in office.refused("model", model="german")
    assert office.state("door").model.startswith("rgb@")
    assert office.cameras.lanes["yard"].rules.labels.names == ("warm", "green", "blue")


def test_control_starts_with_the_model_that_was_asked_for_in_an_earlier_life(
    tmp_path: Path,
) -> None:
    office = Office(tmp_path, requested="german")
    office.start()
    assert office.installed[-1][0].startswith("german@")
    office.cameras.stop(20)


def test_control_starts_with_the_configured_model_where_the_other_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office(tmp_path, requested="gone")
    office.start()
    assert office.installed[-1][0].startswith("rgb@")
    assert "back to the configured model: 'gone': no such model" in caplog.text
    office.cameras.stop(20)


def test_control_changes_to_an_upload_and_starts_with_it_when_it_is_deleted(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.start()
    uploaded = model(office.uploads / "garden.tflite")
    assert office.done("model", model="garden")["model"].startswith("garden@")
    assert office.told.notes["overrides"]["model"] == "garden"
    # Whoever may write the upload must not reach what is mapped.
    uploaded.write_bytes(b"")
    office.goes_on()
    uploaded.unlink()
    office.cameras.stop(20)
    control = office.make_control("garden")
    control.start()
    assert office.installed[-1][0].startswith("garden@")
    office.cameras.stop(20)


def test_control_keeps_an_upload_in_use_where_the_next_one_cannot_be_used(office: Office) -> None:
    model(office.uploads / "garden.tflite")
    (office.uploads / "junk.tflite").write_bytes(b"\0\0\0\0TFL3" + b"junk" * 1000)
    office.done("model", model="garden")
    assert "junk.tflite" in office.refused("model", model="junk")
    assert office.state("door").model.startswith("garden@")
    assert (office.folder / "copies" / "garden.tflite").is_file()


def test_control_does_not_start_without_a_model_or_with_labels_it_has_not(tmp_path: Path) -> None:
    office = Office(tmp_path)
    whole = office.settings
    office.settings = replace(whole, model=ModelSettings(use="/no/such.tflite"))
    with pytest.raises(MissingFileError):
        office.make_control().start()
    wrong = replace(office.camera, decision=DecisionSettings(ignore=("orange",)))
    office.settings = replace(whole, cameras={"door": wrong})
    with pytest.raises(ConfigurationError, match="'orange' is no label of this model"):
        office.make_control().start()
    assert office.cameras.lanes == {}


# --- reloading ---------------------------------------------------------------------------------


def test_control_reloading_what_has_not_changed_changes_nothing(office: Office) -> None:
    grabbers = [lane.grabber for lane in office.cameras.lanes.values()]
    assert office.done("reload") == {"changed": [], "restart_required": []}
    assert [lane.grabber for lane in office.cameras.lanes.values()] == grabbers
    office.goes_on()


def test_control_reloading_adds_removes_and_reopens_cameras(office: Office) -> None:
    office.goes_on()
    kept = office.cameras.lanes["door"]
    yard = office.cameras.lanes["yard"].grabber
    changed = replace(office.camera, rate_fps=20)
    office.file = replace(office.settings, cameras={"pond": office.camera, "door": changed})
    data = office.done("reload")
    assert sorted(data["changed"]) == ["cameras.door.rate_fps", "cameras.pond", "cameras.yard"]
    assert list(office.cameras.lanes) == ["pond", "door"]
    assert office.cameras.lanes["door"] is kept
    assert kept.settings.rate_fps == 20
    eventually(lambda: "stopped" in yard.status.reason)
    office.goes_on()

    before, seq = kept.grabber, office.state("door").seq
    office.file = replace(
        office.file, cameras={"door": replace(changed, rotate=180), "pond": office.camera}
    )
    assert office.done("reload")["changed"] == ["cameras.door.rotate"]
    assert office.cameras.lanes["door"].grabber is not before
    eventually(lambda: "stopped" in before.status.reason)
    assert office.state("door").seq >= seq
    office.goes_on()


def test_control_reloading_shows_other_threads_all_cameras_at_any_moment(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/healthz looks at the cameras from another thread, perhaps in the middle of a change."""
    seen: list[tuple[str, ...]] = []
    configure = CameraPipeline.configure

    def watched(lane: CameraPipeline, settings: CameraSettings, network: ActiveModel) -> None:
        seen.append(tuple(office.cameras.lanes))
        configure(lane, settings, network)

    monkeypatch.setattr(CameraPipeline, "configure", watched)
    before = tuple(office.cameras.lanes)
    cameras = {**office.settings.cameras, "new": office.camera}
    office.file = replace(office.settings, cameras=cameras)
    office.done("reload")
    after = tuple(office.cameras.lanes)
    assert after == (*before, "new")
    assert len(seen) >= len(after)
    assert set(seen) == {before}


def test_control_reloading_a_camera_that_was_away_counts_on(office: Office) -> None:
    office.goes_on()
    office.done("threshold", threshold=0.9, camera="yard")
    before = office.state("yard")
    office.file = replace(office.settings, cameras={"door": office.camera})
    office.done("reload")
    gone = office.told.states["yard"][-1]
    office.file = office.settings
    office.done("reload")
    assert office.state("yard").seq >= max(before.seq, gone.seq) > 0
    assert office.state("yard").threshold == 0.9
    office.goes_on()
    seqs = [event.seq for event in office.told.events if event.camera == "yard"]
    assert seqs == list(range(1, len(seqs) + 1))


def test_control_that_ends_while_the_driver_of_a_removed_camera_hangs_says_so(
    office: Office,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        source = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        stream = CameraSettings(source=source, open_timeout_s=60)
        office.file = replace(office.settings, cameras={**office.settings.cameras, "gate": stream})
        office.done("reload")
        caller, _ = mute.accept()
        with caller:
            office.file = office.settings
            office.done("reload")
            office.goes_on()
            assert not office.cameras.stop(0.5)
    assert office.cameras.stop(20)


def test_control_reloading_keeps_what_was_set_over_mqtt(office: Office) -> None:
    office.done("threshold", threshold=0.9, camera="door")
    decision = replace(AT_ONCE, enter=0.8)
    camera = replace(office.camera, decision=decision)
    office.file = replace(office.settings, cameras={"door": camera, "yard": camera})
    office.done("reload")
    assert [office.state(name).threshold for name in ("door", "yard")] == [0.9, 0.8]


def test_control_reloading_another_model_takes_it_unless_one_was_asked_for(office: Office) -> None:
    use = str(office.models / "german.tflite")
    office.file = replace(office.settings, model=ModelSettings(use=use))
    assert office.done("reload")["changed"] == ["model.use"]
    assert office.state("door").model.startswith("german@")
    assert office.done("model", model="german")["model"].startswith("german@")
    office.file = office.settings
    office.done("reload")
    assert office.state("door").model.startswith("german@")
    assert office.done("model", model="")["model"].startswith("rgb@")


def test_control_reloading_tells_what_has_to_wait_until_it_is_so(office: Office) -> None:
    office.file = replace(office.settings, device=DeviceSettings(name="other"))
    waiting = {"changed": [], "restart_required": ["device.name"]}
    assert office.done("reload") == waiting
    assert office.done("reload") == waiting
    office.file = office.settings
    assert office.done("reload") == {"changed": [], "restart_required": []}


def test_control_reloading_what_is_wrong_changes_nothing_and_says_why(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.goes_on()
    cameras = office.settings.cameras
    orange = replace(office.camera, decision=DecisionSettings(ignore=("orange",)))
    secret = CameraSettings(source="http://localhost/", credentials_file=Path("/no/login"))
    for wrong, words in (
        (ConfigurationError("config.toml", "mqtt.port = 0: at least 1"), "mqtt.port = 0"),
        (BlockingIOError(11, "no process to be had"), "no process to be had"),
        (replace(office.settings, cameras={**cameras, "yard": orange}), "'orange' is no label"),
        (replace(office.settings, cameras={"door": office.camera, "gate": secret}), "/no/login"),
        (replace(office.settings, model=ModelSettings(use="/no/such.tflite")), "/no/such.tflite"),
    ):
        office.file = wrong
        assert words in office.refused("reload")
    office.control.reload()
    office.turn_until(lambda: "the old one stays: /no/such.tflite" in caplog.text)


def test_control_makes_one_change_after_the_other(office: Office) -> None:
    german = ModelSettings(use=str(office.models / "german.tflite"))
    office.files = [replace(office.settings, model=german)]
    for command, body in (("reload", b""), ("reload", b""), ("model", b'{"model": "german"}')):
        office.control.request(command, body)
    office.control.request("model", b'{"model": ""}')
    office.turn_until(lambda: len(office.told.responses) == 4)
    ids = [network for network, _ in office.installed]
    assert [name.partition("@")[0] for name in ids] == ["rgb", "german", "rgb", "german", "rgb"]
    assert office.control.settings == office.settings


def test_control_whose_worker_is_busy_asks_to_try_again(office: Office) -> None:
    busy, let_go = threading.Event(), threading.Event()

    def job() -> None:
        busy.set()
        assert let_go.wait(60)

    try:
        office.worker.submit(job)
        assert busy.wait(20)
        while office.worker.submit(job):
            pass
        assert "too many changes are under way" in office.refused("model", model="german")
        assert "too many changes are under way" in office.refused("reload")
    finally:
        let_go.set()
