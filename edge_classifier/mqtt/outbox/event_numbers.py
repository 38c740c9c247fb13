"""The numbers of events that may have been used, so that none is given twice, whatever is lost.

Database and file (``numbers_file``) both know them. After a loss of the database the count goes on
behind the block that the file has reserved: numbers are skipped, and never given twice.

While the disk is full the file also has the states that the database cannot take.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from edge_classifier.mqtt.codec.json_fields import decoded_or_empty
from edge_classifier.mqtt.outbox.incidents import Incidents
from edge_classifier.mqtt.outbox.numbers_file import LastNumbers, NumbersFile
from edge_classifier.mqtt.outbox.outbox_database import QueuedEvent

_log = logging.getLogger(__name__)

# Where numbers go on from a clock that is not set: 2026, in milliseconds since 1970. Far above what
# is reached by counting.
_EARLIEST_MS = 1_767_225_600_000
# What a daemon that has worked in a folder leaves there, beside the outbox.
_TRACES = {"pictures", "waiting-snapshots", "uploads", "model-trials.json"}


class LostEvents:
    """Counted by camera."""

    def __init__(self) -> None:
        # Count, first and last number.
        self.by_camera: dict[str, tuple[int, int, int]] = {}

    @property
    def total(self) -> int:
        """Of all cameras."""
        return sum(count for count, _, _ in self.by_camera.values())

    def count(self, event: QueuedEvent) -> None:
        """One more."""
        number = event.seq
        count, first, last = self.by_camera.get(event.camera, (0, number, number))
        self.by_camera[event.camera] = count + 1, min(first, number), max(last, number)

    def texts(self) -> Iterator[str]:
        """Each camera's in words."""
        return _in_words(self.by_camera)


class EventNumbers:
    """The numbers of events that may have been used. Belongs to the outbox, as its thread does."""

    def __init__(self, outbox: Path, utc: Callable[[], float], incidents: Incidents) -> None:
        self._outbox = outbox
        self._utc = utc
        self._incidents = incidents
        self._file = NumbersFile(outbox.with_suffix(".numbers"))
        # Whether no daemon has worked in this folder before.
        self._is_new = False
        # What is remembered of a camera, by its key.
        self.camera_of: dict[str, str] = {}
        # Why numbers may be given twice after a kill; empty while all is well.
        self.trouble = ""

    @property
    def is_behind(self) -> bool:
        """Whether the database alone knows which numbers have been used: after a kill."""
        return self._file.is_behind

    @property
    def was_found(self) -> bool:
        """Whether there was a file that could be read."""
        return self._file.was_found

    def open(self) -> None:
        """Read what there is."""
        names: list[str] = []
        with suppress(OSError):
            names = [path.name for path in self._outbox.parent.iterdir()]
        # Whether no daemon has worked in this folder.
        self._is_new = not any(
            name.startswith(self._outbox.stem) or name in _TRACES for name in names
        )
        self._attempt(self._file.open)

    def begin(self, remembered: Mapping[str, int], *, database_is_whole: bool) -> LastNumbers:
        """What each camera's count goes on from; ``remembered``: as the database knows it.

        Where neither database nor file can say it, from the clock: milliseconds since 1970 are more
        than any camera has counted to. A folder without a trace is that of a new device, which
        counts from 1.
        """
        file = self._file
        last = file.last_numbers(remembered.keys() if database_is_whole else ())
        others, by_camera = last.others, dict(last.by_camera)
        for text in _in_words(file.left):
            self._incidents.tell(
                f"{text} were lost when the last daemon ended: they could not be written, and the"
                " broker had not taken them"
            )
        for camera, number in by_camera.items():
            known = remembered.get(camera, number)
            if database_is_whole and file.is_behind and known < number:
                self._incidents.tell(
                    f"events {known + 1} to {number} of {camera} could not be written before the"
                    " last daemon was killed: what the broker had not taken is lost"
                )
        is_known = file.was_found or database_is_whole or self._is_new
        if not (is_known and file.is_owned):
            others = max(others, int(1000 * self._utc()), _EARLIEST_MS)
            by_camera = {camera: max(others, number) for camera, number in by_camera.items()}
            self._incidents.tell(
                "the numbers of events go on from the clock: which ones were used cannot be read"
                " or noted"
            )
        elif self._is_new:
            _log.info("%s: no state was found: events count from 1", self._outbox.parent)
        elif not database_is_whole:
            self._incidents.tell("the numbers of events go on behind all that may have been used")
        for camera, number in remembered.items():
            by_camera[camera] = max(number, by_camera.get(camera, others))
        last = LastNumbers(by_camera, others)
        file.begin_at(last)
        self._attempt(file.write)
        return last

    def reserve(self, newest: Mapping[str, int]) -> None:
        """Numbers up to these are about to be used."""
        if self._file.is_owned and not self._file.is_in_place():
            # Deleted or exchanged: the next write makes another.
            self._file.let_go()
        self._attempt(lambda: self._file.reserve(newest))

    def record(self, used: Mapping[str, int]) -> None:
        """Numbers up to these have been used, and the database may not know it."""
        self._attempt(lambda: self._file.record(used))

    def keep_states(self, unsaved: Mapping[str, str | None], waiting: Collection[str]) -> None:
        """What the database does not take, by key; None: it is to be forgotten.

        Not yet that of the cameras ``waiting``, of which the broker lacks events: after a kill it
        is to be known what was told.
        """
        states = {
            key: text
            for key, text in unsaved.items()
            if key in self.camera_of and self.camera_of[key] not in waiting
        }
        self._attempt(lambda: self._file.keep_states(states))

    def newer_states(self, known: Mapping[str, str]) -> dict[str, str]:
        """States behind events that the database knows nothing of; ``known``: what it remembers."""
        return {
            key: text
            for key, text in self._file.states.items()
            if _number_of(text) > _number_of(known.get(key, ""))
        }

    def set_behind(self) -> None:
        """The database has been written; what was left before has been told."""
        self._attempt(self._file.set_behind)

    def close(self, left: Mapping[str, tuple[int, int, int]]) -> None:
        """The last write. ``left``: events that nobody has."""
        self._attempt(lambda: self._file.close(left))

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            if not self.trouble:
                text = "%s: %s. Numbers of events may come again after a kill"
                _log.error(text, self._file.path, error)
            self.trouble = f"{self._file.path}: {error}"
        else:
            self.trouble = ""


def _in_words(lost: Mapping[str, tuple[int, int, int]]) -> Iterator[str]:
    for camera, (count, first, last) in lost.items():
        yield f"{count} events of {camera} (numbers {first} to {last})"


def _number_of(state: str) -> int:
    """The number of the last event before ``state``."""
    number = decoded_or_empty(state).get("seq")
    return number if isinstance(number, int) else -1
