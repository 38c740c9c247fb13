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
from edge_classifier.errors import StorageError, UnavailableError
from edge_classifier.mqtt.connection import ReceivedMessage
from edge_classifier.web.recorder import write_records
from edge_classifier.web.recorder.queue import DeliveryQueue
from edge_classifier.web.recorder.received import RecordedEvent, RecordedSnapshot

_log = logging.getLogger(__name__)

# What comes within this time after a message is written with it.
_LINGER_S = 0.05
_TURN_S = 1.0
_MAX_PAUSE_S = 30.0
_ATTEMPTS = 3
# Seconds between two complaints about messages that no daemon sends.
_WARN_S = 60.0
# Pictures that have waited so long for their event go; looked for so often.
_UNMATCHED = timedelta(days=1)
_DROP_UNMATCHED_S = 3600.0
_MAX_TEXT = 300

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
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._queue = queue
        self._read = read
        self._batch = batch
        self._clock = clock
        self._random = random
        self._ending = threading.Event()
        self._warn_at = self._drop_unmatched_at = clock()
        # Messages that are being written.
        self.in_hand = 0
        # Events that are new.
        self.recorded = 0
        # Events that were there already.
        self.repeated = 0
        # Messages that are neither events nor pictures.
        self.ignored = 0
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
                if self._clock() >= self._drop_unmatched_at:
                    self._drop_unmatched()
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
            return self._read(message.topic, message.payload)
        except ValueError as error:
            self._ignore(message, error)
        except Exception as error:  # noqa: BLE001 (it would come again, and fail again, for ever)
            _log.exception("a message could not be read")
            self._ignore(message, error)
        return None

    def _ignore(self, message: ReceivedMessage, error: Exception) -> None:
        """Say so once in a while: who sends nonsense may send much of it."""
        self.ignored += 1
        if self._clock() >= self._warn_at:
            self._warn_at = self._clock() + _WARN_S
            what = f"{message.topic[:100]!r} {str(error)[:_MAX_TEXT]}"
            _log.warning("%d messages were ignored so far; the last one, on %s", self.ignored, what)

    def _write_all(self, batch: Sequence[tuple[ReceivedMessage, Content]]) -> None:
        """Write until it is written; what nobody can write does not hold up the rest."""
        for failures in count(1):
            try:
                return self._write(batch)
            except DataError as error:
                return self._write_singly(batch, error)
            except IntegrityError as error:
                # On PostgreSQL perhaps only a row that somebody deleted in this moment.
                if len(batch) > 1 or failures == _ATTEMPTS:
                    return self._write_singly(batch, error)
                connection.close()
            except (Error, UnavailableError) as error:
                self._note_trouble(error)
            except Exception as error:  # noqa: BLE001 (the last line of defence against one message)
                _log.exception("the recorder failed and goes on")
                return self._write_singly(batch, error)
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
        contents = [content for _, content in batch if content]
        new = write_records.write_batch(contents) if contents else 0
        self.recorded += new
        self.repeated += sum(isinstance(content, RecordedEvent) for content in contents) - new
        if self.trouble:
            _log.warning("recording goes on")
            self.trouble = ""
        for message, _ in batch:
            message.acknowledge()

    def _note_trouble(self, error: Exception) -> None:
        connection.close()
        detail = f" ({error.detail})" if isinstance(error, StorageError) else ""
        text = " ".join(f"{error}{detail}".split())[:_MAX_TEXT]
        if not self.trouble:
            _log.error("nothing can be recorded, and nothing is acknowledged: %s", text)
        self.trouble = text

    def _drop_unmatched(self) -> None:
        self._drop_unmatched_at = self._clock() + _DROP_UNMATCHED_S
        try:
            if write_records.drop_unmatched(timezone.now() - _UNMATCHED):
                # There may be more of them than are deleted at once.
                self._drop_unmatched_at = self._clock()
        except Exception as error:  # noqa: BLE001 (each kind of storage has errors of its own)
            _log.warning("pictures without events could not be deleted: %s", error)
            connection.close()
