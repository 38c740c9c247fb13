"""The publisher against a real broker: what arrives, and what survives."""

import json
import math
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.mqtt.message_writer import CameraLabels
from edge_classifier.mqtt.publisher import Publisher
from tests.emitter import CAMERA, ROOT, change, publisher, state
from tests.mosquitto import Broker, Listener
from tests.mqtt.publisher.publishing import CONFIG, arrived, emit, ids, named, running
from tests.ports import HOST
from tests.smalldisk import fill, tmpfs
from tests.waiting import eventually


def has_published(made: Publisher, count: int) -> bool:
    return made.status.published == count


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_publisher_with_a_broker_publishes_events_in_order_with_their_delay(
    broker: Broker, path: Path, protocol: Any
) -> None:
    mqtt = MqttSettings(host=HOST, port=broker.port, protocol=protocol)
    made = publisher(broker.port, path, mqtt)
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        emit(made, 100)
        eventually(lambda: len(listener.of("/event")) >= 100)
        eventually(lambda: made.status.published == 100 and made.status.waiting == 0)
        assert ids(listener) == named(100)
        first = json.loads(listener.of("/event")[0].payload)
        assert 0 < first.pop("capture_to_publish_ms") < 20_000
        assert first["from"] == "cat"
        assert first["to"] == "unknown"
        assert not any(message.retain for message in listener.of("/event"))
        assert {message.qos for message in listener.of("/event")} == {1}
        assert made.status.connected
        assert made.status.reason == ""


def test_publisher_on_connecting_says_who_is_there_and_then_sends_events_before_the_rest(
    broker: Broker, path: Path
) -> None:
    with Listener(broker.port, "#") as listener:
        made = publisher(broker.port, path)
        made.put_camera_health(CAMERA, online=True)
        made.describe_device(
            {CAMERA: CameraLabels(("cat", "dog"), str.upper)}, "model-1", stats_s=30
        )
        made.put_info({"version": "1"})
        emit(made, 40)

        def order() -> list[str]:
            return list(dict.fromkeys(message.topic for message in listener.messages))

        with running(made):
            eventually(lambda: len(ids(listener)) == 40 and len(order()) >= 6)
    assert order()[:6] == [
        f"{ROOT}/availability",
        f"{ROOT}/{CAMERA}/availability",
        f"{ROOT}/{CAMERA}/event",
        CONFIG,
        f"{ROOT}/info",
        f"{ROOT}/{CAMERA}/state",
    ]


def test_publisher_retains_all_but_events_statistics_and_responses(
    broker: Broker, path: Path
) -> None:
    made = publisher(broker.port, path)
    made.put_camera_health(
        CAMERA, online=True
    )  # Before it connects, or it would say offline first.
    with Listener(broker.port, f"{ROOT}/#", name="early") as early, running(made):
        made.describe_device({CAMERA: CameraLabels(("cat", "dog"), str)}, "model-1", stats_s=30)
        made.put_info({"version": "1"})
        made.put_stats({"fps": 1.5})
        made.put_events([change(1)], state(1), {change(1).id: lambda: b"a jpeg"})
        made.put_response("enable", {"status": "ok"})
        eventually(lambda: len({message.topic for message in early.messages}) == 8)
        with Listener(broker.port, f"{ROOT}/#", CONFIG, name="late") as late:
            eventually(lambda: len(late.messages) == 6)
            kept = {message.topic: message.payload for message in late.messages}
    assert kept[f"{ROOT}/availability"] == b"online"
    assert kept[f"{ROOT}/{CAMERA}/availability"] == b"online"
    assert kept[f"{ROOT}/{CAMERA}/snapshot"] == b"a jpeg"
    assert json.loads(kept[f"{ROOT}/{CAMERA}/state"])["label"] == "cat"
    assert json.loads(kept[f"{ROOT}/info"]) == {"version": "1"}
    assert "front.label" in json.loads(kept[CONFIG])["cmps"]


def test_publisher_during_an_outage_collapses_states_and_keeps_all_events(
    broker: Broker, path: Path
) -> None:
    made = publisher(broker.port, path)
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: made.status.connected)
        broker.save()
        broker.kill()
        eventually(lambda: not made.status.connected)
        emit(made, 50)
        made.put_stats({"fps": 1})
        eventually(lambda: made.status.waiting == 50)
        before = len(listener.of("/state"))
        broker.start()
        listener.await_subscribed()
        eventually(lambda: len(set(ids(listener))) == 50)
        # Behind the events; twice if the listener has subscribed anew after it: then it is told of
        # the retained one.
        eventually(lambda: len(listener.of("/state")) > before)
        states = {json.loads(message.payload)["seq"] for message in listener.of("/state")[before:]}
        assert states == {50}
        assert list(dict.fromkeys(ids(listener))) == named(50)


def test_publisher_takes_back_a_picture_and_tells_how_often_statistics_come(
    broker: Broker, path: Path
) -> None:
    made = publisher(broker.port, path)
    with Listener(broker.port, f"{ROOT}/#", CONFIG) as listener, running(made):
        made.put_snapshot(CAMERA, lambda: b"a jpeg")
        made.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=600)
        eventually(lambda: listener.of("/snapshot"))
        made.clear_snapshot(CAMERA)
        eventually(lambda: listener.of("/snapshot")[-1].payload == b"")
        components = json.loads(listener.of("/config")[-1].payload)["cmps"]
    assert components["fps"]["expire_after"] == 1800


