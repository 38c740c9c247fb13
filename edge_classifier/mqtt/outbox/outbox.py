"""Events on their way out: on disk until the broker has them, in memory where there is no disk.

Nothing here raises for a disk that is full, gone or damaged: the daemon goes on, and ``trouble``
says why.
"""

import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from edge_classifier.mqtt.outbox.event_numbers import EventNumbers, LostEvents
from edge_classifier.mqtt.outbox.incidents import Incidents
from edge_classifier.mqtt.outbox.numbers_file import LastNumbers
from edge_classifier.mqtt.outbox.outbox_database import (
    DamagedError,
    OutboxDatabase,
    QueuedEvent,
    is_damage,
    salvage,
)
from edge_classifier.mqtt.outbox.waiting_rows import copy_waiting, waiting_rows
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
        self.incidents = Incidents()
        self.numbers = EventNumbers(path, utc, self.incidents)
        self._utc = utc
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
        # Events that ``close`` had to leave.
        self.left = 0
        # Whether the database knows all that was written to it before it was opened.
        self._is_whole = False
        # The highest number of each camera's events since the start.
        self._newest: dict[str, int] = {}
        # Events that did not even fit into memory.
        self._overflow = LostEvents()

    @property
    def waiting(self) -> int:
        """Events that the broker has not acknowledged."""
        return max(0, self._saved - len(self._acked)) + len(self._unsaved)

    def open(self) -> dict[str, str]:
        """What is remembered: key to JSON. Nothing where the disk does not let us."""
        self.numbers.open()
        self._attempt(self._ensure_open)
        for key, text in self.numbers.newer_states(self._remembered).items():
            self.remember(key, text)
        if self._unsaved and not self.trouble:
            # What was rescued of a damaged file.
            self._attempt(self._write)
        return dict(self._remembered)

    def last_numbers(self, remembered: Mapping[str, int]) -> LastNumbers:
        """What each camera's count goes on from; ``remembered``: as the database knows it.

        To be called once, after ``open``.
        """
        return self.numbers.begin(remembered, database_is_whole=self._is_whole)

    def event_ids(self) -> set[str]:
        """Of all events that wait on disk."""
        found: set[str] = set()
        if self._database.is_open:
            self._attempt(lambda: found.update(self._database.event_ids()))
        return found

    def has(self, event_id: str) -> bool:
        """Whether the broker has not acknowledged this event."""
        if event_id in self._unsaved:
            return True
        found: list[int] = []
        if self._database.is_open:
            self._attempt(lambda: found.extend(self._database.rows_of(event_id)))
        return any(row not in self._acked for row in found)

    def add(self, events: Iterable[QueuedEvent]) -> None:
        """New events. ``save`` makes them last."""
        for event in events:
            self._unsaved[event.event_id] = event
            self._newest[event.camera] = max(event.seq, self._newest.get(event.camera, 0))

    def remember(self, key: str, value: str | None, camera: str = "") -> None:
        """None forgets. ``save`` makes it last.

        ``camera``: whose events led to it. Where the disk is full, it lasts once the broker has
        these: what is known after a kill is then what was told.
        """
        if camera:
            self.numbers.camera_of[key] = camera
        if value is None:
            self._remembered.pop(key, None)
        else:
            self._remembered[key] = value
        self._unsaved_keys.add(key)

    def save(self, *, all_now: bool = False) -> None:
        """Write what is to be written, in one transaction."""
        self.numbers.reserve(self._newest)
        if self._is_due(all_now=all_now):
            self._attempt(self._write)
        while len(self._unsaved) > min(_MAX_IN_MEMORY, self._max_events):
            _, event = self._unsaved.popitem(last=False)
            self._overflow.count(event)
            self.dropped += 1
        if self._unsaved:
            self.numbers.record(self._newest)
        if self.trouble:
            unsaved = {key: self._remembered.get(key) for key in self._unsaved_keys}
            self.numbers.keep_states(unsaved, {event.camera for event in self._unsaved.values()})

    def next(self, limit: int, held: Collection[str] = ()) -> list[QueuedEvent]:
        """Up to ``limit`` events, oldest first, but for those of the cameras ``held``."""
        found: list[QueuedEvent] = []
        if self._database.is_open:
            self._attempt(lambda: self._read(found, limit, held))
        if self.trouble:
            self.numbers.record(self._newest)
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
        """Write the rest and let go of the files; whether all is on disk."""
        self.save(all_now=True)
        left = self._overflow
        for event in self._unsaved.values():
            left.count(event)
        if self.trouble and self._database.is_open and not self._database.is_in_place():
            # They go with the deleted file.
            self._attempt(lambda: self._count_deleted(left))
        self.left = left.total
        for text in left.texts():
            _log.error(
                "%s are lost: they could not be written, and the broker has not taken them", text
            )
        # First, as the database's log goes when it is closed: who is killed between the two must
        # not leave numbers of which only that log knows.
        self.numbers.close(left.by_camera)
        self._database.close()
        return not self.trouble

    def _count_deleted(self, left: LostEvents) -> None:
        for event in waiting_rows(self._database):
            if event.row not in self._acked:
                left.count(event)

    def _is_due(self, *, all_now: bool) -> bool:
        if self.trouble:
            return all_now or self._clock() >= self._retry_at
        if self._database.is_open and not self._database.is_in_place():
            return True
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
        self.numbers.set_behind()
        if self.trouble:
            _log.warning("%s: events are on disk again", self._database.path)
            self.trouble = ""
        for text in self._overflow.texts():
            self.incidents.tell(f"{text} were lost: more were waiting than memory is to hold")
        self._overflow = LostEvents()

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
            if not self._database.is_in_place():
                self._move()
            return
        was_there = self._database.path.exists()
        try:
            self._database.open()
            is_damaged = False
        except DamagedError as error:
            self._set_aside(error)
            self._database.open()
            is_damaged = True
        is_stale = self.numbers.is_behind and not self._database.log_found
        self._is_whole = not (is_damaged or self._database.was_made or is_stale)
        if self.numbers.was_found and not self._is_whole and not is_damaged:
            what = "is older than what was written" if was_there else "was missing"
            self.incidents.tell(f"{self._database.path} {what}: events that waited in it are lost")
        self._saved, self._row = self._database.count(), 0
        known = self._database.remembered()
        self._remembered = {
            key: known[key] for key in known.keys() - self._unsaved_keys
        } | self._remembered

    def _attempt(self, work: Callable[[], None]) -> None:
        """Do ``work``; of what it raises, say once what is wrong, and when to try again.

        A damaged file makes room for a new one.
        """
        try:
            work()
        except (sqlite3.Error, OSError) as error:
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

    def _move(self) -> None:
        """Write the deleted or exchanged file anew, from what is still open of it."""
        path = self._database.path
        fresh = OutboxDatabase(path, self._utc)
        if self._database.has_file():
            # Only the log has gone, and the file takes what is in it.
            self._database.renew_log()
            self.incidents.tell(f"{path}: its log was deleted while it was in use; nothing is lost")
            return
        try:
            fresh.open()
        except DamagedError:
            fresh.set_aside()
            fresh.open()
        try:
            rows = copy_waiting(self._database, fresh, self._acked, self._remembered)
        except BaseException:
            fresh.close()
            raise
        self._database.close()
        self._database = fresh
        for event in self._in_flight.values():
            event.row = rows.get(event.row) if event.row is not None else None
        self._acked.clear()
        self._saved, self._row = fresh.count(), 0
        self.incidents.tell(
            f"{path} was deleted or exchanged while it was in use; it was made anew, and"
            f" {len(rows)} waiting events were moved over: none is lost"
        )

    def _set_aside(self, error: Exception) -> None:
        """Begin anew, with all that memory still has of the damaged file, and it itself."""
        aside = self._database.set_aside()
        found, remembered = salvage(aside)
        of_memory = {one.event_id: one for one in self._in_flight.values() if one.row is not None}
        of_both = {event.event_id: event for event in found} | of_memory
        rescued = [one for one in of_both.values() if one.row not in self._acked]
        rescued.sort(key=lambda event: event.row or 0)
        lost = self._saved - len(self._acked) - len(rescued)
        self._remembered = remembered | self._remembered
        how_many = f"{max(0, lost)}" if self._saved else "an unknown number of"
        self.incidents.tell(
            f"{self._database.path}: {error}. Set aside as {aside}; {len(rescued)} waiting events"
            f" were rescued, {how_many} lost"
        )
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
