"""Settings and models that are exchanged while the daemon runs: all of it or nothing."""

import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.config.settings import (
    CameraSettings,
    DecisionSettings,
    DeviceSettings,
    ModelSettings,
)
from edge_classifier.daemon.background import MAX_WAITING
from edge_classifier.daemon.cameras.camera_pipeline import CameraPipeline
from edge_classifier.daemon.models.active_model import RequestedModel
from edge_classifier.daemon.service import log_reload
from edge_classifier.errors import ConfigurationError
from tests.daemon.in_process import GERMAN, InProcessDaemon
from tests.daemon.parts import AT_ONCE
from tests.running_daemon import model
from tests.waiting import eventually

# --- another model -----------------------------------------------------------------------------


def test_configuration_exchanges_the_model_and_back(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    data = daemon.done("model", model="german")
    assert data["model"].startswith("german@")
    assert daemon.publisher.infos[-1]["model"] == data["model"]
    assert daemon.publisher.remembered_values["overrides"] == {
        "cameras": {},
        "model": "german",
        "sha256": "",
        "models": {},
        "models_before": {},
    }
    daemon.goes_on()
    assert {daemon.state("door").label, daemon.state("yard").label} <= {"rot", "grün"}
    assert daemon.state("door").model == data["model"]
    assert daemon.done("model", model="")["model"].startswith("rgb@")
    assert daemon.publisher.remembered_values["overrides"]["model"] == ""


def test_configuration_keeps_the_model_where_the_new_one_cannot_be_used(
    daemon: InProcessDaemon,
) -> None:
    (daemon.models / "junk.tflite").write_bytes(b"\0\0\0\0TFL3" + b"junk" * 1000)
    model(daemon.models / "long.tflite", ("a", "b", "c", "d", "e"))
    assert "junk.tflite" in daemon.refused("model", model="junk")
    assert "5 labels for 3 outputs" in daemon.refused("model", model="long")
    assert "Known are" in daemon.refused("model", model="missing")
    assert "no such model" in daemon.refused("model", model=str(daemon.folder / "rgb.tflite"))
    assert daemon.state("door").model.startswith("rgb@")


def test_configuration_lets_rules_rest_for_labels_that_a_requested_model_does_not_have(
    daemon: InProcessDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    warm = replace(AT_ONCE, groups={"warm": ("red",)}, only=("warm", "green"))
    yard = replace(daemon.camera, decision=warm)
    daemon.file = replace(daemon.settings, cameras={**daemon.settings.cameras, "yard": yard})
    daemon.done("reload")
    data = daemon.done("model", model="german")
    resting = [
        "cameras.yard.decision.groups.warm: this model has no label 'red'",
        "cameras.yard.decision.only: this model has no label 'warm'",
        "cameras.yard.decision.only: this model has no label 'green'",
    ]
    assert data["resting_rules"] == resting
    notes = [f"this rule rests: {one}" for one in resting]
    assert daemon.publisher.infos[-1]["notes"][-3:] == notes
    assert daemon.publisher.infos[-1]["resting_rules"] == resting
    assert f"this rule rests: {resting[0]}" in caplog.text
    daemon.turn_until(lambda: daemon.state("yard").label in GERMAN)
    # A reload with the same rules, and the next start, find the same.
    daemon.done("reload")
    assert daemon.publisher.infos[-1]["notes"][-3:] == notes
    daemon.settings = daemon.configuration.settings
    daemon.cameras.stop(20)
    again = daemon.make_configuration(RequestedModel("german"))
    again.start()
    assert again.models.first.loaded.name == "german"
    # They are in force again with the model that they were written for.
    assert daemon.done("model", model="")["resting_rules"] == []
    assert daemon.cameras.pipelines["yard"].rules.label_map.labels == ("warm", "green")
    assert not any("rests" in note for note in daemon.publisher.infos[-1]["notes"])
    assert daemon.publisher.infos[-1]["resting_rules"] == []


def test_configuration_takes_names_of_a_tree_beside_the_model_and_describes_them(
    daemon: InProcessDaemon,
) -> None:
    tree = daemon.folder / "rgb.taxonomy.tsv"
    tree.write_text("name\tparent\tzh\nwarm\t\t暖色\nred\twarm\t\ngreen\twarm\t\n", "utf-8")
    only = replace(AT_ONCE, only=("warm", "blue"))
    cameras = {"yard": replace(daemon.camera, decision=only), "door": daemon.camera}
    daemon.file = replace(
        daemon.settings, device=DeviceSettings(name="pi", language="zh"), cameras=cameras
    )
    daemon.done("reload")
    # What Home Assistant offers holds all that any camera may say.
    described = daemon.publisher.described[0]
    assert set(described["door"].labels) == {"red", "green", "blue", "warm"}
    assert set(described["yard"].labels) == {"warm", "blue"}
    assert described["yard"].name("warm") == "暖色"
    assert set(daemon.publisher.infos[-1]["labels"]) == {"red", "green", "blue", "warm"}
    daemon.turn_until(lambda: daemon.state("yard").label == "warm")
    assert daemon.state("yard").path == ("warm",)
    tree.unlink()
    assert daemon.ask("reload")["error"] == "only: 'warm': no such label"


def test_configuration_starts_with_the_model_that_was_asked_for_in_an_earlier_life(
    tmp_path: Path,
) -> None:
    daemon = InProcessDaemon(tmp_path, requested="german")
    daemon.start()
    assert daemon.model_name == "german"
    daemon.cameras.stop(20)


def test_configuration_starts_with_the_configured_model_where_the_other_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = InProcessDaemon(tmp_path, requested="gone")
    daemon.start()
    assert daemon.model_name == "rgb"
    assert "back to the configured model: 'gone': no such model" in caplog.text
    daemon.cameras.stop(20)


def test_configuration_changes_to_an_upload_and_starts_with_it_when_it_is_deleted(
    tmp_path: Path,
) -> None:
    daemon = InProcessDaemon(tmp_path)
    daemon.start()
    uploaded = model(daemon.uploads / "garden.tflite")
    assert daemon.done("model", model="garden")["model"].startswith("garden@")
    assert daemon.publisher.remembered_values["overrides"]["model"] == "garden"
    # Whoever may write the upload must not reach what is mapped.
    uploaded.write_bytes(b"")
    daemon.goes_on()
    uploaded.unlink()
    daemon.cameras.stop(20)
    daemon.make_configuration(RequestedModel("garden")).start()
    assert daemon.model_name == "garden"
    daemon.cameras.stop(20)


def test_configuration_keeps_an_upload_in_use_where_the_next_one_cannot_be_used(
    daemon: InProcessDaemon,
) -> None:
    model(daemon.uploads / "garden.tflite")
    (daemon.uploads / "junk.tflite").write_bytes(b"\0\0\0\0TFL3" + b"junk" * 1000)
    daemon.done("model", model="garden")
    assert "junk.tflite" in daemon.refused("model", model="junk")
    assert daemon.state("door").model.startswith("garden@")
    assert (daemon.folder / "copies" / "garden.tflite").is_file()


def test_configuration_whose_model_is_not_there_starts_with_the_embedded_one_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = InProcessDaemon(tmp_path)
    daemon.settings = replace(daemon.settings, model=ModelSettings(use="/no/such.tflite"))
    daemon.configuration = daemon.make_configuration()
    daemon.commands = daemon.make_commands()
    daemon.start()
    told = "/no/such.tflite: no such model file"
    for place in (
        daemon.publisher.infos[-1]["notes"][0],
        daemon.configuration.trouble,
        caplog.text,
    ):
        assert told in place
        assert "The embedded model runs in its place." in place
    # It takes over once it is there.
    there = model(tmp_path / "back.tflite")
    daemon.file = replace(daemon.settings, model=ModelSettings(use=str(there)))
    daemon.done("reload")
    assert daemon.configuration.trouble == ""
    daemon.cameras.stop(20)


def test_configuration_does_not_start_with_labels_that_its_model_has_not(tmp_path: Path) -> None:
    daemon = InProcessDaemon(tmp_path)
    whole = daemon.settings
    wrong = replace(daemon.camera, decision=DecisionSettings(ignore=("orange",)))
    daemon.settings = replace(whole, cameras={"door": wrong})
    with pytest.raises(ConfigurationError, match="'orange' is no label of this model"):
        daemon.make_configuration().start()
    assert daemon.cameras.pipelines == {}


# --- reloading ---------------------------------------------------------------------------------


def test_configuration_reloading_what_has_not_changed_changes_nothing(
    daemon: InProcessDaemon,
) -> None:
    captures = [pipeline.capture for pipeline in daemon.cameras.pipelines.values()]
    assert daemon.done("reload") == {"changed": [], "restart_required": []}
    assert [pipeline.capture for pipeline in daemon.cameras.pipelines.values()] == captures
    daemon.goes_on()


def test_configuration_reloading_adds_removes_and_reopens_cameras(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    kept = daemon.cameras.pipelines["door"]
    yard = daemon.cameras.pipelines["yard"].capture
    changed = replace(daemon.camera, rate_fps=20)
    daemon.file = replace(daemon.settings, cameras={"pond": daemon.camera, "door": changed})
    data = daemon.done("reload")
    assert sorted(data["changed"]) == ["cameras.door.rate_fps", "cameras.pond", "cameras.yard"]
    assert list(daemon.cameras.pipelines) == ["pond", "door"]
    assert daemon.cameras.pipelines["door"] is kept
    assert kept.settings.rate_fps == 20
    eventually(lambda: "stopped" in yard.status.reason)
    daemon.goes_on()

    before, seq = kept.capture, daemon.state("door").seq
    daemon.file = replace(
        daemon.file, cameras={"door": replace(changed, rotate=180), "pond": daemon.camera}
    )
    assert daemon.done("reload")["changed"] == ["cameras.door.rotate"]
    assert daemon.cameras.pipelines["door"].capture is not before
    eventually(lambda: "stopped" in before.status.reason)
    assert daemon.state("door").seq >= seq
    daemon.goes_on()


def test_configuration_reloading_shows_other_threads_all_cameras_at_any_moment(
    daemon: InProcessDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/healthz looks at the cameras from another thread, perhaps in the middle of a change."""
    seen: list[tuple[str, ...]] = []
    configure = CameraPipeline.configure

    def watched(pipeline: CameraPipeline, *settings: Any, **shared: Any) -> None:
        seen.append(tuple(daemon.cameras.pipelines))
        configure(pipeline, *settings, **shared)

    monkeypatch.setattr(CameraPipeline, "configure", watched)
    before = tuple(daemon.cameras.pipelines)
    cameras = {**daemon.settings.cameras, "new": daemon.camera}
    daemon.file = replace(daemon.settings, cameras=cameras)
    daemon.done("reload")
    after = tuple(daemon.cameras.pipelines)
    assert after == (*before, "new")
    assert len(seen) >= len(after)
    assert set(seen) == {before}


def test_configuration_reloading_a_camera_that_was_away_counts_on(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    before = daemon.state("yard")
    daemon.file = replace(daemon.settings, cameras={"door": daemon.camera})
    daemon.done("reload")
    gone = daemon.publisher.states["yard"][-1]
    daemon.file = daemon.settings
    daemon.done("reload")
    assert daemon.state("yard").seq >= max(before.seq, gone.seq) > 0
    daemon.goes_on()
    # Its retained messages went when it was removed.
    assert daemon.publisher.health.count(("yard", True, "")) == 2
    seqs = [event.seq for event in daemon.publisher.events if event.camera == "yard"]
    assert seqs == list(range(1, len(seqs) + 1))


def test_cameras_that_stop_while_the_driver_of_a_removed_camera_hangs_says_so(
    daemon: InProcessDaemon,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        source = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        stream = CameraSettings(source=source, open_timeout_s=60)
        daemon.file = replace(daemon.settings, cameras={**daemon.settings.cameras, "gate": stream})
        daemon.done("reload")
        caller, _ = mute.accept()
        with caller:
            daemon.file = daemon.settings
            daemon.done("reload")
            daemon.goes_on()
            assert not daemon.cameras.stop(0.5)
    assert daemon.cameras.stop(20)


def test_configuration_reloading_keeps_what_was_set_over_mqtt(daemon: InProcessDaemon) -> None:
    daemon.done("threshold", threshold=0.9, camera="door")
    decision = replace(AT_ONCE, enter=0.8)
    camera = replace(daemon.camera, decision=decision)
    daemon.file = replace(daemon.settings, cameras={"door": camera, "yard": camera})
    daemon.done("reload")
    assert [daemon.state(name).threshold for name in ("door", "yard")] == [0.9, 0.8]


def test_configuration_reloading_another_model_takes_it_unless_one_was_asked_for(
    daemon: InProcessDaemon,
) -> None:
    use = str(daemon.models / "german.tflite")
    daemon.file = replace(daemon.settings, model=ModelSettings(use=use))
    assert daemon.done("reload")["changed"] == ["model.use"]
    assert daemon.state("door").model.startswith("german@")
    assert daemon.done("model", model="german")["model"].startswith("german@")
    daemon.file = daemon.settings
    daemon.done("reload")
    assert daemon.state("door").model.startswith("german@")
    assert daemon.done("model", model="")["model"].startswith("rgb@")


def test_configuration_reloading_names_what_needs_a_restart_until_there_is_one(
    daemon: InProcessDaemon,
) -> None:
    daemon.file = replace(daemon.settings, device=DeviceSettings(name="other"))
    waiting = {"changed": [], "restart_required": ["device.name"]}
    assert daemon.done("reload") == waiting
    assert daemon.done("reload") == waiting
    daemon.file = daemon.settings
    assert daemon.done("reload") == {"changed": [], "restart_required": []}


def test_configuration_reloading_what_is_wrong_changes_nothing_and_says_why(
    daemon: InProcessDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.goes_on()
    cameras = daemon.settings.cameras
    orange = replace(daemon.camera, decision=DecisionSettings(ignore=("orange",)))
    secret = CameraSettings(source="http://localhost/", credentials_file=Path("/no/login"))
    for wrong, words in (
        (ConfigurationError("config.toml", "mqtt.port = 0: at least 1"), "mqtt.port = 0"),
        (BlockingIOError(11, "no process available"), "no process available"),
        (replace(daemon.settings, cameras={**cameras, "yard": orange}), "'orange' is no label"),
        (replace(daemon.settings, cameras={"door": daemon.camera, "gate": secret}), "/no/login"),
        (replace(daemon.settings, model=ModelSettings(use="/no/such.tflite")), "/no/such.tflite"),
    ):
        daemon.file = wrong
        assert words in daemon.refused("reload")
    daemon.configuration.reload(log_reload)
    daemon.turn_until(lambda: "the old one stays: /no/such.tflite" in caplog.text)


def test_configuration_makes_one_change_after_the_other(daemon: InProcessDaemon) -> None:
    german = ModelSettings(use=str(daemon.models / "german.tflite"))
    daemon.files = [replace(daemon.settings, model=german)]
    for command, body in (("reload", b""), ("reload", b""), ("model", b'{"model": "german"}')):
        daemon.commands.receive(command, body)
    daemon.commands.receive("model", b'{"model": ""}')
    daemon.turn_until(lambda: len(daemon.publisher.responses) == 4)
    ids = [info["model"] for info in daemon.publisher.infos]
    assert [name.partition("@")[0] for name in ids] == ["rgb", "german", "rgb", "german", "rgb"]
    assert daemon.configuration.settings == daemon.settings


def test_configuration_whose_background_thread_is_busy_asks_to_try_again(
    daemon: InProcessDaemon,
) -> None:
    busy, let_go = threading.Event(), threading.Event()

    def hang() -> None:
        busy.set()
        assert let_go.wait(60)

    daemon.before_reading = hang
    try:
        daemon.commands.receive("reload", b"")
        daemon.turn_until(busy.is_set)
        for _ in range(MAX_WAITING):
            daemon.commands.receive("reload", b"")
        assert "too many changes are under way" in daemon.refused("model", model="german")
        assert "too many changes are under way" in daemon.refused("reload")
    finally:
        let_go.set()
