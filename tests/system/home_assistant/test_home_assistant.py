"""The daemon in a real Home Assistant: entities appear, follow, go unavailable and come back."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_classifier.core.events import CameraState, LabelGlimpse, Moment
from edge_classifier.modelfile.catalogue import sha256_of
from edge_classifier.mqtt.codec.camera_payloads import state_payload
from edge_classifier.mqtt.codec.event_payloads import event_payload
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.discovery import DiscoveredDevice, discovery_payload
from edge_classifier.mqtt.topics import Topics
from tests.mjpeg import Colour, MjpegCamera, jpeg
from tests.mosquitto import Broker, Listener
from tests.system.home_assistant.homeassistant import HomeAssistant, installed
from tests.tiny import COLOURS, Tiny, build
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

RED: Colour = (0, 0, 255)
GREEN: Colour = (0, 255, 0)
BLUE: Colour = (255, 0, 0)
SETTINGS = """
[device]
name = "porch-pi"
[model]
use = "{model}"
[mqtt]
port = {port}
stats_s = 1
[http]
enabled = false
[decision]
smoothing = "none"
dwell_s = 0
[cameras.door]
title = "Front door"
source = "{url}"
read_timeout_s = 2
retry_max_s = 1
"""
LABEL = "sensor.porch_pi_door_label"
SCORE = "sensor.porch_pi_door_score"
EVENT = "event.porch_pi_door_change"
IMAGE = "image.porch_pi_door_snapshot"
SWITCH = "switch.porch_pi_door_enabled"
THRESHOLD = "number.porch_pi_door_threshold"
MODEL = "select.porch_pi_door_model"
LEAVE, RATE = "number.porch_pi_door_leave", "number.porch_pi_door_rate"
LOOK, QUIET = "select.porch_pi_door_look", "text.porch_pi_door_quiet_hours"
RESET = "button.porch_pi_door_reset_settings"
CONNECTION = "binary_sensor.porch_pi_door_connection"
MEMORY = "sensor.porch_pi_memory"
SETTINGS_OF_CAMERA = (SWITCH, THRESHOLD, LEAVE, RATE, LOOK, QUIET, RESET, MODEL)
OF_CAMERA = (LABEL, SCORE, EVENT, IMAGE, *SETTINGS_OF_CAMERA, CONNECTION)
UPDATE = "update.porch_pi_model"
OF_NODE = (
    MEMORY,
    UPDATE,
    "sensor.porch_pi_fps",
    "sensor.porch_pi_outbox",
    "sensor.porch_pi_temperature",
)
# What is in each line of Home Assistant's log that is about the daemon's messages.
COMPLAINTS = (
    "[homeassistant.components.mqtt",
    "[homeassistant.helpers.template]",
    "porch",
    "barn",
)
# Says when the broker is lost, which it is at times.
CONNECTION_LOG = "[homeassistant.components.mqtt.client]"


class Daemon:
    """``edge-classify run`` in a process of its own, with a memory that survives it."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder = folder
        self._settings = folder / "config.toml"
        self._settings.write_text(settings, "utf-8")
        self._log = folder / "daemon.log"
        self._environment = {"STATE_DIRECTORY": str(folder)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "edge_classifier", "run", "--config", str(self._settings)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stderr=log)

    def end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(30)
            finally:
                process.kill()

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as made:
        yield made


@pytest.fixture(scope="module")
def home(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeAssistant]:
    """Home Assistant with its MQTT integration on our broker."""
    with HomeAssistant(installed(), tmp_path_factory.mktemp("home")) as made:
        made.use_broker(broker.port)
        yield made


@pytest.fixture(scope="module")
def camera() -> Iterator[MjpegCamera]:
    with MjpegCamera() as made:
        made.picture = jpeg(RED)
        yield made


