"""The thread that writes. A message is acknowledged when it is on disk, and not before."""

import logging
import random as random_module
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

from django.db import DataError, Error, IntegrityError, InterfaceError, connection

from edge_classifier.core.backoff import pause_s
from edge_classifier.errors import StorageError, UnavailableError
from edge_classifier.mqtt.codec.event_messages import UnknownEventTypeError
from edge_classifier.mqtt.connection.broker_connection import ReceivedMessage
from edge_classifier.web.database_away import is_away, is_damaged, is_of_another_version
from edge_classifier.web.database_file import require_same_file
from edge_classifier.web.models import Record
from edge_classifier.web.recorder import write_records
from edge_classifier.web.recorder.correct_times import correct_times
from edge_classifier.web.recorder.queue import DeliveryQueue
from edge_classifier.web.recorder.received import RecordedEvent, RecordedSnapshot
from edge_classifier.web.tally import upkeep

_log = logging.getLogger(__name__)

# What comes within this time after a message is written with it.
_LINGER_S = 0.05
_TURN_S = 1.0
_MAX_PAUSE_S = 30.0
_ATTEMPTS = 3
# Seconds between two complaints about messages that no daemon sends.
_WARN_S = 60.0
# By so much a clock is set, and no more is it only made to run faster or slower.
_LEAP_S = 3600.0
_MAX_TEXT = 300
_FOLDED_AT_ONCE = 1000

# What is to be recorded of a message; None: nothing.
Content = RecordedEvent | RecordedSnapshot | None
# From topic and payload; raises ValueError for what no daemon sends.
Read = Callable[[str, bytes], Content]


