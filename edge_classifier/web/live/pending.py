"""Requests to daemons that wait for their responses."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import Any

from edge_classifier.mqtt.codec.device_payloads import read_response
from edge_classifier.mqtt.codec.json_fields import inner


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
        request = PendingRequest(device, command, secrets.token_hex(8))
        with self._lock:
            self._waiting[request.transaction] = request
        try:
            yield request
        finally:
            with self._lock:
                del self._waiting[request.transaction]

    def take_response(self, device: str, command: str, payload: bytes) -> None:
        """Hand a response to whoever waits for it; others are none of our business."""
        try:
            found = read_response(payload)
        except ValueError:
            return
        if "fetching" in inner(found, "data"):
            # Another one comes, when the model runs or has failed.
            return
        transaction = found.get("transaction")
        with self._lock:
            request = self._waiting.get(transaction) if isinstance(transaction, str) else None
        if request and (request.device, request.command) == (device, command):
            request.settle(found)

    def give_up(self) -> None:
        """The connection is lost, and what was sent with it."""
        with self._lock:
            for request in self._waiting.values():
                request.settle(None)
