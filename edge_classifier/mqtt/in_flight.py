"""What was sent and is not acknowledged."""

from dataclasses import dataclass

from edge_classifier.mqtt.connection.broker_limits import SentPacket
from edge_classifier.mqtt.latest_messages import TopicMessage
from edge_classifier.mqtt.outbox.outbox_database import QueuedEvent
from edge_classifier.mqtt.outbox.waiting_snapshots import WaitingSnapshot


@dataclass(frozen=True, slots=True)
class InFlight:
    """One message that the broker has not acknowledged: an event, a topic's, or a response."""

    packet: SentPacket
    qos: int
    # Counts what was sent over this connection.
    number: int
    sent_at_s: float
    event: QueuedEvent | None = None
    message: TopicMessage | None = None
    snapshot: WaitingSnapshot | None = None
