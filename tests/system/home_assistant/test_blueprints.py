"""The blueprints in a real Home Assistant: a message with its picture, a light, a lock.

And what docs/home-assistant.md has for copying.
"""

import json
import re
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import yaml

from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.discovery import DiscoveredDevice, discovery_payload
from edge_classifier.mqtt.topics import Topics
from tests.conftest import REPOSITORY
from tests.mjpeg import jpeg
from tests.mosquitto import Broker, Listener
from tests.system.home_assistant.homeassistant import HomeAssistant, installed
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

BLUEPRINTS = REPOSITORY / "scripts" / "home-assistant" / "blueprints"
TOPICS = Topics("edge-classifier", "gatehouse", "homeassistant")
ENTITY = "gatehouse_gate"
HOLD_S = 2
LABELS = ("unknown", "anna", "cat", "tabby", "stranger")
INPUTS: dict[str, dict[str, Any]] = {
    "lock": {
        "change": f"event.{ENTITY}_change",
        "label": f"sensor.{ENTITY}_label",
        "connection": f"binary_sensor.{ENTITY}_connection",
        "lock": "lock.gate_lock",
        "safe_label": "anna",
        "least_score": 0.9,
        "hold_s": HOLD_S,
    },
    "light": {
        "label": f"sensor.{ENTITY}_label",
        "wanted": "cat",
        "light": "light.gate_light",
        "on_after": 1,
        "off_after": 1,
    },
    "notification": {
        "change": f"event.{ENTITY}_change",
        "snapshot": f"image.{ENTITY}_snapshot",
        "labels": "cat, fox",
        "tell": [
            {
                "action": "mqtt.publish",
                "data": {"topic": "told", "payload": "{{ title }}|{{ message }}|{{ picture }}"},
            }
        ],
    },
}


class Gate:
    """A camera as its daemon would be heard, and the things that Home Assistant switches."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._seq = 0

    def publish(self, topic: str, payload: bytes | str, *, retain: bool = True) -> None:
        self._listener.publish(topic, payload, retain=retain)

    def appear(self) -> None:
        device = DiscoveredDevice(
            TOPICS, {"gate": ""}, "model", {"gate": LABELS}, stats_s=30, models=["model"]
        )
        self.publish(TOPICS.availability, b"online")
        self.publish(TOPICS.camera_availability("gate"), b"online")
        for kind in ("lock", "light"):
            config = {"name": f"gate {kind}", "unique_id": f"gate-{kind}"}
            self.publish(
                f"homeassistant/{kind}/gate/config",
                json.dumps({**config, "command_topic": f"commands/{kind}"}),
            )
        self.publish(TOPICS.discovery, encoded(discovery_payload(device)))

    def shows(self, label: str, score: float = 0.97, at: datetime | None = None) -> None:
        """The retained state."""
        state = {
            "label": label,
            "name": label,
            "score": score,
            "margin": 0.5,
            "top": [],
            "path": ["animal", "cat", "tabby"] if label == "tabby" else [label],
            "since": stamp(at),
            "ts": stamp(at),
            "seq": self._seq,
            "model": "m",
            "enabled": True,
            "threshold": 0.5,
            "problem": None,
        }
        self.publish(TOPICS.state("gate"), json.dumps(state))

    def changes(self, label: str, score: float = 0.97, at: datetime | None = None) -> None:
        """The event, and the state that belongs to it."""
        self._seq += 1
        event = {
            "event_type": "label_changed",
            "id": f"{self._seq:032x}",
            "camera": "gate",
            "seq": self._seq,
            "from": "unknown",
            "to": label,
            "to_name": label,
            "path": ["animal", "cat", "tabby"] if label == "tabby" else [label],
            "score": score,
            "ts": stamp(at),
        }
        self.publish(TOPICS.event("gate"), json.dumps(event), retain=False)
        self.shows(label, score, at)

    def told(self) -> list[str]:
        return [message.payload.decode() for message in self._listener.of("told")]


def stamp(at: datetime | None) -> str:
    return (at or datetime.now(UTC)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as made:
        yield made


@pytest.fixture(scope="module")
def gate(broker: Broker) -> Iterator[Gate]:
    with Listener(broker.port, "told", name="gate") as listener:
        yield Gate(listener)


@pytest.fixture(scope="module")
def home(
    broker: Broker, gate: Gate, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HomeAssistant]:
    """Home Assistant with an automation of each blueprint, made as its dialogue does."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(BLUEPRINTS, folder / "blueprints")
    (folder / "automations.yaml").write_text("[]")
    made = HomeAssistant(installed(), folder, more="automation: !include automations.yaml\n")
    with made:
        made.use_broker(broker.port)
        gate.appear()
        gate.shows("unknown")
        eventually(lambda: state(made, f"sensor.{ENTITY}_label") == "unknown", within_s=60)
        for name, inputs in INPUTS.items():
            use = {"path": f"edge_classifier/{name}.yaml", "input": inputs}
            automation = {"alias": name, "use_blueprint": use}
            made.post(f"/api/config/automation/config/{name}", automation)
        for name in INPUTS:
            eventually(partial(is_on, made, f"automation.{name}"), within_s=60)
        yield made


