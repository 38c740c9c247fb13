"""The live part with a real broker."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho

from edge_classifier.errors import UnavailableError
from edge_classifier.mqtt.connection.broker_connection import ReceivedMessage
from edge_classifier.web.config.settings import ServerSettings, WebMqttSettings, WebSettings
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.live.live_state import LiveState
from edge_classifier.web.live.stream import Stream
from tests.mosquitto import Broker, Listener, password_file
from tests.ports import HOST, free_port
from tests.waiting import eventually

ROOT = "edge-classifier/pi"
STATE = json.dumps({"label": "cat", "score": 0.8, "ts": "2026-11-22T11:39:00.238Z"})
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02 and so on \xff\xd9"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as started:
        yield started
        eventually(lambda: not [one for one in threading.enumerate() if "-live-" in one.name])


@contextmanager
def following(port: int, **mqtt: Any) -> Iterator[LiveClient]:
    before = set(threading.enumerate())
    live = LiveClient(
        WebSettings(
            mqtt=WebMqttSettings(host=HOST, port=port, **mqtt), server=ServerSettings(streams=2)
        )
    )
    live.start()
    try:
        yield live
    finally:
        live.stop()
    assert not [one for one in set(threading.enumerate()) - before if one.name.startswith("live")]


class Daemon(Listener):
    """Somebody with a daemon's topics, who answers requests with ``answer``."""

    def __init__(self, port: int, **answer: Any) -> None:
        super().__init__(port, f"{ROOT}/request/+", name="daemon")
        self.answer = answer

    def __enter__(self) -> "Daemon":
        super().__enter__()
        self.publish(f"{ROOT}/availability", "online", retain=True)
        self.publish(f"{ROOT}/front/availability", "online", retain=True)
        self.publish(f"{ROOT}/front/state", STATE, retain=True)
        return self

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        super()._on_message(_client, _data, message)
        asked = json.loads(message.payload)
        if self.answer and "transaction" in asked:
            body = {"transaction": asked["transaction"], **self.answer}
            self.client.publish(message.topic.replace("request", "response"), json.dumps(body), 1)


def label(live: LiveClient) -> object:
    return (live.camera("pi", "front") or {}).get("label")


def knows(live: LiveClient, name: str = "pi") -> bool:
    found = live.device(name)
    return bool(found and found["online"])


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_what_the_broker_keeps_is_known_after_the_connection(broker: Broker, protocol: str) -> None:
    with Daemon(broker.port) as daemon:
        daemon.publish(f"{ROOT}/front/snapshot", JPEG, retain=True)
        with following(broker.port, protocol=protocol) as live:
            # What is kept comes in whatever order the broker likes.
            eventually(lambda: knows(live) and live.frame("pi", "front") and label(live) == "cat")
            [device] = live.as_json()["devices"]
            assert device["cameras"][0]["label"] == "cat"
            assert live.broker["connected"]


def test_fleet_that_the_broker_keeps_is_known_to_the_last_device(tmp_path: Path) -> None:
    lines = ("allow_anonymous true", "persistence false", "max_queued_messages 1000")
    with Broker(tmp_path / "broker", lines) as broker, Listener(broker.port, "nothing") as fleet:
        for number in range(400):
            root = f"edge-classifier/d{number}"
            fleet.client.publish(f"{root}/availability", "online", 1, retain=True)
            fleet.client.publish(f"{root}/info", json.dumps({"labels": ["x" * 10] * 500}), 1, True)
            fleet.client.publish(f"{root}/front/state", STATE, 1, retain=True)
            fleet.client.publish(f"{root}/front/snapshot", JPEG + bytes(9000), 0, retain=True)
        fleet.publish("the-end", "")
        with following(broker.port) as live:
            eventually(lambda: sum(bool(live.frame(f"d{n}", "front")) for n in range(400)) == 400)
            assert len(live.devices()) == 400


