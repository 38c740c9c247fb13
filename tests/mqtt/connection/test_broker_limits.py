"""A message that the broker does not take must not stop the others, whatever the reason."""

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.core.jpeg_comment import event_comment, event_of
from edge_classifier.mqtt.connection.broker_limits import BrokerLimits, SentPacket, StatedLimits
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.vision.jpeg import jpeg_with_comment
from tests.emitter import CAMERA, ROOT, change, publisher, state
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.waiting import eventually

Protocol = Literal["3.1.1", "5"]
PROTOCOLS: Sequence[Protocol] = ("3.1.1", "5")
EVENT = "0123456789abcdef0123456789abcdef"
MANY_LABELS = [f"a label of some length, number {number}" for number in range(10_000)]


@contextmanager
def limited(folder: Path, *lines: str) -> Iterator[Broker]:
    with Broker(folder / "broker", ("allow_anonymous true", *lines)) as broker:
        yield broker


@contextmanager
def running(broker: Broker, folder: Path, protocol: Protocol, **more: Any) -> Iterator[Publisher]:
    mqtt = MqttSettings(host=HOST, port=broker.port, protocol=protocol)
    made = publisher(broker.port, folder / "state" / "outbox.db", mqtt, **more)
    made.start()
    try:
        yield made
    finally:
        made.stop(5)


def noise(width: int = 640, height: int = 480) -> Frame:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Frame(pixels, ColourOrder.BGR)


def emit(made: Publisher, first: int, count: int) -> None:
    for seq in range(first, first + count):
        made.put_events([change(seq)], state(seq))


def ids(listener: Listener) -> list[str]:
    return list(dict.fromkeys(json.loads(one.payload)["id"] for one in listener.of("/event")))


