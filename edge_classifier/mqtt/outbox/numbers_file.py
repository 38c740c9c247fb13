"""A small file of fixed size that a full disk can take: which numbers of events may have been used.

And, while the disk is full, what the broker knows of each camera: some ten states have room.

It is allocated once, beside the database, and then overwritten in place. It holds two copies, each
with a checksum, which are written in turn: a write that is cut off costs the newer one only.

Numbers are reserved in blocks, so that the file is seldom written while the database works.
"""

import contextlib
import fcntl
import json
import os
import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_classifier.files import make_folder, replacing

_MAGIC = b"EVNUMB01"
# Magic, generation, length and CRC-32 of the JSON behind it; see ``struct``.
_HEAD = struct.Struct("<8sQII")
# Of one copy: some 170 cameras. A multiple of every page of flash or memory.
_COPY_BYTES = 16_384
_BLOCK = 100
# What SQLite can count, and JSON's readers tell apart: 2^53.
_MOST = 1 << 53


@dataclass(frozen=True, slots=True)
class LastNumbers:
    """The highest number that was used: of each camera that is known, and of ``others``."""

    by_camera: Mapping[str, int] = field(default_factory=dict)
    others: int = 0

    def of(self, camera: str) -> int:
        """What ``camera`` counts on from."""
        return self.by_camera.get(camera, self.others)


@dataclass(slots=True)
class _Content:
    """What the file says."""

    # The highest number that was used. Exact unless ``is_behind``.
    used: dict[str, int] = field(default_factory=dict)
    # Numbers above these have certainly not been used. The camera that was written last is last.
    reserved: dict[str, int] = field(default_factory=dict)
    # Likewise for all other cameras.
    others: int = 0
    # Whether numbers have been used that only the database knows.
    is_behind: bool = False
    # Of each camera: how many events an ending daemon had to leave, their first and last number.
    left: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    # What the database has not been able to take: key to JSON. The newest is last.
    states: dict[str, str] = field(default_factory=dict)


