"""What the daemon writes, the page reads: each payload, through the one codec."""

import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.events import (
    CameraState,
    LabelChange,
    LabelEnd,
    LabelGlimpse,
    Moment,
    Ranked,
)
from edge_classifier.core.jpeg_comment import event_comment, with_comment
from edge_classifier.daemon.command_requests import RequestError, parse_request, response_to
from edge_classifier.daemon.host import Host
from edge_classifier.daemon.meters import Meters
from edge_classifier.mqtt.codec.camera_payloads import (
    MAX_LABEL,
    SnapshotMessage,
    StateMessage,
    read_snapshot,
    read_state,
    state_payload,
)
from edge_classifier.mqtt.codec.camera_settings import SettingMessage, camera_settings_payload
from edge_classifier.mqtt.codec.device_payloads import (
    CameraStats,
    InfoMessage,
    ModelChangeMessage,
    availability_payload,
    info_payload,
    read_availability,
    read_info,
    read_response,
    read_stats,
    request_payload,
    stats_payload,
)
from edge_classifier.mqtt.codec.event_messages import (
    EndMessage,
    EventMessage,
    GlimpseMessage,
    read_event,
)
from edge_classifier.mqtt.codec.event_payloads import event_payload, with_delay
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.publisher_thread import PublisherStatus
from edge_classifier.mqtt.topics import TopicRoute, Topics, route

JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02\xff\xd9"
TOPICS = Topics("a/base", "pi", "homeassistant")
# What labels and models are called: no line breaks, no blanks around them.
NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=MAX_LABEL)
FRACTIONS = st.floats(0, 1)
UTC_S = st.floats(0, 4e9)
PATHS = st.lists(NAMES, max_size=5).map(tuple)
TOPS = st.lists(st.builds(Ranked, NAMES, FRACTIONS), max_size=3).map(tuple)


def rounded(top: tuple[Ranked, ...]) -> tuple[Ranked, ...]:
    return tuple(Ranked(label, round(score, 4)) for label, score in top)


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
        path=PATHS,
        top=TOPS,
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
        path=event.path,
        path_names=event.path,
        top=rounded(event.top),
    )
    assert read_event(with_delay(waiting, delay)) == expected


SPAN: dict[str, st.SearchStrategy[Any]] = {
    "id": st.uuids().map(lambda key: key.hex),
    "seq": st.integers(0, 2**63 - 1),
    "camera": st.just("front"),
    "captured": st.builds(Moment, UTC_S, UTC_S),
    "model": NAMES,
    "path": PATHS,
    "top": TOPS,
    "label": NAMES,
    "started": st.just(1_000.0),
    "ended": st.just(1_060.0),
    "duration_s": st.just(60.0),
    "peak_score": FRACTIONS,
    "peak_at": st.sampled_from([1_000.0, 1_059.5]),
}


def span(event: LabelEnd | LabelGlimpse) -> dict[str, Any]:
    """What is read of both."""
    return {
        "key": uuid.UUID(event.id),
        "label": event.label,
        "started": utc(event.started),
        "duration_s": event.duration_s,
        "peak_score": round(event.peak_score, 4),
        "peak_after_s": event.peak_at - event.started,
        "seq": event.seq,
        "model": event.model,
        "delay_ms": 5.0,
        "path": event.path,
        "path_names": event.path,
        "top": rounded(event.top),
    }


@given(st.builds(LabelEnd, episode=st.uuids().map(lambda key: key.hex), **SPAN))
def test_end_of_an_episode_is_read_as_it_was_written(event: LabelEnd) -> None:
    expected = EndMessage(episode=uuid.UUID(event.episode), **span(event))
    assert read_event(with_delay(encoded(event_payload(event, str)), 5.0)) == expected


@given(
    st.builds(
        LabelGlimpse,
        frames=st.integers(2, 100),
        reason=st.sampled_from(["dwell", "margin", "below_threshold"]),
        needs_s=st.just(1.5),
        **SPAN,
    )
)
def test_glimpse_is_read_as_it_was_written(event: LabelGlimpse) -> None:
    expected = GlimpseMessage(
        frames=event.frames, reason=event.reason, needs_s=event.needs_s, **span(event)
    )
    assert read_event(with_delay(encoded(event_payload(event, str)), 5.0)) == expected


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
    change = {
        "model": "street",
        "sha256": "ab" * 32,
        "camera": "front",
        "state": "fetching",
        "bytes": 25,
        "size": 100,
        "error": "",
    }
    written = info_payload(
        model_change=change,
        model_offered={"model": "street", "sha256": "cd" * 32, "version": "street@cdcdcdcd"},
        settings={"front": camera_settings_payload({"look": "both", "enter": 0.5}, ["enter"])},
        version="1.2",
        model="garden@00000000",
        runtime="litert 2",
        delegate="CPU",
        notes=[],
        resting_rules=["ignore: no label 'cat'"],
        labels=["cat"] * 1000,
        configuration={"device": {"name": "pi"}},
    )
    told = ModelChangeMessage("street", "ab" * 32, "front", "fetching", 0.25, "")
    model = "garden@00000000"
    settings = {
        "front": {"look": SettingMessage("both", False), "enter": SettingMessage(0.5, True)}
    }
    resting = ("ignore: no label 'cat'",)
    found = InfoMessage("1.2", model, (model,), told, settings, resting, "cd" * 32, {})
    assert read_info(encoded(written)) == found
    nothing_offered = {**written, "model_offered": None}
    assert read_info(encoded(nothing_offered)).offered == ""
    for rules in (5, "x", [5, "", None], None):
        assert read_info(encoded({**written, "resting_rules": rules})).resting_rules == ()
    # Whatever else stands there is no change.
    unfit: tuple[object, ...] = (5, [], {}, "x", None)
    for nonsense in unfit:
        assert read_info(encoded({**written, "model_change": nonsense})).change is None
    wild = {"model": 5, "state": ["x"], "bytes": 9e99, "size": 0, "error": "\x1b" * 5000}
    read = read_info(encoded({**written, "model_change": wild})).change
    assert read == ModelChangeMessage("", "", "", "", None, "")


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
