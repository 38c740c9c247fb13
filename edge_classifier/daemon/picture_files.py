"""A folder of pictures with a JSON line each, in which the oldest makes room for the newest.

``FOLDER/CAMERA/STAMP-HASH.jpg`` and ``FOLDER/pictures.jsonl``. A picture is on the medium before
its line is, and both when it counts as kept; ``PictureFiles`` mends what a power cut leaves half
done.
"""

import errno
import heapq
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_classifier.files import make_folder, name_stamp, replacing

INDEX = "pictures.jsonl"

_PICTURE = re.compile(r"[A-Za-z0-9_-]{1,64}/\d{8}T\d{12}Z-[0-9a-f]{16}\.jpg")
_PART = ".part"
# Names that are handled together while an index is mended.
_AT_ONCE = 10_000
# What is left free on the medium: that share of it, but not more than this. Events wait there, too,
# and matter more.
_RESERVE_SHARE, _RESERVE_BYTES = 0.05, 100_000_000


class PictureFiles:
    """One folder's pictures, the oldest first. Belongs to one thread.

    Opening it compares folder and lines: a picture without a line gets one, a line without its
    picture goes, and so does a picture that is cut off. Only while it opens does it take
    memory for each picture, some 20 bytes (20 MB for a million). Whatever raises OSError may leave
    it half done: open a new one then.
    """

    def __init__(self, folder: Path) -> None:
        self.pictures = 0
        self.bytes = 0
        self._folder = folder
        self._index = folder / INDEX
        # Lines before this place are of pictures that are gone.
        self._oldest = 0
        make_folder(self._folder, 0o700)
        with _replacing(self._index) as mended:
            for line in self._mended_lines():
                self.pictures += 1
                mended.write(line)
        found = self._index.stat()
        self._end, self._identity = found.st_size, (found.st_dev, found.st_ino)

    def is_intact(self) -> bool:
        """Whether folder and index are those that were opened, and nobody else wrote there."""
        try:
            found = self._index.stat()
        except OSError:
            return False
        return ((found.st_dev, found.st_ino), found.st_size) == (self._identity, self._end)

    def add(
        self,
        picture: str,
        jpeg: bytes,
        facts: Mapping[str, object],
        *,
        max_pictures: int,
        max_bytes: int,
    ) -> None:
        """Keep ``jpeg`` (at most ``max_bytes``) as ``picture``, and ``facts`` in its line.

        As many of the oldest pictures go as it takes to stay within the bounds.
        """
        while self.pictures and (
            self.pictures >= max_pictures or self.bytes + len(jpeg) > max_bytes
        ):
            with self._index.open("rb") as index:
                index.seek(self._oldest)
                line = index.readline()
            oldest = json.loads(line)
            (self._folder / oldest["file"]).unlink(missing_ok=True)
            self._oldest += len(line)
            self.pictures -= 1
            self.bytes -= oldest["bytes"]
        if self._oldest > self._end / 2:
            # Only now and then: the index is written anew.
            with self._index.open("rb") as index, _replacing(self._index) as compact:
                index.seek(self._oldest)
                shutil.copyfileobj(index, compact)
            found = self._index.stat()
            self._end, self._identity = found.st_size, (found.st_dev, found.st_ino)
            self._oldest = 0
        disk = os.statvfs(self._folder)
        reserve = min(_RESERVE_BYTES, _RESERVE_SHARE * disk.f_blocks * disk.f_frsize)
        if disk.f_bavail * disk.f_frsize < reserve + len(jpeg):
            raise _full(self._folder)
        self._write(self._folder / picture, jpeg, _line(picture, facts, len(jpeg)))
        self.pictures += 1
        self.bytes += len(jpeg)

    def hashes(self) -> Iterator[tuple[str, int]]:
        """Camera and perceptual hash of each picture, the oldest first."""
        with self._index.open("rb") as index:
            index.seek(self._oldest)
            for line in index:
                found = _facts_in_name(json.loads(line)["file"])
                yield found["camera"], int(found["hash"], 16)

    def _write(self, path: Path, jpeg: bytes, line: bytes) -> None:
        make_folder(path.parent)
        with _replacing(path) as file:
            file.write(jpeg)
        try:
            with self._index.open("ab", buffering=0) as index:
                if index.write(line) < len(line):
                    raise _full(self._index)
                os.fsync(index.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._end += len(line)

    def _mended_lines(self) -> Iterator[bytes]:
        """Lines that are right; pictures without one get one, or go if they are damaged."""
        known = _NameSet()
        for line in self._old_lines():
            try:
                facts = json.loads(line)
            except ValueError:
                continue
            # It was not written to its end, or by another program.
            name = facts.get("file") if isinstance(facts, dict) and line.endswith(b"\n") else None
            if not isinstance(name, str) or not _PICTURE.fullmatch(name):
                continue
            size = None
            with suppress(FileNotFoundError, NotADirectoryError):
                size = os.stat(f"{self._folder}/{name}").st_size  # noqa: PTH116 (as in ``clear``)
            if size is not None and facts.get("bytes") == size and known.add(name):
                self.bytes += size
                yield line
        for name in self._without_line(known):
            try:
                jpeg = (self._folder / name).read_bytes()
            except OSError:
                # Another user may have put it there; the store goes on without it.
                continue
            if jpeg.startswith(b"\xff\xd8") and jpeg.endswith(b"\xff\xd9"):
                self.bytes += len(jpeg)
                yield _line(name, _facts_in_name(name), len(jpeg))
            else:
                (self._folder / name).unlink()

    def _without_line(self, known: "_NameSet") -> Iterator[str]:
        """Pictures that are not ``known``, in order of time."""
        # So many at a time: where the index is lost, these are all pictures.
        after = ("", "")
        while True:
            names = (name for name in _pictures(self._folder) if _sort_key(name) > after)
            found = heapq.nsmallest(_AT_ONCE, (n for n in names if n not in known), _sort_key)
            yield from found
            if len(found) < _AT_ONCE:
                return
            after = _sort_key(found[-1])

    def _old_lines(self) -> Iterator[bytes]:
        try:
            with self._index.open("rb") as index:
                yield from index
        except FileNotFoundError:
            return


class _NameSet:
    """A set of names as 8 bytes each, their hashes; a set of the names takes 200 each."""

    def __init__(self) -> None:
        # In order.
        self._hashes = np.empty(0, np.int64)
        self._newest: set[int] = set()

    def __contains__(self, name: str) -> bool:
        found = hash(name)
        place = np.searchsorted(self._hashes, found)
        in_order = place < len(self._hashes) and self._hashes[place] == found
        return bool(in_order) or found in self._newest

    def add(self, name: str) -> bool:
        """False: it was there already."""
        if name in self:
            return False
        self._newest.add(hash(name))
        if len(self._newest) >= _AT_ONCE:
            newest = np.fromiter(self._newest, np.int64, len(self._newest))
            self._hashes = np.concatenate((self._hashes, newest))
            self._hashes.sort(kind="stable")
            self._newest.clear()
        return True


def clear(folder: Path) -> int:
    """Remove every picture and line below ``folder``; how many pictures there were.

    Needs no room, so that it works on a full disk. Other files stay.
    """
    removed = 0
    for name in _pictures(folder):
        # A path of pathlib's leaves its parts in Python's table of shared strings, which grows.
        with suppress(FileNotFoundError):
            os.unlink(f"{folder}/{name}")  # noqa: PTH108
        removed += 1
    (folder / INDEX).unlink(missing_ok=True)
    return removed


def picture_name(camera: str, utc_s: float, bits: int) -> str:
    """Below the folder; ``bits`` is the picture's perceptual hash."""
    return f"{camera}/{name_stamp(utc_s)}-{bits:016x}.jpg"


def _facts_in_name(name: str) -> dict[str, str]:
    """What is known of a picture from its name alone."""
    camera, _, file = name.partition("/")
    at, _, bits = file.removesuffix(".jpg").partition("-")
    day, clock = f"{at[:4]}-{at[4:6]}-{at[6:8]}", f"{at[9:11]}:{at[11:13]}:{at[13:15]}"
    return {"camera": camera, "why": "", "ts": f"{day}T{clock}.{at[15:18]}Z", "hash": bits}


def _replacing(path: Path) -> AbstractContextManager[BinaryIO]:
    return replacing(path, beside=path.with_suffix(_PART))


def _pictures(folder: Path) -> Iterator[str]:
    """The name of each picture; unfinished ones are removed on the way, other files stay."""
    for camera in folder.glob("*/"):
        try:
            entries = os.scandir(camera)
        except (FileNotFoundError, PermissionError):
            # Another user's folder.
            continue
        with entries:
            for entry in entries:
                stem, _, ending = entry.name.rpartition(".")
                name = f"{camera.name}/{stem}.jpg"
                if not _PICTURE.fullmatch(name):
                    continue
                if f".{ending}" == _PART:
                    Path(entry.path).unlink(missing_ok=True)
                elif ending == "jpg":
                    yield name


def _sort_key(name: str) -> tuple[str, str]:
    """What pictures are to be sorted by, the oldest first."""
    camera, _, file = name.partition("/")
    return file, camera


def _line(picture: str, facts: Mapping[str, object], size: int) -> bytes:
    line = {"file": picture, **facts, "bytes": size}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _full(path: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
