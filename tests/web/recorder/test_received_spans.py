"""What is told of labels that have gone, and beside events: read, bounded, or refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.mqtt.codec.event_messages import (
    CameraEventMessage,
    EndMessage,
    EventMessage,
    UnknownEventTypeError,
)
from edge_classifier.web.recorder.received import RecordedEvent
from tests.web.recorder.test_received import TOPIC, VALUES, understood
from tests.web.recording import end_payload, event_payload, glimpse_payload

KINDS = ["label_changed", "label_ended", "label_glimpsed"]
KEYS = st.sampled_from(list(json.loads(event_payload(1)) | json.loads(glimpse_payload(1))))


def any_event(kind: str, **changed: Any) -> CameraEventMessage:
    made = {"label_changed": event_payload, "label_ended": end_payload}.get(kind, glimpse_payload)
    found = understood(TOPIC, made(1, **changed))
    assert isinstance(found, RecordedEvent)
    return found.event


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "nonsense",
    [
        {"box": {"left": 0.5, "top": 0, "width": 0.9, "height": 1}},
        {"box": [0, 0, 1, 1]},
        {"path": "cat", "top": {"label": "cat"}},
        {"path": ["a\0b"], "top": [{"label": "\ud800", "score": 0.5}]},
        {"path": [["cat"]], "top": [{"label": "cat", "score": 9}]},
        {"path": None, "top": [None, "cat"]},
        {"path": [""], "top": [{"label": "", "score": 0}]},
    ],
)
def test_event_is_worth_more_than_what_is_wrongly_told_beside_it(
    kind: str, nonsense: dict[str, Any]
) -> None:
    found = any_event(kind, **nonsense)
    assert found.label == "cat"
    assert found.box is None or "box" not in nonsense
    assert not found.top or "top" not in nonsense
    assert not found.path or "path" not in nonsense


@pytest.mark.parametrize("kind", KINDS)
def test_event_has_no_more_beside_it_than_there_is_room_for(kind: str) -> None:
    names = ["x" * 300 + str(number) for number in range(90)]
    top = [{"label": name, "score": 0.5} for name in names]
    found = any_event(kind, path=names, top=top)
    assert (len(found.top), len(found.path or ())) == (3, 12)
    assert {len(name) for name in [*(found.path or ()), *(one.label for one in found.top)]} == {200}


@pytest.mark.parametrize("kind", ["label_ended", "label_glimpsed"])
@pytest.mark.parametrize(
    "changed",
    [
        {"episode": "x", "frames": -1},
        {"label": ""},
        {"label": "a\0b"},
        {"started": "yesterday"},
        {"peak_ts": None},
        {"duration_s": -1},
        {"duration_s": 1e300},
        {"peak_score": 1.01},
        {"id": "x"},
        {"model": None},
    ],
)
def test_end_and_glimpse_that_no_daemon_sends_are_refused(
    kind: str, changed: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        any_event(kind, **changed)


@pytest.mark.parametrize(
    ("peak", "after_s"),
    [("2026-11-22T11:39:04.238Z", 4), ("1970-01-01T00:00:00Z", 0), ("2030-01-01T00:00:00Z", 12.5)],
)
def test_peak_of_a_clock_that_was_set_meanwhile_is_within_its_span(
    peak: str, after_s: float
) -> None:
    found = any_event("label_ended", peak_ts=peak)
    assert isinstance(found, EndMessage)
    assert found.peak_after_s == after_s


def test_event_type_of_a_later_version_is_told_in_few_words() -> None:
    with pytest.raises(UnknownEventTypeError) as raised:
        understood(TOPIC, event_payload(1, event_type="\x1b[2J" + "x" * 60_000))
    assert len(str(raised.value)) < 120
    assert "\x1b" not in str(raised.value)


@given(
    st.sampled_from(KINDS),
    st.dictionaries(KEYS, VALUES, max_size=4),
)
def test_any_kind_of_event_with_any_values_is_refused_or_fits_the_tables(
    kind: str, changed: dict[str, Any]
) -> None:
    try:
        found = any_event(kind, **{"event_type": kind, **changed})
    except ValueError:
        return
    texts = [found.label, found.model, *(found.path or ()), *(one.label for one in found.top)]
    assert all(0 < len(text) <= 200 or text == found.model for text in texts)
    assert not any("\0" in text or "\ud800" <= max(text, default="") <= "\udfff" for text in texts)
    assert len(found.top) <= 3
    assert len(found.path or ()) <= 12
    assert all(0 <= one.score <= 1 for one in found.top)
    if not isinstance(found, EventMessage):
        assert 0 <= found.peak_after_s <= found.duration_s < float("inf")
        assert 0 <= found.peak_score <= 1