class RecordWriter:
    """All but ``end`` and the counts is for one thread."""

    def __init__(
        self,
        queue: DeliveryQueue,
        read: Read,
        batch: int,
        *,
        kept: timedelta = timedelta(0),
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """``kept``: as ``received.event_times`` has it. ``wall``: UTC seconds."""
        self._queue = queue
        self._read = read
        self._batch = batch
        self._clock = clock
        self._random = random
        self._ending = threading.Event()
        self._warn_at = self._trace_at = clock()
        self._kept = kept
        self._wall = wall
        # When we began, by the clock as it is now; and what that is ahead of the other one.
        self._began = wall()
        self._ahead_s = self._began - clock()
        # Messages that are being written.
        self.in_hand = 0
        # Events that are new, and how many there were when their counts were last added up.
        self.recorded = self._folded = 0
        # Events that were there already.
        self.repeated = 0
        # Messages that are neither events nor pictures.
        self.ignored = 0
        # Whether the log has events of a kind that we do not know.
        self._has_told_unknown = False
        # Why nothing can be written now.
        self.trouble = ""
        # Whether messages were taken out of the queue, and neither written nor acknowledged.
        self.has_lost = False

    def end(self) -> None:
        """Let ``run`` return when the queue is empty, or cannot be written."""
        self._queue.close()
        self._ending.set()

    def run(self) -> None:
        """Write until ``end``. May be called again after an error."""
        try:
            while True:
                messages = self._queue.take(self._batch, wait_s=_TURN_S, linger_s=_LINGER_S)
                if messages:
                    self._write_batch(messages)
                elif self._queue.is_closed:
                    break
                self._follow_clock()
                self._fold()
        finally:
            connection.close()

    def _write_batch(self, messages: Sequence[ReceivedMessage]) -> None:
        self.in_hand = len(messages)
        try:
            self._write_all([(message, self._content(message)) for message in messages])
        except BaseException:
            self.has_lost = True
            raise
        finally:
            self.in_hand = 0

    def _content(self, message: ReceivedMessage) -> Content:
        try:
            content = self._read(message.topic, message.payload)
            if isinstance(content, RecordedEvent) and content.event.is_shortened:
                self._warn(
                    f"{message.topic[:100]!r} has a label that is too long; it is recorded"
                    f" as {content.event.label!r}, of {content.event.model!r}"
                )
            return content
        except UnknownEventTypeError as error:
            # A later version of the daemon may send very many, and there is nothing wrong with it.
            self.ignored += 1
            if not self._has_told_unknown:
                self._has_told_unknown = True
                _log.info("%r %s; such events are not recorded", message.topic[:100], error)
        except ValueError as error:
            self._ignore(message, error)
        except Exception as error:  # noqa: BLE001 (it would come again, and fail again, for ever)
            _log.exception("a message could not be read")
            self._ignore(message, error)
        return None

    def _ignore(self, message: ReceivedMessage, error: Exception) -> None:
        """Say so once in a while: who sends nonsense may send much of it."""
        self.ignored += 1
        what = f"{message.topic[:100]!r} {str(error)[:_MAX_TEXT]}"
        self._warn(f"{self.ignored} messages were ignored so far; the last one, on {what}")

    def _warn(self, text: str) -> None:
        if self._clock() >= self._warn_at:
            self._warn_at = self._clock() + _WARN_S
            _log.warning("%s", text)

    def _write_all(self, batch: Sequence[tuple[ReceivedMessage, Content]]) -> None:
        """Write until it is written; what nobody can write does not hold up the rest."""
        for failures in count(1):
            try:
                return self._write(batch)
            except DataError as error:
                return self._write_singly(batch, error)
            except (IntegrityError, InterfaceError) as error:
                # Perhaps only a row that somebody deleted in this moment, or a connection that has
                # ended.
                if len(batch) > 1 or failures == _ATTEMPTS:
                    return self._write_singly(batch, error)
                connection.close()
            except Exception as error:  # noqa: BLE001 (the last line of defence against one message)
                if not _is_none_of_a_message(error):
                    # Where, once in a while: what fails for one message may fail for each.
                    if self._clock() >= self._trace_at:
                        self._trace_at = self._clock() + _WARN_S
                        _log.error("the recorder failed and goes on", exc_info=error)
                    return self._write_singly(batch, error)
                connection.close()
                # It is none of theirs: no message can be written. Said once.
                detail = f" ({error.detail})" if isinstance(error, StorageError) else ""
                text = " ".join(f"{error}{detail}".split())[:_MAX_TEXT]
                if not self.trouble:
                    _log.error("nothing can be recorded, and nothing is acknowledged: %s", text)
                self.trouble = text
            if self._ending.wait(pause_s(failures, self._random(), max_s=_MAX_PAUSE_S)):
                return None  # Not acknowledged: all of it comes again.
        return None

    def _write_singly(
        self, batch: Sequence[tuple[ReceivedMessage, Content]], error: Exception
    ) -> None:
        connection.close()
        if len(batch) > 1:
            for one in batch:
                self._write_all([one])
            return
        message, _ = batch[0]
        self._ignore(message, error)
        message.acknowledge()

    def _write(self, batch: Sequence[tuple[ReceivedMessage, Content]]) -> None:
        require_same_file()
        contents = [content for _, content in batch if content]
        new = write_records.write_batch(contents) if contents else 0
        self.recorded += new
        self.repeated += sum(isinstance(content, RecordedEvent) for content in contents) - new
        if self.trouble:
            _log.warning("recording goes on")
            self.trouble = ""
        for message, _ in batch:
            message.acknowledge()

    def _fold(self) -> None:
        """Add counts up once in a while, so that pages need not do so with a row for each event."""
        if self.recorded - self._folded < _FOLDED_AT_ONCE:
            return
        self._folded = self.recorded
        try:
            upkeep.fold()
        except Error as error:
            # Of a bug it is to be seen where.
            trace = None if is_away(error) else error
            text = "counts could not be added up, which is tried again later: %s"
            _log.warning(text, error, exc_info=trace)
            connection.close()

    def _follow_clock(self) -> None:
        """After the machine's clock was set: what we have recorded before was so much off.

        On SQLite only, where all records are of this machine.
        """
        leap_s = self._wall() - self._clock() - self._ahead_s
        if abs(leap_s) < _LEAP_S:
            return
        began, leap = datetime.fromtimestamp(self._began, UTC), timedelta(seconds=leap_s)
        until = datetime.fromtimestamp(self._wall(), UTC) - leap
        try:
            if connection.vendor == "sqlite":
                ours = Record.objects.filter(recorded_at__range=(began, until))
                count = correct_times(ours, lambda received: received + leap, self._kept)
                _log.warning("the clock was set by %s; %d records were corrected", leap, count)
        except Error as error:
            trace = None if is_away(error) else error
            text = "the clock was set, and records could not be corrected: %s"
            _log.warning(text, error, exc_info=trace)
            connection.close()
            if not trace:
                return  # Tried again at the next turn.
        self._began += leap_s
        self._ahead_s += leap_s


def _is_none_of_a_message(error: Exception) -> bool:
    """Whether no message could be written."""
    tests = (is_away, is_damaged, is_of_another_version)
    return isinstance(error, UnavailableError) or any(one(error) for one in tests)
