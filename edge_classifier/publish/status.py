"""How the publisher goes, for statistics and health."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherStatus:
    """How it goes. Counts are since the start."""

    connected: bool = False
    reason: str = "not started"
    """Why there is no connection, or what the broker refuses; empty when all is well."""
    waiting: int = 0
    """Events that the broker has not acknowledged."""
    published: int = 0
    """Events that it has."""
    dropped: int = 0
    """Events that had to go."""
    refused: int = 0
    """Messages that the broker refused (MQTT 5 only: 3.1.1 cannot say)."""
    ignored: int = 0
    """Requests that were retained, too large or too many, and responses that were too many."""
    durable: bool = True
    """Whether events are on disk."""
    trouble: str = ""
    """Why they are not."""
    damaged: int = 0
    """Files of the outbox that had to be set aside."""
    delay_ms: float | None = None
    """Capture to acknowledgement by the broker, of the last event."""
