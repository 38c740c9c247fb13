"""Cameras with models of their own: who runs what, what they share, and what is told of it."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier.config.settings import ModelSettings, Settings
from edge_classifier.daemon.active_configuration import remembered_overrides
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.daemon.models.model_trials import (
    FILE,
    MOST_ENDS,
    ModelTrials,
)
from edge_classifier.daemon.models.models_in_force import COMMON
from edge_classifier.engine import memory
from edge_classifier.errors import UnavailableError
from tests.daemon.in_process import GERMAN, InProcessDaemon
from tests.daemon.parts import AT_ONCE
from tests.running_daemon import model

SHUT_OPEN = ("shut", "open", "ajar")


class TwoModels(InProcessDaemon):
    """``yard`` has a model of its own, which says whether the gate is shut or open."""

    def make_settings(self) -> Settings:
        settings = super().make_settings()
        gate = str(model(self.folder / "gate/gate.tflite", SHUT_OPEN, size=24))
        yard = replace(self.camera, model=gate)
        return replace(settings, cameras={**settings.cameras, "yard": yard})

    def model_of(self, camera: str) -> ActiveModel:
        return self.cameras.pipelines[camera].model

    def names(self) -> dict[str, str]:
        return {name: self.state(name).model.partition("@")[0] for name in self.cameras.pipelines}

    def with_yard(self, **changed: object) -> Settings:
        cameras = self.settings.cameras
        yard = replace(cameras["yard"], **changed)  # type: ignore[arg-type]
        return replace(self.settings, cameras={**cameras, "yard": yard})


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoModels]:
    made = TwoModels(tmp_path)
    made.start()
    yield made
    assert made.cameras.stop(20)


def test_each_camera_decides_by_its_own_model(two: TwoModels) -> None:
    two.goes_on()
    assert two.names() == {"door": "rgb", "yard": "gate"}
    assert two.state("door").label in {"red", "green"}
    assert two.state("yard").label in {"shut", "open"}
    by_camera = {event.camera: event.model.partition("@")[0] for event in two.publisher.events}
    assert by_camera == {"door": "rgb", "yard": "gate"}


def test_what_runs_is_told_with_its_cameras_and_of_each_camera_what_it_can_say(
    two: TwoModels,
) -> None:
    info = two.publisher.infos[-1]
    rgb, gate = two.model_of("door").id, two.model_of("yard").id
    # Whoever knows of one model alone reads the common one.
    assert info["model"] == rgb
    assert [(one["model"], one["cameras"]) for one in info["models"]] == [
        (rgb, ["door"]),
        (gate, ["yard"]),
    ]
    assert set(info["labels"]) == {"red", "green", "blue", *SHUT_OPEN}
    labels, device_model, names, _ = two.publisher.described
    assert set(labels["door"].labels) == {"red", "green", "blue"}
    assert set(labels["yard"].labels) == set(SHUT_OPEN)
    assert device_model == f"{rgb}, {gate}"
    assert {"german", "rgb", "gate"} <= set(names)


def test_cameras_of_the_same_model_share_its_engine(tmp_path: Path) -> None:
    daemon = TwoModels(tmp_path)
    # The same bytes under another name, with other label names.
    copy = Path(shutil.copy(tmp_path / "rgb.tflite", tmp_path / "copy.tflite"))
    (tmp_path / "copy.labels.txt").write_text("crimson\nemerald\nazure\n")
    cameras = {
        "door": daemon.camera,
        "yard": replace(daemon.camera, model=str(copy)),
        "gate": replace(daemon.camera, model=daemon.settings.model.use),
        "pond": replace(daemon.camera, model=str(tmp_path / "gate/gate.tflite")),
    }
    daemon.settings = daemon.file = replace(daemon.settings, cameras=cameras)
    daemon.configuration = daemon.make_configuration()
    daemon.start()
    engines = {name: daemon.model_of(name).loaded.engine for name in cameras}
    assert engines["yard"] is engines["door"]
    assert engines["pond"] is not engines["door"]
    assert daemon.model_of("gate") is daemon.model_of("door")
    assert daemon.model_of("yard").labels == ("crimson", "emerald", "azure")
    daemon.goes_on()
    assert {one.label for one in map(daemon.state, ("door", "gate"))} <= {"red", "green"}
    assert daemon.state("yard").label in {"crimson", "emerald"}
    daemon.cameras.stop(20)


def test_request_with_a_camera_changes_that_one_and_an_empty_name_takes_it_back(
    two: TwoModels,
) -> None:
    answer = two.done("model", model="german", camera="yard")
    assert answer["model"].startswith("german@")
    assert answer["cameras"] == ["yard"]
    assert two.names() == {"door": "rgb", "yard": "german"}
    kept = two.publisher.remembered_values["overrides"]
    assert (kept["model"], kept["models"]) == ("", {"yard": {"model": "german", "sha256": ""}})
    answer = two.done("model", model="german", camera="door")
    assert two.model_of("door") is two.model_of("yard")
    two.goes_on()
    assert two.done("model", model="", camera="yard")["model"].startswith("gate@")
    assert two.done("model", model="", camera="door")["model"].startswith("rgb@")
    assert two.publisher.remembered_values["overrides"]["models"] == {}


def test_model_that_another_camera_runs_may_be_asked_for_wherever_its_file_lies(
    two: TwoModels,
) -> None:
    assert two.done("model", model="gate", camera="door")["model"].startswith("gate@")
    assert two.model_of("door") is two.model_of("yard")
    assert two.done("model", model="rgb", camera="door")["model"].startswith("rgb@")
    assert "no such model" in two.refused("model", model="gate/gate", camera="door")


def test_model_that_has_come_since_is_offered(two: TwoModels) -> None:
    announcement = two.configuration.announcement
    announcement.publish_news()
    model(two.models / "fresh.tflite", GERMAN)
    announcement.publish_news()
    assert "fresh" not in two.publisher.described[2], "folders are not read every second"
    announcement._clock = lambda: time.monotonic() + 61
    announcement.publish_news()
    assert "fresh" in two.publisher.described[2]


def test_request_without_a_camera_leaves_those_with_a_model_of_their_own_alone(
    two: TwoModels,
) -> None:
    gate = two.model_of("yard")
    answer = two.done("model", model="german")
    assert answer["cameras"] == ["door"]
    assert two.names() == {"door": "german", "yard": "gate"}
    assert two.model_of("yard") is gate, "it was not loaded again"
    two.done("model", model="german", camera="door")
    assert "every camera has a model of its own" in two.refused("model", model="german")
    assert "no camera 'pond'" in two.refused("model", model="german", camera="pond")
    assert two.refused("model", model="missing", camera="yard")


def test_what_was_asked_for_each_camera_is_in_force_after_a_restart(two: TwoModels) -> None:
    two.done("model", model="german", camera="yard")
    kept = json.loads(json.dumps(two.publisher.remembered_values["overrides"]))
    two.cameras.stop(20)
    _, requested = remembered_overrides({"overrides": kept})
    again = two.make_configuration()
    again._requested = requested
    again.start()
    assert two.names() == {"door": "rgb", "yard": "german"}


def test_model_asked_for_a_camera_that_is_gone_gives_way_to_the_configured_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = TwoModels(tmp_path)
    overrides = {"model": "", "models": {"yard": {"model": "gone"}, "door": {"model": "gone"}}}
    _, requested = remembered_overrides({"overrides": overrides})
    daemon.configuration._requested = requested
    daemon.start()
    assert daemon.names() == {"door": "rgb", "yard": "gate"}
    assert "back to the configured model: 'gone': no such model" in caplog.text
    daemon.cameras.stop(20)


def test_reload_gives_a_camera_a_model_of_its_own_another_one_and_none(two: TwoModels) -> None:
    rgb = two.model_of("door")
    two.file = two.with_yard(model=str(two.models / "german.tflite"))
    assert two.done("reload")["changed"] == ["cameras.yard.model"]
    assert two.names() == {"door": "rgb", "yard": "german"}
    two.goes_on()
    two.file = two.with_yard(model="")
    assert two.done("reload")["changed"] == ["cameras.yard.model"]
    assert two.model_of("yard") is two.model_of("door") is rgb
    two.goes_on()
    two.file = two.settings
    two.done("reload")
    assert two.names() == {"door": "rgb", "yard": "gate"}
    assert two.model_of("door") is rgb


def test_reload_takes_another_file_under_the_name_of_a_cameras_own_model(two: TwoModels) -> None:
    rgb = two.model_of("door")
    model(two.folder / "gate/gate.tflite", SHUT_OPEN, size=32)
    assert two.done("reload")["changed"] == ["cameras.yard.model"]
    assert two.model_of("yard").loaded.engine.input.shape[1] == 32
    assert two.model_of("door") is rgb
    assert two.done("reload")["changed"] == []


def test_reload_whose_camera_has_no_usable_model_changes_nothing(two: TwoModels) -> None:
    two.file = two.with_yard(model="/no/such.tflite")
    assert "/no/such.tflite" in two.refused("reload")
    assert two.names() == {"door": "rgb", "yard": "gate"}


def test_rules_for_labels_of_other_models_rest_and_only_the_cameras_own_are_named(
    two: TwoModels,
) -> None:
    everywhere = replace(AT_ONCE, groups={"warm": ("red",)})
    own = replace(everywhere, groups={**everywhere.groups, "safe": ("shut", "locked")})
    cameras = {
        "door": replace(two.camera, decision=everywhere),
        "yard": replace(two.settings.cameras["yard"], decision=own),
    }
    two.file = replace(two.settings, decision=everywhere, cameras=cameras)
    two.done("reload")
    rests = "this rule rests: cameras.yard.decision.groups.safe: this model has no label 'locked'"
    assert [note for note in two.publisher.infos[-1]["notes"] if "rests" in note] == [rests]
    labels = {name: one.rules.label_map.labels for name, one in two.cameras.pipelines.items()}
    assert labels == {"door": ("warm", "green", "blue"), "yard": ("safe", "open", "ajar")}


def test_model_that_ended_the_daemon_gives_way_at_its_camera_alone(tmp_path: Path) -> None:
    folder = tmp_path / "0"
    for life in range(MOST_ENDS):
        killed = TwoModels(folder)
        killed.start()
        # Frames have come through the model of the door, and none yet through that of the yard.
        killed.trials.progress({COMMON: 1, "yard": 0})
        killed.cameras.stop(20)
        notes, folder = killed.folder / FILE, tmp_path / str(life + 1)
        folder.mkdir()
        shutil.copy(notes, folder)
    daemon = TwoModels(folder)
    daemon.start()
    assert daemon.names()["door"] == "rgb"
    assert daemon.names()["yard"] not in {"rgb", "gate"}
    words = "yard: "
    assert daemon.configuration.trouble.startswith(words)
    assert "The embedded model runs in its place." in daemon.publisher.infos[-1]["notes"][0]
    daemon.turn_until(lambda: min(daemon.outputs.meters.inferences().values()) > 1)
    daemon.cameras.stop(20)


def test_model_asked_for_one_camera_that_ended_the_daemon_gives_way_to_the_one_before_it(
    tmp_path: Path,
) -> None:
    killed = TwoModels(tmp_path / "0")
    killed.start()
    model(killed.models / "killer.tflite", GERMAN, size=40)
    killed.done("model", model="german", camera="yard")
    killed.trials.progress({})
    killed.done("model", model="killer", camera="yard")
    kept = killed.publisher.remembered_values["overrides"]
    killed.cameras.stop(20)
    daemon = TwoModels(tmp_path / "1", notes=killed.folder / FILE)
    model(daemon.models / "killer.tflite", GERMAN, size=40)
    daemon.configuration._requested = remembered_overrides({"overrides": kept})[1]
    daemon.start()
    # What was before it had not passed either: so it is the configured one.
    assert daemon.names() == {"door": "rgb", "yard": "gate"}
    assert "yard: killer: ended the daemon" in daemon.configuration.trouble
    daemon.cameras.stop(20)


def test_of_several_models_the_one_that_was_being_loaded_is_blamed(tmp_path: Path) -> None:
    for _ in range(MOST_ENDS):
        trials = ModelTrials(tmp_path)
        trials.guard("good", takes_over=False)("a" * 64)
        trials.guard("bad", camera="yard", takes_over=False)("b" * 64)
    later = ModelTrials(tmp_path)
    later.guard("good", takes_over=False)("a" * 64)
    with pytest.raises(Exception, match="bad: ended the daemon"):
        later.guard("bad", camera="yard", takes_over=False)("b" * 64)


def test_camera_without_a_common_model_in_use_costs_none(tmp_path: Path) -> None:
    daemon = TwoModels(tmp_path)
    gate = daemon.settings.cameras["yard"]
    daemon.settings = replace(
        daemon.settings, model=ModelSettings(use="/no/such.tflite"), cameras={"yard": gate}
    )
    daemon.configuration = daemon.make_configuration()
    daemon.start()
    assert daemon.publisher.infos[-1]["model"].startswith("gate@")
    daemon.goes_on()
    daemon.cameras.stop(20)


def test_model_that_does_not_fit_into_memory_is_refused_in_a_sentence(
    two: TwoModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: 20_000_000)
    # The same bytes need no memory.
    shutil.copy(two.folder / "gate/gate.tflite", two.models / "copy.tflite")
    two.done("model", model="copy", camera="door")
    model(two.models / "large.tflite", GERMAN, size=48)
    refused = two.refused("model", model="large", camera="yard")
    assert "does not fit into memory beside 1 other model:" in refused
    two.file = two.with_yard(model=str(two.models / "large.tflite"))
    assert "does not fit into memory" in two.refused("reload")


def test_daemon_whose_models_do_not_fit_together_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: 20_000_000)
    with pytest.raises(UnavailableError, match="does not fit into memory beside 1 other model:"):
        TwoModels(tmp_path).start()