def test_connection_comes_back_after_the_broker_was_killed(broker: Broker) -> None:
    with Daemon(broker.port), following(broker.port) as live:
        eventually(lambda: knows(live))
        broker.kill()
        eventually(lambda: not live.broker["connected"])
        assert live.broker["reason"]
        broker.start()
        eventually(lambda: live.broker["connected"] and knows(live))
        assert live.broker["reason"] == ""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_connection_whose_thread_has_failed_is_replaced(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paho's thread ends with the error, and tells nobody."""
    receive, failures = LiveClient._on_message, iter([True])

    def failing(self: LiveClient, message: ReceivedMessage) -> None:
        if next(failures, False):
            raise KeyError("unforeseen")
        receive(self, message)

    monkeypatch.setattr(LiveClient, "_on_message", failing)
    with Daemon(broker.port), following(broker.port) as live:
        eventually(lambda: live.broker["connected"] and knows(live))


@pytest.mark.parametrize(("owner", "step"), [(LiveClient, "_connect"), (LiveState, "sweep")])
def test_thread_that_fails_as_nobody_foresaw_goes_on_and_is_a_problem_meanwhile(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, owner: type, step: str
) -> None:
    does, failures, went_on = getattr(owner, step), iter([True]), threading.Event()

    def failing(self: Any, *arguments: Any) -> Any:
        if next(failures, False):
            raise KeyError("unforeseen")
        went_on.set()
        return does(self, *arguments)

    monkeypatch.setattr(owner, step, failing)
    with Daemon(broker.port), following(broker.port) as live:
        eventually(lambda: "unforeseen" in live.problem)
        eventually(lambda: went_on.is_set() and knows(live))


def test_broker_that_is_not_there_is_said_and_tried_again(tmp_path: Path) -> None:
    port = free_port()
    with following(port) as live:
        eventually(lambda: live.broker["reason"])
        assert live.broker["reason"] == "nothing listens there"
        with Broker(tmp_path / "late", port=port):
            eventually(lambda: live.broker["connected"], within_s=40)


def test_wrong_password_is_told_and_the_right_one_works(tmp_path: Path) -> None:
    passwords = password_file(tmp_path, page="right")
    secret = tmp_path / "secret"
    secret.write_text("wrong")
    lines = ("allow_anonymous false", f"password_file {passwords}")
    with (
        Broker(tmp_path / "broker", lines) as broker,
        following(broker.port, username="page", password_file=secret) as live,
    ):
        eventually(lambda: live.broker["reason"])
        assert "refuses" in live.broker["reason"]
        assert "wrong" not in live.broker["reason"]
        secret.write_text("right")  # Read anew for each connection.
        eventually(lambda: live.broker["connected"], within_s=40)


def test_two_pages_of_one_configuration_do_not_throw_each_other_out(broker: Broker) -> None:
    with (
        following(broker.port, client_id="same") as one,
        following(broker.port, client_id="same") as two,
        Daemon(broker.port),
    ):
        eventually(lambda: knows(one) and knows(two))
        since = one.broker["since"], two.broker["since"]
        threading.Event().wait(0.5)  # They would do it at once, again and again.
        assert (one.broker["since"], two.broker["since"]) == since


def test_device_that_takes_back_its_topics_vanishes(broker: Broker) -> None:
    with Daemon(broker.port) as daemon, following(broker.port) as live:
        eventually(lambda: live.camera("pi", "front"))
        for topic in ("front/state", "front/availability", "availability"):
            daemon.publish(f"{ROOT}/{topic}", "", retain=True)
        eventually(lambda: live.devices() == [])


def test_request_returns_the_response_of_the_daemon(broker: Broker) -> None:
    answer = {"status": "ok", "data": {"model": "m@1"}, "error": None}
    with Daemon(broker.port, **answer) as daemon, following(broker.port) as live:
        eventually(lambda: knows(live))
        answer = live.request("pi", "model", {"model": "m"}, within_s=20)
        assert answer["data"] == {"model": "m@1"}
        [asked] = daemon.of("/request/model")
        assert json.loads(asked.payload) == {"model": "m", "transaction": answer["transaction"]}


def test_own_request_for_a_snapshot_is_no_message_without_sense(broker: Broker) -> None:
    answer: dict[str, Any] = {"status": "ok", "data": {}, "error": None}
    with Daemon(broker.port, **answer) as daemon, following(broker.port) as live:
        eventually(lambda: knows(live))
        live.ask_snapshot("pi", "front")
        live.request("pi", "snapshot", {"camera": "front"}, within_s=20)
        daemon.publish(f"{ROOT}/front/state", STATE)
        eventually(lambda: live.camera("pi", "front"))
        assert live.as_json()["ignored"] == 0


def test_request_that_the_daemon_refuses_returns_its_error(broker: Broker) -> None:
    answer = {"status": "error", "data": {}, "error": "no such model"}
    with Daemon(broker.port, **answer), following(broker.port) as live:
        eventually(lambda: knows(live))
        answer = live.request("pi", "model", {"model": "m"}, within_s=20)
        assert (answer["status"], answer["error"]) == ("error", "no such model")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": "perhaps", "data": {}},
        {"status": "ok", "data": []},
        {"status": "error", "error": None},
        {"status": "ok", "data": {}, "transaction": "another"},
        {"status": "ok", "data": {}, "transaction": ["list"]},
    ],
)
def test_request_without_a_response_in_time_is_unavailable(
    broker: Broker, answer: dict[str, Any]
) -> None:
    with Daemon(broker.port, **answer), following(broker.port) as live:
        eventually(lambda: knows(live))
        with pytest.raises(UnavailableError, match=r"pi: no answer to model within 0\.3 s"):
            live.request("pi", "model", {}, within_s=0.3)


