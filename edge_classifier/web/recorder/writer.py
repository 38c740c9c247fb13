"""The thread that writes. A message is acknowledged when it is on disk, and not before."""

import logging
import random as random_module
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

from django.db import DataError, Error, IntegrityError, connection
from django.utils import timezone

from edge_classifier.core.backoff import pause_s
from edge_classifier.errors import UnavailableError
from edge_classifier.web.recorder import tables as book
from edge_classifier.web.recorder.messages import RecordedEvent, RecordedSnapshot
from edge_classifier.web.recorder.queue import Delivery, DeliveryQueue
from edge_classifier.web.recorder.unmatched import drop_unmatched

_log = logging.getLogger(__name__)

# What comes within this time after a message is written with it.
_LINGER_S = 0.05
_TURN_S = 1.0
_MAX_PAUSE_S = 30.0
_ATTEMPTS = 3
# Seconds between two complaints about messages that are no events.
_TELL_S = 60.0
_UNMATCHED = timedelta(days=1)
_TIDY_S = 3600.0
_LONGEST_TEXT = 300

# From topic and payload to what is to be recorded; raises ValueError.
Read = Callable[[str, bytes], RecordedEvent | RecordedSnapshot | None]
Note = tuple[Delivery, RecordedEvent | RecordedSnapshot | None]


class RecordWriter:
    """All but ``end`` and the figures is for one thread."""

    def __init__(
        self,
        inbox: DeliveryQueue,
        read: Read,
        batch: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._inbox = inbox
        self._read = read
        self._batch = batch
        self._clock = clock
        self._random = random
        self._ending = threading.Event()
        self._tell_at = self._tidy_at = clock()
        # Messages that are being written.
        self.in_hand = 0
        # Events that are new.
        self.recorded = 0
        # Events that were there already.
        self.repeated = 0
        # Messages that are no events, or no pictures.
        self.ignored = 0
        # Why nothing can be written now.
        self.trouble = ""

    def end(self) -> None:
        """Let ``run`` return when the inbox is empty, or cannot be written."""
        self._inbox.close()
        self._ending.set()

    def run(self) -> None:
        """The thread."""
        while True:
            deliveries = self._inbox.take(self._batch, wait_s=_TURN_S, linger_s=_LINGER_S)
            if deliveries:
                self._settle(deliveries)
            elif self._inbox.is_closed:
                break
            self._tidy()
        connection.close()

    def _settle(self, deliveries: Sequence[Delivery]) -> None:
        self.in_hand = len(deliveries)
        self._write_all([(delivery, self._understood(delivery)) for delivery in deliveries])
        self.in_hand = 0

    def _understood(self, delivery: Delivery) -> RecordedEvent | RecordedSnapshot | None:
        try:
            return self._read(delivery.topic, delivery.payload)
        except ValueError as error:
            self._ignore(delivery, error)
            return None

    def _ignore(self, delivery: Delivery, error: Exception) -> None:
        """Say so once in a while: who sends nonsense may send much of it."""
        self.ignored += 1
        if self._clock() >= self._tell_at:
            self._tell_at = self._clock() + _TELL_S
            what = f"{delivery.topic[:100]!r} {str(error)[:_LONGEST_TEXT]}"
            _log.warning("%d messages were ignored so far; the last one, on %s", self.ignored, what)

    def _write_all(self, notes: Sequence[Note]) -> None:
        """Write until it is written; what nobody can write does not hold up the rest."""
        for setbacks in count(1):
            try:
                return self._write(notes)
            except DataError as error:
                return self._write_singly(notes, error)
            except IntegrityError as error:
                # On PostgreSQL perhaps only a row that somebody deleted in this moment.
                if len(notes) > 1 or setbacks == _ATTEMPTS:
                    return self._write_singly(notes, error)
                connection.close()
            except (Error, UnavailableError) as error:
                self._in_trouble(error)
            except Exception as error:  # noqa: BLE001 (the last line of defence against one message)
                _log.exception("the recorder failed and goes on")
                return self._write_singly(notes, error)
            if self._ending.wait(pause_s(setbacks, self._random(), max_s=_MAX_PAUSE_S)):
                return None  # Not acknowledged: all of it comes again.
        return None

    def _write_singly(self, notes: Sequence[Note], error: Exception) -> None:
        connection.close()
        if len(notes) > 1:
            for note in notes:
                self._write_all([note])
            return
        delivery, _ = notes[0]
        self._ignore(delivery, error)
        delivery.acknowledge()

    def _write(self, notes: Sequence[Note]) -> None:
        meant = [note for _, note in notes if note]
        new = book.write(meant) if meant else 0
        self.recorded += new
        self.repeated += sum(isinstance(note, RecordedEvent) for note in meant) - new
        if self.trouble:
            _log.warning("recording goes on")
            self.trouble = ""
        for delivery, _ in notes:
            delivery.acknowledge()

    def _in_trouble(self, error: Exception) -> None:
        connection.close()
        text = " ".join(str(error).split())[:_LONGEST_TEXT]
        if not self.trouble:
            _log.error("nothing can be recorded, and nothing is acknowledged: %s", text)
        self.trouble = text

    def _tidy(self) -> None:
        if self._clock() < self._tidy_at:
            return
        self._tidy_at = self._clock() + _TIDY_S
        try:
            drop_unmatched(timezone.now() - _UNMATCHED)
        except Exception as error:  # noqa: BLE001 (each kind of storage has errors of its own)
            _log.warning("pictures without events could not be deleted: %s", error)
            connection.close()
