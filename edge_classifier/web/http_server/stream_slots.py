"""Places for responses that last: so many for all, and fewer for each account."""

import threading
from collections.abc import Iterable, Iterator
from itertools import chain
from weakref import WeakKeyDictionary


class StreamSlots:
    """How many responses may last at the same time. For any thread."""

    def __init__(self, most: int, most_each: int) -> None:
        """``most_each``: of one owner."""
        self._most, self._most_each = most, most_each
        self._lock = threading.Lock()
        # Weak: a stream that is dropped before its first byte frees its place, too.
        self._owners: WeakKeyDictionary[object, object] = WeakKeyDictionary()

    def __len__(self) -> int:
        with self._lock:
            return len(self._owners)

    def is_free(self, owner: object) -> bool:
        """Whether there is one more for ``owner``."""
        with self._lock:
            return self._has_room(owner)

    def take(self, stream: object, owner: object) -> bool:
        """False: all are taken, or all that ``owner`` may have."""
        with self._lock:
            if not self._has_room(owner):
                return False
            self._owners[stream] = owner
            return True

    def leave(self, stream: object) -> None:
        """Free the place of ``stream``, if there is one."""
        with self._lock:
            self._owners.pop(stream, None)

    def _has_room(self, owner: object) -> bool:
        owners = list(self._owners.values())
        return len(owners) < self._most and owners.count(owner) < self._most_each


class Download:
    """A response's body that has a place until it is closed, which the server does in any case."""

    def __init__(self, slots: StreamSlots) -> None:
        self._slots = slots
        self._pieces: Iterator[bytes | str] = iter(())

    def begin(self, pieces: Iterable[bytes | str]) -> None:
        """Make the first of ``pieces``. Raises what that raises: an answer can still tell it."""
        made = iter(pieces)
        self._pieces = chain([next(made, "")], made)

    def __iter__(self) -> Iterator[bytes | str]:
        return self._pieces

    def close(self) -> None:
        """Free its place."""
        self._slots.leave(self)
