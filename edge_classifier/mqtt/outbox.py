"""Events on their way out: on disk until the broker has them, in memory where there is no disk.

Nothing here raises for a disk that is full, gone or damaged: the daemon goes on, and ``trouble``
says why.
"""

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from edge_classifier.mqtt.outbox_database import (
    DamagedError,
    OutboxDatabase,
    QueuedEvent,
    is_damage,
)
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

# Seconds between two attempts to write to a disk that refuses.
_RETRY_S = 5.0
# A few MB: the machine needs its memory for other things.
_MAX_IN_MEMORY = 5_000
# Acknowledged events are deleted with the next write; at the latest when this many wait for it, or
# after this many seconds. Until then a restart sends them again, with the same ids.
_MAX_ACKED, _ACKED_S = 100, 5.0
# What is written to a disk that refused, to see whether it takes anything.
_PROBE = "outbox.probe"


class Outbox:
    """A bounded queue that survives power cuts. Used by one thread at a time.

    Events wait on disk, in order; where writing fails, in memory behind those on disk. One that
    ``next`` has given out is in flight until it is acknowledged or put back, or all are forgotten.
    """

    def __init__(
        self, path: Path, max_events: int, *, clock: Clock, utc: Callable[[], float]
    ) -> None:
        self._database = OutboxDatabase(path, utc)
        self._max_events = max_events
        self._clock = clock
        self._unsaved: OrderedDict[str, QueuedEvent] = OrderedDict()
        self._remembered: dict[str, str] = {}
        self._unsaved_keys: set[str] = set()
        self._in_flight: dict[str, QueuedEvent] = {}
        # Rows that are to be deleted.
        self._acked: set[int] = set()
        self._acked_at = 0.0
        # Rows on disk.
        self._saved = 0
        # All rows up to this one have been given out.
        self._row = 0
        self._retry_at = 0.0
        # Events that were given up: too many were waiting, or the disk destroyed them.
        self.dropped = 0
        # Files that had to be set aside.
        self.damaged = 0
        # Why events are in memory only; empty while all is well.
        self.trouble = ""

    @property
    def waiting(self) -> int:
        """Events that the broker has not acknowledged."""
        return max(0, self._saved - len(self._acked)) + len(self._unsaved)

    def open(self) -> dict[str, str]:
        """What is remembered: key to JSON. Nothing where the disk does not let us."""
        self._attempt(self._ensure_open)
        return dict(self._remembered)

    def event_ids(self) -> set[str]:
        """Of all events that wait on disk."""
        found: set[str] = set()
        if self._database.is_open:
            self._attempt(lambda: found.update(self._database.event_ids()))
        return found

    def add(self, events: Iterable[QueuedEvent]) -> None:
        """New events. ``save`` makes them last."""
        for event in events:
            self._unsaved[event.event_id] = event

    def remember(self, key: str, value: str | None) -> None:
        """None forgets. ``save`` makes it last."""
        if value is None:
            self._remembered.pop(key, None)
        else:
            self._remembered[key] = value
        self._unsaved_keys.add(key)

    def save(self, *, all_now: bool = False) -> None:
        """Write what is to be written, in one transaction."""
        if self._is_due(all_now=all_now):
            self._attempt(self._write)
        while len(self._unsaved) > min(_MAX_IN_MEMORY, self._max_events):
            self._unsaved.popitem(last=False)
            self.dropped += 1

    def next(self, limit: int, held: Collection[str] = ()) -> list[QueuedEvent]:
        """Up to ``limit`` events, oldest first, but for those of the cameras ``held``."""
        found: list[QueuedEvent] = []
        if self._database.is_open:
            self._attempt(lambda: self._read(found, limit, held))
        if self.trouble:
            self._give_out(self._unsaved.values(), found, limit, held)
        return found

    def acknowledge(self, event: QueuedEvent) -> None:
        """The broker has it: it need not be kept."""
        self._in_flight.pop(event.event_id, None)
        if event.row is None:
            self._unsaved.pop(event.event_id, None)
            return
        if not self._acked:
            self._acked_at = self._clock()
        self._acked.add(event.row)

    def give_up(self, event: QueuedEvent) -> None:
        """It can never be sent: it goes, and is counted."""
        self.acknowledge(event)
        self.dropped += 1

    def put_back(self, event: QueuedEvent) -> None:
        """The broker does not take it now; ``retry_refused`` lets it be given out once more."""
        self._in_flight.pop(event.event_id, None)

    def retry_refused(self) -> None:
        """Begin from the oldest, leaving out what is in flight."""
        self._row = 0

    def forget_in_flight(self) -> None:
        """Nothing is in flight any more: begin from the oldest."""
        self._in_flight.clear()
        self._row = 0

    def clear(self) -> int:
        """Forget all that waits; how many there were."""
        before = self.waiting
        self._unsaved.clear()
        self._attempt(self._delete_all)
        return before - self.waiting

    def close(self) -> bool:
        """Write the rest and let go of the file; whether all is on disk."""
        self.save(all_now=True)
        self._database.close()
        return not self.trouble

    def _is_due(self, *, all_now: bool) -> bool:
        if self.trouble:
            return all_now or self._clock() >= self._retry_at
        if self._unsaved or self._unsaved_keys:
            return True
        late = self._clock() >= self._acked_at + _ACKED_S or len(self._acked) >= _MAX_ACKED
        return bool(self._acked) and (late or all_now)

    def _write(self) -> None:
        self._ensure_open()
        with self._database.transaction():
            rows = [self._database.insert(event) for event in self._unsaved.values()]
            saved = self._saved + len(rows) - self._database.delete(self._acked)
            dropped = self._database.delete_oldest(max(0, saved - self._max_events))
            for key in self._unsaved_keys:
                self._database.remember(key, self._remembered.get(key))
            if self.trouble:
                self._database.remember(_PROBE, "{}")
                self._database.remember(_PROBE, None)
        for event, row in zip(self._unsaved.values(), rows, strict=True):
            event.row = row
        self._saved = saved - dropped
        self.dropped += dropped
        self._unsaved.clear()
        self._unsaved_keys.clear()
        self._acked.clear()
        if self.trouble:
            _log.warning("%s: events are on disk again", self._database.path)
            self.trouble = ""

    def _read(self, found: list[QueuedEvent], limit: int, held: Collection[str]) -> None:
        while len(found) < limit:
            rows = self._database.after(self._row, limit - len(found))
            if not rows:
                return
            self._row = rows[-1].row or 0
            self._give_out(rows, found, limit, held)

    def _give_out(
        self,
        events: Iterable[QueuedEvent],
        found: list[QueuedEvent],
        limit: int,
        held: Collection[str],
    ) -> None:
        for event in events:
            if len(found) >= limit:
                return
            known = event.event_id in self._in_flight or event.row in self._acked
            if not known and event.camera not in held:
                self._in_flight[event.event_id] = event
                found.append(event)

    def _delete_all(self) -> None:
        self._ensure_open()
        with self._database.transaction():
            self._database.delete_oldest(self._saved)
        self._saved = 0
        self._acked.clear()

    def _ensure_open(self) -> None:
        if self._database.is_open:
            return
        try:
            self._database.open()
        except DamagedError as error:
            self._set_aside(error)
            self._database.open()
        self._saved, self._row = self._database.count(), 0
        known = self._database.remembered()
        self._remembered = {
            key: known[key] for key in known.keys() - self._unsaved_keys
        } | self._remembered

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (sqlite3.Error, OSError) as error:
            self._note_failure(error)

    def _note_failure(self, error: sqlite3.Error | OSError) -> None:
        """Say once what is wrong, and when to try again; a damaged file makes room for a new one.

        Raises nothing.
        """
        self._retry_at = self._clock() + _RETRY_S
        trouble = f"{self._database.path}: {error}"
        if "locked" in str(error):
            trouble += ": another edge-classify uses this folder; stop it, or set state_folder"
        if not self.trouble:
            _log.error("%s. Events are kept in memory until they can be written", trouble)
        self.trouble = trouble
        if is_damage(error):
            try:
                self._set_aside(error)
            except OSError as stuck:
                self.trouble = f"{trouble}; and cannot be set aside: {stuck}"
            self._retry_at = self._clock()

    def _set_aside(self, error: Exception) -> None:
        """Begin anew, with all that memory still has of the damaged file."""
        rescued = [event for event in self._in_flight.values() if event.row is not None]
        lost = self._saved - len(self._acked) - len(rescued)
        aside = self._database.set_aside()
        _log.error("%s: %s. Set aside as %s", self._database.path, error, aside)
        for event in rescued:
            event.row = None  # Numbers begin anew, too.
        rest = self._unsaved
        self._unsaved = OrderedDict((event.event_id, event) for event in rescued)
        self._unsaved.update(rest)
        self._unsaved_keys |= self._remembered.keys()
        self._acked.clear()
        self._saved, self._row = 0, 0
        self.dropped += max(0, lost)
        self.damaged += 1
