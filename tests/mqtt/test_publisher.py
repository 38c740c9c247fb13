"""The publisher against a real broker: what arrives, and what survives."""

import json
import logging
import math
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import client as paho

from edge_classifier.config.settings import MqttSettings, TlsSettings
from edge_classifier.daemon.commands import RequestError, parse_request, response_to
from edge_classifier.mqtt.inbox import PublisherInbox
from edge_classifier.mqtt.publisher import Publisher
from tests.emitter import CAMERA, ROOT, change, publisher, state
from tests.mosquitto import Authority, Broker, Listener, authority, password_file
from tests.ports import HOST
from tests.smalldisk import fill, tmpfs
from tests.waiting import eventually

CONFIG = "homeassistant/device/edge-classifier-porch/config"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The outbox."""
    return tmp_path / "state" / "outbox.db"


@contextmanager
def running(made: Publisher) -> Iterator[Publisher]:
    made.start()
    try:
        yield made
    finally:
        made.stop(5)


def ids(listener: Listener) -> list[str]:
    return [json.loads(message.payload)["id"] for message in listener.of("/event")]


def arrived(listener: Listener, count: int) -> list[str]:
    """All ids, when ``count`` are there: who listens may be told later than who has sent."""
    eventually(lambda: len(ids(listener)) >= count)
    return ids(listener)


def named(count: int, first: int = 1) -> list[str]:
    return [f"{CAMERA}-{seq}" for seq in range(first, first + count)]


def has_published(made: Publisher, count: int) -> bool:
    return made.status.published == count


def emit(made: Publisher, count: int, first: int = 1) -> None:
    for seq in range(first, first + count):
        made.put_event(change(seq), state(seq), None)


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
        made.describe_model(("cat", "dog"), str.upper, "model-1", stats_s=30)
        made.put_info({"version": "1"})
        emit(made, 40)
        with running(made):
            eventually(lambda: len(ids(listener)) == 40)
    order = list(dict.fromkeys(message.topic for message in listener.messages))
    assert order[:6] == [
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
        made.describe_model(("cat", "dog"), str, "model-1", stats_s=30)
        made.put_info({"version": "1"})
        made.put_stats({"fps": 1.5})
        made.put_event(change(1), state(1), lambda: b"a jpeg")
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
        # Twice if the listener has subscribed anew after it: then it is told of the retained one.
        states = {json.loads(message.payload)["seq"] for message in listener.of("/state")[before:]}
        assert states == {50}
        assert list(dict.fromkeys(ids(listener))) == named(50)


def test_publisher_tells_of_a_closed_port_once_and_connects_when_it_opens(
    tmp_path: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(tmp_path / "broker")
    attempts: list[None] = []
    mqtt = MqttSettings(host=HOST, port=broker.port, username="camera")
    made = publisher(broker.port, path, mqtt, password=lambda: attempts.append(None))
    with caplog.at_level(logging.INFO, "edge_classifier"), running(made):
        eventually(lambda: len(attempts) >= 4)
        assert "nothing listens there" in made.status.reason
        with broker:
            eventually(lambda: made.status.connected)
            assert made.status.reason == ""
    said = [record.message for record in caplog.records if "nothing listens" in record.message]
    assert len(said) == 1


def test_publisher_at_a_broker_that_does_not_answer_gives_up_and_tries_again(path: Path) -> None:
    ahead_s = [0.0]
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        made = publisher(silent.getsockname()[1], path, clock=lambda: time.monotonic() + ahead_s[0])
        with running(made):
            first, _ = silent.accept()
            with first:
                assert first.recv(1)  # it has connected, and waits for an answer
                ahead_s[0] = 31
                eventually(lambda: "did not answer" in made.status.reason)
            second, _ = silent.accept()
            second.close()


def test_publisher_at_a_broker_that_acknowledges_nothing_connects_anew(
    broker: Broker, path: Path
) -> None:
    ahead_s = [0.0]
    made = publisher(broker.port, path, clock=lambda: time.monotonic() + ahead_s[0])
    with Listener(broker.port, f"{ROOT}/{CAMERA}/event") as listener, running(made):
        eventually(lambda: made.status.connected)
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        emit(made, 5)
        eventually(lambda: made.status.waiting == 5)
        ahead_s[0] = 61
        eventually(lambda: "acknowledges nothing" in made.status.reason)
        broker.process.send_signal(signal.SIGCONT)
        eventually(lambda: made.status.published == 5)
        eventually(lambda: list(dict.fromkeys(ids(listener))) == named(5))


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("no-such-host.invalid", "the name is not known"),
        ("a" * 70 + ".invalid", "no valid host name"),
    ],
)
def test_publisher_with_a_bad_host_says_so(path: Path, host: str, words: str) -> None:
    made = publisher(1, path, MqttSettings(host=host, port=1883))
    with running(made):
        eventually(lambda: words in made.status.reason)


# --- killed ------------------------------------------------------------------------------------


class Daemon:
    """The program of tests.emitter, to be killed and started again."""

    def __init__(self, port: int, path: Path, interval_s: float) -> None:
        self._command = [sys.executable, "-m", "tests.emitter"]
        self._command += [str(port), str(path), str(interval_s)]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=root
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "started\n"

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.communicate(timeout=30)

    def stop(self) -> int:
        """The number of its last event."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        last, clean = self.process.communicate(timeout=60)[0].split()
        assert clean == "True"
        return int(last)


