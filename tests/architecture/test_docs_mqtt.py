"""docs/mqtt.md against a daemon and a broker: what it shows is what comes, and all of it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from paho.mqtt import client as paho

from edge_classifier import samples
from edge_classifier.core.events import (
    CameraEvent,
    LabelChange,
    LabelEnd,
    LabelGlimpse,
    Moment,
    Ranked,
)
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.jpeg_comment import comment_of
from edge_classifier.daemon.command_requests import CLEARABLE, COMMANDS
from edge_classifier.daemon.host import HostStatus, decode_throttling
from edge_classifier.daemon.meters import STAGES
from edge_classifier.decision.reasons import Reason
from edge_classifier.mqtt.codec.event_payloads import (
    EVENT_TYPES,
    LABEL_CHANGED,
    event_payload,
    with_delay,
)
from edge_classifier.mqtt.codec.json_fields import encoded
from tests.architecture.mqtt_page import PAGE, rows, section
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker, Listener, Message, password_file
from tests.ports import HOST
from tests.running_daemon import HASTY, ROOT, Daemon, Tree, merged
from tests.waiting import eventually

HOME_ASSISTANT = (REPOSITORY / "docs" / "home-assistant.md").read_text("utf-8")


# Those of the documented access list, with a password each.
USERS = {"edge": "a", "homeassistant": "b", "viewer": "c"}


DISCOVERY = "homeassistant/device/edge-classifier-pi/config"


JSON_TOPICS = tuple(f"{ROOT}/{name}" for name in ("front/state", "stats", "info"))


# Keys whose values are looked at elsewhere, or differ by machine, settings and frame.
OPAQUE = {
    "box",
    "stages_ms",
    "cameras.reasons",
    "cameras.age_ms",
    "models.inference_ms",
    "settings",
    "configuration",
    "host.throttling",
}


_OF_ALL: Any = {
    "id": 32 * "a",
    "seq": 1,
    "camera": "front",
    "captured": Moment(1.0, 1.0),
    "model": "m",
    "path": ("cat",),
    "top": (Ranked("cat", 0.9),),
    "box": RelativeBox(0, 0, 1, 1),
}


_OF_SPANS: Any = {"label": "cat", "started": 1.0, "ended": 2.0, "duration_s": 1.0}


_OF_SPANS |= {"peak_score": 0.9, "peak_at": 1.5}


EVENTS = (
    LabelChange(**_OF_ALL, before="cat", after="dog", score=0.9, margin=0.5),
    LabelEnd(**_OF_ALL, **_OF_SPANS, episode=32 * "b"),
    LabelGlimpse(**_OF_ALL, **_OF_SPANS, frames=2, reason="dwell", needs_s=0.5),
)


SETTINGS: Tree = {
    "cameras": {
        "front": {
            "source": f"pictures:{samples.FOLDER}",
            "title": "Front door",
            "picture_s": 0,
            "rate_fps": 10,
        }
    },
    "decision": HASTY,
    "mqtt": {"username": "edge"},
}


def block(kind: str, text: str) -> str:
    """The one block of code of this kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def example(heading: str) -> Any:
    """The payload that a section shows."""
    return json.loads(block("json", section(heading)))


def keys(value: Any, at: str = "") -> set[str]:
    """Dotted keys of all that has no keys of its own; lists count as their items."""
    if isinstance(value, list) and value:
        return set[str]().union(*(keys(item, at) for item in value))
    if not isinstance(value, dict) or at in OPAQUE:
        return {at}
    if at == "cameras":  # Their names are no keys.
        value = {name: item for camera in value.values() for name, item in camera.items()}
    within = f"{at}." if at else ""
    return set[str]().union(*(keys(item, f"{within}{name}") for name, item in value.items()))


def leaves(names: set[str]) -> set[str]:
    """Without those that others are part of."""
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


@dataclass(frozen=True)
class World:
    daemon: Daemon
    broker: Broker
    listener: Listener

    def on(self, topic: str) -> list[Message]:
        return [message for message in list(self.listener.messages) if message.topic == topic]

    def keys_on(self, topic: str) -> set[str]:
        """Those of all payloads that have come."""
        return leaves(set[str]().union(*(keys(self.json(one)) for one in self.on(topic))))

    @classmethod
    def json(cls, message: Message) -> Any:
        return cls.json_of(message.payload)

    @staticmethod
    def json_of(payload: bytes) -> Any:
        return json.loads(payload)

    def has_shown_everything(self) -> bool:
        """Statistics of published events come last."""
        return any(self.json(one)["publisher"]["published"] for one in self.on(f"{ROOT}/stats"))


