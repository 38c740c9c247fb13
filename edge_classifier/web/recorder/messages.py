"""What daemons tell, read without trusting it. Pure."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

from edge_classifier.core.jpeg_comment import event_of
from edge_classifier.mqtt.codec import LABEL_CHANGED

# Largest event that is read; the daemon's have less than 1 kB.
EVENT_BYTES = 65_536
_LEVELS = 3
# Characters that the tables have room for.
_MOST_NAME, _MOST_LABEL = 64, 200
_MOST_SEQ = 2**63 - 1
_MOST_DELAY_MS = 1e12
_YEARS = range(1970, 9999)
_ID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_JPEG = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A camera's label has become another."""

    key: UUID
    device: str
    camera: str
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


@dataclass(frozen=True, slots=True)
class RecordedSnapshot:
    """The picture of one event."""

    # The event's id.
    key: UUID
    jpeg: bytes


def filters(base: str, group: str = "") -> list[str]:
    """What to subscribe to; with a group, as its member (MQTT 5, 4.8.2)."""
    share = f"$share/{group}/" if group else ""
    return [f"{share}{base}/+/+/{kind}" for kind in ("event", "snapshot")]


def read(
    topic: str, payload: bytes, base: str, snapshot_bytes: int
) -> RecordedEvent | RecordedSnapshot | None:
    """What a message says; None if that is nothing to be recorded.

    Which is a picture without an event, and the end of a retained one. Raises ValueError for what
    no daemon sends.
    """
    device, camera, kind = _levels(topic, base)
    if kind == "event":
        return _event(device, camera, payload)
    if kind == "snapshot":
        return _snapshot(payload, snapshot_bytes)
    raise ValueError("is on no topic of ours")


def _levels(topic: str, base: str) -> list[str]:
    levels = topic.removeprefix(f"{base}/").split("/")
    if not topic.startswith(f"{base}/") or len(levels) != _LEVELS:
        raise ValueError("is on no topic of ours")
    for level in levels:
        _text({"topic": level}, "topic", _MOST_NAME, least=1)
    return levels


def _snapshot(payload: bytes, most: int) -> RecordedSnapshot | None:
    if not payload:
        return None
    if len(payload) > most or not payload.startswith(_JPEG):
        raise ValueError(f"is no JPEG of at most {most} bytes")
    event_id = event_of(payload)
    return RecordedSnapshot(UUID(event_id), payload) if event_id else None


def _event(device: str, camera: str, payload: bytes) -> RecordedEvent:
    facts = _facts(payload)
    if facts.get("event_type", LABEL_CHANGED) != LABEL_CHANGED:
        raise ValueError("is an event of another kind")
    return RecordedEvent(
        key=_key(facts),
        device=device,
        camera=camera,
        label=_text(facts, "to", _MOST_LABEL, least=1),
        before=_text(facts, "from", _MOST_LABEL),
        at=_moment(facts),
        score=_number(facts, "score", 0, 1),
        margin=_number(facts, "margin", -1, 1),
        seq=_seq(facts),
        model=_text(facts, "model", _MOST_LABEL),
        delay_ms=_delay_ms(facts),
    )


def _facts(payload: bytes) -> dict[str, Any]:
    if len(payload) > EVENT_BYTES:
        raise ValueError("is too long for an event")
    try:
        facts = json.loads(payload, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if not isinstance(facts, dict):
        raise ValueError("is no JSON object")
    return facts


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"has {constant}")


def _key(facts: dict[str, Any]) -> UUID:
    found = facts.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise ValueError("has no id of 32 hexadecimal digits")
    return UUID(found)


def _text(facts: dict[str, Any], key: str, most: int, *, least: int = 0) -> str:
    found = facts.get(key)
    if not isinstance(found, str) or not least <= len(found) <= most:
        raise ValueError(f"{key} is no text of {least} to {most} characters")
    if "\0" in found or any("\ud800" <= one <= "\udfff" for one in found):
        raise ValueError(f"{key} has what is no character")  # PostgreSQL takes neither.
    return found


def _number(facts: dict[str, Any], key: str, low: float, high: float) -> float:
    found = facts.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float) or not low <= found <= high:
        raise ValueError(f"{key} is no number from {low:g} to {high:g}")
    return float(found)


def _seq(facts: dict[str, Any]) -> int | None:
    found = facts.get("seq")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= _MOST_SEQ:
        raise ValueError("seq is no count")
    return found


def _delay_ms(facts: dict[str, Any]) -> float | None:
    key = "capture_to_publish_ms"
    return None if facts.get(key) is None else _number(facts, key, 0, _MOST_DELAY_MS)


def _moment(facts: dict[str, Any]) -> datetime:
    found = facts.get("ts")
    if not isinstance(found, str) or len(found) > _MOST_NAME:
        raise ValueError("ts is no time")
    at = datetime.fromisoformat(found)
    if at.tzinfo is None or at.year not in _YEARS:
        raise ValueError("ts has no time zone, or an impossible year")
    return at.astimezone(UTC)
