"""Messages that wait to be written: bounded in number and in bytes."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

_MOST_MESSAGES = 5_000
_MOST_BYTES = 8_000_000
# Whoever brings a message waits so long for room: the broker then feels how slow the disk is.
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message, as the broker brought it."""

    topic: str
    payload: bytes
    # Tells the broker that it need not bring it again.
    acknowledge: Callable[[], None]


class DeliveryQueue:
    """Filled by the connection's thread, emptied by the writer's."""

    def __init__(self, most: int = _MOST_MESSAGES, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._deliveries: deque[Delivery] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._deliveries)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more comes in."""
        return self._closed

    def put(self, delivery: Delivery, patience_s: float = _PATIENCE_S) -> bool:
        """Whether there was room for it, or has been within ``patience_s``."""
        size = len(delivery.payload)
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(size), patience_s)
            if self._closed or not self._has_room(size):
                return False
            self._deliveries.append(delivery)
            self._bytes += size
            self._changed.notify_all()
        return True

    def take(self, most: int, *, wait_s: float, linger_s: float) -> list[Delivery]:
        """The oldest ones, at most so many; empty if none comes within ``wait_s``.

        After the first it waits ``linger_s`` for others to be written with it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._deliveries, wait_s)
            if self._deliveries:
                enough = partial(self._is_enough, most)
                self._changed.wait_for(enough, linger_s)
            taken = [self._deliveries.popleft() for _ in range(min(most, len(self._deliveries)))]
            self._bytes -= sum(len(delivery.payload) for delivery in taken)
            self._changed.notify_all()
        return taken

    def close(self) -> None:
        """Take nothing more in; what is there can still be taken out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_enough(self, most: int) -> bool:
        return self._closed or len(self._deliveries) >= most

    def _has_room(self, size: int) -> bool:
        """A message that is larger than the room has it when it is alone."""
        if not self._deliveries:
            return True
        return len(self._deliveries) < self._most and self._bytes + size <= self._most_bytes
