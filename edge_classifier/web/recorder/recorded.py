"""What is recorded of what daemons send. Pure."""

from dataclasses import dataclass
from uuid import UUID

from edge_classifier.mqtt.codec.camera_payloads import EventMessage, read_event, read_snapshot
from edge_classifier.mqtt.topics import route


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A camera's label has become another."""

    device: str
    camera: str
    event: EventMessage

    @property
    def key(self) -> UUID:
        """The event's id."""
        return self.event.key


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
    about = route(base, topic)
    if about is None or not about.camera or about.is_response:
        raise ValueError("is on no topic of ours")
    if about.kind == "event":
        return RecordedEvent(about.device, about.camera, read_event(payload))
    if about.kind != "snapshot":
        raise ValueError("is on no topic of ours")
    if not payload:
        return None
    snapshot = read_snapshot(payload, snapshot_bytes)
    return RecordedSnapshot(snapshot.event, payload) if snapshot.event else None
