"""What is recorded of what daemons send, and when it was. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from edge_classifier.core.jpeg_comment import SnapshotFrame, frame_of
from edge_classifier.mqtt.codec.camera_payloads import read_snapshot
from edge_classifier.mqtt.codec.event_messages import (
    CameraEventMessage,
    EventMessage,
    read_event,
)
from edge_classifier.mqtt.topics import is_command, route
from edge_classifier.web.config.settings import WebSettings

# Clocks of devices without one of their own are off by seconds, and by minutes at worst.
_AHEAD = timedelta(minutes=10)
_DAY = timedelta(days=1)
# How long a broker may keep an event where we cannot tell it (MQTT 3.1.1).
_LONGEST_KEPT = timedelta(days=365)
# Before the program was there. Clocks that nobody has set begin in 1970, 2000 or 2010.
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


class EventTimes(NamedTuple):
    """When an event was."""

    # What it is ordered, counted and found by.
    at: datetime
    # What the device's clock said, where that cannot be right; else None.
    device_at: datetime | None


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A camera's label has come, has gone, or was glimpsed."""

    device: str
    camera: str
    event: CameraEventMessage
    # Of its beginning.
    times: EventTimes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class RecordedSnapshot:
    """The picture of one event."""

    # The event's id.
    key: UUID
    device: str
    camera: str
    jpeg: bytes
    # None: it was sent by a device whose events have one picture each.
    frame: SnapshotFrame | None
    received_at: datetime


def longest_kept(settings: WebSettings) -> timedelta:
    """How long an event may have been on its way from a daemon to us: the broker kept it."""
    if settings.mqtt.protocol == "5":
        return timedelta(hours=settings.record.session_hours) + _DAY
    return _LONGEST_KEPT + _DAY


def event_times(
    stamp: datetime, received: datetime, delay_ms: float | None, kept: timedelta
) -> EventTimes:
    """When an event was that has ``stamp`` by its device, and was ``received`` by our clock.

    The device waited ``delay_ms`` to publish it, and the broker kept it no longer than ``kept``.
    A stamp that fits neither is a wrong clock's: the event was no later than we received it, and
    nothing better is known. If our own clock is one that nobody has set, the stamp is.
    """
    if received < FIRST:
        return EventTimes(stamp, None)
    waited = timedelta(milliseconds=delay_ms or 0)
    earliest = max(FIRST, received - kept - waited)
    if earliest <= stamp <= received + _AHEAD:
        return EventTimes(stamp, None)
    return EventTimes(received, stamp)


def topic_filters(base: str, group: str = "") -> list[str]:
    """What to subscribe to; with a group, as its member (MQTT 5, 4.8.2)."""
    share = f"$share/{group}/" if group else ""
    return [f"{share}{base}/+/+/{kind}" for kind in ("event", "snapshot")]


def read(
    topic: str,
    payload: bytes,
    base: str,
    snapshot_bytes: int,
    kept: timedelta,
    now: Callable[[], datetime],
) -> RecordedEvent | RecordedSnapshot | None:
    """What a message says; None if that is nothing to be recorded.

    Which is a picture without an event, the end of a retained one, and what daemons are asked for,
    by this page or another program, with their answers. ``kept`` is as ``event_times`` has it,
    ``now`` our clock. Raises ValueError for what no daemon sends.
    """
    if is_command(base, topic):
        return None
    about = route(base, topic)
    if about is None or not about.camera:
        raise ValueError("is on no topic of ours")
    if about.kind == "event":
        event, received = read_event(payload), now()
        if isinstance(event, EventMessage):
            times = event_times(event.at, received, event.delay_ms, kept)
        else:
            # It was told when it was over.
            waited_ms = (event.delay_ms or 0) + 1000 * event.duration_s
            times = event_times(event.started, received, waited_ms, kept)
        return RecordedEvent(about.device, about.camera, event, times, received)
    if about.kind != "snapshot":
        raise ValueError("is on no topic of ours")
    if not payload:
        return None
    snapshot = read_snapshot(payload, snapshot_bytes)
    if snapshot.event is None:
        return None
    frame = frame_of(payload)
    return RecordedSnapshot(snapshot.event, about.device, about.camera, payload, frame, now())
