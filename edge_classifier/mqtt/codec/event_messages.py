"""A camera's events as they are read: whatever whoever may publish has sent. Pure."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from edge_classifier.core.events import Ranked
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.text import one_line
from edge_classifier.mqtt.codec.camera_payloads import MAX_LABEL, MAX_PATH, read_box
from edge_classifier.mqtt.codec.event_payloads import (
    DELAY,
    LABEL_CHANGED,
    LABEL_ENDED,
    LABEL_GLIMPSED,
)
from edge_classifier.mqtt.codec.json_fields import (
    count_or_none,
    decoded,
    line,
    number,
    number_or_none,
    text,
    utc_datetime,
)

# Largest event that is read; the daemon's have less than 2 kB.
MAX_EVENT_BYTES = 65_536
# Labels that an event tells beside its own.
MAX_TOP = 3
# Of ``MAX_LABEL`` characters, digits that tell two labels apart that begin alike.
_DIGEST_DIGITS = 8
_MAX_SEQ = 2**63 - 1
_MAX_DELAY_MS = 1e12
_MAX_DURATION_S = 1e9
_MAX_FRAMES = 10**9
_MAX_WORD = 40
_ID = re.compile("[0-9a-fA-F]{32}")
# Tags of the language, as zh and zh-CN.
_CHINESE = re.compile(r"zh(-|$)")


class UnknownEventTypeError(ValueError):
    """An event of a kind that a later version may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMessage:
    """A camera's label has become another: an episode begins, unless that is ``unknown``."""

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
    # Of the frame, as in StateMessage.
    box: RelativeBox | None = None
    # From the root of a tree of labels to this one. None: the device is of a version that does not
    # tell when an episode ends either.
    path: tuple[str, ...] | None = None
    # The same in the device's language.
    path_names: tuple[str, ...] = ()
    # Best first.
    top: tuple[Ranked, ...] = ()
    # Of its labels, as far as they have one.
    chinese: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanMessage:
    """A label was there for a while, and is not any more."""

    key: UUID
    # The most specific one that held.
    label: str
    # When the first of its frames was captured, in UTC.
    started: datetime
    duration_s: float
    # The highest score that it had, and how long after ``started`` that was.
    peak_score: float
    peak_after_s: float
    seq: int | None
    model: str
    delay_ms: float | None
    is_shortened: bool = False
    box: RelativeBox | None = None
    path: tuple[str, ...] = ()
    path_names: tuple[str, ...] = ()
    top: tuple[Ranked, ...] = ()
    chinese: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndMessage(SpanMessage):
    """An episode has ended."""

    # The key of the event with which it began.
    episode: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class GlimpseMessage(SpanMessage):
    """A label was there for too short a time to be the camera's."""

    # In how many frames; None if it does not tell.
    frames: int | None
    # Why it was not held: ``dwell``, ``margin``, or what a later version may say.
    reason: str
    # For how long it would have had to be there.
    needs_s: float | None


CameraEventMessage = EventMessage | EndMessage | GlimpseMessage


def read_event(payload: bytes) -> CameraEventMessage:
    """An event. Raises ValueError for what no daemon sends, and for what no table has room for.

    UnknownEventTypeError is one of these. What is only told beside an event, as its box, is left
    out where it makes no sense: the event is worth more.
    """
    found = decoded(payload, MAX_EVENT_BYTES)
    kind = found.get("event_type", LABEL_CHANGED)
    if kind == LABEL_CHANGED:
        # No table has room for longer ones, but for an event there is always room.
        given = {
            "label": text(found, "to", MAX_EVENT_BYTES, shortest=1),
            "before": text(found, "from", MAX_EVENT_BYTES),
            "model": text(found, "model", MAX_EVENT_BYTES),
        }
        names: dict[str, Any] = {field: shortened(name) for field, name in given.items()}
        return EventMessage(
            **names,
            at=utc_datetime(found, "ts"),
            score=number(found, "score", 0, 1),
            margin=number(found, "margin", -1, 1),
            is_shortened=names != given,
            path=_names(found, "path") if isinstance(found.get("path"), list) else None,
            **_common(found),
        )
    if kind == LABEL_ENDED:
        return EndMessage(episode=_id(found, "episode"), **_span(found))
    if kind == LABEL_GLIMPSED:
        return GlimpseMessage(
            frames=count_or_none(found, "frames", _MAX_FRAMES),
            reason=line(found.get("reason"), _MAX_WORD),
            needs_s=number_or_none(found, "needs_s", 0, _MAX_DURATION_S),
            **_span(found),
        )
    if isinstance(kind, str):
        raise UnknownEventTypeError(f"is an event of another kind, {one_line(kind[:_MAX_WORD])!r}")
    raise ValueError("has no event_type")