class NumbersFile:
    """One open file. Calls that write raise OSError; the rest works from memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._generation = 0
        self._content = _Content()
        # Numbers in use by this process.
        self._newest: dict[str, int] = {}
        # States that this process was given.
        self._given: dict[str, str | None] = {}
        self._is_due = False
        # Whether there was a file that could be read.
        self.was_found = False

    @property
    def is_behind(self) -> bool:
        """Whether the database alone knows which numbers have been used: after a kill."""
        return self._content.is_behind

    @property
    def is_owned(self) -> bool:
        """Whether the file is open and nobody else's."""
        return self._descriptor is not None

    @property
    def left(self) -> Mapping[str, tuple[int, int, int]]:
        """What the last daemon had to leave: camera to count, first and last number."""
        return self._content.left

    @property
    def states(self) -> Mapping[str, str]:
        """What ``keep_states`` was given since the database was written last."""
        return self._content.states

    def open(self) -> None:
        """Open or make the file. Raises OSError, BlockingIOError where another daemon has it."""
        if self._descriptor is not None:
            return
        if self.path.exists() and not self.path.is_file():
            self.path.replace(self.path.with_name(f"{self.path.name}.damaged"))
        with contextlib.suppress(OSError):
            self._read(self.path.read_bytes())
        may_stay = os.access(self.path, os.R_OK | os.W_OK)
        if not may_stay or self.path.stat().st_size != 2 * _COPY_BYTES:
            make_folder(self.path.parent, 0o700)
            with replacing(self.path, mode=0o600) as file:
                # Written, not only reserved: a file with holes needs room when they are filled.
                file.write(b"\0" * (2 * _COPY_BYTES))
            self._is_due = True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self.write()

    def last_numbers(self, known: Collection[str]) -> LastNumbers:
        """``known``: cameras of which the database knows better.

        Of others all numbers that were reserved count as used, unless this was closed in order.
        """
        content = self._content
        used = dict(content.used)
        if content.is_behind:
            used |= {name: last for name, last in content.reserved.items() if name not in known}
        return LastNumbers(used, content.others)

    def begin_at(self, last: LastNumbers) -> None:
        """Take ``last`` for used, from whatever source."""
        self._content.others = max(self._content.others, last.others)
        for camera, number in last.by_camera.items():
            if number > self._content.used.get(camera, 0):
                self._content.used[camera] = number
        self._is_due = True

    def reserve(self, newest: Mapping[str, int]) -> None:
        """Numbers up to these are about to be used."""
        self._newest |= newest
        for camera, number in newest.items():
            if number > self._content.reserved.get(camera, 0):
                self._content.reserved.pop(camera, None)
                self._content.reserved[camera] = number + _BLOCK
                self._is_due = True
        self.write()

    def record(self, used: Mapping[str, int]) -> None:
        """Numbers up to these have been used, and the database may not know it."""
        for camera, number in used.items():
            if number > self._content.used.get(camera, 0):
                self._content.used[camera] = number
                self._is_due = True
        self.reserve(used)

    def keep_states(self, states: Mapping[str, str | None]) -> None:
        """What the database does not take, by key; None: it is to be forgotten."""
        for key, text in states.items():
            # Not compared with the content, in which there may have been no room for it.
            if text != self._given.get(key):
                self._given[key] = text
                self._content.states.pop(key, None)
                if text is not None:
                    self._content.states[key] = text
                self._is_due = True
        self.write()

    def set_behind(self) -> None:
        """The database has been written; what was left before has been told."""
        content = self._content
        self._given.clear()
        if not content.is_behind or content.left or content.states:
            content.is_behind, content.left, content.states = True, {}, {}
            self._is_due = True
            self.write()

    def close(self, left: Mapping[str, tuple[int, int, int]]) -> None:
        """The last write. ``left``: events that nobody has."""
        content = self._content
        content.left |= left
        content.used |= self._newest
        content.reserved = dict(content.used)
        content.is_behind, self._is_due = False, True
        try:
            self.write()
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Close the file as it is; the next write makes another from what memory has."""
        self._is_due = True
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def is_in_place(self) -> bool:
        """Whether the open file is still the one under its name."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except OSError:
            return False

    def write(self) -> None:
        """Write what has changed, over the older copy. Raises OSError."""
        if not self._is_due:
            return
        if self._descriptor is None:
            self.open()
            return
        text = self._fitting_json()
        generation = self._generation + 1
        copy = _HEAD.pack(_MAGIC, generation, len(text), zlib.crc32(text)) + text
        place = generation % 2 * _COPY_BYTES
        if os.pwrite(self._descriptor, copy, place) < len(copy):
            raise OSError(f"{self.path}: cut short")
        os.fdatasync(self._descriptor)
        self._generation, self._is_due = generation, False

    def _fitting_json(self) -> bytes:
        """The content; of too many cameras, those that were written long ago become ``others``.

        States give way first.
        """
        content = self._content
        while True:
            cameras = dict.fromkeys((*content.used, *content.reserved))
            table = {
                camera: [content.used.get(camera, 0), content.reserved.get(camera, 0)]
                for camera in cameras
            }
            facts: dict[str, Any] = {
                "cameras": table,
                "others": content.others,
                "is_behind": content.is_behind,
                "left": content.left,
                "states": content.states,
            }
            text = json.dumps(facts, separators=(",", ":")).encode()
            if len(text) <= _COPY_BYTES - _HEAD.size:
                return text
            if content.states:
                content.states.pop(next(iter(content.states)))
                continue
            oldest = next(iter(cameras))
            number = max(content.used.pop(oldest, 0), content.reserved.pop(oldest, 0))
            content.others = max(content.others, number)
            content.left.pop(oldest, None)

    def _read(self, whole: bytes) -> None:
        """Merge the newer one of the two copies that is right into what memory has."""
        # Those that a daemon has written to their end.
        copies: list[tuple[int, _Content]] = []
        for place in (0, _COPY_BYTES):
            copy = whole[place : place + _COPY_BYTES]
            if len(copy) < _HEAD.size:
                continue
            magic, generation, length, checksum = _HEAD.unpack_from(copy)
            text = copy[_HEAD.size : _HEAD.size + length]
            if magic == _MAGIC and len(text) == length and zlib.crc32(text) == checksum:
                # Of another release, it may be something else.
                with contextlib.suppress(ValueError, TypeError, LookupError, RecursionError):
                    copies.append((generation, _read_content(json.loads(text))))
        if not copies:
            return
        newest, read = max(copies, key=lambda one: one[0])
        self._generation = max(self._generation, newest)
        content = self._content
        for camera, used in read.used.items():
            content.used[camera] = max(used, content.used.get(camera, 0))
            reserved = max(used, read.reserved[camera])
            content.reserved[camera] = max(reserved, content.reserved.get(camera, 0))
        content.others = max(content.others, read.others)
        if not self.was_found:
            content.is_behind, content.left = read.is_behind, read.left
            content.states = read.states
        self.was_found = True


def _read_content(facts: Any) -> _Content:
    """Raises ValueError, TypeError or LookupError for what we do not write."""
    if not isinstance(facts, dict) or not isinstance(facts["is_behind"], bool):
        raise TypeError
    cameras = {name: tuple(map(_number, both)) for name, both in dict(facts["cameras"]).items()}
    # Older releases wrote none.
    states = dict(facts.get("states", {}))
    if not all(isinstance(text, str) for text in states.values()):
        raise TypeError
    return _Content(
        {name: used for name, (used, _) in cameras.items()},
        {name: reserved for name, (_, reserved) in cameras.items()},
        _number(facts["others"]),
        facts["is_behind"],
        {
            name: (_number(count), _number(first), _number(last))
            for name, (count, first, last) in dict(facts["left"]).items()
        },
        states,
    )


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError
    return value
