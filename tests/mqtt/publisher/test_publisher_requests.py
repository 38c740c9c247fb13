"""Requests to the publisher, and what follows from them."""

import json
from pathlib import Path

import pytest

from edge_classifier.daemon.command_requests import RequestError, parse_request, response_to
from edge_classifier.mqtt.message_writer import CameraLabels
from tests.emitter import CAMERA, ROOT, change, publisher, state
from tests.mosquitto import Broker, Listener
from tests.mqtt.publisher.publishing import CONFIG, arrived, named, running
from tests.waiting import eventually


def takes_requests(broker: Broker) -> bool:
    """Whether the publisher has subscribed: what is sent before that nobody hears."""
    return "Received SUBSCRIBE from edge-classifier-porch" in broker.log


def test_publisher_answers_requests_but_ignores_retained_ones(broker: Broker, path: Path) -> None:
    asked: list[tuple[str, bytes]] = []

    def on_request(command: str, payload: bytes) -> None:
        asked.append((command, payload))
        made.put_response(command, {"status": "ok", "transaction": 23})

    made = publisher(broker.port, path, on_request=on_request)
    with Listener(broker.port, f"{ROOT}/response/+") as listener:
        listener.publish(f"{ROOT}/request/reload", "{}", retain=True)
        with running(made):
            eventually(lambda: made.status.ignored == 1)
            listener.publish(f"{ROOT}/request/enable", '{"transaction": 23}')
            eventually(lambda: listener.of("/response/enable"))
    assert asked == [("enable", b'{"transaction": 23}')]
    assert json.loads(listener.messages[0].payload) == {"status": "ok", "transaction": 23}
    assert not listener.messages[0].retain


@pytest.mark.parametrize("length", [20_052, 65_536, 65_537, 200_000])
def test_publisher_answers_a_request_of_any_length(broker: Broker, path: Path, length: int) -> None:
    def on_request(command: str, payload: bytes) -> None:
        try:
            made.put_response(command, response_to(parse_request(command, payload, (CAMERA,)), {}))
        except RequestError as error:
            made.put_response(command, response_to(error, {}))

    made = publisher(broker.port, path, on_request=on_request)
    with Listener(broker.port, f"{ROOT}/response/+") as listener, running(made):
        eventually(lambda: takes_requests(broker))
        listener.publish(f"{ROOT}/request/reload", '{"transaction": 23}'.ljust(length))
        eventually(lambda: listener.of("/response/reload"))
    answer = json.loads(listener.messages[0].payload)
    if length <= 65_536:
        assert (answer["status"], answer["transaction"]) == ("ok", 23)
    else:
        assert (answer["status"], answer["transaction"]) == ("error", None)
        assert "longer than 65536 bytes" in answer["error"]


def test_publisher_goes_on_after_a_request_or_a_picture_that_fails(
    broker: Broker, path: Path
) -> None:
    def fail() -> bytes:
        raise RuntimeError("on purpose")

    def on_request(command: str, payload: bytes) -> None:
        fail()

    made = publisher(broker.port, path, on_request=on_request)
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: takes_requests(broker))
        listener.publish(f"{ROOT}/request/enable", "{}")
        made.put_events([change(1)], state(1), {change(1).id: fail})
        made.put_events([change(2)], state(2), {change(2).id: lambda: b"a jpeg"})
        eventually(lambda: listener.of("/snapshot"))
        assert arrived(listener, 2) == named(2)


def test_publisher_when_home_assistant_starts_tells_everything_again(
    broker: Broker, path: Path
) -> None:
    made = publisher(broker.port, path)
    made.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=30)
    made.put_state(state(1))
    with Listener(broker.port, f"{ROOT}/#", CONFIG) as listener, running(made):
        eventually(lambda: listener.of("/config") and listener.of("/state"))
        listener.messages.clear()
        listener.publish("homeassistant/status", "offline")
        listener.publish("homeassistant/status", "online")
        eventually(lambda: listener.of("/config") and listener.of("/state"))
        assert listener.of(f"{ROOT}/availability")[0].payload == b"online"
