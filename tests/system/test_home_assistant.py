"""The daemon in a real Home Assistant: entities appear, follow, go unavailable and come back."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_classifier.core.events import CameraState
from edge_classifier.mqtt.codec.camera_payloads import state_payload
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.discovery import DiscoveredDevice, discovery_payload
from edge_classifier.mqtt.topics import Topics
from tests.mjpeg import Colour, MjpegCamera, jpeg
from tests.mosquitto import Broker, Listener
from tests.system.homeassistant import HomeAssistant, installed
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
CONNECTION = "binary_sensor.porch_pi_door_connection"
MEMORY = "sensor.porch_pi_memory"
OF_CAMERA = (LABEL, SCORE, EVENT, IMAGE, SWITCH, THRESHOLD, CONNECTION)
OF_NODE = (MEMORY, "sensor.porch_pi_fps", "sensor.porch_pi_outbox", "sensor.porch_pi_temperature")
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


def test_restarted_home_assistant_has_label_and_picture_again(home: HomeAssistant) -> None:
    home.stop()
    home.start()
    wait_for(home, LABEL, "red")
    eventually(lambda: colour_shown(home) == RED)


def test_thousand_labels_are_shown_and_a_removed_camera_goes(
    home: HomeAssistant, broker: Broker
) -> None:
    topics = Topics("edge-classifier", "barn", "homeassistant")
    labels = ["unknown", *(f"label {number}" for number in range(1000))]
    device = DiscoveredDevice(topics, {"gate": "", "hay": ""}, "model", labels, stats_s=30)
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
