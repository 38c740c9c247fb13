"""What a device left at a real broker under another name is taken back, and nothing else."""

import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.mqtt.message_writer import CameraLabels
from edge_classifier.mqtt.publisher import Publisher
from tests.emitter import CAMERA, NODE, change, publisher, state
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.waiting import eventually

NEW = "garage"
# Longer than a broker keeps a dead connection.
LATER_S = 120.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The outbox."""
    return tmp_path / "state" / "outbox.db"


class Clock:
    """The machine's, and as much later as a test wants it."""

    later_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.later_s

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the time pass, again where a message was under way: its connection counts as dead."""
        step_at = 0.0

        def step() -> bool:
            nonlocal step_at
            if time.monotonic() >= step_at:
                step_at = time.monotonic() + 3
                self.later_s += LATER_S
            return condition()

        eventually(step, within_s=60)


@contextmanager
def running(
    port: int,
    path: Path,
    node: str = NODE,
    mqtt: MqttSettings | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Publisher]:
    """A device that has told everything it has to tell."""
    made = publisher(port, path, mqtt, node=node, clock=clock)
    made.describe_device({CAMERA: CameraLabels(("cat", "dog"), str)}, "model-1", stats_s=30)
    made.put_info({"version": "1"})
    made.start()
    made.put_events([change(1)], state(1), {change(1).id: lambda: b"a jpeg"})
    try:
        yield made
    finally:
        made.stop(5)


def retained(broker: Broker, name: str = "late") -> dict[str, bytes]:
    """What the broker keeps now."""
    with Listener(broker.port, "#", name=name) as listener:
        listener.publish("test/last", b"of all that is kept")
        eventually(lambda: listener.of("test/last"))
        return {one.topic: one.payload for one in listener.messages if one.retain}


def topics_of(
    node: str, *, base: str = "edge-classifier", prefix: str = "homeassistant"
) -> set[str]:
    root = f"{base}/{node}"
    of_camera = {f"{root}/{CAMERA}/{kind}" for kind in ("availability", "state", "snapshot")}
    own = {f"{root}/availability", f"{root}/info", *of_camera}
    return own | ({f"{prefix}/device/edge-classifier-{node}/config"} if prefix else set())


def leave(broker: Broker, path: Path) -> None:
    """The device was here, and has said good-bye."""
    with running(broker.port, path) as made:
        eventually(lambda: made.status.published == 1)
        eventually(lambda: set(retained(broker)) == topics_of(NODE))


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_renamed_device_takes_back_all_that_the_broker_keeps_of_its_old_name(
    broker: Broker, path: Path, protocol: str
) -> None:
    leave(broker, path)
    mqtt = MqttSettings(host=HOST, port=broker.port, protocol="5" if protocol == "5" else "3.1.1")
    with running(broker.port, path, NEW, mqtt) as made:
        eventually(lambda: set(retained(broker)) == topics_of(NEW))
        assert made.status.reason == ""
    # Once: nothing of it is remembered, and another device may have the name.
    with Listener(broker.port, f"edge-classifier/{NODE}/#") as listener:
        with running(broker.port, path, NEW) as made:
            eventually(lambda: made.status.published == 1)
        assert listener.messages == []


@pytest.mark.parametrize(
    ("mqtt", "left"),
    [
        ({"discovery_prefix": "ha"}, topics_of(NODE, prefix="ha")),
        ({"discovery": False}, topics_of(NODE, prefix="")),
        ({"base_topic": "cameras/house"}, topics_of(NODE, base="cameras/house")),
        ({"base_topic": "edge-classifier/porch"}, topics_of(NODE, base="edge-classifier/porch")),
    ],
)
def test_device_with_another_base_topic_or_prefix_keeps_what_is_its_own(
    broker: Broker, path: Path, mqtt: dict[str, str], left: set[str]
) -> None:
    leave(broker, path)
    settings = MqttSettings(host=HOST, port=broker.port, **mqtt)  # type: ignore[arg-type]
    with running(broker.port, path, mqtt=settings):
        eventually(lambda: set(retained(broker)) == left)


def test_copy_of_a_card_under_another_name_leaves_the_living_device_alone(
    broker: Broker, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leave(broker, path)
    copy = path.parent.parent / "copy" / "outbox.db"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    clock = Clock()
    with running(broker.port, path) as original:
        eventually(lambda: original.status.published == 1)
        with running(broker.port, copy, NEW, clock=clock) as made:
            eventually(lambda: made.status.published == 1)
            clock.until(lambda: "another device is online" in caplog.text)
            eventually(lambda: set(retained(broker)) == topics_of(NODE) | topics_of(NEW))
    # Not even when it is switched off later.
    with running(broker.port, copy, NEW) as made:
        eventually(lambda: made.status.published == 1)
        assert set(retained(broker)) == topics_of(NODE) | topics_of(NEW)


def test_device_that_lost_its_power_and_was_renamed_waits_for_its_last_will(
    broker: Broker, path: Path
) -> None:
    leave(broker, path)
    availability = f"edge-classifier/{NODE}/availability"
    with Listener(broker.port, "nothing", name="the broker, of a dead connection") as listener:
        listener.publish(availability, b"online", retain=True)
        with running(broker.port, path, NEW) as made:
            eventually(lambda: made.status.published == 1)
            assert topics_of(NODE) <= set(retained(broker))
            listener.publish(availability, b"offline", retain=True)
            eventually(lambda: set(retained(broker)) == topics_of(NEW))


def test_device_that_was_renamed_twice_while_the_broker_was_away_clears_both_names(
    broker: Broker, path: Path
) -> None:
    leave(broker, path)
    broker.save()
    broker.kill()
    with running(broker.port, path, "attic") as made:
        eventually(lambda: "nothing listens" in made.status.reason)
    with running(broker.port, path, NEW) as made:
        broker.start()
        eventually(lambda: made.status.published >= 1)
        eventually(lambda: set(retained(broker)) == topics_of(NEW))


def test_device_that_may_not_clear_its_old_name_says_so_once_and_works_on(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "rules"
    rules.write_text(f"topic read #\ntopic write edge-classifier/{NEW}/#\ntopic write test/#\n")
    with Broker(tmp_path / "broker") as broker:
        leave(broker, path)
        broker.save()
        broker.kill()
        broker.lines = ("allow_anonymous true", f"acl_file {rules}")
        broker.start()
        clock = Clock()
        with running(broker.port, path, NEW, clock=clock) as made:
            eventually(lambda: made.status.published == 1)
            denied = f"m[0-9]+, 'edge-classifier/{NODE}/availability', ... .0 bytes"
            eventually(lambda: re.search(f"Denied PUBLISH .*{denied}", broker.log))
            clock.until(lambda: "does not let this device clear" in caplog.text)
            assert topics_of(NODE) <= set(retained(broker))
        with running(broker.port, path, NEW) as made:
            eventually(lambda: made.status.published == 1)
    assert caplog.text.count("does not let this device clear") == 1


def test_camera_that_never_gave_a_frame_is_cleared_when_it_is_gone(
    broker: Broker, path: Path
) -> None:
    with running(broker.port, path) as first:
        first.follow_cameras({CAMERA: "Front", "gone": "Gone"})
        eventually(lambda: f"edge-classifier/{NODE}/gone/availability" in retained(broker))
    with running(broker.port, path):
        eventually(lambda: set(retained(broker)) == topics_of(NODE))
        config = retained(broker)[f"homeassistant/device/edge-classifier-{NODE}/config"]
        assert json.loads(config)["cmps"]["gone.label"] == {"p": "sensor"}
