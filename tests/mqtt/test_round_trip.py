"""What the daemon writes, the page reads: each payload, through the one codec."""

import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.events import CameraState, LabelChange, Moment, Ranked
from edge_classifier.core.jpeg_comment import event_comment, with_comment
from edge_classifier.daemon.commands import RequestError, parse_request, response_to
from edge_classifier.daemon.host import Host
from edge_classifier.daemon.meters import Meters
from edge_classifier.mqtt.codec.camera_payloads import (
    MAX_LABEL,
    EventMessage,
    SnapshotMessage,
    StateMessage,
    event_payload,
    read_event,
    read_snapshot,
    read_state,
    state_payload,
    with_delay,
)
from edge_classifier.mqtt.codec.device_payloads import (
    CameraStats,
    InfoMessage,
    availability_payload,
    info_payload,
    read_availability,
    read_info,
    read_response,
    read_stats,
    request_payload,
    stats_payload,
)
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.publisher_thread import PublisherStatus
from edge_classifier.mqtt.topics import TopicRoute, Topics, route

JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02\xff\xd9"
TOPICS = Topics("a/base", "pi", "homeassistant")
# What labels and models are called: no line breaks, no blanks around them.
NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=MAX_LABEL)
FRACTIONS = st.floats(0, 1)
UTC_S = st.floats(0, 4e9)


def utc(seconds: float) -> datetime:
    """As it comes back: stamps are cut to milliseconds."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


@given(
    st.builds(
        CameraState,
        camera=st.just("front"),
        label=NAMES,
        score=FRACTIONS,
        margin=st.floats(-1, 1),
        top=st.lists(st.builds(Ranked, NAMES, FRACTIONS), max_size=3).map(tuple),
        since=UTC_S,
        at=UTC_S,
        seq=st.integers(0, 2**63 - 1),
        model=NAMES,
        enabled=st.booleans(),
        threshold=FRACTIONS,
    ),
    st.sampled_from(["", "no frames for 5 s"]),
)
def test_state_of_the_daemon_is_read_as_it_was_written(state: CameraState, problem: str) -> None:
    payload = encoded(state_payload(state, lambda label: label[::-1], problem))
    assert read_state(payload) == StateMessage(
        label=state.label,
        name=state.label[::-1],
        score=round(state.score, 4),
        at=utc(state.at),
        since=utc(state.since),
        model=state.model,
        enabled=state.enabled,
        problem=problem,
    )


@given(
    st.builds(
        LabelChange,
        id=st.uuids().map(lambda key: key.hex),
        seq=st.integers(0, 2**63 - 1),
        camera=st.just("front"),
        before=NAMES,
        after=NAMES,
        score=FRACTIONS,
        margin=st.floats(-1, 1),
        captured=st.builds(Moment, UTC_S, UTC_S),
        model=NAMES,
    ),
    st.floats(0, 1e9),
)
def test_event_of_the_daemon_is_read_as_it_was_written(event: LabelChange, delay: float) -> None:
    waiting = encoded(event_payload(event, str))
    expected = EventMessage(
        key=uuid.UUID(event.id),
        label=event.after,
        before=event.before,
        at=utc(event.captured.utc),
        score=round(event.score, 4),
        margin=round(event.margin, 4),
        seq=event.seq,
        model=event.model,
        delay_ms=delay,
    )
    assert read_event(with_delay(waiting, delay)) == expected


@pytest.mark.parametrize("comment", [True, False])
def test_snapshot_of_the_daemon_is_read_with_its_event(comment: bool) -> None:
    key = uuid.uuid4()
    jpeg = with_comment(JPEG, event_comment(key.hex)) if comment else JPEG
    assert read_snapshot(jpeg, 1000) == SnapshotMessage(key if comment else None, jpeg)


@pytest.mark.parametrize("online", [True, False])
def test_availability_of_the_daemon_is_read_as_it_was_written(online: bool) -> None:
    assert read_availability(availability_payload(online=online)) is online


def test_statistics_of_the_daemon_are_read_as_they_were_written(tmp_path: Path) -> None:
    meters = Meters()
    meters.set_cameras(["front", "back"])
    cameras = {"front": {"online": False, "reason": "gone"}, "back": {"online": True, "reason": ""}}
    status = PublisherStatus(connected=False, reason="nothing listens there", waiting=7)
    host = Host(tmp_path).status()
    written = stats_payload(
        meters.stats(cameras), publisher=asdict(status), store={}, host=host.stats()
    )
    found = read_stats(encoded(written))
    assert (found.connected, found.reason, found.waiting) == (False, "nothing listens there", 7)
    assert found.uptime_s == written["uptime_s"]
    assert found.memory_mb == host.stats()["memory_mb"]
    assert found.cameras["front"] == CameraStats(0.0, "gone")
    assert found.cameras["back"].reason == ""


def test_information_of_the_daemon_is_read_as_it_was_written() -> None:
    written = info_payload(
        version="1.2",
        model="garden@00000000",
        runtime="litert 2",
        delegate="CPU",
        notes=[],
        labels=["cat"] * 1000,
        configuration={"device": {"name": "pi"}},
    )
    assert read_info(encoded(written)) == InfoMessage("1.2", "garden@00000000")


def test_request_of_the_page_is_read_by_the_daemon_and_its_answer_by_the_page() -> None:
    request = parse_request("model", request_payload({"model": "garden"}, "0123"), ("front",))
    assert (request.model, request.transaction) == ("garden", "0123")
    done = read_response(encoded(response_to(request, {"model": "garden@1"})))
    assert (done["status"], done["data"]) == ("ok", {"model": "garden@1"})
    assert done["transaction"] == "0123"
    refused = read_response(encoded(response_to(RequestError("no such model", "0123"), {})))
    assert (refused["status"], refused["error"]) == ("error", "no such model")


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (TOPICS.availability, TopicRoute("pi", "", "availability")),
        (TOPICS.stats, TopicRoute("pi", "", "stats")),
        (TOPICS.info, TopicRoute("pi", "", "info")),
        (TOPICS.camera_availability("front"), TopicRoute("pi", "front", "availability")),
        (TOPICS.state("front"), TopicRoute("pi", "front", "state")),
        (TOPICS.event("front"), TopicRoute("pi", "front", "event")),
        (TOPICS.snapshot("front"), TopicRoute("pi", "front", "snapshot")),
        (TOPICS.request("model"), None),
        (TOPICS.discovery, None),
    ],
)
def test_topic_of_the_daemon_is_told_apart_by_the_page(
    topic: str, expected: TopicRoute | None
) -> None:
    assert route(TOPICS.base, topic) == expected


def test_response_of_the_daemon_is_told_apart_from_a_camera() -> None:
    found = route(TOPICS.base, TOPICS.response("model"))
    assert found
    assert (found.is_response, found.device, found.kind) == (True, "pi", "model")
    camera = route(TOPICS.base, TOPICS.state("front"))
    assert camera
    assert not camera.is_response
