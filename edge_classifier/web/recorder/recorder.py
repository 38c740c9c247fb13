"""The recorder: a connection that listens, and a thread that writes."""

from dataclasses import dataclass

from edge_classifier.web.settings import Settings


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """How recording goes."""

    connected: bool
    reason: str
    """Why not."""
    recorded: int
    """Events that were written since the start."""
    repeated: int
    """Deliveries of events that were there already."""
    ignored: int
    """Messages that are no events, or no pictures."""
    waiting: int
    """Messages that wait to be written."""
    trouble: str
    """Why nothing can be written now: nothing is acknowledged then; else empty."""


class Recorder:
    """Records until it is stopped. Everything happens in its own threads."""

    def __init__(self, settings: Settings) -> None:
        raise NotImplementedError

    @property
    def status(self) -> RecorderStatus:
        """As of now."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""

    def stop(self, within_s: float = 5.0) -> None:
        """Write what waits, acknowledge it, disconnect; the session stays at the broker."""
