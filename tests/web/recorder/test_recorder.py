"""The recorder at a real broker: what is sent is in the table, once, whatever befalls it."""

import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from edge_classifier.config.settings import TlsSettings
from edge_classifier.mqtt.connection.broker_connection import ReceivedMessage
from edge_classifier.web.models import Camera, EventPicture, Label, Picture, Record
from edge_classifier.web.recorder import received
from edge_classifier.web.recorder.queue import DeliveryQueue
from edge_classifier.web.recorder.recorder import Recorder, connection_options
from edge_classifier.web.recorder.writer import RecordWriter
from edge_classifier.web.records import picture_storage
from edge_classifier.web.settings import RecordingSettings, WebMqttSettings
from tests.mosquitto import Broker, authority, password_file
from tests.ports import HOST
from tests.smalldisk import fill, tmpfs
from tests.waiting import eventually
from tests.web.conftest import FOLDERS, SETTINGS
from tests.web.recording import (
    EVENT,
    SNAPSHOT,
    Process,
    Sender,
    event_id,
    event_payload,
    snapshot_payload,
)

pytestmark = pytest.mark.django_db(transaction=True)
DATABASE = Path(connection.settings_dict["TEST"]["NAME"])
# Just after the events of ``event_payload``.
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Luck with which pauses before another attempt are short.
SOON = 0.05


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def sender(broker: Broker) -> Iterator[Sender]:
    with Sender(broker.port) as sender:
        yield sender


_SUBSCRIBED = "Received SUBSCRIBE from"


@contextmanager
def recording(broker: Broker, **chosen: Any) -> Iterator[Recorder]:
    """A recorder of this process that is connected."""
    options = {key: chosen.pop(key) for key in ("protocol", "keepalive_s") if key in chosen}
    mqtt = WebMqttSettings(host=HOST, port=broker.port, **options)
    settings = replace(SETTINGS, mqtt=mqtt, record=RecordingSettings(**chosen))
    recorder = Recorder(settings, random=lambda: SOON, now=lambda: NOW)
    name = connection_options(settings).client_id
    # Where messages were still on their way to us, the socket's end overtakes our disconnect.
    left = re.compile(f"Received DISCONNECT from {name}|Client {name} closed its connection")
    asked = f"Received SUBSCRIBE from {name}"
    before = broker.log.count(asked)
    recorder.start()
    try:
        eventually(lambda: broker.log.count(asked) > before)
        yield recorder
    finally:
        gone = len(left.findall(broker.log))
        recorder.stop()
        # It has been told everything then; the next one would throw this one out otherwise.
        eventually(lambda: len(left.findall(broker.log)) > gone)


def is_settled(recorder: Recorder, seen: int) -> bool:
    status = recorder.status
    total = status.recorded + status.repeated + status.ignored
    return total == seen and status.waiting == 0


# --- what is written ---------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_event_is_recorded_with_all_that_it_says(
    broker: Broker, sender: Sender, protocol: str
) -> None:
    with recording(broker, protocol=protocol) as recorder:
        sender.events(7)
        eventually(lambda: recorder.status.recorded == 1)
    record = Record.objects.get()
    assert record.key == UUID(event_id(7))
    assert record.source == Record.Source.EVENT
    assert (str(record.camera), record.label.name, record.before) == ("pi/front", "cat", "unknown")
    assert record.at == datetime(2026, 11, 22, 11, 39, 0, 238000, UTC)
    assert record.day == timezone.localdate(record.at) == date(2026, 11, 22)
    assert (record.score, record.margin, record.seq) == (0.75, 0.5, 7)
    assert (record.model, record.delay_ms, record.picture) == ("test@00000000", 7.4, None)
    assert record.label.first_seen == record.at


def test_event_that_comes_twice_is_recorded_once(broker: Broker, sender: Sender) -> None:
    with recording(broker) as recorder:
        sender.events(1, 2, 1)
        sender.events(2, 3)
        eventually(lambda: is_settled(recorder, 5))
        assert (recorder.status.recorded, recorder.status.repeated) == (3, 2)
    assert Record.objects.count() == 3


