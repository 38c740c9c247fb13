"""The recorder at a real broker: what is sent is in the table, once, whatever befalls it."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from uuid import UUID

import pytest
from django.utils import timezone

from edge_classifier.web.models import Camera, EventPicture, Label, Picture, Record
from edge_classifier.web.records import picture_storage
from tests.mosquitto import Broker
from tests.waiting import eventually
from tests.web.recorder.running_recorder import acknowledged, is_settled, recording
from tests.web.recording import (
    EVENT,
    SNAPSHOT,
    Sender,
    end_payload,
    event_id,
    event_payload,
    glimpse_payload,
    snapshot_payload,
)

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_events_of_a_later_version_are_told_once_and_hold_nothing_up(
    broker: Broker, sender: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with recording(broker) as recorder:
        for number in range(3):
            sender.send(EVENT, event_payload(number, event_type="label_dreamt"))
        sender.events(9)
        eventually(lambda: recorder.status.recorded == 1)
        assert recorder.status.ignored == 3
        eventually(lambda: acknowledged(broker) == 4)
    assert caplog.text.count("label_dreamt") == 1
    assert "WARNING" not in caplog.text


def test_episode_and_glimpse_of_a_daemon_are_recorded(broker: Broker, sender: Sender) -> None:
    with recording(broker) as recorder:
        sender.send(EVENT, event_payload(1, path=[]), end_payload(1), glimpse_payload(2))
        eventually(lambda: is_settled(recorder, 3))
        assert (recorder.status.recorded, recorder.status.repeated) == (3, 0)
    kinds = Record.objects.order_by("source").values_list("source", "duration_s")
    assert list(kinds) == [("event", 12.5), ("glimpse", 0.8)]


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
        # Counted when all of it is done.
        eventually(lambda: recorder.status.recorded == 2)
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