def kept(broker: Broker, topic: str, name: str) -> bytes:
    """What the broker retains on ``topic``."""
    with Listener(broker.port, topic, name=name) as late:
        eventually(lambda: late.messages)
        return late.messages[0].payload


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_events_arrive_though_other_messages_are_larger_than_the_broker_takes(
    tmp_path: Path, protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    """``info`` with 10,000 labels comes shortened, the picture smaller, and all events at once."""
    frame = noise()
    with (
        caplog.at_level(logging.WARNING, "edge_classifier"),
        limited(tmp_path, "max_packet_size 10000") as broker,
        Listener(broker.port, f"{ROOT}/#") as listener,
        running(broker, tmp_path, protocol) as made,
    ):
        made.put_info({"version": "1", "notes": [], "labels": MANY_LABELS, "configuration": {}})
        emit(made, 1, 99)
        made.put_events(
            [change(100, name=EVENT)],
            state(100),
            {EVENT: lambda: jpeg_with_comment(frame, 100_000, event_comment(EVENT))},
        )
        eventually(lambda: made.status.waiting == 0 and len(ids(listener)) == 100)
        assert ids(listener) == [*(f"{CAMERA}-{seq}" for seq in range(1, 100)), EVENT]
        eventually(lambda: listener.of("/snapshot"))
        eventually(lambda: any("broker" in note for note in newest_info(listener)["notes"]))
        assert event_of(listener.of("/snapshot")[-1].payload) == EVENT
        assert all(len(one.payload) <= 10_000 for one in listener.messages)
        info = newest_info(listener)
        assert 0 < len(info["labels"]) < 1_000
        assert any("10000 labels" in note for note in info["notes"])
        assert made.status.connected
        assert "made smaller" in made.status.reason
        assert f"{ROOT}/{CAMERA}/snapshot" in made.status.reason
        assert made.status.packet_limit is not None
        assert made.status.packet_limit <= 10_000
        said = [one.getMessage() for one in caplog.records if "made smaller" in one.getMessage()]
        assert said
        # And it stays so: nothing ends the connection any more.
        ended = broker.log.count("disconnected")
        made.put_info({"version": "2", "notes": [], "labels": MANY_LABELS, "configuration": {}})
        emit(made, 101, 50)
        eventually(lambda: made.status.published >= 150)
        eventually(lambda: newest_info(listener)["version"] == "2")
        assert broker.log.count("disconnected") == ended


def newest_info(listener: Listener) -> dict[str, Any]:
    found = listener.of("porch/info")
    return dict(json.loads(found[-1].payload)) if found else {"notes": [], "version": ""}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_events_larger_than_the_broker_takes_wait_and_go_when_it_takes_more(
    tmp_path: Path, protocol: Protocol
) -> None:
    with (
        limited(tmp_path, "max_packet_size 700") as broker,
        Listener(broker.port, f"{ROOT}/#") as listener,
        running(broker, tmp_path, protocol) as made,
    ):
        made.put_events([change(1, name="x" * 600)], state(1))
        emit(made, 2, 30)
        eventually(lambda: made.status.published == 30 and made.status.set_aside == 1)
        eventually(lambda: len(ids(listener)) == 30)
        assert made.status.waiting == 1
        assert made.status.dropped == 0
        assert f"{ROOT}/{CAMERA}/event" in made.status.reason
        broker.kill()
        broker.lines = ("allow_anonymous true",)
        eventually(lambda: "nothing listens" in made.status.reason)
        broker.start()
        listener.await_subscribed()
        eventually(lambda: made.status.waiting == 0)
        eventually(lambda: "x" * 600 in ids(listener))
        eventually(lambda: made.status.reason == "" and made.status.set_aside == 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_events_at_a_broker_that_takes_hardly_anything_stay_in_the_outbox(
    tmp_path: Path, protocol: Protocol
) -> None:
    with limited(tmp_path, "max_packet_size 100") as broker:
        with running(broker, tmp_path, protocol) as made:
            emit(made, 1, 3)
            eventually(lambda: made.status.set_aside == 3)
            eventually(lambda: made.status.connected)
            assert made.status.waiting == 3
            assert made.status.dropped == 0
        broker.kill()
        broker.lines = ("allow_anonymous true",)
        broker.start()
        with (
            Listener(broker.port, f"{ROOT}/#") as listener,
            running(broker, tmp_path, protocol),
        ):
            eventually(lambda: ids(listener) == [f"{CAMERA}-{seq}" for seq in (1, 2, 3)])


def test_broker_that_drops_large_payloads_and_says_so_gets_smaller_ones(tmp_path: Path) -> None:
    """mosquitto's message_size_limit: an acknowledgement with a reason, in MQTT 5 only."""
    with (
        limited(tmp_path, "message_size_limit 3000") as broker,
        Listener(broker.port, f"{ROOT}/#") as listener,
        running(broker, tmp_path, "5") as made,
    ):
        made.put_info({"version": "1", "notes": [], "labels": MANY_LABELS, "configuration": {}})
        emit(made, 1, 5)
        eventually(lambda: made.status.waiting == 0 and len(ids(listener)) == 5)
        eventually(lambda: listener.of("porch/info"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_broker_without_retained_messages_gets_all_the_rest(
    tmp_path: Path, protocol: Protocol
) -> None:
    with (
        limited(tmp_path, "retain_available false") as broker,
        Listener(broker.port, f"{ROOT}/#") as listener,
        running(broker, tmp_path, protocol) as made,
    ):
        if protocol == "3.1.1":
            eventually(lambda: 'mqtt.protocol = "5"' in made.status.reason)
            return
        emit(made, 1, 5)
        eventually(lambda: len(ids(listener)) == 5)
        eventually(lambda: listener.of("/state"))


def test_broker_of_qos_0_gets_events_and_health_says_what_that_means(tmp_path: Path) -> None:
    with (
        limited(tmp_path, "max_qos 0") as broker,
        Listener(broker.port, f"{ROOT}/#") as listener,
        running(broker, tmp_path, "5") as made,
    ):
        emit(made, 1, 50)
        eventually(lambda: len(ids(listener)) == 50)
        eventually(lambda: made.status.waiting == 0)
        assert "QoS 0 only" in made.status.reason


def test_description_that_ends_the_connection_is_set_aside_and_events_go_on(
    tmp_path: Path,
) -> None:
    """A broker of MQTT 3.1.1 may answer a topic that is not ours by ending the connection."""
    limits = BrokerLimits(lambda: 0.0)
    config = SentPacket("homeassistant/device/porch/config", 9_000)
    event = SentPacket("porch/front/event", 400, "1")
    assert limits.end([config, event]) is None
    assert limits.is_careful
    limits.take(event)
    assert limits.end([config]) is None
    assert limits.end([config]) == config
    assert limits.refuses(config)
    assert not limits.refuses(SentPacket("porch/front/snapshot", 100_000))
    limits.settle()
    assert not limits.is_careful


def test_limits_take_a_topic_for_refused_when_its_events_are_one_after_the_other() -> None:
    limits = BrokerLimits(lambda: 0.0)
    for event_id in ("1", "2"):
        event = SentPacket("porch/front/event", 400, event_id)
        assert [limits.end([event]) for _ in range(3)] == [None, None, event]
    assert limits.refuses(SentPacket("porch/front/event", 400, "3"))
    assert not limits.refuses(SentPacket("porch/back/event", 400, "4"))


def test_limits_that_were_concluded_are_forgotten_and_those_that_were_said_are_not() -> None:
    now = [0.0]
    limits = BrokerLimits(lambda: now[0])
    limits.stated = StatedLimits(packet_bytes=50_000)
    info = SentPacket("porch/info", 40_000)
    limits.end([info])
    limits.end([info])
    limits.take(SentPacket("porch/info", 10_000))
    assert limits.packet_bytes == 10_000
    assert not limits.forget_old()
    now[0] = 3_601
    assert limits.forget_old()
    assert limits.packet_bytes == 50_000


def test_limits_are_not_concluded_from_a_broker_that_was_away_in_between() -> None:
    limits = BrokerLimits(lambda: 0.0)
    event = SentPacket("porch/front/event", 400, "1")
    for _ in range(20):
        limits.end([event])
        limits.forget()
    assert not limits.refuses(event)


@pytest.mark.parametrize("real", [5_000, 60_000, 256_000])
def test_limits_come_close_to_what_the_broker_takes_within_a_few_connections(real: int) -> None:
    limits, ended, size = BrokerLimits(lambda: 0.0), 0, 400_000
    while size > real:
        ended += 1
        limits.end([SentPacket("porch/info", size)])
        size = min(size, limits.max_bytes("porch/info") or size)
    limits.take(SentPacket("porch/info", size))
    assert ended <= 5
    assert real / 4 <= (limits.packet_bytes or 0) <= real
