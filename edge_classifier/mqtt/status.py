"""How the publisher goes, for statistics and health."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherStatus:
    """How it goes. Counts are since the start."""

    connected: bool = False
    # Why there is no connection, or what the broker refuses; empty when all is well.
    reason: str = "not started"
    # Events that the broker has not acknowledged.
    waiting: int = 0
    # Events that it has.
    published: int = 0
    # Events that had to go.
    dropped: int = 0
    # Messages that the broker refused (MQTT 5 only: 3.1.1 cannot say).
    refused: int = 0
    # Requests that were retained, too large or too many, and responses that were too many.
    ignored: int = 0
    # Whether events are on disk.
    durable: bool = True
    # Why they are not.
    trouble: str = ""
    # Files of the outbox that had to be set aside.
    damaged: int = 0
    # Capture to acknowledgement by the broker, of the last event.
    delay_ms: float | None = None
