"""One connection at a real broker: what its owner hears of it, and what its options do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import pytest

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.mqtt.connection.broker_connection import (
    Acknowledged,
    BrokerConnection,
    Connected,
    ConnectionEvent,
    ConnectionLost,
    ConnectionOptions,
    ReceivedMessage,
)
from tests.mosquitto import Broker, Listener
from tests.ports import HOST, free_port
from tests.waiting import eventually

Protocol = Literal["3.1.1", "5"]
PROTOCOLS: tuple[Protocol, ...] = ("3.1.1", "5")
LASTING: dict[str, Any] = {"session_expiry_s": 60, "manual_acknowledgement": True}


class Owner:
    """What a connection has told, and brought."""

    def __init__(
        self,
        broker: Broker,
        protocol: Protocol,
        number: int = 1,
        *,
        address: tuple[str, int] | None = None,
        **options: Any,
    ) -> None:
        host, port = address or (HOST, broker.port)
        self.events: SimpleQueue[ConnectionEvent] = SimpleQueue()
        self.messages: list[ReceivedMessage] = []
        self.is_failing = False
        self.connection = BrokerConnection(
            number,
            MqttSettings(host=host, port=port, protocol=protocol),
            ConnectionOptions(client_id="tested", password=lambda: None, **options),
            self.events.put,
            self._receive,
        )

    def _receive(self, message: ReceivedMessage) -> None:
        if self.is_failing:
            raise KeyError("on purpose")
        self.messages.append(message)

    @contextmanager
    def connected(self) -> Iterator[Connected]:
        self.connection.connect()
        event = self.events.get(timeout=20)
        assert isinstance(event, Connected)
        yield event
        self.connection.disconnect()
        self.connection.wait_closed(20)


@pytest.mark.parametrize("host", ["[::1]", "::1"])
def test_connection_to_an_ipv6_address_works_with_brackets_and_without(
    tmp_path: Path, host: str
) -> None:
    port = free_port()
    broker = Broker(tmp_path / "broker", ("allow_anonymous true", f"listener {port} ::1"))
    with broker, Owner(broker, "3.1.1", address=(host, port)).connected() as connected:
        assert connected.connection == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_connection_tells_its_owner_of_its_life_in_order(
    broker: Broker, protocol: Protocol
) -> None:
    owner = Owner(broker, protocol, number=7)
    with owner.connected() as connected:
        assert connected == Connected(7, 20, session_present=False)
        mid = owner.connection.publish("a/topic", b"1", qos=1)
        assert owner.events.get(timeout=20) == Acknowledged(7, mid, "")
    lost = owner.events.get(timeout=20)
    assert isinstance(lost, ConnectionLost)
    assert lost.connection == 7
    assert not owner.connection.has_failed


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("options", [{}, LASTING])
def test_session_that_is_to_last_is_there_again_and_a_clean_one_is_not(
    broker: Broker, protocol: Protocol, options: dict[str, Any]
) -> None:
    for is_second in (False, True):
        with Owner(broker, protocol, **options).connected() as connected:
            assert connected.session_present is (is_second and bool(options))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_message_that_is_not_acknowledged_comes_again_on_the_next_connection(
    broker: Broker, protocol: Protocol
) -> None:
    with Listener(broker.port, "nothing") as sender:
        first = Owner(broker, protocol, **LASTING)
        with first.connected():
            first.connection.subscribe([("a/topic", 1)])
            eventually(lambda: "Sending SUBACK to tested" in broker.log)
            sender.publish("a/topic", "one")
            sender.publish("a/topic", "two")
            eventually(lambda: len(first.messages) == 2)
            first.messages[0].acknowledge()
        # It is late: the broker has to send this one again.
        first.messages[1].acknowledge()
        second = Owner(broker, protocol, 2, **LASTING)
        with second.connected():
            eventually(lambda: second.messages)
            [again] = second.messages
            assert (again.topic, again.payload, again.connection) == ("a/topic", b"two", 2)
            again.acknowledge()
        with Owner(broker, protocol, **LASTING).connected():
            pass
    assert broker.log.count("Received PUBACK from tested") == 2


def test_payload_that_is_too_long_is_cut_so_that_its_reader_sees_it(broker: Broker) -> None:
    owner = Owner(broker, "5", payload_bytes=10)
    with Listener(broker.port, "nothing") as sender, owner.connected():
        owner.connection.subscribe([("a/topic", 1)])
        eventually(lambda: "Sending SUBACK to tested" in broker.log)
        for size in (10, 11, 5000):
            sender.publish("a/topic", b"x" * size)
        eventually(lambda: len(owner.messages) == 3)
    assert [len(message.payload) for message in owner.messages] == [10, 11, 11]


@pytest.mark.parametrize("is_hung_up", [True, False])
def test_will_is_sent_when_the_connection_is_cut_and_not_after_a_disconnect(
    broker: Broker, is_hung_up: bool
) -> None:
    with Listener(broker.port, "a/will", "a/last") as listener:
        owner = Owner(broker, "3.1.1", will_topic="a/will")
        with owner.connected():
            if not is_hung_up:
                owner.connection.abort()
                eventually(lambda: listener.of("a/will"))
        listener.publish("a/last", "")
        eventually(lambda: listener.of("a/last"))
        assert [message.payload for message in listener.of("a/will")] == (
            [] if is_hung_up else [b"offline"]
        )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_connection_whose_owner_fails_in_its_thread_has_failed(broker: Broker) -> None:
    owner = Owner(broker, "5")
    owner.is_failing = True
    with Listener(broker.port, "nothing") as sender:
        owner.connection.connect()
        assert isinstance(owner.events.get(timeout=20), Connected)
        owner.connection.subscribe([("a/topic", 0)])
        eventually(lambda: "Sending SUBACK to tested" in broker.log)
        sender.publish("a/topic", "one")
        eventually(lambda: owner.connection.has_failed)
        owner.connection.abort()