def _span(found: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        "label": text(found, "label", MAX_EVENT_BYTES, shortest=1),
        "model": text(found, "model", MAX_EVENT_BYTES),
    }
    names = {field: shortened(name) for field, name in given.items()}
    started, duration_s = (
        utc_datetime(found, "started"),
        number(found, "duration_s", 0, _MAX_DURATION_S),
    )
    peak_after_s = (utc_datetime(found, "peak_ts") - started).total_seconds()
    return {
        **names,
        "started": started,
        "duration_s": duration_s,
        "peak_score": number(found, "peak_score", 0, 1),
        # A clock that was set in between makes any number of it.
        "peak_after_s": min(max(0.0, peak_after_s), duration_s),
        "is_shortened": names != given,
        "path": _names(found, "path"),
        **_common(found),
    }


def _common(found: Mapping[str, Any]) -> dict[str, Any]:
    # Label to Chinese name, as a table has room for them.
    languages = found.get("names")
    found_in = languages if isinstance(languages, dict) else {}
    names = next((found_in[tag] for tag in sorted(found_in) if _CHINESE.match(tag)), None)
    told = names.items() if isinstance(names, dict) else ()
    return {
        "key": _id(found, "id"),
        "seq": count_or_none(found, "seq", _MAX_SEQ),
        # A clock that was set in between makes any number of it, and the event is worth more.
        "delay_ms": number_or_none(found, DELAY, 0, _MAX_DELAY_MS),
        "box": read_box(found),
        "path_names": _names(found, "path_names"),
        "top": _top(found),
        "chinese": {
            shortened(one): shown for one, name in told if (shown := line(name, MAX_LABEL))
        },
    }


def _id(found: Mapping[str, Any], key: str) -> UUID:
    given = found.get(key)
    if not isinstance(given, str) or not _ID.fullmatch(given):
        raise ValueError(f"has no {key} of 32 hexadecimal digits")
    return UUID(given)


def _names(found: Mapping[str, Any], key: str) -> tuple[str, ...]:
    try:
        names = [{"name": one} for one in _list(found, key)[:MAX_PATH]]
        return tuple(shortened(text(one, "name", MAX_EVENT_BYTES, shortest=1)) for one in names)
    except ValueError:
        return ()


def _top(found: Mapping[str, Any]) -> tuple[Ranked, ...]:
    try:
        ranked = [one for one in _list(found, "top")[:MAX_TOP] if isinstance(one, dict)]
        return tuple(
            Ranked(
                shortened(text(one, "label", MAX_EVENT_BYTES, shortest=1)),
                number(one, "score", 0, 1),
            )
            for one in ranked
        )
    except ValueError:
        return ()


def _list(found: Mapping[str, Any], key: str) -> list[Any]:
    given = found.get(key)
    return given if isinstance(given, list) else []


def shortened(name: str) -> str:
    """``name``; of one above ``MAX_LABEL`` characters, its beginning and digits of its SHA-256.

    So that labels which begin alike stay different ones: ``a very long la…~1a2b3c4d``.
    """
    if len(name) <= MAX_LABEL:
        return name
    end = f"…~{hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_DIGITS]}"
    return name[: MAX_LABEL - len(end)] + end