@pytest.fixture(scope="module")
def daemon(
    broker: Broker, camera: MjpegCamera, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """A daemon whose model names the colour before the camera."""
    folder = tmp_path_factory.mktemp("daemon")
    model = build(folder / "colours.tflite", Tiny())
    model.with_suffix(".labels.txt").write_text("\n".join(COLOURS), "utf-8")
    (folder / "models").mkdir()
    other = build(folder / "models/german 2.tflite", Tiny(size=(16, 16)))
    other.with_suffix(".labels.txt").write_text("rot\ngrün\nblau\n", "utf-8")
    settings = SETTINGS.format(model=model, port=broker.port, url=camera.url)
    with Daemon(folder, settings) as made:
        yield made


@pytest.fixture(autouse=True)
def _seen_without_complaint(
    home: HomeAssistant, daemon: Daemon, camera: MjpegCamera
) -> Iterator[None]:
    """Each test begins with a red label, and ends with nothing about us in the log."""
    camera.picture = jpeg(RED)
    wait_for(home, LABEL, "red")
    yield
    assert [line for line in home.log.splitlines() if is_about_us(line)] == []


def is_about_us(line: str) -> bool:
    """Whether a line of the log finds fault with what the daemon has sent."""
    fault = "WARNING" in line or "ERROR" in line
    return fault and CONNECTION_LOG not in line and any(word in line for word in COMPLAINTS)


def state(home: HomeAssistant, entity: str) -> str:
    """What Home Assistant shows; empty: there is no such entity."""
    return str(home.states().get(entity, {}).get("state", ""))


def wait_for(home: HomeAssistant, entity: str, wanted: str) -> None:
    eventually(lambda: state(home, entity) == wanted, within_s=60)


def test_every_entity_of_camera_and_device_appears(home: HomeAssistant) -> None:
    states = home.states()
    assert {entity for entity in states if "porch" in entity} == {*OF_CAMERA, *OF_NODE}
    assert states[LABEL]["attributes"]["options"] == [*COLOURS, "unknown"]
    assert states[LABEL]["attributes"]["friendly_name"] == "porch-pi Front door label"
    wait_for(home, CONNECTION, "on")
    eventually(lambda: state(home, MEMORY) not in {"unavailable", "unknown"}, within_s=60)
    assert float(state(home, MEMORY)) > 1


def test_label_event_and_picture_follow_the_camera(
    home: HomeAssistant, camera: MjpegCamera
) -> None:
    camera.picture = jpeg(BLUE)
    wait_for(home, LABEL, "blue")
    eventually(lambda: home.states()[EVENT]["attributes"].get("to") == "blue")
    assert home.states()[EVENT]["attributes"]["from"] == "red"
    assert float(state(home, SCORE)) > 90
    eventually(lambda: colour_shown(home) == BLUE)


def test_ends_and_glimpses_are_told_by_the_same_entity_with_what_they_have(
    home: HomeAssistant, broker: Broker, camera: MjpegCamera
) -> None:
    camera.picture = jpeg(GREEN)
    wait_for(home, LABEL, "green")
    topic, at = "edge-classifier/porch-pi/door/event", Moment(time.time(), time.monotonic())
    with Listener(broker.port, topic, name="events") as listener:
        camera.picture = jpeg(BLUE)
        wait_for(home, LABEL, "blue")
        eventually(lambda: len(listener.messages) >= 2)
        ended = json.loads(listener.messages[0].payload)
        assert (ended["event_type"], ended["label"]) == ("label_ended", "green")
        glimpse = LabelGlimpse(
            id=32 * "a", seq=1, camera="door", captured=at, model="m", label="red",
            started=at.utc, ended=at.utc, duration_s=1.25, frames=7, peak_score=0.9, peak_at=at.utc,
            reason="dwell", needs_s=0.5,
        )  # fmt: skip
        listener.publish(topic, encoded(event_payload(glimpse, str)))
        eventually(lambda: home.states()[EVENT]["attributes"]["event_type"] == "label_glimpsed")
        assert home.states()[EVENT]["attributes"]["duration_s"] == 1.25
        listener.publish(topic, listener.messages[0].payload)
        eventually(lambda: home.states()[EVENT]["attributes"]["event_type"] == "label_ended")
        assert home.states()[EVENT]["attributes"]["peak_score"] == ended["peak_score"]


def colour_shown(home: HomeAssistant) -> Colour:
    """The colour in the middle of the snapshot, as the browser gets it."""
    data = home.read(home.states()[IMAGE]["attributes"]["entity_picture"])
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    blue, green, red = (round(value / 255) * 255 for value in pixels[120, 160].tolist())
    return blue, green, red


def test_switch_stops_the_camera_and_starts_it_again(
    home: HomeAssistant, camera: MjpegCamera
) -> None:
    home.call("switch/turn_off", entity_id=SWITCH)
    wait_for(home, SWITCH, "off")
    camera.picture = jpeg(GREEN)
    home.call("switch/turn_on", entity_id=SWITCH)
    wait_for(home, SWITCH, "on")
    wait_for(home, LABEL, "green")


def test_number_sets_the_threshold(home: HomeAssistant, broker: Broker) -> None:
    with Listener(broker.port, "edge-classifier/porch-pi/response/threshold") as answers:
        home.call("number/set_value", entity_id=THRESHOLD, value=0.75)
        eventually(lambda: answers.messages)
    assert b'"ok"' in answers.messages[0].payload
    wait_for(home, THRESHOLD, "0.75")


def test_settings_of_a_camera_are_set_shown_and_taken_back(home: HomeAssistant) -> None:
    before = {entity: state(home, entity) for entity in (LEAVE, RATE, LOOK, QUIET)}
    assert before == {LEAVE: "0.4", RATE: "5.0", LOOK: "both", QUIET: ""}
    home.call("number/set_value", entity_id=LEAVE, value=0.3)
    home.call("number/set_value", entity_id=RATE, value=2.5)
    home.call("select/select_option", entity_id=LOOK, option="whole")
    home.call("text/set_value", entity_id=QUIET, value="02:00-02:01,03:00-03:01")
    after = {LEAVE: "0.3", RATE: "2.5", LOOK: "whole", QUIET: "02:00-02:01, 03:00-03:01"}
    for entity, value in after.items():
        wait_for(home, entity, value)
    home.call("button/press", entity_id=RESET)
    for entity, value in before.items():
        wait_for(home, entity, value)


def test_killed_daemon_is_unavailable_until_it_is_back(home: HomeAssistant, daemon: Daemon) -> None:
    daemon.end(signal.SIGKILL)
    for entity in (*OF_CAMERA, *OF_NODE):
        wait_for(home, entity, "unavailable")
    daemon.start()
    wait_for(home, LABEL, "red")
    wait_for(home, CONNECTION, "on")


def test_stopped_daemon_is_unavailable_until_it_is_back(
    home: HomeAssistant, daemon: Daemon
) -> None:
    daemon.end(signal.SIGTERM)
    wait_for(home, LABEL, "unavailable")
    daemon.start()
    wait_for(home, LABEL, "red")


def test_lost_camera_is_unavailable_and_the_device_is_not(
    home: HomeAssistant, camera: MjpegCamera
) -> None:
    camera.kill()
    wait_for(home, CONNECTION, "off")
    wait_for(home, LABEL, "unavailable")
    assert state(home, MEMORY) != "unavailable"
    camera.start()
    wait_for(home, CONNECTION, "on")
    wait_for(home, LABEL, "red")


def test_restarted_broker_brings_everything_back(home: HomeAssistant, broker: Broker) -> None:
    broker.kill()
    wait_for(home, LABEL, "unavailable")
    broker.start()
    wait_for(home, LABEL, "red")


def test_restarted_home_assistant_leaves_a_camera_off_and_has_its_label_and_picture_when_it_is_on(
    home: HomeAssistant, broker: Broker, camera: MjpegCamera
) -> None:
    home.call("switch/turn_off", entity_id=SWITCH)
    wait_for(home, SWITCH, "off")
    with (
        # By names of their own: the broker keeps for each what came while it was away.
        Listener(broker.port, "edge-classifier/porch-pi/door/event", name="since off") as events,
        Listener(broker.port, "edge-classifier/porch-pi/stats", name="stats since off") as stats,
    ):
        camera.picture = jpeg(BLUE)
        home.stop()
        home.start()
        wait_for(home, SWITCH, "off")
        # The daemon goes on, and says what it leaves out.
        told = len(stats.messages)
        eventually(lambda: len(stats.messages) > told + 1)
        assert not events.messages
        assert state(home, LABEL) != "blue"
        camera.picture = jpeg(RED)
        home.call("switch/turn_on", entity_id=SWITCH)
        wait_for(home, LABEL, "red")
    eventually(lambda: colour_shown(home) == RED)


def test_thousand_labels_are_shown_and_a_removed_camera_goes(
    home: HomeAssistant, broker: Broker
) -> None:
    topics = Topics("edge-classifier", "barn", "homeassistant")
    labels = ["unknown", *(f"label {number}" for number in range(1000))]
    device = DiscoveredDevice(
        topics, {"gate": "", "hay": ""}, "model", {"gate": labels}, stats_s=30
    )
    with Listener(broker.port, topics.requests, name="barn") as publisher:

        def publish(topic: str, payload: bytes) -> None:
            publisher.publish(topic, payload, retain=True)

        publish(topics.availability, b"online")
        publish(topics.camera_availability("gate"), b"online")
        publish(topics.discovery, encoded(discovery_payload(device)))
        wait_for(home, "sensor.barn_gate_label", "unknown")
        shown = CameraState("gate", "label 999", 0.5, 0.2, (), 0, 0, 1, "model", True, 0.4)
        publish(topics.state("gate"), encoded(state_payload(shown, str)))
        wait_for(home, "sensor.barn_gate_label", "label 999")
        left = replace(device, cameras={"gate": ""}, gone=["hay"])
        publish(topics.discovery, encoded(discovery_payload(left)))
        eventually(lambda: not any("barn_hay" in entity for entity in home.states()))
        assert state(home, "sensor.barn_gate_label") == "label 999"
        publish(topics.discovery, b"")
        eventually(lambda: not any("barn" in entity for entity in home.states()))


def test_update_shows_the_model_that_is_offered_and_installs_it(
    home: HomeAssistant, broker: Broker, daemon: Daemon
) -> None:
    """Near the end: a daemon that is killed within a minute would blame the model."""
    wait_for(home, UPDATE, "off")
    digest = sha256_of(daemon.folder / "models/german 2.tflite")
    offer = json.dumps({"model": "german 2", "sha256": digest})
    with Listener(broker.port, "nothing", name="page") as page:
        page.publish("edge-classifier/porch-pi/request/offer", offer)
    wait_for(home, UPDATE, "on")
    shown = home.states()[UPDATE]["attributes"]
    assert shown["latest_version"] == f"german 2@{digest[:8]}"
    assert shown["installed_version"].startswith("colours@")
    home.call("update/install", entity_id=UPDATE)
    wait_for(home, LABEL, "rot")
    wait_for(home, UPDATE, "off")
    assert home.states()[UPDATE]["attributes"]["installed_version"] == f"german 2@{digest[:8]}"
    home.call("select/select_option", entity_id=MODEL, option="colours")
    wait_for(home, LABEL, "red")


def test_select_changes_the_model_of_its_camera(home: HomeAssistant) -> None:
    """The last one, likewise."""
    wait_for(home, MODEL, "colours")
    assert {"colours", "german 2"} <= set(home.states()[MODEL]["attributes"]["options"])
    home.call("select/select_option", entity_id=MODEL, option="german 2")
    wait_for(home, MODEL, "german 2")
    wait_for(home, LABEL, "rot")
    # What it showed before is among them, and of the other labels none.
    options = home.states()[LABEL]["attributes"]["options"]
    assert {"rot", "grün", "blau", "unknown"} <= set(options) <= {*options[:4], "red"}
    # The way back to the configured one, which lies where it was put.
    assert "colours" in home.states()[MODEL]["attributes"]["options"]
    home.call("select/select_option", entity_id=MODEL, option="colours")
    wait_for(home, LABEL, "red")