def test_label_is_first_seen_when_its_earliest_event_was_captured(
    broker: Broker, sender: Sender
) -> None:
    Label.objects.create(name="chosen")
    with recording(broker, session_hours=8760) as recorder:
        for number, (name, day) in enumerate([("a", 3), ("a", 5), ("a", 2), ("chosen", 4)]):
            ts = f"2026-11-{day:02d}T00:00:00Z"
            sender.send(EVENT, event_payload(number, to=name, ts=ts))
            eventually(partial(is_settled, recorder, number + 1))
    seen = {label.name: label.first_seen.day for label in Label.objects.all() if label.first_seen}
    assert seen == {"a": 2, "chosen": 4}


def test_cameras_of_several_devices_are_told_apart(broker: Broker, sender: Sender) -> None:
    with recording(broker) as recorder:
        for number, place in enumerate(["pi/front", "pi/back", "attic/front", "pi/front"]):
            sender.send(f"edge-classifier/{place}/event", event_payload(number))
        eventually(lambda: is_settled(recorder, 4))
    assert [str(camera) for camera in Camera.objects.all()] == [
        "attic/front",
        "pi/back",
        "pi/front",
    ]
    assert Record.objects.filter(camera__device="pi", camera__name="front").count() == 2


def test_messages_that_are_no_events_are_counted_and_hold_nothing_up(
    broker: Broker, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense = [b"", b"{", b"\xff", b"[" * 9999, event_payload(1, to="a\0b"), bytes(200_000)]
    with recording(broker) as recorder:
        for payload in nonsense:
            sender.send(EVENT, payload)
        sender.send(SNAPSHOT, b"GIF89a", bytes(100))
        sender.events(2)
        eventually(lambda: recorder.status.recorded == 1)
        assert recorder.status.ignored == len(nonsense) + 2
    assert caplog.text.count("ignored") == 1
    with recording(broker) as again:
        sender.events(3)
        eventually(lambda: again.status.recorded == 1)
        assert again.status.ignored == 0, "they were not acknowledged"


# --- pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["event first", "picture first", "both at once"])
def test_snapshot_is_stored_and_belongs_to_its_event(
    broker: Broker, sender: Sender, order: str
) -> None:
    steps: list[Callable[[], None]] = [lambda: sender.events(1, 2), lambda: sender.snapshots(1, 2)]
    with recording(broker) as recorder:
        for step in steps if order == "event first" else steps[::-1]:
            step()
            if order != "both at once":
                eventually(lambda: Record.objects.count() == 2 or EventPicture.objects.count() == 2)
        eventually(lambda: Record.objects.exclude(picture=None).count() == 2)
        assert recorder.status.recorded == 2
    assert EventPicture.objects.count() == 0
    for number in (1, 2):
        picture = Record.objects.get(seq=number).picture
        assert picture is not None
        assert picture_storage.read(
            picture_storage.picture_name(picture.sha256)
        ) == snapshot_payload(number)
        assert picture.size == len(snapshot_payload(number))


def test_snapshot_that_comes_again_changes_nothing(broker: Broker, sender: Sender) -> None:
    sender.send(SNAPSHOT, snapshot_payload(1), retain=True)
    for _ in range(2):
        with recording(broker) as recorder:
            sender.events(1)
            eventually(partial(is_settled, recorder, 1))
            eventually(lambda: Record.objects.exclude(picture=None).count() == 1)
    assert (Picture.objects.count(), EventPicture.objects.count()) == (1, 0)


def test_snapshot_that_was_asked_for_is_not_recorded(broker: Broker, sender: Sender) -> None:
    plain = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02\xff\xd9"
    with recording(broker) as recorder:
        sender.send(SNAPSHOT, plain, b"")
        sender.events(1)
        eventually(lambda: recorder.status.recorded == 1)
        assert recorder.status.ignored == 0
    assert Picture.objects.count() == 0


def test_snapshots_that_are_too_large_are_ignored_and_hold_nothing_up(
    broker: Broker, sender: Sender
) -> None:
    with recording(broker, snapshot_max_kb=2, batch=5) as recorder:
        sender.send(SNAPSHOT, *(snapshot_payload(number) + bytes(200_000) for number in range(60)))
        sender.events(1)
        eventually(lambda: recorder.status.recorded == 1)
        assert recorder.status.ignored == 60
    assert Picture.objects.count() == 0


# --- what may befall it ------------------------------------------------------------------------


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else can write to this database meanwhile."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def acknowledged(broker: Broker) -> int:
    """Messages that recorders have acknowledged so far."""
    return broker.log.count("Received PUBACK from edge-classifier-recorder")


def delivered(broker: Broker) -> int:
    """Messages that recorders have been sent so far."""
    return broker.log.count("Sending PUBLISH to edge-classifier-recorder")


def recorded() -> list[int]:
    return list(Record.objects.order_by("id").values_list("seq", flat=True))


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_recorder_that_was_away_gets_what_was_sent_meanwhile(
    broker: Broker, sender: Sender, protocol: str
) -> None:
    with recording(broker, protocol=protocol):
        pass
    sender.events(*range(1, 501))
    with recording(broker, protocol=protocol) as recorder:
        eventually(lambda: recorder.status.recorded == 500)
    assert set(recorded()) == set(range(1, 501))


def test_recorder_acknowledges_nothing_before_it_is_committed(
    broker: Broker, sender: Sender
) -> None:
    with recording(broker) as recorder:
        with locked(DATABASE):
            sender.events(1, 2, 3)
            eventually(lambda: recorder.status.waiting == 3)
            assert acknowledged(broker) == 0
        eventually(lambda: acknowledged(broker) == 3)
        assert recorder.status.recorded == 3


def test_recorder_acknowledges_nothing_of_an_earlier_connection(
    broker: Broker, sender: Sender
) -> None:
    with recording(broker) as recorder:
        with locked(DATABASE):
            sender.events(1, 2, 3)
            eventually(lambda: recorder.status.waiting == 3)
            broker.save()
            broker.kill()
            eventually(lambda: not recorder.status.connected)
        eventually(lambda: recorder.status.recorded == 3)
        assert str(broker.port) in recorder.status.reason
        broker.start()
        eventually(lambda: recorder.status.repeated == 3)
        eventually(lambda: acknowledged(broker) == 3)
    assert sorted(recorded()) == [1, 2, 3]


def test_events_survive_restarts_of_the_broker_and_come_once(
    broker: Broker, sender: Sender
) -> None:
    with recording(broker, batch=10) as recorder:
        for life in range(3):
            sender.events(*range(life * 100, life * 100 + 100))
            broker.save()
            before = broker.log.count(_SUBSCRIBED)
            broker.kill()
            broker.start()
            # Not the recorder's own word, which is that of the last connection for a moment.
            eventually(lambda: broker.log.count(_SUBSCRIBED) > before)  # noqa: B023
        eventually(lambda: recorder.status.recorded == Record.objects.count() == 300)
    assert set(recorded()) == set(range(300))


def test_message_that_the_database_refuses_holds_nothing_up(
    broker: Broker, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(DATABASE)) as other, recording(broker) as recorder:
        other.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON web_record WHEN NEW.model = 'poison'"
            " BEGIN SELECT RAISE(ABORT, 'poison'); END"
        )
        try:
            models = ["good", "poison", "good", "poison", "good"]
            payloads = [event_payload(number, model=model) for number, model in enumerate(models)]
            sender.send(EVENT, *payloads)
            eventually(partial(is_settled, recorder, 5))
        finally:
            other.execute("DROP TRIGGER refuse")
        assert (recorder.status.recorded, recorder.status.ignored) == (3, 2)
        eventually(lambda: acknowledged(broker) == 5)
    assert sorted(recorded()) == [0, 2, 4]
    assert "poison" in caplog.text