def test_publisher_when_broker_and_daemon_are_killed_loses_and_disorders_nothing(
    broker: Broker, path: Path
) -> None:
    daemon = Daemon(broker.port, path, 0.005)
    # A listener that acknowledges finds the dead broker by that, and throws away what it has not
    # read yet; what the broker had taken over from us would be gone.
    with Listener(
        broker.port, f"{ROOT}/{CAMERA}/event", prepare=lambda client: client.manual_ack_set(True)
    ) as listener:

        def arrive(more: int) -> None:
            goal = len(set(ids(listener))) + more
            eventually(lambda: len(set(ids(listener))) >= goal, within_s=60)

        def write_for_a_while() -> None:
            log = path.with_name("outbox.db-wal")
            begun = time.time_ns()
            eventually(lambda: log.stat().st_mtime_ns > begun + 300_000_000)

        def pass_outage() -> None:
            broker.save()
            broker.kill()
            write_for_a_while()

        def end_outage() -> None:
            broker.start()
            listener.await_subscribed()

        daemon.start()
        arrive(30)
        for _ in range(2):  # the broker in the middle of the stream
            pass_outage()
            end_outage()
            arrive(30)
        for _ in range(2):  # the daemon in the middle of the stream
            daemon.kill()
            daemon.start()
            arrive(30)
        for _ in range(2):  # the daemon, then both, in the middle of an outage
            pass_outage()
            daemon.kill()
            daemon.start()
            write_for_a_while()
            daemon.kill()
            end_outage()
            daemon.start()
            arrive(30)
        last = daemon.stop()
        # What the last life could not send any more the next one does.
        after = publisher(broker.port, path)
        with running(after):
            eventually(lambda: after.status.connected and after.status.waiting == 0)
        eventually(lambda: last in {json.loads(m.payload)["seq"] for m in listener.of("/event")})
        arrived = [json.loads(message.payload) for message in listener.of("/event")]
    firsts = list({event["id"]: event["seq"] for event in arrived}.values())
    assert firsts == list(range(1, last + 1))


def test_publisher_killed_leaves_its_will_and_stopped_says_offline(
    broker: Broker, path: Path
) -> None:
    daemon = Daemon(broker.port, path, 0.05)
    topic = f"{ROOT}/availability"
    with Listener(broker.port, topic) as listener:
        daemon.start()
        eventually(lambda: [m.payload for m in listener.messages] == [b"online"])
        daemon.kill()
        eventually(lambda: [m.payload for m in listener.messages] == [b"online", b"offline"])
        daemon.start()
        eventually(lambda: len(listener.messages) == 3)
        daemon.stop()
        eventually(lambda: len(listener.messages) == 4)
        assert listener.messages[-1].payload == b"offline"
        with Listener(broker.port, topic, name="late") as late:
            eventually(lambda: [m.payload for m in late.messages] == [b"offline"])
    assert "closed its connection" in broker.log  # that was the kill
    eventually(lambda: "Received DISCONNECT from edge-classifier-porch" in broker.log)


