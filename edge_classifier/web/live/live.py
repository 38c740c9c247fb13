"""What cameras show now, and requests to their daemons: a connection of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from edge_classifier.web.settings import Settings


class Live:
    """Follows all daemons with a clean session, and keeps what they told last, in memory."""

    def __init__(self, settings: Settings) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End; open streams end, too."""

    def view(self) -> dict[str, Any]:
        """All devices and cameras as they are now, as JSON values."""
        raise NotImplementedError

    def devices(self) -> list[str]:
        """Names of the devices that have been heard of."""
        raise NotImplementedError

    def frame(self, device: str, camera: str) -> bytes | None:
        """The last snapshot, a JPEG."""
        raise NotImplementedError

    def changes(self) -> Iterator[bytes]:
        """Server-sent events, without end, for one page."""
        raise NotImplementedError

    def request(
        self, device: str, command: str, payload: Mapping[str, Any], within_s: float = 30.0
    ) -> dict[str, Any]:
        """Ask a daemon, as docs/mqtt.md has it, and wait for its response.

        Raises UnavailableError without a connection or an answer in time.
        """
        raise NotImplementedError
