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
from edge_classifier.daemon.active_configuration import MAX_WAITING, log_reload
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.errors import ConfigurationError, MissingFileError
from tests.daemon.in_process import InProcessDaemon
from tests.daemon.parts import AT_ONCE
from tests.running_daemon import model
from tests.waiting import eventually

# --- another model -----------------------------------------------------------------------------


def test_configuration_exchanges_the_model_and_back(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    data = daemon.done("model", model="german")
    assert data["model"].startswith("german@")
    assert daemon.publisher.infos[-1]["model"] == data["model"]
    assert daemon.publisher.remembered_values["overrides"] == {"cameras": {}, "model": "german"}
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


def test_configuration_refuses_a_model_without_the_labels_that_are_configured(
    daemon: InProcessDaemon,
) -> None:
    warm = replace(AT_ONCE, groups={"warm": ("red",)})
    daemon.file = replace(
        daemon.settings,
        cameras={**daemon.settings.cameras, "yard": replace(daemon.camera, decision=warm)},
    )
    daemon.done("reload")
    assert "groups.warm: 'red' is no label of this model" in daemon.refused("model", model="german")
    assert daemon.state("door").model.startswith("rgb@")
    assert daemon.cameras.pipelines["yard"].rules.label_map.labels == ("warm", "green", "blue")


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
    daemon.make_configuration("garden").start()
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


def test_configuration_does_not_start_without_a_model_or_with_labels_it_has_not(
    tmp_path: Path,
) -> None:
    daemon = InProcessDaemon(tmp_path)
    whole = daemon.settings
    daemon.settings = replace(whole, model=ModelSettings(use="/no/such.tflite"))
    with pytest.raises(MissingFileError):
        daemon.make_configuration().start()
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

    def watched(pipeline: CameraPipeline, *settings: Any) -> None:
        seen.append(tuple(daemon.cameras.pipelines))
        configure(pipeline, *settings)

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
    daemon.done("threshold", threshold=0.9, camera="yard")
    before = daemon.state("yard")
    daemon.file = replace(daemon.settings, cameras={"door": daemon.camera})
    daemon.done("reload")
    gone = daemon.publisher.states["yard"][-1]
    daemon.file = daemon.settings
    daemon.done("reload")
    assert daemon.state("yard").seq >= max(before.seq, gone.seq) > 0
    assert daemon.state("yard").threshold == 0.9
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