def as_user(name: str) -> Any:
    def prepare(client: paho.Client) -> None:
        client.username_pw_set(name, USERS[name])

    return prepare


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A daemon that uses a broker with the documented access list."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "acl").write_text(block("acl", PAGE))
    (folder / "acl").chmod(0o600)
    (folder / "password").write_text(USERS["edge"])
    (folder / "password").chmod(0o600)
    lines = (
        "allow_anonymous false",
        f"password_file {password_file(folder, **USERS)}",
        f"acl_file {folder / 'acl'}",
    )
    settings = merged(SETTINGS, {"mqtt": {"password_file": folder / "password"}})
    with Broker(folder / "broker", lines) as broker:
        watch = partial(Listener, broker.port, prepare=as_user("homeassistant"))
        daemon = Daemon(folder / "daemon", broker.port, settings, folder / "cache")
        with watch(f"{ROOT}/#", "homeassistant/#") as listener, daemon.running():
            made = World(daemon, broker, listener)
            asked = '{"camera": "front"}'
            eventually(lambda: made.on(f"{ROOT}/front/snapshot"))
            listener.publish(f"{ROOT}/request/burst", asked)
            eventually(lambda: made.on(f"{ROOT}/front/burst"))
            unknown = json.dumps({"model": "unknown", "sha256": "0" * 64})
            listener.publish(f"{ROOT}/request/model", unknown)
            listener.publish(f"{ROOT}/request/offer", unknown)
            eventually(lambda: "model_offered.version" in made.keys_on(f"{ROOT}/info"))
            eventually(lambda: "model_change.error" in made.keys_on(f"{ROOT}/info"))
            eventually(made.has_shown_everything, within_s=60)
            yield made


def sent_topics() -> dict[str, tuple[int, bool]]:
    """Documented topics that the daemon sends, with QoS and whether they are retained."""
    table = rows(section("Topics").partition("The daemon listens to")[0])
    return {topic: (int(qos), retained == "yes") for topic, qos, retained, _ in table}


def test_topics_that_come_are_those_of_the_page(world: World) -> None:
    come = {message.topic for message in world.listener.messages}
    others = {topic for topic in come if "/request/" in topic or "/response/" in topic}
    assert come - others == sent_topics().keys() - {f"{ROOT}/response/COMMAND"}


def test_qos_of_each_topic_is_that_of_the_page(world: World) -> None:
    come = {message.topic: message.qos for message in world.listener.messages}
    documented = {topic: qos for topic, (qos, _) in sent_topics().items() if topic in come}
    assert {topic: come[topic] for topic in documented} == documented


def test_retained_topics_are_those_of_the_page(world: World) -> None:
    wanted = {topic for topic, (_, retained) in sent_topics().items() if retained}
    prepare = as_user("homeassistant")
    with Listener(world.broker.port, "#", name="late", prepare=prepare) as late:
        eventually(lambda: wanted <= {one.topic for one in late.messages if one.retain})
        assert {one.topic for one in late.messages if one.retain} == wanted


def test_command_that_shows_everything_shows_no_pictures(world: World) -> None:
    if not shutil.which("mosquitto_sub"):
        pytest.skip("mosquitto_sub is not installed (apt install mosquitto-clients)")
    (typed,) = re.findall(r"^mosquitto_sub (-v -t 'edge-classifier/#'.*)$", PAGE, re.MULTILINE)
    login = f"-h {HOST} -p {world.broker.port} -u homeassistant -P {USERS['homeassistant']}"
    command = f"mosquitto_sub {login} --retained-only -C 4 {typed}"
    done = subprocess.run(["bash", "-ec", command], capture_output=True, check=True, timeout=30)
    # Availability of device and camera, state and info; a snapshot is kept as well.
    assert {line.split()[0] for line in done.stdout.decode().splitlines()} == {
        f"{ROOT}/{name}" for name in ("availability", "front/availability", "front/state", "info")
    }


@pytest.mark.parametrize("topic", [f"{ROOT}/availability", f"{ROOT}/front/availability"])
def test_availability_says_what_the_page_says(world: World, topic: str) -> None:
    assert world.on(topic)[-1].payload.decode() == block("", section(topic)).strip() == "online"


def test_snapshot_is_a_jpeg_that_names_its_event_as_the_page_says(world: World) -> None:
    picture = world.on(f"{ROOT}/front/snapshot")[0].payload
    assert picture.startswith(b"\xff\xd8\xff")
    words = block("text", section(f"{ROOT}/front/snapshot")).split()
    assert words[-1] == example(LABEL_CHANGED)["id"]
    *same, event_id = (comment_of(picture) or "").split()
    assert same == words[:-1]
    assert event_id in {world.json(event)["id"] for event in world.on(f"{ROOT}/front/event")}


def of_this_machine(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("host.")}


@pytest.mark.parametrize("topic", JSON_TOPICS)
def test_keys_of_a_payload_are_those_of_the_page(world: World, topic: str) -> None:
    come = world.keys_on(topic)
    shown = leaves(keys(example(topic)))
    listed = leaves({name for name, _ in rows(section(topic))})
    assert come - of_this_machine(come) == shown - of_this_machine(shown)
    assert come - of_this_machine(come) == listed - of_this_machine(listed)
    assert of_this_machine(come) | of_this_machine(shown) <= of_this_machine(listed)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_keys_of_an_event_are_those_of_the_page(world: World, event: CameraEvent) -> None:
    written = world.json_of(with_delay(encoded(event_payload(event, str)), 1.0))
    kind = written["event_type"]
    shown = example(kind)
    tables = rows(section(f"{ROOT}/front/event")) + rows(section(kind))
    listed = leaves({name for name, _ in tables} - set(EVENT_TYPES))
    assert shown["event_type"] == kind
    assert "`names`" in section(f"{ROOT}/front/event")
    assert leaves(keys(written)) == leaves(keys(shown)) == listed
    for come in map(world.json, world.on(f"{ROOT}/front/event")):
        if come["event_type"] == kind:
            # By label, of the embedded network's one other language.
            assert come.pop("names", {}).keys() <= {"zh"}
            # Nothing scores beside the first, perhaps.
            assert leaves(keys(come)) <= listed | {"top"}
            assert come.keys() == shown.keys()