@pytest.fixture(autouse=True)
def _shut(home: HomeAssistant, gate: Gate) -> Iterator[None]:
    """Each test begins with an empty gate that is shut, and ends without a complaint."""
    gate.publish(TOPICS.camera_availability("gate"), b"online")
    gate.changes("unknown")
    home.call("lock/lock", entity_id="lock.gate_lock")
    eventually(lambda: state(home, "lock.gate_lock") == "locked")
    eventually(lambda: state(home, f"sensor.{ENTITY}_label") == "unknown")
    eventually(lambda: state(home, "light.gate_light") in ("off", "unknown"), within_s=20)
    yield
    log = [line for line in home.log.splitlines() if "ERROR" in line or "automation" in line]
    assert [line for line in log if "mqtt.client" not in line] == []


def is_on(home: HomeAssistant, entity: str) -> bool:
    return state(home, entity) == "on"


def has_run(home: HomeAssistant, automation: str) -> bool:
    return home.states()[automation]["attributes"]["last_triggered"] is not None


def state(home: HomeAssistant, entity: str) -> str:
    return str(home.states().get(entity, {}).get("state", ""))


def stays_shut(home: HomeAssistant, seconds: float = HOLD_S + 3) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert state(home, "lock.gate_lock") == "locked"
        time.sleep(0.2)


def test_lock_opens_when_the_safe_label_has_come_and_stayed_and_shuts_when_it_goes(
    home: HomeAssistant, gate: Gate
) -> None:
    gate.changes("anna")
    began = time.monotonic()
    eventually(lambda: state(home, "lock.gate_lock") == "unlocked")
    assert time.monotonic() - began > HOLD_S - 0.5
    gate.shows("anna", 0.91)
    assert state(home, "lock.gate_lock") == "unlocked"
    gate.changes("stranger")
    eventually(lambda: state(home, "lock.gate_lock") == "locked")


def test_lock_stays_shut_for_a_stale_retained_state_also_over_a_restart(
    home: HomeAssistant, gate: Gate
) -> None:
    gate.shows("anna", at=datetime.now(UTC) - timedelta(hours=3))
    stays_shut(home)
    gate.shows("anna")
    stays_shut(home)
    home.stop()
    home.start()
    eventually(lambda: state(home, f"sensor.{ENTITY}_label") == "anna", within_s=60)
    eventually(lambda: state(home, "automation.lock") == "on", within_s=60)
    home.call("lock/lock", entity_id="lock.gate_lock")
    stays_shut(home, HOLD_S + 5)


