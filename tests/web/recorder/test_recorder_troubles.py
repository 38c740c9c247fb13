"""What may befall the recorder: disks, databases, brokers and threads that fail."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.backends.signals import connection_created

from edge_classifier.config.mqtt_settings import TlsSettings
from edge_classifier.mqtt.connection.broker_connection import ReceivedMessage
from edge_classifier.web import database_file
from edge_classifier.web.config.settings import WebMqttSettings
from edge_classifier.web.models import Picture, Record
from edge_classifier.web.recorder import received, write_records
from edge_classifier.web.recorder.queue import DeliveryQueue
from edge_classifier.web.recorder.recorder import Recorder
from edge_classifier.web.recorder.writer import RecordWriter
from tests.mosquitto import Broker, authority, password_file
from tests.ports import HOST
from tests.waiting import eventually
from tests.web.conftest import FOLDERS, SETTINGS
from tests.web.recorder.running_recorder import (
    SOON,
    acknowledged,
    delivered,
    is_settled,
    locked,
    recording,
)
from tests.web.recording import (
    EVENT,
    SNAPSHOT,
    Sender,
    event_payload,
    snapshot_payload,
)

pytestmark = pytest.mark.django_db(transaction=True)


DATABASE = Path(connection.settings_dict["TEST"]["NAME"])


_SUBSCRIBED = "Received SUBSCRIBE from"


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


def test_recorder_that_cannot_write_does_not_wait_for_it_beyond_its_time(
    broker: Broker, sender: Sender
) -> None:
    mqtt = WebMqttSettings(host=HOST, port=broker.port)
    recorder = Recorder(replace(SETTINGS, mqtt=mqtt))
    recorder.start()
    with locked(DATABASE):
        eventually(lambda: "Received SUBSCRIBE from edge-classifier-recorder" in broker.log)
        sender.events(1)
        eventually(lambda: recorder.status.waiting == 1)
        recorder.stop(within_s=0)
        # The writing thread is not done, and never will be while somebody else has the database.
        assert recorder.status.waiting == 1
        assert acknowledged(broker) == 0
    eventually(lambda: recorder.status.waiting == 0)


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


def test_event_that_met_a_connection_that_had_ended_is_recorded(
    broker: Broker, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, failures = write_records.write_batch, iter(range(2))

    def write_after_two(contents: Any) -> int:
        if next(failures, None) is not None:
            raise InterfaceError("connection already closed")
        return write(contents)

    monkeypatch.setattr(write_records, "write_batch", write_after_two)
    with recording(broker) as recorder:
        sender.events(1)
        eventually(lambda: recorded() == [1])
        assert recorder.status.ignored == 0


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


def test_statement_that_is_wrong_holds_nothing_up_and_is_logged_with_its_traceback(
    broker: Broker,
    sender: Sender,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def ask_for_nothing(_contents: object) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT")
        return 0

    with recording(broker) as recorder:
        with monkeypatch.context() as patch:
            patch.setattr(write_records, "write_batch", ask_for_nothing)
            sender.events(1, 2)
            eventually(lambda: acknowledged(broker) == 2)
            assert (recorder.status.ignored, recorder.status.trouble) == (2, "")
        sender.events(3)
        eventually(lambda: recorded() == [3])
    traces = [one for one in caplog.records if one.exc_info]
    assert [one.message for one in traces] == ["the recorder failed and goes on"]


def test_recorder_of_another_version_than_its_tables_waits_and_loses_nothing(
    broker: Broker, sender: Sender
) -> None:
    table = Record._meta.db_table
    with recording(broker) as recorder:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN score TO likelihood")
        sender.events(1, 2)
        eventually(lambda: "score" in recorder.status.trouble)
        assert recorder.status.ignored == 0
        assert acknowledged(broker) == 0
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} RENAME COLUMN likelihood TO score")
        eventually(lambda: recorded() == [1, 2])
        eventually(lambda: acknowledged(broker) == 2)


@pytest.fixture
def watched() -> Iterator[None]:
    database_file.watch()
    yield
    connection_created.disconnect(database_file._note_file)


@contextmanager
def away() -> Iterator[None]:
    """The files of the database have other names."""
    connection.close()
    files = [Path(f"{DATABASE}{end}") for end in ("", "-wal", "-shm")]
    parts = [one for one in files if one.exists()]
    for one in parts:
        one.rename(f"{one}.away")
    try:
        yield
    finally:
        connection.close()
        for one in files:
            one.unlink(missing_ok=True)
        # The database itself comes last: opened without its log, it would lack what that has.
        for one in reversed(parts):
            Path(f"{one}.away").replace(one)


def test_recorder_whose_database_is_deleted_waits_until_it_is_there_again(
    broker: Broker, sender: Sender, watched: None
) -> None:
    """What is deleted can still be written, by who has it open; and a new one would be empty."""
    with recording(broker) as recorder:
        sender.events(1)
        eventually(lambda: recorded() == [1])
        with away():
            sender.events(2)
            eventually(lambda: "the file of the database is gone" in recorder.status.trouble)
            assert (recorder.status.recorded, recorder.status.waiting) == (1, 1)
            assert acknowledged(broker) == 1
            with pytest.raises(OperationalError, match="gone"):
                Record.objects.exists()
        eventually(lambda: recorder.status.recorded == 2)
        assert recorded() == [1, 2]


def test_recorder_whose_database_is_exchanged_writes_into_the_one_that_is_there(
    broker: Broker, sender: Sender, watched: None, caplog: pytest.LogCaptureFixture
) -> None:
    with recording(broker) as recorder:
        sender.events(1)
        eventually(lambda: recorded() == [1])
        copy = DATABASE.with_name("copy")
        with closing(sqlite3.connect(DATABASE)) as one, closing(sqlite3.connect(copy)) as other:
            one.backup(other)
        with away():
            copy.rename(DATABASE)
            sender.events(2)
            eventually(lambda: recorder.status.recorded == 2)
            assert recorded() == [1, 2]
            assert "the file of the database is gone, or another one" in caplog.text
        assert recorded() == [1]


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
