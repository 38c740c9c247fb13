"""What stands in the messages."""

import json
import math
from dataclasses import replace

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
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.mqtt.codec.camera_payloads import (
    is_worth_keeping,
    kept_state,
    read_state,
    restored_state,
    state_payload,
)
from edge_classifier.mqtt.codec.event_messages import EventMessage, read_event
from edge_classifier.mqtt.codec.event_payloads import (
    delay_ms,
    event_payload,
    with_delay,
)
from edge_classifier.mqtt.codec.json_fields import encoded

STATE = CameraState(
    camera="front",
    label="cat",
    score=0.876543,
    margin=0.5,
    top=(Ranked("cat", 0.876543), Ranked("dog", 0.1)),
    since=1_700_000_000.0,
    at=1_700_000_060.25,
    seq=7,
    model="model-1",
    enabled=True,
    threshold=0.6,
    path=("animal", "cat"),
)
EVENT = LabelChange(
    id="an-id",
    seq=7,
    camera="front",
    before="unknown",
    after="cat",
    score=0.876543,
    margin=0.5,
    captured=Moment(1_700_000_000.0, 50.0),
    model="model-1",
    path=("animal", "cat"),
    top=(Ranked("cat", 0.876543), Ranked("dog", 0.1)),
)
TOP_SENT = [
    {"label": "cat", "name": "猫", "score": 0.8765},
    {"label": "dog", "name": "狗", "score": 0.1},
]
BOX = RelativeBox(0.31251, 0.25, 0.5, 0.75)
BOX_SENT = {"left": 0.3125, "top": 0.25, "width": 0.5, "height": 0.75}
NAMES = {"animal": "动物", "cat": "猫", "dog": "狗", "unknown": "未知"}


def test_state_payload_has_labels_and_names_scores_and_stamps() -> None:
    assert state_payload(STATE, NAMES.__getitem__) == {
        "label": "cat",
        "name": "猫",
        "path": ["animal", "cat"],
        "path_names": ["动物", "猫"],
        "score": 0.8765,
        "margin": 0.5,
        "top": [
            {"label": "cat", "name": "猫", "score": 0.8765},
            {"label": "dog", "name": "狗", "score": 0.1},
        ],
        "since": "2023-11-14T22:13:20.000Z",
        "ts": "2023-11-14T22:14:20.250Z",
        "seq": 7,
        "model": "model-1",
        "enabled": True,
        "threshold": 0.6,
        "box": None,
        "problem": None,
    }


def test_state_payload_of_a_lost_camera_says_why() -> None:
    assert state_payload(STATE, str, "no frames for 5 s")["problem"] == "no frames for 5 s"


def test_event_payload_has_what_was_and_what_is() -> None:
    assert event_payload(EVENT, NAMES.__getitem__) == {
        "event_type": "label_changed",
        "id": "an-id",
        "camera": "front",
        "seq": 7,
        "from": "unknown",
        "to": "cat",
        "from_name": "未知",
        "to_name": "猫",
        "score": 0.8765,
        "margin": 0.5,
        "ts": "2023-11-14T22:13:20.000Z",
        "path": ["animal", "cat"],
        "path_names": ["动物", "猫"],
        "top": TOP_SENT,
        "model": "model-1",
        "box": None,
    }


def test_event_payload_has_the_names_that_its_labels_have_in_other_languages() -> None:
    translations = {"zh": {"cat": "猫", "animal": "动物", "car": "汽车"}, "de": {"cat": "cat"}}

    payload = event_payload(EVENT, str, translations)

    assert payload["names"] == {"zh": {"cat": "猫", "animal": "动物"}}
    read = read_event(encoded(payload | {"id": 32 * "a"}))
    assert read.chinese == {"cat": "猫", "animal": "动物"}
    assert read_event(encoded(payload | {"id": 32 * "a", "names": ["zh"]})).chinese == {}
    assert (
        read_event(encoded(payload | {"id": 32 * "a", "names": {"zh-CN": {"cat": 1}}})).chinese
        == {}
    )