def test_kinds_of_events_are_those_of_the_page(world: World) -> None:
    listed = [name for name, _ in rows(section(f"{ROOT}/front/event")) if name in EVENT_TYPES]
    assert listed == list(EVENT_TYPES)
    assert world.json(world.on(DISCOVERY)[-1])["cmps"]["front.change"]["event_types"] == listed


def test_listed_figures_of_the_machine_are_all_there_can_be() -> None:
    everything = HostStatus(50.0, decode_throttling(0), 1, 1, 0.5).stats()
    listed = {name for name, _ in rows(section(f"{ROOT}/stats"))}
    assert of_this_machine(listed) == {f"host.{name}" for name in everything}


def test_stages_and_reasons_of_the_page_are_those_there_are(world: World) -> None:
    shown = example(f"{ROOT}/stats")
    assert shown["stages_ms"].keys() == set(STAGES)
    assert world.json(world.on(f"{ROOT}/stats")[-1])["stages_ms"].keys() == set(STAGES)
    assert shown["cameras"]["front"]["reasons"].keys() <= set(Reason)


def test_shown_part_of_the_discovery_message_is_as_it_comes(world: World) -> None:
    come = world.json(world.on(DISCOVERY)[-1])
    shown = example(DISCOVERY)
    (key,) = shown["cmps"]
    for payload in (come, shown):
        # The digits of a model's file are others whenever it is made anew.
        payload["dev"]["mdl"], at, digits = payload["dev"]["mdl"].partition("@")
        assert (at, len(digits)) == ("@", 8)
    assert shown == {**come, "cmps": {key: come["cmps"][key]}}
    assert len(come["cmps"]) == 18


def test_entities_of_the_home_assistant_page_are_those_that_are_announced(world: World) -> None:
    components = world.json(world.on(DISCOVERY)[-1])["cmps"].values()
    announced = {component["default_entity_id"] for component in components}
    assert {entity for entity, *_ in rows(section("What appears", HOME_ASSISTANT))} == announced
    # The dashboard and the automations are copied as they stand.
    assert set(re.findall(r"\b\w+\.pi_\w+", HOME_ASSISTANT)) == announced


def test_every_command_has_a_section() -> None:
    sections = set(re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE))
    assert sections == set(COMMANDS)


def test_everything_that_can_be_cleared_is_listed() -> None:
    assert [what for what, _ in rows(section("clear"))] == list(CLEARABLE)


# A burst comes before the example that switches the camera off.
@pytest.mark.parametrize("heading", [*sorted(COMMANDS), "Errors"])
def test_example_of_a_command_works_and_is_answered_as_shown(world: World, heading: str) -> None:
    if not shutil.which("mosquitto_pub"):
        pytest.skip("mosquitto_pub is not installed (apt install mosquitto-clients)")
    # What the example of `reload` finds changed.
    changed: Tree = {"cameras": {"front": {"title": "Porch"}}, "mqtt": {"client_id": "another"}}
    world.daemon.configure(merged(world.daemon.settings, changed))
    typed = block("sh", section(heading))
    (command,) = re.findall(r"request/(\w+)", typed)
    before = len(world.on(f"{ROOT}/response/{command}"))
    login = f"-h {HOST} -p {world.broker.port} -u homeassistant -P {USERS['homeassistant']}"
    typed = typed.replace("mosquitto_pub", f"mosquitto_pub {login}")
    subprocess.run(["bash", "-ec", typed], check=True, timeout=30)
    eventually(lambda: len(world.on(f"{ROOT}/response/{command}")) > before)
    answers = world.on(f"{ROOT}/response/{command}")
    assert world.json(answers[-1]) == example(heading)
    assert answers[-1].qos == sent_topics()[f"{ROOT}/response/COMMAND"][0]


def test_documented_viewer_sees_the_topics_and_may_ask_for_nothing(world: World) -> None:
    asked = f"{ROOT}/request/snapshot"
    with Listener(world.broker.port, f"{ROOT}/#", name="v", prepare=as_user("viewer")) as viewer:
        eventually(lambda: viewer.of("/front/state"))
        viewer.publish(asked, "{}")
        world.listener.publish(asked, '{"transaction": "last"}')
        eventually(lambda: any(b'"last"' in one.payload for one in viewer.of("/response/snapshot")))
    assert [one.payload for one in viewer.of("/request/snapshot")] == [b'{"transaction": "last"}']
