"""What the live page knows, from messages alone."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.mqtt.topics import is_name
from edge_classifier.web.live.latest_frames import LatestFrames
from edge_classifier.web.live.live_state import (
    MAX_CAMERAS,
    MAX_DEVICES,
    MAX_JPEG,
    SWEEP_S,
    LiveState,
)
from edge_classifier.web.live.score_history import (
    MOST_POINTS,
    OLDEST_S,
    ScoreHistory,
    ScorePoint,
)
from tests.web.recording import event_payload

NOW = 1_795_000_000.0
STAMP = "2026-11-18T10:26:40.000Z"  # NOW
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x02 and so on \xff\xd9"
KINDS = ("availability", "state", "event", "snapshot", "stats", "info")


def state(**changed: Any) -> bytes:
    fields = {"label": "cat", "name": "Katze", "score": 0.8, "ts": STAMP, "model": "m@1", **changed}
    return json.dumps(fields).encode()


def event(**changed: Any) -> bytes:
    fields = {"from": "cat", "to": "dog", "score": 0.9, "ts": STAMP, "capture_to_publish_ms": 7.4}
    return event_payload(1, **{**fields, **changed})


def state_after(*messages: tuple[str, bytes], live: LiveState | None = None) -> LiveState:
    """A live on which ``messages`` have come; topics are without their base."""
    live = live or LiveState("base")
    for topic, payload in messages:
        live.take(f"base/{topic}", payload, NOW)
    return live


def camera(live: LiveState) -> dict[str, Any]:
    found = live.camera("pi", "front")
    assert found
    return found


def test_camera_is_shown_with_what_it_told_last() -> None:
    live = state_after(
        ("pi/availability", b"online"),
        ("pi/front/availability", b"online"),
        ("pi/front/state", state()),
        ("pi/front/event", event()),
        ("pi/stats", b'{"cameras": {"front": {"fps": 5.1}}, "host": {"memory_mb": 104}}'),
        ("pi/info", b'{"version": "0.1.0"}'),
    )
    shown = camera(live)
    assert (shown["label"], shown["score"], shown["online"]) == ("cat", 0.8, True)
    assert (shown["fps"], shown["delay_ms"]) == (5.1, 7.4)
    device = live.device("pi")
    assert device is not None
    assert (device["memory_mb"], device["version"]) == (104, "0.1.0")
    assert live.ignored == 0


@pytest.mark.parametrize(
    ("device", "word", "shown"),
    [
        (b"online", b"online", True),
        (b"online", b"offline", False),
        (b"offline", b"online", False),
        (b"offline", b"offline", False),
    ],
)
def test_camera_is_online_only_with_its_device(device: bytes, word: bytes, shown: bool) -> None:
    live = state_after(("pi/availability", device), ("pi/front/availability", word))
    assert camera(live)["online"] is shown


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("pi/front/state", b""),
        ("pi/front/state", b"{"),
        ("pi/front/state", b"[]"),
        ("pi/front/state", b"[" * 100_000),
        ("pi/front/state", b"\xff\xfe"),
        ("pi/front/state", b'{"label": 1, "score": 0.5, "ts": "' + STAMP.encode() + b'"}'),
        ("pi/front/state", state(score=1.5)),
        ("pi/front/state", state(score=True)),
        ("pi/front/state", state(score=10**400)),
        ("pi/front/state", state().replace(b"0.8", b"NaN")),
        ("pi/front/state", state().replace(b"0.8", b"1e999")),
        ("pi/front/state", state(ts="yesterday")),
        ("pi/front/state", state(ts="0001-01-01T00:00:00+14:00")),
        ("pi/front/state", state(label="")),
        ("pi/front/state", state(label="x" * 1_000_001)),
        ("pi/front/event", event(to=None)),
        ("pi/front/snapshot", b"<svg onload=alert(1)>"),
        ("pi/front/snapshot", b"GIF89a"),
        ("pi/front/snapshot", JPEG + bytes(MAX_JPEG)),
        ("pi/front/availability", b"perhaps"),
        ("pi/front/other", b"x"),
        ("pi/stats", b"7"),
        ("pi/other", b"x"),
        ("../front/state", state()),
        ("pi/fr<b>ont/state", state()),
        ("pi/front/more/state", state()),
        ("pi/response/state", state()),
        ("x" * 65 + "/front/state", state()),
    ],
)
def test_message_without_sense_changes_nothing(topic: str, payload: bytes) -> None:
    live = state_after((topic, payload))
    assert (live.names(), live.version) == ([], 1)


@given(
    st.sampled_from(KINDS),
    st.booleans(),
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(
                        ["label", "score", "ts", "to", "cameras", "host", "fps", "publisher"]
                    ),
                    inner,
                    max_size=6,
                )
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_payload_on_any_topic_raises_nothing_and_can_be_shown(
    kind: str, of_camera: bool, payload: bytes
) -> None:
    live = state_after(("pi/front/state", state()))
    state_after((f"pi/front/{kind}" if of_camera else f"pi/{kind}", payload), live=live)
    assert json.dumps(list(live.as_json()), allow_nan=False).encode("utf-8")


@given(st.text(max_size=60))
def test_any_topic_raises_nothing(topic: str) -> None:
    live = LiveState("base")
    live.take(topic, state(), NOW)
    live.take(f"base/{topic}", state(), NOW)
    assert all(is_name(name) for name in live.names())


def test_text_from_a_device_is_one_line_of_printable_characters() -> None:
    live = state_after(("pi/front/state", state(label="a\u202eb\n\x00\ud800c")))
    assert camera(live)["label"] == "a b   c"


def test_stamp_from_the_future_is_now() -> None:
    live = state_after(("pi/front/state", state(ts="2099-01-01T00:00:00Z")))
    assert camera(live)["at"] == NOW


def test_change_of_one_camera_has_a_number_of_its_own() -> None:
    live = state_after(("pi/front/state", state()), ("pi/back/state", state()))
    seen = live.version
    state_after(("pi/back/state", state(label="dog")), live=live)
    [(_, device, cameras)] = live.outline().devices
    assert [one.name for one in cameras if one.version > seen] == ["back"]
    assert device <= seen
    assert live.outline().order <= seen


def test_repeated_availability_is_no_change() -> None:
    live = state_after(("pi/availability", b"online"), ("pi/front/availability", b"online"))
    seen = live.version
    state_after(("pi/availability", b"online"), ("pi/front/availability", b"online"), live=live)
    assert live.version == seen


def test_late_event_of_an_outage_does_not_replace_a_newer_one() -> None:
    late = event(ts="2026-11-18T09:00:00Z", capture_to_publish_ms=5_000_000)
    live = state_after(("pi/front/event", event()), ("pi/front/event", late))
    assert camera(live)["delay_ms"] == 7.4
    assert [point.label for point in camera_points(live)] == ["dog", "dog"]


def camera_points(live: LiveState) -> list[ScorePoint]:
    return live._devices["pi"].cameras["front"].history.points


@pytest.mark.parametrize(
    ("topic", "devices"), [("pi/availability", []), ("pi/front/availability", ["pi"])]
)
def test_whoever_takes_back_the_availability_is_no_more(topic: str, devices: list[str]) -> None:
    live = state_after(
        ("pi/availability", b"online"),
        ("pi/front/state", state()),
        ("pi/front/snapshot", JPEG),
        (topic, b""),
    )
    assert (live.names(), live.camera("pi", "front")) == (devices, None)
    assert live.frames.get(("pi", "front")) is None


def test_device_that_is_not_told_again_after_a_connection_is_forgotten() -> None:
    live = LiveState("base")
    live.connected(NOW)
    state_after(
        ("gone/availability", b"online"),
        ("pi/availability", b"online"),
        ("pi/front/availability", b"online"),
        ("pi/old/availability", b"online"),
        live=live,
    )
    live.connected(NOW)
    assert live.online() == []
    state_after(("pi/availability", b"online"), ("pi/front/availability", b"online"), live=live)
    live.sweep(NOW + SWEEP_S - 1)
    assert live.names() == ["gone", "pi"]
    live.sweep(NOW + SWEEP_S)
    assert live.names() == ["pi"]
    assert [one["camera"] for one in next(live.as_json())["cameras"]] == ["front"]


def test_more_devices_and_cameras_than_there_is_room_for_are_ignored() -> None:
    live = state_after(*[(f"d{n}/availability", b"online") for n in range(MAX_DEVICES + 3)])
    assert (len(live.names()), live.ignored) == (MAX_DEVICES, 3)
    state_after(*[(f"d0/c{n}/availability", b"online") for n in range(MAX_CAMERAS + 5)], live=live)
    assert live.ignored == 8


def test_frames_beyond_the_budget_go_oldest_first() -> None:
    frames = LatestFrames(most_bytes=100)
    for name in "abc":
        frames.put(("pi", name), bytes(30))
    frames.put(("pi", "a"), bytes(40))
    frames.put(("pi", "d"), bytes(20))
    assert [name for name in "abcd" if frames.get(("pi", name))] == ["a", "c", "d"]
    frames.put(("pi", "huge"), bytes(101))
    assert frames.get(("pi", "huge")) is None


@given(st.lists(st.floats(0, OLDEST_S), max_size=2 * MOST_POINTS))
def test_history_is_bounded_in_order_and_keeps_the_newest(ages: list[float]) -> None:
    history = ScoreHistory()
    for age in ages:
        history.add(ScorePoint(NOW - age, "cat", 0.5), NOW)
    times = [point.at for point in history.points]
    assert times == sorted({NOW - age for age in ages})[-MOST_POINTS:]


def test_event_and_the_state_that_it_led_to_are_one_point() -> None:
    live = state_after(("pi/front/event", event(to="cat", score=0.8)), ("pi/front/state", state()))
    assert len(camera_points(live)) == 1


def test_point_of_a_device_whose_clock_is_wrong_is_left_out() -> None:
    history = ScoreHistory()
    assert not history.add(ScorePoint(0.0, "cat", 0.5), NOW)
    assert history.points == []


def test_camera_is_called_by_its_title_as_soon_as_its_device_tells_one() -> None:
    live = state_after(("pi/front/availability", b"online"))
    before = live.version
    assert live.title("pi", "front") == "front"
    told = {"settings": {"front": {"title": {"value": "Front door", "set_over_mqtt": False}}}}
    state_after(("pi/info", json.dumps(told).encode()), live=live)
    [(_, _, (outline,))] = live.outline().devices
    assert (outline.title, live.title("pi", "front")) == ("Front door", "Front door")
    assert outline.version > before


def test_labels_of_the_past_are_known_by_their_names_in_the_language_of_the_device() -> None:
    named = {"path": ["animal", "dog"], "path_names": ["Tier", "Hund"]}
    live = state_after(("pi/front/state", state()), ("pi/front/event", event(**named)))
    assert camera(live)["names"] == {"cat": "Katze", "dog": "Hund"}


def test_kept_topics_of_a_device_are_its_own_and_no_others() -> None:
    live = state_after(("pi/front/state", state()), ("other/front/state", state()))
    assert sorted(live.kept_topics("pi")) == [
        "base/pi/availability",
        "base/pi/front/availability",
        "base/pi/front/snapshot",
        "base/pi/front/state",
        "base/pi/info",
        "homeassistant/device/edge-classifier-pi/config",
    ]
    assert live.kept_topics("nobody") == []