def test_event_payload_of_an_end_names_its_episode_its_length_and_its_peak() -> None:
    end = LabelEnd(
        id="another",
        seq=8,
        camera="front",
        captured=Moment(1_700_000_070.0, 120.0),
        model="model-1",
        path=("animal", "cat"),
        top=EVENT.top,
        box=BOX,
        episode="an-id",
        label="cat",
        started=1_700_000_000.0,
        ended=1_700_000_069.5,
        duration_s=69.50001,
        peak_score=0.971234,
        peak_at=1_700_000_030.25,
    )
    assert event_payload(end, NAMES.__getitem__) == {
        "event_type": "label_ended",
        "id": "another",
        "camera": "front",
        "seq": 8,
        "episode": "an-id",
        "label": "cat",
        "label_name": "猫",
        "started": "2023-11-14T22:13:20.000Z",
        "ts": "2023-11-14T22:14:29.500Z",
        "duration_s": 69.5,
        "peak_score": 0.9712,
        "peak_ts": "2023-11-14T22:13:50.250Z",
        "path": ["animal", "cat"],
        "path_names": ["动物", "猫"],
        "top": TOP_SENT,
        "model": "model-1",
        "box": BOX_SENT,
    }


def test_event_payload_of_a_glimpse_says_why_it_was_none_that_held() -> None:
    glimpse = LabelGlimpse(
        id="a-third",
        seq=9,
        camera="front",
        captured=Moment(1_700_000_003.0, 53.0),
        model="model-1",
        label="dog",
        started=1_700_000_000.0,
        ended=1_700_000_001.4,
        duration_s=1.4,
        frames=7,
        peak_score=0.95,
        peak_at=1_700_000_000.8,
        reason="dwell",
        needs_s=0.5,
    )
    assert event_payload(glimpse, NAMES.__getitem__) == {
        "event_type": "label_glimpsed",
        "id": "a-third",
        "camera": "front",
        "seq": 9,
        "label": "dog",
        "label_name": "狗",
        "started": "2023-11-14T22:13:20.000Z",
        "ts": "2023-11-14T22:13:21.400Z",
        "duration_s": 1.4,
        "frames": 7,
        "peak_score": 0.95,
        "peak_ts": "2023-11-14T22:13:20.800Z",
        "reason": "dwell",
        "needs_s": 0.5,
        "path": [],
        "path_names": [],
        "top": [],
        "model": "model-1",
        "box": None,
    }


def test_state_and_event_say_which_part_of_the_frame_the_network_saw() -> None:
    state = state_payload(replace(STATE, box=BOX), str)
    event = event_payload(replace(EVENT, id=32 * "a", box=BOX), str)
    assert state["box"] == event["box"] == BOX_SENT
    message = read_event(encoded(event))
    assert isinstance(message, EventMessage)
    received = read_state(encoded(state)).box, message.box
    assert received == 2 * (RelativeBox(**BOX_SENT),)


@pytest.mark.parametrize(
    "box",
    [
        None,
        [0, 0, 1, 1],
        {},
        {**BOX_SENT, "left": "0"},
        {**BOX_SENT, "left": -0.1},
        {**BOX_SENT, "left": 0.6},
        {**BOX_SENT, "top": 0.3},
        {**BOX_SENT, "width": 0},
        {**BOX_SENT, "height": 0},
    ],
)
def test_state_whose_box_is_no_part_of_a_frame_is_read_as_one_of_the_whole(box: object) -> None:
    assert read_state(encoded({**state_payload(STATE, str), "box": box})).box is None


@given(st.floats(0, 1), st.floats(0, 1))
def test_every_box_that_is_sent_is_read(left: float, share: float) -> None:
    width = max((1 - left) * share, 0.001)
    sent = RelativeBox(min(left, 1 - width), 0, width, 1)
    assert read_state(encoded(state_payload(replace(STATE, box=sent), str))).box is not None