def test_recorder_waits_for_a_storage_that_is_away_and_goes_on(
    broker: Broker, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    away = FOLDERS.pictures.with_name("away")
    FOLDERS.pictures.rename(away)
    FOLDERS.pictures.touch()
    try:
        with recording(broker) as recorder:
            sender.events(1)
            sender.snapshots(1)
            eventually(lambda: "pictures: cannot be kept" in recorder.status.trouble)
            assert acknowledged(broker) <= 1
            FOLDERS.pictures.unlink()
            away.rename(FOLDERS.pictures)
            eventually(lambda: Record.objects.exclude(picture=None).count() == 1)
            eventually(lambda: recorder.status.trouble == "")
    finally:
        if away.exists():
            FOLDERS.pictures.unlink(missing_ok=True)
            away.rename(FOLDERS.pictures)
    assert caplog.text.count("nothing can be recorded") == caplog.text.count("goes on") == 1


def test_recorder_whose_writer_fails_as_nobody_foresaw_goes_on_and_loses_nothing(
    broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had taken and not written the broker brings again."""
    write, failures = RecordWriter._write_batch, iter([True, True])

    def failing(self: RecordWriter, batch: Sequence[ReceivedMessage]) -> None:
        with monkeypatch.context() as patch:
            if next(failures, False):
                patch.setattr(RecordWriter, "_content", unforeseen)
            write(self, batch)

    monkeypatch.setattr(RecordWriter, "_write_batch", failing)
    with recording(broker) as recorder:
        sender.events(1, 2, 3)
        eventually(lambda: recorded() == [1, 2, 3])
        assert "unforeseen" in recorder.status.trouble
        eventually(lambda: acknowledged(broker) == 3)


def unforeseen(*_: object) -> None:
    raise RuntimeError("unforeseen")


def test_message_that_cannot_be_read_for_a_reason_nobody_foresaw_holds_nothing_up(
    broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = received.read

    def read_all_but_one(topic: str, payload: bytes, **limits: Any) -> Any:
        if payload == event_payload(2):
            raise KeyError("unforeseen")
        return read(topic, payload, **limits)

    monkeypatch.setattr(received, "read", read_all_but_one)
    with recording(broker) as recorder:
        sender.events(1, 2, 3)
        eventually(lambda: acknowledged(broker) == 3)
        assert (recorder.status.recorded, recorder.status.ignored) == (2, 1)
        assert recorder.status.trouble == ""


def test_recorder_connects_again_once_the_system_has_threads(
    broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording(broker) as recorder:
        sender.events(1)
        eventually(lambda: recorded() == [1])
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            broker.kill()
            broker.start()
            eventually(lambda: "can't start new thread" in recorder.status.reason)
        sender.events(2)
        eventually(lambda: recorded() == [1, 2])


def no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_connection_whose_thread_has_failed_is_replaced(
    broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paho's thread ends with the error, and tells nobody."""
    put, failures = DeliveryQueue.put, iter([True])

    def failing(self: DeliveryQueue, message: ReceivedMessage) -> bool:
        if next(failures, False):
            raise KeyError("unforeseen")
        return put(self, message)

    monkeypatch.setattr(DeliveryQueue, "put", failing)
    with recording(broker):
        sender.events(1, 2)
        eventually(lambda: recorded() == [1, 2])


def test_messages_without_room_are_brought_again(
    broker: Broker, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    large = [snapshot_payload(number) + bytes(200_000) for number in range(100)]
    alive = "Received PINGREQ from edge-classifier-recorder"
    with recording(broker, keepalive_s=5) as recorder:
        with locked(DATABASE):
            sender.send(SNAPSHOT, *large)
            eventually(lambda: delivered(broker) == 100)
            # It has more than it wants in memory, leaves the rest to the broker, and stays there.
            eventually(lambda: alive in broker.log)
            assert recorder.status.waiting < 90
            assert recorder.status.connected
            sender.events(*range(100))
        eventually(lambda: Record.objects.exclude(picture=None).count() == 100)
    assert "they come again" in caplog.text
    assert Picture.objects.count() == 100


# --- who may listen ----------------------------------------------------------------------------


def test_recorder_with_name_password_and_tls_is_let_in_and_one_without_told_why(
    tmp_path: Path,
) -> None:
    certificates = authority(tmp_path / "certificates")
    certificate, key = certificates.sign("broker", f"IP:{HOST}")
    secret = tmp_path / "password"
    secret.write_text("right")
    lines = (
        "allow_anonymous false",
        f"password_file {password_file(tmp_path, recorder='right')}",
        f"cafile {certificates.certificate}",
        f"certfile {certificate}",
        f"keyfile {key}",
    )
    tls = TlsSettings(enabled=True, ca_file=certificates.certificate)
    with Broker(tmp_path / "broker", lines) as broker:
        plain = WebMqttSettings(host=HOST, port=broker.port, tls=tls)
        allowed = replace(plain, username="recorder", password_file=secret)
        for mqtt, reason in (
            (plain, "the broker refuses: Not authorized"),
            (replace(allowed, password_file=tmp_path / "none"), "the secret cannot be read"),
            (replace(allowed, tls=TlsSettings()), "does the port speak TLS, or not?"),
            (allowed, ""),
        ):
            recorder = Recorder(replace(SETTINGS, mqtt=mqtt), random=lambda: SOON)
            recorder.start()
            eventually(partial(is_told, recorder, reason))
            recorder.stop()


def is_told(recorder: Recorder, reason: str) -> bool:
    status = recorder.status
    return reason in status.reason if reason else status.connected and not status.reason


# --- as a process ------------------------------------------------------------------------------


def test_process_says_when_it_is_connected_and_what_it_did(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    process = Process(tmp_path / "recorder", broker.port)
    with process.running():
        sender.events(1, 2)
        process.until(lambda: process.has(2))
        assert process.stop(within_s=5) == 0
        assert "connected to the broker" in process.log
        assert "recording has ended: 2 new events" in process.log
    eventually(lambda: f"Received DISCONNECT from {process.client_id}" in broker.log)


def test_process_that_is_killed_again_and_again_loses_nothing(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    process = Process(tmp_path / "recorder", broker.port, {"record.batch": 20})
    with process.running():
        for begin in range(0, 2000, 500):
            sender.events(*range(begin, begin + 500))
            process.until(partial(process.has_more_than, begin + 100))
            process.kill()
            process.start()
        process.until(lambda: process.has(2000))
        assert process.rows() == list(range(2000))


def test_process_killed_before_the_commit_gets_everything_again(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    process = Process(tmp_path / "recorder", broker.port)
    with process.running():
        with locked(process.state / "web.db"):
            sender.events(*range(50))
            eventually(lambda: delivered(broker) == 50)
            process.kill()
        assert acknowledged(broker) == 0
        assert process.rows() == []
        process.start()
        process.until(lambda: process.has(50))
    assert process.rows() == list(range(50))


def test_process_that_cannot_write_ends_in_time(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    process = Process(tmp_path / "recorder", broker.port)
    with process.running(), locked(process.state / "web.db"):
        sender.events(1)
        eventually(lambda: delivered(broker) == 1)
        assert process.stop(within_s=5) == 0
    assert acknowledged(broker) == 0


def test_process_on_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "small", "8m") as disk:
        process = Process(disk / "recorder", broker.port, {"record.batch": 50})
        process.logs = tmp_path
        with process.running():
            sender.events(*range(100))
            process.until(lambda: process.has(100))
            eventually(lambda: acknowledged(broker) == 100)
            fill(disk)
            sender.events(*range(100, 1100))
            sender.snapshots(*range(50))
            process.until(lambda: "nothing can be recorded, and nothing is ack" in process.log)
            (disk / "filler").unlink()
            process.until(lambda: process.has(1100), within_s=60)
            process.until(lambda: process.rows(PICTURED) == [50])
            process.until(lambda: "recording goes on" in process.log)
            assert process.log.count("nothing can be recorded") == 1
            assert process.rows() == list(range(1100))


PICTURED = "SELECT count(*) FROM web_record WHERE picture_id IS NOT NULL"