def test_publisher_after_a_restart_publishes_the_last_state_before_anything_new(
    broker: Broker, path: Path
) -> None:
    with running(publisher(broker.port, path)) as first:
        first.put_event(change(7), state(7), None)
        first.remember("overrides", {"front": {"threshold": 0.7}})
        eventually(lambda: first.status.published == 1)
    again = publisher(broker.port, path)
    assert again.remembered()["overrides"] == {"front": {"threshold": 0.7}}
    assert again.states() == {CAMERA: state(7)}
    with Listener(broker.port, f"{ROOT}/{CAMERA}/#") as listener:
        eventually(lambda: listener.of("/state"))
        listener.messages.clear()
        with running(again):
            eventually(lambda: listener.of("/state"))
            assert json.loads(listener.of("/state")[0].payload)["seq"] == 7
            # Nobody has told yet that the camera works.
            assert listener.of("/availability")[0].payload == b"offline"


def test_publisher_whose_card_has_garbled_an_event_and_a_state_goes_on_without_them(
    broker: Broker, path: Path
) -> None:
    """SQLite finds damage in its own structure only, not in what is stored."""
    with Broker(path.parents[1] / "away") as away:
        port = away.port
    with running(publisher(port, path)) as first:
        first.remember("overrides", {"front": {"threshold": 0.7}})
        emit(first, 3)
        eventually(lambda: first.status.waiting == 3)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE outbox SET payload = substr(payload, 9) WHERE id = 2")
        database.execute("UPDATE remembered SET json = substr(json, 9)")
        database.commit()
    again = publisher(broker.port, path)
    assert again.remembered().get("overrides") == {}
    assert again.states() == {}
    with Listener(broker.port, f"{ROOT}/#") as listener, running(again):
        eventually(lambda: again.status.published == 2 and again.status.waiting == 0)
        assert arrived(listener, 2) == ["front-1", "front-3"]
        assert again.status.dropped == 1


def test_publisher_without_a_camera_that_was_clears_what_the_broker_keeps_of_it(
    broker: Broker, path: Path
) -> None:
    with running(publisher(broker.port, path)) as first:
        first.follow_cameras({CAMERA: "Front", "gone": "Gone"})
        first.put_state(state(3, camera="gone"))
        eventually(lambda: first.status.connected)
    with running(publisher(broker.port, path)) as second:
        second.describe_model(("cat",), str, "m", stats_s=30)
        with Listener(broker.port, f"{ROOT}/gone/#", CONFIG) as listener:
            eventually(lambda: second.status.connected and listener.of("/config"))
            components = json.loads(listener.of("/config")[-1].payload)["cmps"]
    assert components["gone.label"] == {"p": "sensor"}
    with Listener(broker.port, f"{ROOT}/gone/#", f"{ROOT}/info", name="late") as late:
        late.publish(f"{ROOT}/info", "last")
        eventually(lambda: late.of("/info"))
        assert late.of("/state") == []


def test_publisher_forgets_a_camera_that_was_once_the_broker_has(
    broker: Broker, path: Path
) -> None:
    with running(publisher(broker.port, path)) as first:
        first.follow_cameras({CAMERA: "Front", "gone": "Gone"})
        first.put_event(change(3, camera="gone"), state(3, camera="gone"), lambda: b"a jpeg")
        eventually(lambda: first.status.published == 1)
    with Broker(path.parents[1] / "away") as away:
        port = away.port
    with running(publisher(port, path)) as nobody_heard:
        nobody_heard.describe_model(("cat",), str, "m", stats_s=30)
        eventually(lambda: not nobody_heard.status.connected)
    with Listener(broker.port, f"{ROOT}/gone/#") as listener:
        eventually(lambda: len(listener.messages) == 3)
        listener.messages.clear()
        second = publisher(broker.port, path)
        assert set(second.states()) == {"gone"}
        with running(second):
            second.describe_model(("cat",), str, "m", stats_s=30)
            eventually(lambda: len(listener.messages) == 3)
            assert {message.payload for message in listener.messages} == {b""}
        listener.messages.clear()
        third = publisher(broker.port, path)
        assert third.states() == {}
        with running(third):
            third.describe_model(("cat",), str, "m", stats_s=30)
            third.put_info({"version": "1"})
            eventually(lambda: third.status.connected)
            listener.publish(f"{ROOT}/gone/last", "after all that it says on connecting")
            eventually(lambda: listener.of("/last"))
        assert [message.topic for message in listener.messages] == [f"{ROOT}/gone/last"]