@pytest.mark.parametrize(
    ("label", "score", "ago_s"),
    [("unknown", 0.1, 0), ("stranger", 0.99, 0), ("anna", 0.8, 0), ("anna", 0.99, 3 * 3600)],
)
def test_lock_stays_shut_for_what_is_not_sure_not_safe_or_not_now(
    home: HomeAssistant, gate: Gate, label: str, score: float, ago_s: int
) -> None:
    gate.changes(label, score, datetime.now(UTC) - timedelta(seconds=ago_s))
    stays_shut(home)


def test_lock_stays_shut_when_the_label_does_not_stay_or_becomes_unsure(
    home: HomeAssistant, gate: Gate
) -> None:
    gate.changes("anna")
    time.sleep(HOLD_S / 4)
    # The lens is covered.
    gate.changes("unknown", 0.2)
    stays_shut(home)
    gate.changes("anna")
    time.sleep(HOLD_S / 4)
    gate.shows("anna", 0.6)
    stays_shut(home)


def test_lock_shuts_and_stays_shut_when_the_camera_is_offline(
    home: HomeAssistant, gate: Gate
) -> None:
    gate.changes("anna")
    eventually(lambda: state(home, "lock.gate_lock") == "unlocked")
    gate.publish(TOPICS.camera_availability("gate"), b"offline")
    eventually(lambda: state(home, "lock.gate_lock") == "locked")
    gate.changes("anna")
    stays_shut(home)


def test_light_is_on_while_the_label_or_one_below_it_is_there(
    home: HomeAssistant, gate: Gate
) -> None:
    gate.changes("tabby")
    eventually(lambda: state(home, "light.gate_light") == "on")
    gate.changes("stranger")
    eventually(lambda: state(home, "light.gate_light") == "off")


def test_message_has_the_picture_of_the_episode_and_late_ones_are_not_told(
    home: HomeAssistant, gate: Gate
) -> None:
    # What another test has shown is told.
    eventually(
        lambda: home.states()["automation.notification"]["attributes"]["current"] == 0, within_s=30
    )
    before = len(gate.told())
    gate.changes("stranger")
    gate.changes("cat", at=datetime.now(UTC) - timedelta(hours=3))
    gate.changes("tabby")
    gate.publish(TOPICS.snapshot("gate"), jpeg((0, 0, 255)))
    eventually(lambda: len(gate.told()) > before, within_s=20)
    title, message, picture = gate.told()[before].split("|")
    assert (title, message[-4:]) == ("tabby", "97 %")
    assert home.read(picture) == jpeg((0, 0, 255))
    time.sleep(2)
    assert len(gate.told()) == before + 1


def documented() -> list[dict[str, Any]]:
    """What docs/home-assistant.md has for copying, with the names and the patience of this test."""
    text = (REPOSITORY / "docs/home-assistant.md").read_text("utf-8")
    text = text.replace("pi_front", ENTITY).replace("light.porch", "light.gate_light")
    blocks = re.findall("```yaml\n(.*?)```", text.replace('"00:00:10"', '"00:00:01"'), re.DOTALL)
    return [yaml.safe_load(block) for block in blocks]


def test_automations_and_dashboard_of_the_document_work_when_copied(
    home: HomeAssistant, gate: Gate
) -> None:
    tell, light, dashboard = documented()
    for number, automation in enumerate((tell, light)):
        home.post(f"/api/config/automation/config/copied_{number}", automation)
    told, lit = "automation.tell_what_is_at_the_door", "automation.light_for_the_cat"
    for entity in (told, lit):
        eventually(partial(is_on, home, entity), within_s=60)
    gate.changes("cat")
    for entity in (told, lit):
        eventually(partial(has_run, home, entity), within_s=20)
    eventually(lambda: state(home, "light.gate_light") == "on")
    home.call("light/turn_off", entity_id="light.gate_light")
    for number in range(2):
        home.delete(f"/api/config/automation/config/copied_{number}")
    named = set(re.findall(r"\b[a-z]+\.gatehouse_gate_\w+", json.dumps(dashboard)))
    assert named <= set(home.states())
    assert len(named) == 7
