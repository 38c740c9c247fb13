"""What stands in the messages."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.events import CameraState, LabelChange, Moment, Ranked
from edge_classifier.mqtt.codec.camera_payloads import (
    delay_ms,
    event_payload,
    is_worth_keeping,
    kept_state,
    restored_state,
    state_payload,
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
)
NAMES = {"cat": "猫", "dog": "狗", "unknown": "未知"}


def test_state_payload_has_labels_and_names_scores_and_stamps() -> None:
    assert state_payload(STATE, NAMES.__getitem__) == {
        "label": "cat",
        "name": "猫",
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
        "model": "model-1",
    }


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
    )
)
def test_state_kept_as_json_comes_back_as_it_was(state: CameraState) -> None:
    assert restored_state(json.loads(json.dumps(kept_state(state)))) == state


@pytest.mark.parametrize(
    "kept",
    [
        {},
        {"label": "cat"},
        {**kept_state(STATE), "extra": 1},
        {**kept_state(STATE), "top": 1},
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