def test_publisher_forgets_a_camera_whose_state_it_cannot_read(broker: Broker, path: Path) -> None:
    with running(publisher(broker.port, path)) as first:
        first.follow_cameras({CAMERA: "Front", "gone": "Gone"})
        first.put_state(state(3, camera="gone"))
        eventually(lambda: first.status.connected)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE remembered SET json = substr(json, 9)")
        database.commit()
    with Listener(broker.port, f"{ROOT}/gone/#") as listener:
        eventually(lambda: listener.of("/state"))
        with running(publisher(broker.port, path)) as second:
            second.describe_model(("cat",), str, "m", stats_s=30)
            eventually(lambda: listener.of("/state")[-1].payload == b"")
    with closing(sqlite3.connect(path)) as database:
        keys = {key for (key,) in database.execute("SELECT key FROM remembered")}
        assert not {key for key in keys if "gone" in key}


def test_publisher_follows_cameras_that_come_and_go(broker: Broker, path: Path) -> None:
    made = publisher(broker.port, path)
    with Listener(broker.port, f"{ROOT}/#", CONFIG) as listener, running(made):
        made.describe_model(("cat",), str, "m", stats_s=30)
        made.put_state(state(1))
        eventually(lambda: listener.of(f"{CAMERA}/state"))
        listener.messages.clear()
        made.follow_cameras({"new": "New"})
        eventually(lambda: listener.of("/config"))
        components = json.loads(listener.of("/config")[-1].payload)["cmps"]
        assert components[f"{CAMERA}.label"] == {"p": "sensor"}
        assert components["new.label"]["name"]
        eventually(lambda: listener.of("new/availability"))
        eventually(lambda: listener.of(f"{CAMERA}/state"))
        assert listener.of(f"{CAMERA}/state")[-1].payload == b""
        made.put_state(state(2))
        made.follow_cameras({CAMERA: "Front", "new": "New"})
        eventually(lambda: listener.of(f"{CAMERA}/availability")[-1].payload == b"offline")
        assert listener.of(f"{CAMERA}/state")[-1].payload == b""


def test_publisher_takes_back_a_picture_and_tells_how_often_statistics_come(
    broker: Broker, path: Path
) -> None:
    made = publisher(broker.port, path)
    with Listener(broker.port, f"{ROOT}/#", CONFIG) as listener, running(made):
        made.put_snapshot(CAMERA, lambda: b"a jpeg")
        made.describe_model(("cat",), str, "m", stats_s=600)
        eventually(lambda: listener.of("/snapshot"))
        made.clear_snapshot(CAMERA)
        eventually(lambda: listener.of("/snapshot")[-1].payload == b"")
        components = json.loads(listener.of("/config")[-1].payload)["cmps"]
    assert components["fps"]["expire_after"] == 1800


# --- requests ----------------------------------------------------------------------------------


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
        eventually(lambda: made.status.connected)
        listener.publish(f"{ROOT}/request/reload", '{"transaction": 23}'.ljust(length))
        eventually(lambda: listener.of("/response/reload"))
    answer = json.loads(listener.messages[0].payload)
    if length <= 65_536:
        assert (answer["status"], answer["transaction"]) == ("ok", 23)
    else:
        assert (answer["status"], answer["transaction"]) == ("error", None)
        assert "longer than 65536 bytes" in answer["error"]


def test_publisher_loses_of_a_batch_only_what_cannot_be_published_and_counts_it(
    broker: Broker, path: Path
) -> None:
    answered: list[str] = []
    made = publisher(
        broker.port, path, on_request=lambda command, _payload: answered.append(command)
    )
    # Before it starts, so that all of it comes in one batch.
    made.put_event(change(1), state(1), None)
    made.put_event(replace(change(2), score=math.nan), state(2), None)
    made.put_event(change(3), state(3), lambda: b"a jpeg")
    made.put_state(replace(state(4, camera="back"), score=math.nan))
    made.follow_cameras({CAMERA: "Front", "back": "Back"})
    made.put_response("reload", {"status": "ok"})
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: listener.of("/snapshot") and listener.of("/response/reload"))
        eventually(lambda: made.status.published == 2)
        assert ids(listener) == ["front-1", "front-3"]
        assert json.loads(listener.of(f"{CAMERA}/state")[-1].payload)["seq"] == 3
        assert listener.of("back/availability")
        assert (made.status.dropped, made.status.waiting) == (1, 0)
        listener.publish(f"{ROOT}/request/reload", "{}")
        eventually(lambda: answered == ["reload"])


