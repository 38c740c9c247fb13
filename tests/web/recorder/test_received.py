"""What strangers send to the recorder's topics: read, or refused, and nothing else."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.jpeg_comment import (
    SnapshotFrame,
    event_comment,
    frame_comment,
    with_comment,
)
from edge_classifier.mqtt.codec.event_messages import (
    EventMessage,
)
from edge_classifier.web.recorder.received import (
    EventTimes,
    RecordedEvent,
    RecordedSnapshot,
    event_times,
    read,
    topic_filters,
)
from tests.web.recording import ID, event_payload, snapshot_payload

TOPIC = "edge-classifier/pi/front/event"
SNAPSHOT = "edge-classifier/pi/front/snapshot"
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02\xff\xd9"
MOST = 1000
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEPT = timedelta(days=8)


def understood(topic: str, payload: bytes) -> RecordedEvent | RecordedSnapshot | None:
    return read(topic, payload, "edge-classifier", MOST, KEPT, lambda: NOW)


def event(**changed: Any) -> EventMessage:
    found = understood(TOPIC, event_payload(1, **changed))
    assert isinstance(found, RecordedEvent)
    assert (found.device, found.camera) == ("pi", "front")
    assert isinstance(found.event, EventMessage)
    return found.event


def test_event_is_read_with_all_that_it_says() -> None:
    assert event(seq=7, capture_to_publish_ms=12.5) == EventMessage(
        key=UUID(int=1),
        label="cat",
        before="unknown",
        at=datetime(2026, 11, 22, 11, 39, 0, 238000, UTC),
        score=0.75,
        margin=0.5,
        seq=7,
        model="test@00000000",
        delay_ms=12.5,
    )


@pytest.mark.parametrize(
    ("changed", "name", "value"),
    [
        ({"to": "unknown"}, "label", "unknown"),
        ({"to": "x" * 200}, "label", "x" * 200),
        ({"from": ""}, "before", ""),
        ({"seq": None}, "seq", None),
        ({"seq": 2**63 - 1}, "seq", 2**63 - 1),
        ({"margin": -1}, "margin", -1.0),
        ({"score": 1}, "score", 1.0),
        ({"capture_to_publish_ms": None}, "delay_ms", None),
        # Clocks that were set in between, or nonsense: the event is recorded all the same.
        ({"capture_to_publish_ms": -1}, "delay_ms", None),
        ({"capture_to_publish_ms": 1.8e12}, "delay_ms", None),
        ({"capture_to_publish_ms": 1e300}, "delay_ms", None),
        ({"capture_to_publish_ms": "1"}, "delay_ms", None),
        ({"ts": "2026-01-01T01:00:00+01:00"}, "at", datetime(2026, 1, 1, tzinfo=UTC)),
        ({"id": ID.upper()}, "key", UUID(ID)),
        ({"more": [1, {"of": "it"}]}, "label", "cat"),
    ],
)
def test_event_with_a_value_at_its_limit_is_read(
    changed: dict[str, Any], name: str, value: object
) -> None:
    assert getattr(event(**changed), name) == value


@pytest.mark.parametrize(("key", "name"), [("to", "label"), ("from", "before"), ("model",) * 2])
def test_event_with_a_name_that_is_too_long_is_read_with_a_shorter_one(key: str, name: str) -> None:
    assert not event(**{key: "x" * 200}).is_shortened
    first, second = (event(**{key: "猫" * 300 + end}) for end in "ab")
    assert first.is_shortened
    short = getattr(first, name)
    assert len(short) == 200
    assert re.fullmatch("猫{190}…~[0-9a-f]{8}", short)
    assert short != getattr(second, name)
    assert short == getattr(event(**{key: "猫" * 300 + "a"}), name)


def times(stamp: datetime, **facts: Any) -> EventTimes:
    given = {"received": NOW, "delay_ms": None, "kept": KEPT, **facts}
    return event_times(stamp, **given)


DAY_MS = 86_400_000.0


@pytest.mark.parametrize(
    ("stamp", "facts"),
    [
        (NOW, {}),
        (NOW + timedelta(minutes=9), {}),
        # The broker kept it for a recorder that was away.
        (NOW - timedelta(days=7.9), {}),
        (NOW - timedelta(days=200), {"kept": timedelta(days=366)}),
        # It waited in its device, which was away for half a year.
        (NOW - timedelta(days=200), {"delay_ms": 199 * DAY_MS}),
        # Nobody has set our own clock yet.
        (NOW, {"received": datetime(1970, 1, 1, tzinfo=UTC)}),
    ],
)
def test_stamp_that_can_be_right_is_believed(stamp: datetime, facts: dict[str, Any]) -> None:
    assert times(stamp, **facts) == EventTimes(stamp, None)


@pytest.mark.parametrize(
    ("stamp", "facts"),
    [
        (datetime(1970, 1, 1, 0, 0, 12, tzinfo=UTC), {}),
        # The clock was set, and the device started again, before the event was published.
        (datetime(1970, 1, 1, 0, 0, 12, tzinfo=UTC), {"delay_ms": 20_000 * DAY_MS}),
        (NOW - timedelta(days=200), {}),
        (NOW - timedelta(days=200), {"delay_ms": 7.4}),
        (NOW + timedelta(minutes=11), {}),
        (NOW + timedelta(days=3000), {}),
    ],
)
def test_stamp_that_cannot_be_right_is_kept_beside_the_time_of_reception(
    stamp: datetime, facts: dict[str, Any]
) -> None:
    assert times(stamp, **facts) == EventTimes(NOW, stamp)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": None},
        {"id": ""},
        {"id": ID[1:]},
        {"id": f"{ID}0"},
        {"id": f"{ID}\n"},
        {"id": str(UUID(ID))},
        {"id": 1},
        {"to": None},
        {"to": ""},
        {"to": "a\0b"},
        {"to": "\ud800"},
        {"to": ["cat"]},
        {"from": None},
        {"model": 5},
        {"score": -0.01},
        {"score": 1.01},
        {"score": float("nan")},
        {"score": float("inf")},
        {"score": True},
        {"score": "0.5"},
        {"score": None},
        {"score": 10**400},
        {"margin": 2},
        {"margin": [0]},
        {"seq": -1},
        {"seq": 2**63},
        {"seq": 1.5},
        {"seq": True},
        {"ts": None},
        {"ts": ""},
        {"ts": 1_700_000_000},
        {"ts": "yesterday"},
        {"ts": "2026-11-22T11:39:00.238"},
        {"ts": "0001-01-01T00:00:00Z"},
        {"ts": "1969-12-31T23:59:59Z"},
        {"ts": "9999-12-31T23:59:59Z"},
        {"ts": "2026-11-22T11:39:00Z" + "0" * 100},
        {"event_type": "something_else"},
        {"event_type": "x" * 60_000},
        {"event_type": None},
        {"filling": "x" * 70_000},
    ],
)
def test_event_that_no_daemon_sends_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        event(**changed)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"cat"',
        b"\xff\xfe",
        b"[" * 50_000,
        b'{"a":' * 10_000,
        b'{"score": NaN}',
        b'{"score": ' + b"1" * 5000 + b"}",
        JPEG,
    ],
)
def test_payload_that_is_no_event_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        understood(TOPIC, payload)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "event",
        "edge-classifier/event",
        "edge-classifier/pi/event",
        "edge-classifier/pi/front/door/event",
        "edge-classifier/pi/front/state",
        "another/pi/front/event",
        "edge-classifier//front/event",
        "edge-classifier/pi//event",
        "edge-classifier/" + "p" * 65 + "/front/event",
        "edge-classifier/pi/" + "f" * 65 + "/event",
        "edge-classifier/pi/a\0b/event",
        "edge-classifierpi/front/event",
    ],
)
def test_message_on_another_topic_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        understood(topic, event_payload(1))


@pytest.mark.parametrize("level", ["request", "response"])
def test_what_a_daemon_is_asked_for_is_nothing_to_be_recorded(level: str) -> None:
    assert understood(f"edge-classifier/pi/{level}/snapshot", b'{"camera": "front"}') is None


def test_base_topic_may_have_levels() -> None:
    found = read("a/b/pi/front/event", event_payload(1), "a/b", MOST, KEPT, lambda: NOW)
    assert isinstance(found, RecordedEvent)
    assert (found.device, found.camera) == ("pi", "front")


def test_snapshot_of_an_event_is_read_with_its_id() -> None:
    jpeg = with_comment(JPEG, event_comment(ID))
    expected = RecordedSnapshot(UUID(ID), "pi", "front", jpeg, None, NOW)
    assert understood(SNAPSHOT, jpeg) == expected
    frame = with_comment(with_comment(JPEG, frame_comment(5, (0, 0, 0.5, 1))), event_comment(ID))
    told = SnapshotFrame(5000, (0, 0, 0.5, 1))
    assert understood(SNAPSHOT, frame) == replace(expected, jpeg=frame, frame=told)


@pytest.mark.parametrize("payload", [b"", JPEG, with_comment(JPEG, "made elsewhere")])
def test_snapshot_without_an_event_is_nothing_to_be_recorded(payload: bytes) -> None:
    assert understood(SNAPSHOT, payload) is None


@pytest.mark.parametrize("payload", [b"GIF89a", b"{}", b"\xff\xd8", JPEG + bytes(MOST)])
def test_snapshot_that_is_no_picture_or_too_large_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="not a JPEG of at most 1000 bytes"):
        understood(SNAPSHOT, payload)


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(lambda whole: whole[: len(whole) // 2], id="half of it"),
        pytest.param(lambda whole: whole[:-2], id="without its end"),
        pytest.param(lambda whole: whole[:4] + bytes(range(256)) * 3, id="noise"),
    ],
)
def test_snapshot_that_is_cut_short_or_damaged_is_refused(
    damaged: Callable[[bytes], bytes],
) -> None:
    # With its event's comment, as a lost connection or a full disk may leave it.
    jpeg = damaged(snapshot_payload(1))
    with pytest.raises(ValueError, match="cut short or damaged"):
        understood(SNAPSHOT, with_comment(jpeg, event_comment(ID)))


def test_filters_of_a_group_share_the_load() -> None:
    assert topic_filters("a/b") == ["a/b/+/+/event", "a/b/+/+/snapshot"]
    assert topic_filters("base", "fleet") == [
        "$share/fleet/base/+/+/event",
        "$share/fleet/base/+/+/snapshot",
    ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(list(json.loads(event_payload(1))))


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_event_with_any_values_is_refused_or_fits_the_tables(changed: dict[str, Any]) -> None:
    try:
        found = event(**changed)
    except ValueError:
        return
    for text in (found.label, found.before, found.model):
        assert len(text.encode("utf-8")) <= 800
        assert "\0" not in text
    assert 0 <= found.score <= 1
    assert -1 <= found.margin <= 1
    assert found.seq is None or 0 <= found.seq < 2**63
    assert found.delay_ms is None or 0 <= found.delay_ms < float("inf")
    assert 1969 <= found.at.year <= 9999


@given(st.text(), st.binary(max_size=2000))
def test_message_of_any_bytes_is_refused_or_read(topic: str, payload: bytes) -> None:
    for name in (topic, f"edge-classifier/{topic}/event", TOPIC, SNAPSHOT):
        for content in (payload, JPEG[:3] + payload):
            try:
                found = understood(name, content)
            except ValueError:
                continue
            assert found is None or isinstance(found, RecordedEvent | RecordedSnapshot)
