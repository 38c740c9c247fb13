"""Requests over MQTT: carried out as a whole or not at all, and always with an answer."""

import json
import sys
from dataclasses import replace

import pytest

from tests.daemon.in_process import InProcessDaemon


def test_command_switches_one_camera_or_all_and_remembers(daemon: InProcessDaemon) -> None:
    assert daemon.done("enable", enabled=False, camera="door") == {
        "cameras": ["door"],
        "enabled": False,
    }
    assert daemon.publisher.states["door"][-1].enabled is False
    assert daemon.state("yard").enabled is True
    assert daemon.publisher.remembered_values["overrides"] == {
        "cameras": {"door": {"enabled": False}},
        "model": "",
        "sha256": "",
        "models": {},
        "models_before": {},
    }
    assert daemon.done("enable", enabled=True)["cameras"] == ["door", "yard"]
    assert daemon.publisher.states["yard"][-1].enabled is True


def test_model_that_is_offered_is_told_on_with_the_request_for_it_and_changes_nothing(
    daemon: InProcessDaemon,
) -> None:
    offered = {"model": "garden", "sha256": "ab" * 32}
    running = daemon.configuration.models.first
    assert daemon.done("offer", **offered) == {"offered": "garden"}
    told = daemon.publisher.infos[-1]
    assert told["model_offered"] == {**offered, "version": "garden@abababab"}
    assert told["model"] == running.id
    assert json.loads(daemon.publisher.offer) == offered
    # What runs already is nothing to install, under whatever name.
    daemon.done("offer", model="other", sha256=running.loaded.sha256)
    assert daemon.publisher.infos[-1]["model_offered"]["version"] == running.id
    assert daemon.publisher.offer == ""
    assert "needs the sha256" in daemon.refused("offer", model="garden")
    assert "not the name" in daemon.refused("offer", model="a\nb", sha256="ab" * 32)
    daemon.done("offer", model="")
    assert daemon.publisher.infos[-1]["model_offered"] is None


def test_command_sets_thresholds_and_takes_them_back(daemon: InProcessDaemon) -> None:
    assert daemon.done("threshold", threshold=0.9, camera="yard") == {"thresholds": {"yard": 0.9}}
    assert daemon.publisher.states["yard"][-1].threshold == 0.9
    assert daemon.state("door").threshold == 0.6
    assert daemon.done("threshold", threshold=None)["thresholds"] == {"door": 0.6, "yard": 0.6}
    assert daemon.publisher.remembered_values["overrides"] == {
        "cameras": {},
        "model": "",
        "sha256": "",
        "models": {},
        "models_before": {},
    }


def test_command_publishes_a_picture_on_request(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    daemon.done("enable", enabled=False)
    before = len(daemon.publisher.pictures)
    assert daemon.done("snapshot", camera="door") == {"cameras": ["door"]}
    daemon.turn_until(lambda: len(daemon.publisher.pictures) > before)
    camera, picture = daemon.publisher.pictures[-1]
    assert camera == "door"
    assert picture is not None
    assert picture.startswith(b"\xff\xd8\xff")


def test_command_clears_what_is_named(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    daemon.done("threshold", threshold=0.7)
    seq = daemon.state("door").seq
    told = len(daemon.publisher.states["door"])
    assert daemon.done("clear", what="label", camera="door")["cameras"] == ["door"]
    # The next frame may have come meanwhile.
    shown = daemon.publisher.states["door"][told:]
    assert any((one.label, one.seq >= seq) == ("unknown", True) for one in shown)
    daemon.done("clear", what="overrides", camera="door")
    assert [daemon.state(name).threshold for name in ("door", "yard")] == [0.6, 0.7]
    daemon.done("clear", what="outbox")
    assert daemon.publisher.cleared == 1
    daemon.done("clear", what="store")


def test_command_acknowledges_incidents_and_drops_nothing(daemon: InProcessDaemon) -> None:
    publisher = daemon.publisher
    publisher.now = replace(publisher.now, incidents=("outbox.db was deleted",))
    daemon.configuration.announcement.publish_news()
    assert "outbox.db was deleted" in publisher.infos[-1]["notes"]
    assert daemon.done("clear", what="incidents")["cleared"] == "incidents"
    daemon.configuration.announcement.publish_news()
    assert "outbox.db was deleted" not in publisher.infos[-1]["notes"]
    assert (publisher.status.incidents, publisher.cleared) == ((), 0)


@pytest.mark.parametrize(
    ("command", "body", "words"),
    [
        ("enable", {"enabled": 1}, "enabled must be true or false"),
        ("enable", {"enabled": True, "camera": "roof"}, "no camera 'roof'; there are door, yard"),
        ("threshold", {"threshold": 2}, "threshold must be a number from 0 to 1"),
        ("snapshot", {"camera": 3}, "no camera 3"),
        ("clear", {"what": "disk"}, "what must be one of"),
        ("model", {"model": 5}, "model must be a text"),
        ("model", {"model": "a", "sha256": "AB"}, "sha256 must be 64 digits from 0 to f"),
        ("model", {"model": "a", "sha256": None}, "sha256 must be 64 digits from 0 to f"),
        ("model", {"model": "a", "source": "https://elsewhere"}, "model takes no source"),
        ("reload", {"now": True}, "reload takes no now"),
        ("reboot", {}, "no such command"),
    ],
)
def test_command_that_is_not_valid_is_refused(
    daemon: InProcessDaemon, command: str, body: dict[str, object], words: str
) -> None:
    assert words in daemon.refused(command, **body)


def test_command_with_too_many_requests_drops_and_says_so(
    daemon: InProcessDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(300):
        daemon.commands.receive("enable", b'{"enabled": true}')
    assert "request enable dropped: too many are waiting" in caplog.text
    daemon.goes_on()
    assert len(daemon.publisher.responses) == 256


def test_command_outlives_a_request_nested_as_deep_as_python_can_just_read(
    daemon: InProcessDaemon,
) -> None:
    most = sys.getrecursionlimit()
    for depth in range(most - 200, most):
        nested = b"[" * depth + b"]" * depth
        daemon.commands.receive("snapshot", b'{"transaction": %b}' % nested)
    daemon.goes_on()
    assert daemon.ask("snapshot")["status"] == "ok"
