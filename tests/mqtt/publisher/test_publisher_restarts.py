"""What of the publisher survives its end: events, states, and which cameras there were."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from edge_classifier.core.events import OpenEpisode, Peak
from edge_classifier.mqtt.codec.event_payloads import EVENT_TYPES
from edge_classifier.mqtt.message_writer import CameraLabels
from edge_classifier.mqtt.outbox.outbox_database import OutboxDatabase
from edge_classifier.mqtt.publisher import Publisher
from tests.conftest import REPOSITORY
from tests.emitter import CAMERA, ROOT, change, publisher, state
from tests.mosquitto import Broker, Listener
from tests.mqtt.publisher.publishing import CONFIG, arrived, emit, ids, running
from tests.waiting import eventually


class Daemon:
    """The program of tests.emitter, to be killed and started again."""

    def __init__(self, port: int, path: Path, interval_s: float) -> None:
        self._command = [sys.executable, "-m", "tests.emitter"]
        self._command += [str(port), str(path), str(interval_s)]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        root = REPOSITORY
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
    assert {event["event_type"] for event in arrived} == set(EVENT_TYPES)


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
        first.put_events([change(7)], state(7))
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
        second.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=30)
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
        event = change(3, camera="gone")
        first.put_events([event], state(3, camera="gone"), {event.id: lambda: b"a jpeg"})
        eventually(lambda: first.status.published == 1)
    with Broker(path.parents[1] / "away") as away:
        port = away.port
    with running(publisher(port, path)) as nobody_heard:
        nobody_heard.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=30)
        eventually(lambda: not nobody_heard.status.connected)
    with Listener(broker.port, f"{ROOT}/gone/#") as listener:
        eventually(lambda: len(listener.messages) == 3)
        listener.messages.clear()
        second = publisher(broker.port, path)
        assert set(second.states()) == {"gone"}
        with running(second):
            second.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=30)
            eventually(lambda: len(listener.messages) == 3)
            assert {message.payload for message in listener.messages} == {b""}
        listener.messages.clear()
        third = publisher(broker.port, path)
        assert third.states() == {}
        with running(third):
            third.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=30)
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
            second.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=30)
            eventually(lambda: listener.of("/state")[-1].payload == b"")
    with closing(sqlite3.connect(path)) as database:
        keys = {key for (key,) in database.execute("SELECT key FROM remembered")}
        assert not {key for key in keys if "gone" in key}


def test_publisher_follows_cameras_that_come_and_go(broker: Broker, path: Path) -> None:
    made = publisher(broker.port, path)
    with Listener(broker.port, f"{ROOT}/#", CONFIG) as listener, running(made):
        made.describe_device({CAMERA: CameraLabels(("cat",), str)}, "m", stats_s=30)
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
        eventually(
            lambda: (
                [one.payload for one in listener.of(f"{CAMERA}/availability")][-1:] == [b"offline"]
            )
        )
        assert listener.of(f"{CAMERA}/state")[-1].payload == b""


def test_publisher_killed_on_a_full_disk_knows_the_label_that_it_told_last(
    broker: Broker, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: OutboxDatabase) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    made = publisher(broker.port, path)
    with running(made):
        show(made, 1)
        eventually(partial(has_told, made, 1))
        monkeypatch.setattr(OutboxDatabase, "transaction", refuse)
        show(made, 2)
        show(made, 3)
        eventually(partial(has_told, made, 3))
        assert not made.status.durable
        assert after_a_kill(path, tmp_path) == ("episode-3", 3)
        broker.kill()
        eventually(lambda: not made.status.connected)
        show(made, 4)
        show(made, 5)
        eventually(lambda: made.status.waiting == 2)
        # Its end is still to be told.
        assert after_a_kill(path, tmp_path) == ("episode-3", 5)


def show(made: Publisher, seq: int) -> None:
    """A label comes, as event ``seq``."""
    episode = OpenEpisode(f"episode-{seq}", 1.7e9 + seq, Peak("cat", (), 0.9, 1.7e9 + seq))
    made.put_events([change(seq)], replace(state(seq), episode=episode))


def has_told(made: Publisher, count: int) -> bool:
    return made.status.published == count and made.status.waiting == 0


def after_a_kill(path: Path, elsewhere: Path) -> tuple[str, int]:
    """The open episode, and the last number, that are known when what is on disk is all."""
    copy = tempfile.mkdtemp(dir=elsewhere)
    shutil.copytree(path.parent, copy, dirs_exist_ok=True)
    made = publisher(1, Path(copy, path.name))
    try:
        episode = made.states()[CAMERA].episode
        assert episode
        return episode.id, made.last_numbers().of(CAMERA)
    finally:
        made.stop(0)