def test_publisher_loses_of_a_batch_only_what_cannot_be_published_and_counts_it(
    broker: Broker, path: Path
) -> None:
    answered: list[str] = []
    made = publisher(
        broker.port, path, on_request=lambda command, _payload: answered.append(command)
    )
    # Before it starts, so that all of it comes in one batch.
    made.put_events([change(1)], state(1))
    made.put_events([replace(change(2), score=math.nan)], state(2))
    made.put_events([change(3)], state(3), {change(3).id: lambda: b"a jpeg"})
    made.put_state(replace(state(4, camera="back"), score=math.nan))
    made.follow_cameras({CAMERA: "Front", "back": "Back"})
    made.put_response("reload", {"status": "ok"})
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: listener.of("/snapshot") and listener.of("/response/reload"))
        eventually(lambda: made.status.published == 2)
        assert arrived(listener, 2) == ["front-1", "front-3"]
        eventually(lambda: listener.of(f"{CAMERA}/state") and listener.of("back/availability"))
        assert json.loads(listener.of(f"{CAMERA}/state")[-1].payload)["seq"] == 3
        assert (made.status.dropped, made.status.waiting) == (1, 0)
        listener.publish(f"{ROOT}/request/reload", "{}")
        eventually(lambda: answered == ["reload"])


def test_publisher_times_every_event_until_the_broker_has_acknowledged_it(
    broker: Broker, path: Path
) -> None:
    delays: list[float] = []
    ahead_s = [0.0]
    made = publisher(
        broker.port,
        path,
        clock=lambda: time.monotonic() + ahead_s[0],
        on_published=delays.append,
    )
    with Listener(broker.port, f"{ROOT}/{CAMERA}/event") as listener, running(made):
        eventually(lambda: made.status.connected)
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        emit(made, 10)
        eventually(lambda: made.status.waiting == 10)
        # They have been handed over; half a minute later the broker takes them.
        ahead_s[0] = 30
        broker.process.send_signal(signal.SIGCONT)
        eventually(lambda: made.status.published == 10 and len(ids(listener)) == 10)
        handed_over = [json.loads(m.payload)["capture_to_publish_ms"] for m in listener.messages]
    assert len(delays) == 10
    assert max(handed_over) < 30_000 <= min(delays)
    assert made.status.delay_ms == delays[-1]


def test_publisher_switched_off_remembers_but_neither_connects_nor_keeps_events(
    broker: Broker, path: Path
) -> None:
    made = publisher(broker.port, path, MqttSettings(enabled=False, host=HOST, port=broker.port))
    with running(made):
        emit(made, 5)
        eventually(lambda: made.status.reason == "switched off")
    assert publisher(broker.port, path).states() == {CAMERA: state(5)}
    assert made.status.waiting == 0
    assert "edge-classifier-porch" not in broker.log


def test_publisher_that_clears_forgets_what_waits(tmp_path: Path, path: Path) -> None:
    made = publisher(Broker(tmp_path).port, path)
    with running(made):
        emit(made, 5)
        eventually(lambda: made.status.waiting == 5)
        made.clear_outbox()
        eventually(lambda: made.status.waiting == 0)


def test_publisher_on_a_full_disk_publishes_from_memory_and_says_so_once(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ahead_s = [0.0]
    with tmpfs(tmp_path / "small", "1m") as small:
        path = small / "outbox.db"
        made = publisher(broker.port, path, clock=lambda: time.monotonic() + ahead_s[0])
        with Listener(broker.port, f"{ROOT}/{CAMERA}/event") as listener, running(made):
            emit(made, 5)
            eventually(lambda: made.status.published == 5)
            fill(small)
            for first in range(6, 206, 50):
                emit(made, 50, first)
                eventually(partial(has_published, made, first + 49))
                ahead_s[0] += 6
            assert not made.status.durable
            assert "full" in made.status.trouble
            (small / "filler").unlink()
            ahead_s[0] += 6
            eventually(lambda: made.status.durable)
            emit(made, 50, 206)
            eventually(lambda: made.status.published == 255)
            assert arrived(listener, 255) == named(255)
    said = [record.message for record in caplog.records if "outbox.db" in record.message]
    assert len([text for text in said if "kept in memory" in text]) == 1
    assert len([text for text in said if "on disk again" in text]) == 1


def test_publisher_keeps_a_label_that_is_shown_among_the_options_of_another_model(
    broker: Broker, path: Path
) -> None:
    """In quiet hours a camera goes on showing what the model before has seen."""
    made = publisher(broker.port, path)
    with Listener(broker.port, f"{ROOT}/{CAMERA}/state", CONFIG) as listener, running(made):
        made.describe_device({CAMERA: CameraLabels(("cat", "dog"), str)}, "m", stats_s=30)
        made.put_state(state(1, label="cat"))
        eventually(lambda: listener.of("/state"))
        made.describe_device(
            {CAMERA: CameraLabels(("espresso", "cup"), str.upper)}, "n", stats_s=30
        )
        made.put_state(state(1, label="cat"))
        made.put_state(state(2, label="something that was restored"))
        eventually(lambda: "SOMETHING" in listener.of("/state")[-1].payload.decode())
    options: list[str] = []
    for message in listener.messages:
        if message.topic == CONFIG:
            options = json.loads(message.payload)["cmps"]["front.label"]["options"]
        else:
            assert json.loads(message.payload)["name"] in options
    assert {"ESPRESSO", "CUP", "CAT"} <= set(options)
