"""What daemons tell, read with suspicion: whoever may publish can send anything. Pure.

docs/mqtt.md has the payloads. What is missing or no sense is None or empty, never an exception.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from edge_classifier.config.field_types import NAME
from edge_classifier.mqtt.topics import OFFLINE, ONLINE

# Bytes of a payload that is read at all: ``info`` names a thousand labels and all settings.
MOST_JSON = 1_000_000
MOST_JPEG = 2_000_000
# Cameras of one device whose figures are kept.
MOST_FIGURES = 64
# Characters that are kept of a label, and of a sentence.
_LABEL, _LINE = 200, 300
_JPEG = b"\xff\xd8\xff"
_NOT_CAMERAS = ("request", "response")
_WORDS = {ONLINE.encode(): True, OFFLINE.encode(): False}


@dataclass(frozen=True, slots=True)
class TopicRoute:
    """Who speaks of what; ``camera`` is empty where the device speaks for itself."""

    device: str
    camera: str
    kind: str


@dataclass(frozen=True, slots=True)
class ReportedState:
    """What a camera shows."""

    label: str
    name: str
    score: float
    # UTC seconds of the frame.
    at: float
    since: float | None
    model: str
    enabled: bool
    problem: str


@dataclass(frozen=True, slots=True)
class ReportedChange:
    """An event, as far as the live page cares."""

    label: str
    score: float
    at: float
    # From capture to publish.
    delay_ms: float | None


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """One camera in the statistics of its daemon."""

    fps: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """The statistics of a daemon."""

    uptime_s: float | None
    memory_mb: float | None
    temperature_c: float | None
    # The daemon's own connection to its broker.
    connected: bool | None
    reason: str
    waiting: int | None
    cameras: Mapping[str, CameraFigures] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a daemon is."""

    version: str
    model: str


@dataclass(frozen=True, slots=True)
class ReportedSnapshot:
    """What begins as a JPEG. Browsers decode it, we never do."""

    jpeg: bytes


def route(base: str, topic: str) -> TopicRoute | None:
    """What ``topic`` is about; None for names that no device or camera can have."""
    if not topic.startswith(f"{base}/"):
        return None
    match topic[len(base) + 1 :].split("/"):
        case [device, kind] if is_name(device):
            return TopicRoute(device, "", kind)
        case [device, camera, kind] if is_name(device) and is_name(camera):
            return TopicRoute(device, camera, kind)
    return None


def is_name(text: str) -> bool:
    """Whether a device or a camera can be called so."""
    return bool(re.fullmatch(NAME, text)) and text not in _NOT_CAMERAS


def of_device(kind: str, payload: bytes) -> bool | DeviceFigures | DeviceInfo | None:
    """What a device says of itself on its topic ``kind``; True and False: ``online`` or not."""
    match kind:
        case "availability":
            return _WORDS.get(payload)
        case "stats":
            return figures(payload)
        case "info":
            return about(payload)
    return None


def of_camera(
    kind: str, payload: bytes, now: float
) -> bool | ReportedState | ReportedChange | ReportedSnapshot | None:
    """The same of a camera; ``now`` in UTC seconds: no frame is from the future."""
    match kind:
        case "availability":
            return _WORDS.get(payload)
        case "state":
            return shown(payload, now)
        case "event":
            return changed(payload, now)
        case "snapshot" if len(payload) <= MOST_JPEG and payload.startswith(_JPEG):
            return ReportedSnapshot(payload)
    return None


def shown(payload: bytes, now: float) -> ReportedState | None:
    """A camera's state; None for what is none."""
    found = table(payload)
    label, score = _text(found.get("label"), _LABEL), _number(found.get("score"), 0, 1)
    at = _moment(found.get("ts"), now)
    if not label or score is None or at is None:
        return None
    return ReportedState(
        label=label,
        name=_text(found.get("name"), _LABEL) or label,
        score=score,
        at=at,
        since=_moment(found.get("since"), now),
        model=_text(found.get("model"), _LABEL),
        enabled=found.get("enabled") is not False,
        problem=_text(found.get("problem"), _LINE),
    )


def changed(payload: bytes, now: float) -> ReportedChange | None:
    """An event; None for what is none."""
    found = table(payload)
    label, score = _text(found.get("to"), _LABEL), _number(found.get("score"), 0, 1)
    at = _moment(found.get("ts"), now)
    if not label or score is None or at is None:
        return None
    return ReportedChange(label, score, at, _number(found.get("capture_to_publish_ms"), 0, 1e12))


def figures(payload: bytes) -> DeviceFigures | None:
    """Statistics; None for what is no table."""
    found = table(payload)
    if not found:
        return None
    host, publisher = _inner(found, "host"), _inner(found, "publisher")
    connected, waiting = publisher.get("connected"), _number(publisher.get("waiting"), 0, 1e12)
    return DeviceFigures(
        uptime_s=_number(found.get("uptime_s"), 0, 1e10),
        memory_mb=_number(host.get("memory_mb"), 0, 1e9),
        temperature_c=_number(host.get("temperature_c"), -100, 1000),
        connected=connected if isinstance(connected, bool) else None,
        reason=_text(publisher.get("reason"), _LINE),
        waiting=None if waiting is None else int(waiting),
        cameras={
            name: CameraFigures(_number(one.get("fps"), 0, 1e6), _text(one.get("reason"), _LINE))
            for name, one in islice(_inner(found, "cameras").items(), MOST_FIGURES)
            if is_name(name) and isinstance(one, dict)
        },
    )


def about(payload: bytes) -> DeviceInfo | None:
    """Version and model; None for what is no table."""
    found = table(payload)
    if not found:
        return None
    return DeviceInfo(_text(found.get("version"), _LABEL), _text(found.get("model"), _LABEL))


def table(payload: bytes) -> dict[str, Any]:
    """The JSON object in ``payload``; empty if there is none."""
    if len(payload) > MOST_JSON:
        return {}
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):  # A thousand brackets are valid JSON.
        return {}
    return found if isinstance(found, dict) else {}


def _inner(found: Mapping[str, Any], key: str) -> dict[str, Any]:
    inner = found.get(key)
    return inner if isinstance(inner, dict) else {}


def _number(value: object, least: float, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if least <= value <= most else None


def _text(value: object, most: int) -> str:
    """One line of printable characters; half characters and reversed writing are blanks."""
    if not isinstance(value, str):
        return ""
    return "".join(sign if sign.isprintable() else " " for sign in value[:most]).strip()


def _moment(value: object, now: float) -> float | None:
    """UTC seconds of an ISO 8601 stamp from 1970 or later, at most ``now``."""
    if not isinstance(value, str):
        return None
    try:
        stamp = datetime.fromisoformat(value[:40])
        at = stamp.timestamp() if stamp.tzinfo else -1.0
    except (ValueError, OverflowError):
        return None
    return min(at, now) if at >= 0 else None
