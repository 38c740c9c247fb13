"""What stands in the messages. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from edge_classifier.core.events import CameraState, LabelChange, Moment, Ranked
from edge_classifier.files import utc_stamp

# From a label to its name in the user's language.
Names = Callable[[str], str]

LABEL_CHANGED = "label_changed"


def encoded(payload: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8. Raises ValueError for NaN and infinity, which JSON has not."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Half characters, which a file name may hold, are no UTF-8.
    return text.encode("utf-8", "replace")


def state_payload(state: CameraState, name: Names, problem: str = "") -> dict[str, Any]:
    """What a camera shows; ``problem`` is why the camera is offline, if it is."""
    return {
        "label": state.label,
        "name": name(state.label),
        "score": _rounded(state.score),
        "margin": _rounded(state.margin),
        "top": [
            {"label": label, "name": name(label), "score": _rounded(score)}
            for label, score in state.top
        ],
        "since": utc_stamp(state.since),
        "ts": utc_stamp(state.at),
        "seq": state.seq,
        "model": state.model,
        "enabled": state.enabled,
        "threshold": _rounded(state.threshold),
        "problem": problem or None,
    }


def event_payload(event: LabelChange, name: Names) -> dict[str, Any]:
    """One change, as it waits; what is known only when it leaves comes with ``with_delay``."""
    return {
        "event_type": LABEL_CHANGED,
        "id": event.id,
        "camera": event.camera,
        "seq": event.seq,
        "from": event.before,
        "to": event.after,
        "from_name": name(event.before),
        "to_name": name(event.after),
        "score": _rounded(event.score),
        "margin": _rounded(event.margin),
        "ts": utc_stamp(event.captured.utc),
        "model": event.model,
    }


def with_delay(payload: bytes, delay_ms: float) -> bytes:
    """An event's payload with the milliseconds between its frame's capture and now.

    Raises ValueError for what is no payload of an event.
    """
    event = json.loads(payload)
    if not isinstance(event, dict):
        raise ValueError("not a JSON object")
    return encoded({**event, "capture_to_publish_ms": delay_ms})


def delay_ms(captured: Moment, now: Moment, *, same_boot: bool) -> float:
    """Milliseconds between two moments, to one digit.

    The monotonic clock begins anew with each boot; the other one may have been set in between, but
    is all there is then.
    """
    passed_s = now.monotonic - captured.monotonic if same_boot else now.utc - captured.utc
    return max(0.0, round(1000 * passed_s, 1))


def kept(text: str) -> dict[str, Any]:
    """What was remembered as JSON; empty if a failing card has made something else of it."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def kept_state(state: CameraState) -> dict[str, Any]:
    """A state as it is remembered; ``restored_state`` reads it."""
    return {**asdict(state), "top": [list(ranked) for ranked in state.top]}


def restored_state(found: Mapping[str, Any]) -> CameraState | None:
    """A remembered state; None for one that cannot be published.

    Another version may have kept it in another shape, or a failing card have changed it.
    """
    try:
        top = tuple(Ranked(*ranked) for ranked in found["top"])
        state = CameraState(**{**found, "top": top})
        encoded(state_payload(state, str))
    except (TypeError, KeyError, ValueError, OverflowError, OSError):
        return None
    return state


def is_worth_keeping(state: CameraState, before: CameraState | None) -> bool:
    """Whether more than the scores has changed: each write wears the card."""
    return before is None or _lasting(state) != _lasting(before)


def _lasting(state: CameraState) -> tuple[object, ...]:
    return (state.label, state.since, state.seq, state.model, state.enabled, state.threshold)


def _rounded(score: float) -> float:
    return round(score, 4)
