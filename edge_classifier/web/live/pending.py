"""Requests to daemons that wait for their responses."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import Any

from edge_classifier.web.live import parsing as reading


@dataclass(frozen=True, slots=True, eq=False)
class PendingRequest:
    """One request; the thread that sent it waits at ``answer``."""

    device: str
    command: str
    transaction: str
    # The response, or None when none can come any more. Only the first one counts.
    answer: "Queue[dict[str, Any] | None]" = field(default_factory=lambda: Queue(1))

    def settle(self, answer: dict[str, Any] | None) -> None:
        """Let whoever waits have ``answer``."""
        with suppress(Full):
            self.answer.put_nowait(answer)


class PendingRequests:
    """All requests that wait. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, PendingRequest] = {}

    @contextmanager
    def opened(self, device: str, command: str) -> Iterator[PendingRequest]:
        """A new one, forgotten at the end."""
        ask = PendingRequest(device, command, secrets.token_hex(8))
        with self._lock:
            self._waiting[ask.transaction] = ask
        try:
            yield ask
        finally:
            with self._lock:
                del self._waiting[ask.transaction]

    def take(self, device: str, command: str, payload: bytes) -> None:
        """Hand a response to whoever waits for it; others are none of our business."""
        found = reading.table(payload)
        transaction = found.get("transaction")
        with self._lock:
            ask = self._waiting.get(transaction) if isinstance(transaction, str) else None
        if ask and (ask.device, ask.command) == (device, command) and _is_response(found):
            ask.settle(found)

    def give_up(self) -> None:
        """The connection is lost, and what was sent with it."""
        with self._lock:
            for ask in self._waiting.values():
                ask.settle(None)


def _is_response(found: dict[str, Any]) -> bool:
    """As docs/mqtt.md has it."""
    if found.get("status") == "ok":
        return isinstance(found.get("data"), dict)
    return found.get("status") == "error" and isinstance(found.get("error"), str)
