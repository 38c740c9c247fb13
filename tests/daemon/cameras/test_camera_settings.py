"""``request/camera``: some settings of a camera, at once, above the file, until they are reset."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.config.settings import Region, Settings
from edge_classifier.daemon.active_configuration import remembered_overrides
from edge_classifier.mqtt.codec.camera_settings import SETTABLE, read_camera_settings
from edge_classifier.mqtt.codec.json_fields import encoded
from tests.daemon.in_process import InProcessDaemon
from tests.daemon.parts import AT_ONCE

REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"set": {"source": "rtsp://x"}}, "source cannot be set over MQTT; these can: enabled"),
    ({"set": {"credentials_file": "/etc/shadow"}}, "credentials_file cannot be set"),
    ({"set": {"model": "x"}}, "model cannot be set over MQTT"),
    ({"set": {"groups": {"pet": ["cat"]}}}, "groups cannot be set over MQTT"),
    ({"reset": ["source"]}, "source cannot be set over MQTT"),
    ({"set": {"rate_fps": 900}}, "cameras.door.rate_fps = 900: must be a number from 0 to 240"),
    ({"set": {"enter": 0.3, "leave": 0.5}}, "leave 0.5 is above enter 0.3"),
    ({"set": {"leave": 0.7}}, "cameras.door.decision: leave 0.7 is above enter 0.6"),
    ({"set": {"look": "x", "title": 1}}, "cameras.door.title = 1: must be text in quotes"),
    ({"set": {"ignore": ["grin"]}}, "ignore: 'grin' is no label of this model; similar: 'green'"),
    ({"set": {"ignore": ["red", "green", "blue"]}}, "no label is left to decide on"),
    ({"set": {"look": "whole"}, "reset": ["look"]}, "look: either set or reset"),
    ({"set": []}, "set must be an object"),
    ({"reset": "look"}, "reset must be a list of names"),
)
REGION = {"left": 0.25, "top": 0.0, "width": 0.5, "height": 0.5}


def told(daemon: InProcessDaemon, camera: str) -> dict[str, tuple[Any, bool]]:
    """What ``info`` says, as the page reads it."""
    info = json.loads(encoded(daemon.publisher.infos[-1]))
    found = read_camera_settings(info)[camera]
    return {name: (one.value, one.is_set_over_mqtt) for name, one in found.items()}


def counts(daemon: InProcessDaemon, camera: str) -> Counter[str]:
    """What became of its frames."""
    stats: Any = daemon.outputs.meters.stats()
    return Counter(stats["cameras"][camera]["reasons"])


def set_over_mqtt(daemon: InProcessDaemon, camera: str) -> dict[str, Any]:
    return {name: value for name, (value, is_set) in told(daemon, camera).items() if is_set}


def restarted(folder: Path, before: InProcessDaemon, file: Settings) -> InProcessDaemon:
    """Another life with what the last one kept, and with this file."""
    kept = json.loads(json.dumps(before.publisher.remembered_values))
    again = InProcessDaemon(folder)
    again.settings = again.file = file
    again.overrides, _ = remembered_overrides(kept)
    again.configuration = again.make_configuration()
    again.commands = again.make_commands()
    again.start()
    return again


@pytest.fixture
def lives(tmp_path: Path, daemon: InProcessDaemon) -> Iterator[Any]:
    """Makes a daemon that follows ``daemon``."""
    made: list[InProcessDaemon] = []

    def follow(file: Settings) -> InProcessDaemon:
        made.append(restarted(tmp_path / f"life{len(made)}", daemon, file))
        return made[-1]

    yield follow
    assert all(one.cameras.stop(20) for one in made)


def test_settings_are_set_at_once_told_and_given_back(daemon: InProcessDaemon) -> None:
    wanted = {
        "title": "Front door",
        "enter": 0.8,
        "leave": 0.5,
        "rate_fps": 7,
        "region": REGION,
        "quiet_hours": ["22:00-06:00"],
        "look": "whole",
        "ignore": ["green"],
        "enabled": False,
    }
    assert wanted.keys() == SETTABLE.keys()
    answer = daemon.done("camera", camera="door", set=wanted)
    assert list(answer["settings"]) == ["door"]
    assert answer["settings"]["door"] == daemon.publisher.infos[-1]["settings"]["door"]
    assert set_over_mqtt(daemon, "door") == wanted
    assert set_over_mqtt(daemon, "yard") == {}
    pipeline = daemon.cameras.pipelines["door"]
    assert pipeline.settings.region == Region(left=0.25, width=0.5, height=0.5)
    assert (pipeline.state().enabled, pipeline.state().threshold) == (False, 0.8)
    assert pipeline.rules.label_map.labels == ("red", "blue")
    daemon.done("camera", camera="door", reset=[*SETTABLE])
    assert set_over_mqtt(daemon, "door") == {}
    assert daemon.configuration.settings == daemon.settings
    assert daemon.publisher.remembered_values["overrides"]["cameras"] == {}
    daemon.goes_on()


def test_settings_of_the_older_requests_are_the_same_ones(daemon: InProcessDaemon) -> None:
    daemon.done("enable", enabled=False, camera="door")
    daemon.done("threshold", threshold=0.3, camera="door")
    assert set_over_mqtt(daemon, "door") == {"enabled": False, "enter": 0.3}
    assert told(daemon, "door")["leave"] == (0.3, False)
    daemon.done("camera", camera="door", reset=["enabled"])
    assert daemon.state("door").enabled
    daemon.done("clear", what="overrides")
    assert set_over_mqtt(daemon, "door") == {}


def test_settings_that_cannot_be_are_refused_as_a_whole(daemon: InProcessDaemon) -> None:
    for body, words in REFUSED:
        given = dict(body)
        if isinstance(body.get("set"), dict):
            given["set"] = {"quiet_hours": ["01:00-02:00"], **body["set"]}
        assert words in daemon.refused("camera", camera="door", **given)
    for camera in ({}, {"camera": "roof"}, {"camera": None}):
        assert "there are door, yard" in daemon.refused("camera", **camera, set={"enabled": False})


def test_settings_outlive_a_restart_and_go_above_another_file(
    daemon: InProcessDaemon, lives: Any
) -> None:
    daemon.done("camera", camera="door", set={"enabled": False, "enter": 0.9, "title": "A"})
    other = replace(daemon.camera, title="B", rate_fps=3, decision=replace(AT_ONCE, enter=0.7))
    again = lives(replace(daemon.settings, cameras={"door": other, "yard": other}))
    assert set_over_mqtt(again, "door") == {"enabled": False, "enter": 0.9, "title": "A"}
    assert told(again, "door")["rate_fps"] == (3, False)
    assert [again.state(name).threshold for name in ("door", "yard")] == [0.9, 0.7]
    # Reset is what the new file says.
    again.done("camera", camera="door", reset=["enter", "title", "enabled"])
    assert told(again, "door")["title"] == ("B", False)
    assert again.state("door").threshold == 0.7


def test_settings_that_do_not_go_with_the_file_any_more_are_dropped_with_a_warning(
    daemon: InProcessDaemon, lives: Any, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.done("camera", camera="door", set={"leave": 0.5, "rate_fps": 9})
    low = replace(daemon.camera, decision=replace(AT_ONCE, enter=0.3, leave=0.2))
    file = replace(daemon.settings, cameras={"door": low, "yard": low})
    again = lives(file)
    why = "cameras.door.decision: leave 0.5 is above enter 0.3"
    assert f"set over MQTT, and dropped: {why}" in caplog.text
    assert set_over_mqtt(again, "door") == {"rate_fps": 9}
    assert again.publisher.remembered_values["overrides"]["cameras"] == {"door": {"rate_fps": 9}}
    # So with a reload.
    daemon.file = file
    daemon.done("reload")
    assert set_over_mqtt(daemon, "door") == {"rate_fps": 9}


def test_settings_for_labels_that_another_model_lacks_rest_and_come_back(
    daemon: InProcessDaemon, lives: Any
) -> None:
    daemon.done("camera", camera="door", set={"ignore": ["green"]})
    resting = daemon.done("model", model="german")["resting_rules"]
    assert resting == ["cameras.door.decision.ignore: this model has no label 'green'"]
    daemon.done("model", model="")
    assert daemon.cameras.pipelines["door"].rules.label_map.labels == ("red", "blue")
    # Nor does a file with another model keep the daemon from starting.
    model = replace(daemon.settings.model, use=str(daemon.models / "german.tflite"))
    again = lives(replace(daemon.settings, model=model))
    assert set_over_mqtt(again, "door") == {"ignore": ["green"]}
    assert any("this rule rests" in note for note in again.publisher.infos[-1]["notes"])
    again.goes_on()


def test_settings_of_a_camera_that_leaves_the_file_are_forgotten(
    daemon: InProcessDaemon, lives: Any
) -> None:
    daemon.done("camera", camera="yard", set={"enabled": False})
    daemon.file = replace(daemon.settings, cameras={"door": daemon.camera})
    daemon.done("reload")
    assert daemon.publisher.remembered_values["overrides"]["cameras"] == {}
    daemon.file = daemon.settings
    daemon.done("reload")
    assert set_over_mqtt(daemon, "yard") == {}
    daemon.done("camera", camera="yard", set={"enabled": False})
    again = lives(replace(daemon.settings, cameras={"door": daemon.camera}))
    assert again.publisher.remembered_values["overrides"]["cameras"] == {}


def test_settings_kept_by_an_older_version_or_damaged_are_read_as_far_as_they_make_sense() -> None:
    kept = {"door": {"enabled": False, "threshold": 0.5}, "yard": {"threshold": None}, "x": 5}
    cameras, _ = remembered_overrides({"overrides": {"cameras": kept}})
    assert cameras == {"door": {"enabled": False, "enter": 0.5}, "yard": {}}


def test_settings_of_one_camera_leave_the_others_as_they_are(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    yard = daemon.cameras.pipelines["yard"]
    scorer, capture = yard._scorer, yard.capture
    daemon.done("camera", camera="door", set={"region": REGION, "look": "whole", "enabled": False})
    assert (yard._scorer, yard.capture) == (scorer, capture)
    seqs = [event.seq for event in daemon.publisher.events if event.camera == "yard"]
    assert seqs == list(range(1, len(seqs) + 1))


def test_settings_that_reach_the_lens_open_it_again_and_lose_no_event(
    daemon: InProcessDaemon,
) -> None:
    daemon.goes_on()
    capture = daemon.cameras.pipelines["door"].capture
    daemon.done("camera", camera="door", set={"title": "Door", "rate_fps": 20})
    assert daemon.cameras.pipelines["door"].capture is capture
    daemon.done("camera", camera="door", set={"look": "whole"})
    assert daemon.cameras.pipelines["door"].capture is not capture
    daemon.goes_on()
    seqs = [event.seq for event in daemon.publisher.events if event.camera == "door"]
    assert seqs == list(range(1, len(seqs) + 1))


def test_settings_of_a_camera_that_takes_frames_of_another_are_its_own(
    daemon: InProcessDaemon,
) -> None:
    gate = replace(daemon.camera, source="camera:door", look="whole")
    door = replace(daemon.camera, look="whole")
    daemon.file = replace(daemon.settings, cameras={"door": door, "gate": gate})
    daemon.done("reload")
    daemon.done("camera", camera="gate", set={"region": REGION, "look": "motion"})
    pipelines = daemon.cameras.pipelines
    assert pipelines["gate"].settings.region == Region(left=0.25, width=0.5, height=0.5)
    assert pipelines["door"].settings == door
    daemon.goes_on()
    daemon.done("camera", camera="gate", set={"enabled": False})
    assert (daemon.state("gate").enabled, daemon.state("door").enabled) == (False, True)


def test_settings_during_quiet_hours_that_include_now_take_frames_at_once(
    daemon: InProcessDaemon,
) -> None:
    daemon.goes_on()
    daemon.done("camera", camera="door", set={"quiet_hours": ["00:00-12:00", "12:00-00:00"]})
    # What was seen before that may still be told, once.
    daemon.turn_until(lambda: counts(daemon, "door")["quiet_hours"])
    seq, pictures = daemon.state("door").seq, len(daemon.publisher.pictures)
    before, yard = counts(daemon, "door"), daemon.state("yard").seq
    daemon.turn_until(
        lambda: counts(daemon, "door") != before and daemon.state("yard").seq > yard + 3
    )
    later = counts(daemon, "door")
    assert {reason for reason in later if later[reason] != before[reason]} == {"quiet_hours"}
    assert daemon.state("door").seq == seq
    assert all(camera != "door" for camera, _ in daemon.publisher.pictures[pictures:])
    daemon.done("camera", camera="door", reset=["quiet_hours"])
    daemon.goes_on()


def test_settings_nested_as_deep_as_python_can_just_read_are_refused(
    daemon: InProcessDaemon,
) -> None:
    most = sys.getrecursionlimit()
    for depth in range(most - 200, most, 10):
        nested = b"[" * depth + b"]" * depth
        daemon.commands.receive("camera", b'{"camera": "door", "set": {"ignore": %b}}' % nested)
    before = len(daemon.publisher.responses)
    daemon.turn_until(lambda: len(daemon.publisher.responses) >= before + 20)
    answers = [payload["status"] for _, payload in daemon.publisher.responses[before:]]
    assert answers == ["error"] * 20
    assert set_over_mqtt(daemon, "door") == {}


def test_settings_ignore_what_a_group_of_the_file_needs_is_refused(
    daemon: InProcessDaemon, tmp_path: Path
) -> None:
    decision = replace(AT_ONCE, groups={"warm": ("red", "blue")})
    door = replace(daemon.camera, decision=decision)
    daemon.file = replace(daemon.settings, cameras={"door": door, "yard": daemon.camera})
    daemon.done("reload")
    refused = daemon.refused("camera", camera="door", set={"ignore": ["red"]})
    assert refused.startswith("cameras.door.decision.")
    assert "rest" not in refused
    daemon.done("camera", camera="door", set={"ignore": ["green"]})
    assert daemon.cameras.pipelines["door"].rules.label_map.labels == ("warm",)