def test_response_of_another_device_is_no_answer(broker: Broker) -> None:
    with Daemon(broker.port) as daemon, following(broker.port) as live:
        eventually(lambda: knows(live))
        error: list[UnavailableError] = []

        def ask() -> None:
            with pytest.raises(UnavailableError) as raised:
                live.request("pi", "model", {}, within_s=2)
            error.append(raised.value)

        thread = threading.Thread(target=ask)
        thread.start()
        eventually(lambda: daemon.of("/request/model"))
        transaction = json.loads(daemon.messages[-1].payload)["transaction"]
        forged = json.dumps({"status": "ok", "data": {}, "transaction": transaction})
        daemon.publish("edge-classifier/evil/response/model", forged)
        thread.join()
        assert "no answer" in str(error[0])


@pytest.mark.parametrize("device", ["nobody", "../pi", "pi/request/enable", "+"])
def test_request_to_a_device_that_is_not_online_is_refused(broker: Broker, device: str) -> None:
    with Daemon(broker.port), following(broker.port) as live:
        eventually(lambda: knows(live))
        with pytest.raises(UnavailableError, match="not online"):
            live.request(device, "snapshot", {})


def test_request_without_a_connection_is_unavailable_at_once() -> None:
    with (
        following(free_port()) as live,
        pytest.raises(UnavailableError, match="no connection to the broker"),
    ):
        live.request("pi", "snapshot", {})


def test_request_whose_connection_breaks_does_not_wait_to_the_end(broker: Broker) -> None:
    with Daemon(broker.port) as daemon, following(broker.port) as live:
        eventually(lambda: knows(live))

        def cut() -> None:
            eventually(lambda: daemon.of("/request/model"))
            broker.kill()

        killer = threading.Thread(target=cut)
        killer.start()
        with pytest.raises(UnavailableError, match="no connection to the broker"):
            live.request("pi", "model", {}, within_s=60)
        killer.join()


def test_nothing_is_asked_of_devices_while_nobody_looks_at_their_cameras(broker: Broker) -> None:
    with Daemon(broker.port) as daemon, following(broker.port) as live:
        eventually(lambda: knows(live))
        stream = Stream(live, lambda _: (0, {}), live.slots, lambda: True, lambda: False)
        assert live.slots.take(stream, 1)
        threading.Event().wait(1.5)  # A look at who watches takes place once a second.
        assert daemon.messages == []
        with live.bursts.open("pi", "front"):
            eventually(lambda: daemon.messages)
        assert {one.topic for one in daemon.messages} == {f"{ROOT}/request/burst"}


def test_hostile_messages_leave_everything_as_it_is(broker: Broker) -> None:
    with Daemon(broker.port) as daemon, following(broker.port) as live:
        eventually(lambda: knows(live) and live.camera("pi", "front"))
        for kind in ("state", "event", "snapshot", "availability"):
            for payload in (b"\xff\x00", b"[" * 50_000, b'{"label": {}}', b"9" * 5000, b"<svg>"):
                daemon.publish(f"{ROOT}/front/{kind}", payload)
        daemon.publish("edge-classifier/b@d/front/state", STATE)
        daemon.publish(f"{ROOT}/response/x", b"[" * 50_000)
        daemon.publish(f"{ROOT}/front/state", STATE.replace("cat", "the-end"))
        eventually(lambda: label(live) == "the-end")
        assert live.as_json()["ignored"] == 21
        assert live.frame("pi", "front") is None
        assert live.broker["connected"]


def test_picture_larger_than_the_page_takes_ends_no_connection(broker: Broker) -> None:
    with Daemon(broker.port) as daemon, following(broker.port) as live:
        eventually(lambda: knows(live))
        since = live.broker["since"]
        daemon.publish(f"{ROOT}/front/snapshot", JPEG + bytes(6_000_000))
        daemon.publish(f"{ROOT}/front/snapshot", JPEG)
        eventually(lambda: live.frame("pi", "front") == JPEG)
        assert live.broker["since"] == since
