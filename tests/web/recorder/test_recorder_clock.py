"""Times of events whose device has a wrong clock, and of those that came while ours was wrong."""

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.apps import apps
from django.db import connection

from edge_classifier.files import utc_stamp
from edge_classifier.mqtt.connection.broker_connection import ReceivedMessage
from edge_classifier.web.models import Label, Record
from edge_classifier.web.recorder.queue import DeliveryQueue
from edge_classifier.web.recorder.received import read
from edge_classifier.web.recorder.writer import RecordWriter
from tests.web import making
from tests.web.recording import EVENT, event_payload

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEPT = timedelta(days=8)
HALF_A_YEAR = timedelta(days=200)


class Machine:
    """A recorder's thread, run by hand, on a machine whose clock can be set."""

    def __init__(self, at: datetime) -> None:
        self.wall = at
        self.monotonic = 50.0
        self.queue = DeliveryQueue()
        reader = partial(
            read, base="edge-classifier", snapshot_bytes=1, kept=KEPT, now=lambda: self.wall
        )
        self.writer = RecordWriter(
            self.queue,
            reader,
            10,
            kept=KEPT,
            clock=lambda: self.monotonic,
            wall=self.now_s,
        )

    def now_s(self) -> float:
        return self.wall.timestamp()

    def wait(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic += seconds

    def event(self, number: int, stamp: datetime, **changed: object) -> None:
        payload = event_payload(number, ts=utc_stamp(stamp.timestamp()), **changed)
        self.queue.put(ReceivedMessage(EVENT, payload, lambda: None))


@contextmanager
def running(machine: Machine) -> Iterator[None]:
    """Everything that is put in is written when the block has ended."""
    yield
    machine.writer.end()
    machine.writer.run()


@pytest.mark.parametrize(
    "stamp",
    [datetime(1970, 1, 1, 0, 0, 12, tzinfo=UTC), NOW - HALF_A_YEAR, NOW + timedelta(days=3000)],
)
def test_event_of_a_wrong_clock_is_recorded_when_it_came_with_what_the_clock_said(
    stamp: datetime,
) -> None:
    machine = Machine(NOW)
    with running(machine):
        machine.event(1, stamp)
        machine.event(2, NOW)
    odd, right = Record.objects.order_by("seq")
    assert (odd.at, odd.device_at, odd.recorded_at, odd.day) == (NOW, stamp, NOW, NOW.date())
    assert (right.at, right.device_at) == (NOW, None)
    assert Label.objects.get(name="cat").first_seen == NOW


def test_event_that_waited_half_a_year_in_its_device_keeps_its_time() -> None:
    machine, stamp = Machine(NOW), NOW - HALF_A_YEAR
    with running(machine):
        machine.event(1, stamp, capture_to_publish_ms=HALF_A_YEAR.total_seconds() * 1000)
    record = Record.objects.get()
    assert (record.at, record.device_at, record.recorded_at) == (stamp, None, NOW)


@pytest.mark.parametrize("wrong_by", [-HALF_A_YEAR, HALF_A_YEAR])
def test_what_was_recorded_before_the_clock_was_set_follows_it(
    wrong_by: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("several recorders on several machines write to PostgreSQL")
    caplog.set_level(logging.WARNING)
    making.event("before", at=NOW - timedelta(days=1))
    machine = Machine(NOW + wrong_by)
    machine.wait(30)
    # A daemon of the same machine, and one of another, whose clock is right.
    machine.event(1, machine.wall)
    machine.event(2, NOW + timedelta(seconds=30))
    machine.writer._write_batch(machine.queue.take(10, wait_s=0, linger_s=0))
    wrong = machine.wall
    machine.wait(30)
    machine.wall -= wrong_by
    with running(machine):
        machine.event(3, machine.wall)
    same, other, later = Record.objects.filter(seq__gt=0).order_by("seq")
    then = NOW + timedelta(seconds=30)
    assert (same.recorded_at, same.at, same.device_at) == (then, then, wrong)
    assert (other.recorded_at, other.at, other.device_at) == (then, then, None)
    assert (later.recorded_at, later.device_at) == (NOW + timedelta(seconds=60), None)
    assert Record.objects.get(label__name="before").recorded_at == NOW - timedelta(days=1)
    assert "the clock was set" in caplog.text


def test_long_label_is_recorded_shorter_and_said(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(NOW)
    with running(machine):
        machine.event(1, NOW, to="x" * 250)
    assert len(Record.objects.get().label.name) == 200
    assert machine.writer.ignored == 0
    assert "has a label that is too long; it is recorded as 'xxx" in caplog.text


def test_old_records_of_wrong_clocks_are_put_where_they_were_recorded() -> None:
    future, epoch = NOW + timedelta(days=3000), datetime(1970, 1, 1, 0, 0, 12, tzinfo=UTC)
    for name, at in {"future": future, "epoch": epoch, "late": NOW - timedelta(days=300)}.items():
        making.event(name, at=at, recorded_at=NOW)
        Label.objects.filter(name=name).update(first_seen=at)
    migration = importlib.import_module("edge_classifier.web.migrations.0002_device_time")
    migration.set_doubtful_apart(apps, connection.schema_editor())
    found = {record.label.name: record for record in Record.objects.select_related("label")}
    for name, at in {"future": future, "epoch": epoch}.items():
        record = found[name]
        assert (record.at, record.device_at, record.day) == (NOW, at, NOW.date())
        assert record.label.first_seen == NOW
    assert (found["late"].at, found["late"].device_at) == (NOW - timedelta(days=300), None)