def test_event_that_leaves_carries_its_delay_and_all_it_had() -> None:
    waiting = event_payload(EVENT, NAMES.__getitem__)
    left = json.loads(with_delay(encoded(waiting), 12.3))
    assert left == {**waiting, "capture_to_publish_ms": 12.3}


@pytest.mark.parametrize("payload", [b"", b"{", b"[1]", b"null", b"\xff"])
def test_delay_is_refused_by_what_is_not_an_event(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (each has words of its own)
        with_delay(payload, 1.0)


@pytest.mark.parametrize(
    ("now", "same_boot", "expected"),
    [
        (Moment(1_700_000_000.0, 50.25), True, 250.0),
        (Moment(1_700_009_999.0, 50.25), True, 250.0),  # the clock was set meanwhile
        (Moment(1_700_000_002.0, 3.0), False, 2000.0),  # another boot: only UTC is left
        (Moment(1_699_999_999.0, 3.0), False, 0.0),  # set back
        (Moment(1_700_000_000.0, 49.0), True, 0.0),
    ],
)
def test_delay_is_monotonic_within_a_boot_and_never_negative(
    now: Moment, same_boot: bool, expected: float
) -> None:
    assert delay_ms(EVENT.captured, now, same_boot=same_boot) == pytest.approx(expected)


def test_encoded_is_compact_utf_8_and_never_fails_for_half_characters() -> None:
    assert encoded({"a": "猫", "b": 1}) == '{"a":"猫","b":1}'.encode()
    assert encoded({"a": "\udc80"}) == b'{"a":"?"}'


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_encoded_refuses_what_json_has_not(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encoded({"a": value})


@given(
    st.builds(
        CameraState,
        camera=st.just("front"),
        label=st.text(),
        score=st.floats(0, 1),
        margin=st.floats(0, 1),
        top=st.lists(st.builds(Ranked, st.text(), st.floats(0, 1))).map(tuple),
        since=st.floats(0, 4e9),
        at=st.floats(0, 4e9),
        seq=st.integers(0),
        model=st.text(),
        enabled=st.booleans(),
        threshold=st.floats(0, 1),
        box=st.sampled_from([None, BOX]),
    )
)
def test_state_kept_as_json_comes_back_as_it_was(state: CameraState) -> None:
    assert restored_state(json.loads(json.dumps(kept_state(state)))) == state


def test_state_kept_by_a_version_without_paths_is_restored() -> None:
    kept = kept_state(replace(STATE, told="animal"))
    del kept["path"], kept["told"]
    assert restored_state(json.loads(json.dumps(kept))) == replace(STATE, path=())


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"label": "cat"},
        {**kept_state(STATE), "extra": 1},
        {**kept_state(STATE), "top": 1},
        {**kept_state(STATE), "path": 1},
        {**kept_state(STATE), "top": [["cat", "much"]]},
        {**kept_state(STATE), "since": "yesterday"},
        {**kept_state(STATE), "at": 1e300},
        {**kept_state(STATE), "score": None},
        {**kept_state(STATE), "margin": math.nan},
    ],
)
def test_state_kept_in_another_shape_is_not_restored(kept: dict[str, object]) -> None:
    assert restored_state(kept) is None


@pytest.mark.parametrize(
    ("state", "worth"),
    [
        (STATE, False),
        (replace(STATE, score=0.1, margin=0.0, top=(), at=1_800_000_000.0), False),
        (replace(STATE, label="dog"), True),
        (replace(STATE, since=1.0), True),
        (replace(STATE, seq=8), True),
        (replace(STATE, model="model-2"), True),
        (replace(STATE, enabled=False), True),
        (replace(STATE, threshold=0.7), True),
    ],
)
def test_state_is_worth_a_write_when_more_than_scores_has_changed(
    state: CameraState, worth: bool
) -> None:
    assert is_worth_keeping(state, STATE) is worth


def test_state_that_is_the_first_is_worth_a_write() -> None:
    assert is_worth_keeping(STATE, None)
