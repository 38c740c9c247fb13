"""Pictures of events that wait: on disk until their event has arrived, and then they have, too.

One file each, written whole before it gets its name: a crash or a full disk leaves none that is
cut off. Nothing here raises for a disk that is full or gone; ``trouble`` says why.
"""

import logging
import os
import re
from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.config.mqtt_settings import SnapshotSettings
from edge_classifier.core.jpeg_comment import event_of
from edge_classifier.files import make_folder, replacing
from edge_classifier.mqtt.outbox.incidents import Incidents

_log = logging.getLogger(__name__)

_NAME = re.compile(r"(\d{12})-([A-Za-z0-9_-]{1,64})-([0-9a-f]{32})\.jpg")
# What is left free on the medium: that share of it, but not more than this. Events wait there, too.
_RESERVE_SHARE, _RESERVE_BYTES = 0.05, 100_000_000
# Times that the broker may refuse a picture.
_MAX_REFUSALS = 3


@dataclass(frozen=True, slots=True)
class WaitingSnapshot:
    """A picture in the folder."""

    name: str
    camera: str
    event_id: str
    size: int


class WaitingSnapshots:
    """Bounded in number and bytes; the oldest goes, and is counted. Used by one thread at a time.

    A picture is given out when its event has arrived, the oldest first.
    """

    def __init__(self, folder: Path, limits: SnapshotSettings, incidents: Incidents) -> None:
        self._folder = folder
        self._incidents = incidents
        # Of the folder: what changes when something is made or deleted in it.
        self._checked: tuple[int, ...] | None = None
        self._max_count, self._max_bytes = limits.waiting_max, limits.waiting_max_bytes
        self._waiting: OrderedDict[str, WaitingSnapshot] = OrderedDict()
        self._bytes = 0
        self._number = 0
        # Events that the broker has not acknowledged.
        self._open_events: set[str] = set()
        self._refusals: Counter[str] = Counter()
        # Pictures that had to go before they were sent.
        self.dropped = 0
        # Why none can be kept; empty while all is well.
        self.trouble = ""

    @property
    def count(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def open(self, open_events: Collection[str]) -> None:
        """Find what is there from before the restart; ``open_events`` wait in the outbox."""
        try:
            names = sorted(path.name for path in self._folder.iterdir())
        except OSError:
            return
        for name in names:
            found = _NAME.fullmatch(name)
            try:
                size = (self._folder / name).stat().st_size
                if not found or not size:
                    # A file that was never finished.
                    (self._folder / name).unlink()
                    continue
            except OSError:
                continue
            number, camera, event_id = found.groups()
            self._number = int(number) + 1
            self._add(WaitingSnapshot(name, camera, event_id, size))
            if event_id in open_events:
                self._open_events.add(event_id)
        self._make_room(0)

    def put(self, camera: str, event_id: str, jpeg: bytes, *, is_open: bool = True) -> bool:
        """Keep ``jpeg`` until its event has arrived; whether that was possible.

        ``is_open``: whether the event has not. A picture of the same event that waits makes way:
        this one is better.
        """
        name = f"{self._number:012d}-{camera}-{event_id}.jpg"
        if not _NAME.fullmatch(name) or len(jpeg) > self._max_bytes:
            return False
        older = next((one for one in self._waiting.values() if one.event_id == event_id), None)
        self._make_room(len(jpeg), older)
        try:
            make_folder(self._folder, 0o700)
            disk = os.statvfs(self._folder)
            reserve = min(_RESERVE_BYTES, _RESERVE_SHARE * disk.f_blocks * disk.f_frsize)
            if disk.f_bavail * disk.f_frsize < reserve + len(jpeg):
                raise OSError("the disk is almost full, and what is left is for events")
            with replacing(self._folder / name) as file:
                file.write(jpeg)
        except OSError as error:
            if not self.trouble:
                _log.error("%s: no pictures of waiting events are kept: %s", self._folder, error)
            self.trouble = f"{self._folder}: {error}"
            self.dropped += 1
            return False
        self.trouble = ""
        self._number += 1
        if older:
            self.sent(older)
        if is_open:
            self._open_events.add(event_id)
        self._add(WaitingSnapshot(name, camera, event_id, len(jpeg)))
        return True

    def check(self) -> None:
        """Notice what somebody has deleted: nothing is left of it, and that is told."""
        if not self._waiting:
            return
        try:
            found = self._folder.stat()
            identity = found.st_dev, found.st_ino, found.st_mtime_ns
            if identity == self._checked:
                return
            names = {path.name for path in self._folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            identity, names = None, set()
        except OSError:
            # A disk that does not answer has not lost them yet.
            return
        self._checked = identity
        gone = [one for one in self._waiting.values() if one.name not in names]
        for waiting in gone:
            self.drop(waiting)
        if gone:
            self._incidents.tell(
                f"{self._folder}: {len(gone)} pictures of waiting events were deleted from outside,"
                " and are lost"
            )

    def event_arrived(self, event_id: str) -> None:
        """The broker has the event: its picture may follow."""
        self._open_events.discard(event_id)

    def next(self) -> tuple[WaitingSnapshot, bytes] | None:
        """The oldest picture whose event has arrived, and its content; None if there is none."""
        for waiting in list(self._waiting.values()):
            if waiting.event_id in self._open_events:
                continue
            try:
                jpeg = (self._folder / waiting.name).read_bytes()
            except OSError:
                jpeg = b""
            if event_of(jpeg) == waiting.event_id:
                return waiting, jpeg
            # It was removed, or a failing card has made something else of it.
            self.drop(waiting)
        return None

    def sent(self, waiting: WaitingSnapshot) -> None:
        """The broker has it: it need not be kept."""
        if self._waiting.pop(waiting.name, None) is None:
            return
        self._bytes -= waiting.size
        self._refusals.pop(waiting.name, None)
        self._open_events.discard(waiting.event_id)
        try:
            (self._folder / waiting.name).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s: cannot be removed: %s", self._folder / waiting.name, error)

    def refuse(self, waiting: WaitingSnapshot) -> None:
        """The broker refused it: it is dropped when it has done so a few times."""
        self._refusals[waiting.name] += 1
        if self._refusals[waiting.name] >= _MAX_REFUSALS:
            self.drop(waiting)

    def drop(self, waiting: WaitingSnapshot) -> None:
        """It can not be sent: it goes, and is counted."""
        self.dropped += waiting.name in self._waiting
        self.sent(waiting)

    def forget(self, camera: str | None = None) -> None:
        """Remove the pictures of ``camera``, or all."""
        for waiting in list(self._waiting.values()):
            if camera in {None, waiting.camera}:
                self.drop(waiting)

    def _add(self, waiting: WaitingSnapshot) -> None:
        self._waiting[waiting.name] = waiting
        self._bytes += waiting.size

    def _make_room(self, size: int, instead_of: WaitingSnapshot | None = None) -> None:
        """For a picture of ``size`` bytes, or for none, which ``instead_of`` is to leave for."""
        others = [one for one in self._waiting.values() if one != instead_of]
        waiting_bytes = self._bytes - (instead_of.size if instead_of else 0)
        while others and (
            len(others) + bool(size) > self._max_count or waiting_bytes + size > self._max_bytes
        ):
            waiting_bytes -= others[0].size
            self.drop(others.pop(0))
