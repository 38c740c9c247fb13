"""Messages that wait to be written: bounded in number and in bytes."""

import threading
from collections import deque

from edge_classifier.mqtt.connection.broker_connection import ReceivedMessage

_MAX_MESSAGES = 5_000
_MAX_BYTES = 8_000_000
# The connection's thread waits so long for room: the broker then feels how slow the disk is.
_TIMEOUT_S = 5.0


class DeliveryQueue:
    """Filled by the connection's thread, emptied by the writer's."""

    def __init__(self, max_messages: int = _MAX_MESSAGES, max_bytes: int = _MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[ReceivedMessage] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more comes in."""
        return self._closed

    def put(self, message: ReceivedMessage, timeout_s: float = _TIMEOUT_S) -> bool:
        """Whether there was room for it, or has been within ``timeout_s``."""
        size = len(message.payload)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(size), timeout_s)
            if self._closed or not self._has_room(size):
                return False
            self._messages.append(message)
            self._bytes += size
            self._changed.notify_all()
        return True

    def take(self, most: int, *, wait_s: float, linger_s: float) -> list[ReceivedMessage]:
        """The oldest ones, at most ``most``; empty if none comes within ``wait_s``.

        After the first it waits ``linger_s`` for others to be written with it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._messages, wait_s)
            if self._messages:
                self._changed.wait_for(
                    lambda: self._closed or len(self._messages) >= most, linger_s
                )
            taken = [self._messages.popleft() for _ in range(min(most, len(self._messages)))]
            self._bytes -= sum(len(message.payload) for message in taken)
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        """Take nothing more in; what is there can still be taken out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        """A message that is larger than the room has it when it is alone."""
        if not self._messages:
            return True
        return len(self._messages) < self._max_messages and self._bytes + size <= self._max_bytes