def test_publisher_whose_bug_spoils_an_acknowledgement_connects_anew_and_loses_nothing(
    broker: Broker, path: Path
) -> None:
    delays: list[float] = []

    def on_published(delay_ms: float) -> None:
        delays.append(delay_ms)
        if len(delays) == 3:
            raise RuntimeError("on purpose")

    made = publisher(broker.port, path, on_published=on_published)
    emit(made, 60)
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: made.status.waiting == 0 and made.status.connected)
        assert list(dict.fromkeys(ids(listener))) == named(60)
        assert len(listener.of(f"{ROOT}/availability")) >= 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_publisher_whose_connection_fails_without_a_word_connects_anew(
    broker: Broker, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paho's thread ends with an error of ours, and tells nobody."""
    put, failures = PublisherInbox.put_task, iter([True])

    def failing(self: PublisherInbox, name: str, action: Callable[[], None]) -> None:
        if next(failures, False):
            raise KeyError("unforeseen")
        put(self, name, action)

    monkeypatch.setattr(PublisherInbox, "put_task", failing)
    made = publisher(broker.port, path)
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: listener.of(f"{ROOT}/availability"))
        listener.publish(f"{ROOT}/request/reload", "{}")
        eventually(lambda: len(listener.of(f"{ROOT}/availability")) > 1)
        emit(made, 3)
        eventually(lambda: made.status.published == 3)
        assert ids(listener) == named(3)


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


def test_publisher_goes_on_after_a_request_or_a_picture_that_fails(
    broker: Broker, path: Path
) -> None:
    def fail() -> bytes:
        raise RuntimeError("on purpose")

    def on_request(command: str, payload: bytes) -> None:
        fail()

    made = publisher(broker.port, path, on_request=on_request)
    with Listener(broker.port, f"{ROOT}/#") as listener, running(made):
        eventually(lambda: made.status.connected)
        listener.publish(f"{ROOT}/request/enable", "{}")
        made.put_event(change(1), state(1), fail)
        made.put_event(change(2), state(2), lambda: b"a jpeg")
        eventually(lambda: listener.of("/snapshot"))
        assert arrived(listener, 2) == named(2)


def test_publisher_when_home_assistant_starts_tells_everything_again(
    broker: Broker, path: Path
) -> None:
    made = publisher(broker.port, path)
    made.describe_model(("cat",), str, "m", stats_s=30)
    made.put_state(state(1))
    with Listener(broker.port, f"{ROOT}/#", CONFIG) as listener, running(made):
        eventually(lambda: listener.of("/config") and listener.of("/state"))
        listener.messages.clear()
        listener.publish("homeassistant/status", "offline")
        listener.publish("homeassistant/status", "online")
        eventually(lambda: listener.of("/config") and listener.of("/state"))
        assert listener.of(f"{ROOT}/availability")[0].payload == b"online"


# --- refused -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(signed: Authority) -> tuple[Path, Path]:
    return signed.sign("broker", "DNS:localhost,IP:127.0.0.1")


def _guarded(folder: Path, signed: Authority, server: tuple[Path, Path]) -> Broker:
    """TLS with client certificates, passwords and an access list."""
    folder.mkdir()
    (folder / "acl").write_text(
        f"user camera\ntopic readwrite {ROOT}/#\ntopic write {CONFIG}\n"
        "topic read homeassistant/status\nuser reader\ntopic read #\n"
    )
    passwords = password_file(folder, camera="secret", reader="other")
    return Broker(
        folder,
        (
            f"cafile {signed.certificate}",
            f"certfile {server[0]}",
            f"keyfile {server[1]}",
            "require_certificate true",
            f"password_file {passwords}",
            f"acl_file {folder / 'acl'}",
            "allow_anonymous false",
        ),
    )


