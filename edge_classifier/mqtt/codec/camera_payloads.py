"""What a camera's topics say: its state, its events, and the picture behind the last one. Pure."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from edge_classifier.core.events import CameraState, LabelChange, Moment, Ranked
from edge_classifier.core.jpeg_comment import event_of
from edge_classifier.core.jpeg_scan import is_whole_jpeg
from edge_classifier.files import utc_stamp
from edge_classifier.mqtt.codec.json_fields import (
    count_or_none,
    decoded,
    encoded,
    line,
    number,
    number_or_none,
    text,
    utc_datetime,
)

# From a label to its name in the user's language.
Names = Callable[[str], str]

LABEL_CHANGED = "label_changed"
# Largest event that is read; the daemon's have less than 1 kB.
MAX_EVENT_BYTES = 65_536
# Characters that are taken of a label and of a sentence.
MAX_LABEL, MAX_LINE = 200, 300
# Of these, digits that tell two labels apart that begin alike.
_DIGEST_DIGITS = 8
_MAX_SEQ = 2**63 - 1
_MAX_DELAY_MS = 1e12
_ID = re.compile("[0-9a-fA-F]{32}")
_JPEG = b"\xff\xd8\xff"
_DELAY = "capture_to_publish_ms"


@dataclass(frozen=True, slots=True)
class StateMessage:
    """What a camera shows, as it was read. Texts are printable lines."""

    label: str
    # The label in the device's language.
    name: str
    score: float
    # When the frame was captured, in UTC.
    at: datetime
    since: datetime | None
    model: str
    enabled: bool
    # Why the camera is offline; empty while it is online.
    problem: str


@dataclass(frozen=True, slots=True)
class EventMessage:
    """A camera's label has become another, as it was read."""

    key: UUID
    label: str
    before: str
    # When the frame was captured, in UTC.
    at: datetime
    score: float
    margin: float
    seq: int | None
    model: str
    # Capture to publish.
    delay_ms: float | None
    # Whether a label or the model's name was too long, as ``shortened`` has it.
    is_shortened: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotMessage:
    """What begins as a JPEG. Browsers decode it, we never do."""

    # The event that it belongs to; None if it was asked for.
    event: UUID | None
    jpeg: bytes


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


def read_state(payload: bytes) -> StateMessage:
    """A state, as far as the page shows it. Raises ValueError for what is not a state."""
    found = decoded(payload)
    label = line(found.get("label"), MAX_LABEL)
    if not label:
        raise ValueError("has no label")
    try:
        since = utc_datetime(found, "since")
    except ValueError:
        since = None
    return StateMessage(
        label=label,
        name=line(found.get("name"), MAX_LABEL) or label,
        score=number(found, "score", 0, 1),
        at=utc_datetime(found, "ts"),
        since=since,
        model=line(found.get("model"), MAX_LABEL),
        enabled=found.get("enabled") is not False,
        problem=line(found.get("problem"), MAX_LINE),
    )


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

    Raises ValueError for what is not the payload of an event.
    """
    return encoded({**decoded(payload), _DELAY: delay_ms})


def read_event(payload: bytes) -> EventMessage:
    """An event. Raises ValueError for what no daemon sends, and for what no table has room for."""
    found = decoded(payload, MAX_EVENT_BYTES)
    if found.get("event_type", LABEL_CHANGED) != LABEL_CHANGED:
        raise ValueError("is an event of another kind")
    key = found.get("id")
    if not isinstance(key, str) or not _ID.fullmatch(key):
        raise ValueError("has no id of 32 hexadecimal digits")
    # No table has room for longer ones, but for an event there is always room.
    given = {
        "label": text(found, "to", MAX_EVENT_BYTES, shortest=1),
        "before": text(found, "from", MAX_EVENT_BYTES),
        "model": text(found, "model", MAX_EVENT_BYTES),
    }
    names = {field: shortened(name) for field, name in given.items()}
    return EventMessage(
        key=UUID(key),
        **names,
        at=utc_datetime(found, "ts"),
        score=number(found, "score", 0, 1),
        margin=number(found, "margin", -1, 1),
        seq=count_or_none(found, "seq", _MAX_SEQ),
        # A clock that was set in between makes any number of it, and the event is worth more.
        delay_ms=number_or_none(found, _DELAY, 0, _MAX_DELAY_MS),
        is_shortened=names != given,
    )


def shortened(name: str) -> str:
    """``name``; of one above ``MAX_LABEL`` characters, its beginning and digits of its SHA-256.

    So that labels which begin alike stay different ones: ``a very long la…~1a2b3c4d``.
    """
    if len(name) <= MAX_LABEL:
        return name
    end = f"…~{hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_DIGITS]}"
    return name[: MAX_LABEL - len(end)] + end


def read_snapshot(payload: bytes, max_bytes: int) -> SnapshotMessage:
    """A picture, written by ``core.jpeg_comment``. Raises ValueError for what is no whole JPEG."""
    if len(payload) > max_bytes or not payload.startswith(_JPEG):
        raise ValueError(f"is not a JPEG of at most {max_bytes} bytes")
    # Browsers would show half of a picture, or none, as if that was what the camera saw.
    if not is_whole_jpeg(payload):
        raise ValueError("is a JPEG that is cut short or damaged")
    event_id = event_of(payload)
    return SnapshotMessage(UUID(event_id) if event_id else None, payload)


def delay_ms(captured: Moment, now: Moment, *, same_boot: bool) -> float:
    """Milliseconds between two moments, to one digit.

    The monotonic clock begins anew with each boot; the other one may have been set in between, but
    is all there is then.
    """
    passed_s = now.monotonic - captured.monotonic if same_boot else now.utc - captured.utc
    return max(0.0, round(1000 * passed_s, 1))


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
