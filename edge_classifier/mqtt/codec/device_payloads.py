"""What a device's own topics say: whether it is there, statistics, what runs, and answers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from edge_classifier.mqtt.codec.camera_payloads import MAX_LABEL, MAX_LINE
from edge_classifier.mqtt.codec.json_fields import decoded, encoded, inner, line, number_or_none
from edge_classifier.mqtt.topics import OFFLINE, ONLINE, is_name

# Longest request that a daemon reads.
MAX_REQUEST_BYTES = 65_536
# Cameras of one device whose statistics are read.
_MAX_CAMERAS = 64
_WORDS = {ONLINE.encode(): True, OFFLINE.encode(): False}


@dataclass(frozen=True, slots=True)
class CameraStats:
    """One camera in the statistics of its daemon."""

    fps: float | None = None
    # Why no frames come.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StatsMessage:
    """The statistics of a daemon, as they were read; None where it has not told."""

    uptime_s: float | None
    memory_mb: float | None
    temperature_c: float | None
    # The daemon's own connection to its broker.
    connected: bool | None
    reason: str
    # Events that the broker has not acknowledged.
    waiting: int | None
    cameras: Mapping[str, CameraStats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InfoMessage:
    """What a daemon is, as it was read."""

    version: str
    model: str


def availability_payload(*, online: bool) -> bytes:
    """Of a device or a camera."""
    return (ONLINE if online else OFFLINE).encode()


def read_availability(payload: bytes) -> bool:
    """Whether it is online. Raises ValueError for another word."""
    if payload not in _WORDS:
        raise ValueError(f"is neither {ONLINE} nor {OFFLINE}")
    return _WORDS[payload]


def stats_payload(
    meters: Mapping[str, Any],
    *,
    publisher: Mapping[str, Any],
    store: Mapping[str, Any],
    host: Mapping[str, Any],
) -> dict[str, Any]:
    """Statistics: ``meters`` has those of the pipeline, ``cameras`` among them."""
    return {**meters, "publisher": publisher, "store": store, "host": host}


def read_stats(payload: bytes) -> StatsMessage:
    """Statistics, as far as the page shows them. Raises ValueError for an empty object, too."""
    found = _table(payload)
    host, publisher = inner(found, "host"), inner(found, "publisher")
    connected, waiting = publisher.get("connected"), number_or_none(publisher, "waiting", 0, 1e12)
    return StatsMessage(
        uptime_s=number_or_none(found, "uptime_s", 0, 1e10),
        memory_mb=number_or_none(host, "memory_mb", 0, 1e9),
        temperature_c=number_or_none(host, "temperature_c", -100, 1000),
        connected=connected if isinstance(connected, bool) else None,
        reason=line(publisher.get("reason"), MAX_LINE),
        waiting=None if waiting is None else int(waiting),
        cameras={
            name: CameraStats(number_or_none(one, "fps", 0, 1e6), line(one.get("reason"), MAX_LINE))
            for name, one in islice(inner(found, "cameras").items(), _MAX_CAMERAS)
            if is_name(name) and isinstance(one, dict)
        },
    )


def info_payload(
    *,
    version: str,
    model: str,
    runtime: str,
    delegate: str,
    notes: list[str],
    labels: list[str],
    configuration: Any,
) -> dict[str, Any]:
    """What runs here. ``configuration``: the settings in force, without secrets."""
    return {
        "version": version,
        "model": model,
        "runtime": runtime,
        "delegate": delegate,
        "notes": notes,
        "labels": labels,
        "configuration": configuration,
    }


def info_within(info: Mapping[str, Any], max_bytes: int) -> bytes | None:
    """``info`` in at most ``max_bytes``: with fewer labels, else without its configuration, too.

    A note says so. None where not even that fits.
    """
    labels = info.get("labels", [])
    for configuration in (info.get("configuration"), None):
        said = f"{len(labels)} labels are too many for the broker: the first are here"
        notes = [*info.get("notes", ()), said]
        if configuration is None:
            notes[-1:] = ["labels and configuration are too large for the broker"]
        short = {**info, "notes": notes, "labels": [], "configuration": configuration}
        room = max_bytes - len(encoded(short))
        if room >= 0:
            kept = []
            for label in labels:
                # Quotes and the comma; JSON may write a sign as six.
                room -= len(encoded({"": label})) - len(encoded({"": ""})) + 3
                if room < 0:
                    break
                kept.append(label)
            return encoded({**short, "labels": kept})
    return None


def read_info(payload: bytes) -> InfoMessage:
    """Version and model. Raises ValueError for an empty object, too."""
    found = _table(payload)
    return InfoMessage(line(found.get("version"), MAX_LABEL), line(found.get("model"), MAX_LABEL))


def request_payload(body: Mapping[str, Any], transaction: str = "") -> bytes:
    """A request; with ``transaction``, which comes back in the response."""
    return encoded({**body, "transaction": transaction} if transaction else body)


def response_payload(
    data: Mapping[str, Any], *, error: str | None, transaction: object
) -> dict[str, Any]:
    """What was done, or why nothing was; ``transaction`` is that of the request."""
    return {
        "status": "ok" if error is None else "error",
        "data": dict(data),
        "error": error,
        "transaction": transaction,
    }


def read_response(payload: bytes) -> dict[str, Any]:
    """A response as it came, with ``status`` "ok" or "error". Raises ValueError for another."""
    found = decoded(payload)
    is_done = found.get("status") == "ok" and isinstance(found.get("data"), dict)
    is_refused = found.get("status") == "error" and isinstance(found.get("error"), str)
    if not (is_done or is_refused):
        raise ValueError("is neither an answer nor an error")
    return found


def _table(payload: bytes) -> dict[str, Any]:
    found = decoded(payload)
    if not found:
        raise ValueError("says nothing")
    return found