def test_publisher_over_tls_with_password_and_access_list_publishes(
    tmp_path: Path, path: Path, signed: Authority, server: tuple[Path, Path]
) -> None:
    certificate, key = signed.sign("camera", "DNS:camera")

    def prepare(client: paho.Client) -> None:
        client.tls_set(str(signed.certificate), str(certificate), str(key))
        client.username_pw_set("reader", "other")

    tls = TlsSettings(
        enabled=True, ca_file=signed.certificate, certificate_file=certificate, key_file=key
    )
    with _guarded(tmp_path / "broker", signed, server) as broker:
        mqtt = MqttSettings(host="localhost", port=broker.port, username="camera", tls=tls)
        made = publisher(broker.port, path, mqtt, password=lambda: "secret")
        with Listener(broker.port, "#", prepare=prepare) as listener, running(made):
            made.describe_model(("cat",), str, "m", stats_s=30)
            emit(made, 5)
            eventually(lambda: len(ids(listener)) == 5 and listener.of("/config"))


# paho leaves the socket of a failed handshake to the interpreter, which closes it at once.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    ("host", "user", "password", "tls", "words"),
    [
        ("localhost", "camera", "wrong", {}, "the broker refuses: Not authorized"),
        ("localhost", "", "", {}, "the broker refuses: Not authorized"),
        ("localhost", "camera", "secret", {"ca_file": None}, "certificate is refused"),
        ("127.0.0.2", "camera", "secret", {}, "certificate is refused: IP address mismatch"),
        ("localhost", "camera", "secret", {"ca_file": "no/such.crt"}, "no/such.crt: cannot be"),
        ("localhost", "camera", "secret", {"enabled": False}, "closed before the broker answered"),
        (
            "localhost",
            "camera",
            "secret",
            {"certificate_file": None, "key_file": None},
            # The broker says so and hangs up while the first packet is on its way, which may lose
            # the word: TLS 1.3 has the client speak before its certificate was looked at.
            "CERTIFICATE_REQUIRED|closed before the broker answered",
        ),
    ],
)
def test_publisher_that_is_refused_says_why_in_words_and_keeps_its_events(
    tmp_path: Path,
    path: Path,
    signed: Authority,
    server: tuple[Path, Path],
    host: str,
    user: str,
    password: str,
    tls: dict[str, Any],
    words: str,
) -> None:
    certificate, key = signed.sign("camera", "DNS:camera")
    good: dict[str, Any] = {
        "enabled": True,
        "ca_file": signed.certificate,
        "certificate_file": certificate,
        "key_file": key,
    }
    broker = _guarded(tmp_path / "broker", signed, server)
    broker.address = host.replace("localhost", HOST)
    with broker:
        mqtt = MqttSettings(
            host=host, port=broker.port, username=user, tls=TlsSettings(**(good | tls))
        )
        made = publisher(broker.port, path, mqtt, password=lambda: password)
        with running(made):
            emit(made, 3)
            eventually(lambda: re.search(words, made.status.reason))
            eventually(lambda: made.status.waiting == 3)
            assert "secret" not in made.status.reason
            assert not made.status.connected


def test_publisher_with_mqtt_5_keeps_refused_events_and_tries_them_again_in_order(
    tmp_path: Path, path: Path
) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    access = folder / "acl"
    access.write_text(f"topic read #\ntopic write {ROOT}/availability\n")
    ahead_s = [0.0]
    with Broker(folder, ("allow_anonymous true", f"acl_file {access}")) as broker:
        mqtt = MqttSettings(host=HOST, port=broker.port, protocol="5")
        made = publisher(broker.port, path, mqtt, clock=lambda: time.monotonic() + ahead_s[0])
        with Listener(broker.port, f"{ROOT}/{CAMERA}/event") as listener, running(made):
            emit(made, 30)
            eventually(lambda: made.status.refused and made.status.waiting == 30)
            assert "Not authorized" in made.status.reason
            assert f"refuses {ROOT}" in made.status.reason
            access.write_text("topic readwrite #\n")
            assert broker.process
            broker.process.send_signal(signal.SIGHUP)
            eventually(lambda: "Reloading config" in broker.log)
            ahead_s[0] = 61
            eventually(lambda: made.status.published == 30)
            assert arrived(listener, 30) == named(30)


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
        made.describe_model(("cat", "dog"), str, "m", stats_s=30)
        made.put_state(state(1, label="cat"))
        eventually(lambda: listener.of("/state"))
        made.describe_model(("espresso", "cup"), str.upper, "n", stats_s=30)
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
