"""The file of a backup: a tar of pictures, the database, and the hashes of both.

pictures/ab/ab...jpg   each under the SHA-256 of its content
web.db
SHA256SUMS             of all above, as sha256sum(1) writes and checks it
backup.json            the last one: without it the file is not whole
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, BinaryIO

from edge_classifier.errors import UsageError

FORMAT = 1
DATABASE, _SUMS, _CONTENTS = "web.db", "SHA256SUMS", "backup.json"
_PICTURE = re.compile(r"pictures/([0-9a-f]{2})/(\1[0-9a-f]{62})\.jpg")
_CHUNK_BYTES = 1_000_000
_MAX_JSON_BYTES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What is in a backup."""

    # Version of the program, and when it was made, in UTC.
    program: str
    made: str
    records: int
    pictures: int
    # Pictures that the database names, and that were not in the folder, or damaged there.
    missing: int
    # The bucket that has the pictures, which are not in the file then.
    bucket: str = ""
    format: int = FORMAT


class ArchiveWriter:
    """Writes one backup, member by member, in the order above."""

    def __init__(self, file: BinaryIO, sums: IO[bytes]) -> None:
        """``sums``: an empty file for the list of hashes, which may be long."""
        self._tar = tarfile.open(fileobj=file, mode="w")  # noqa: SIM115 (ends with ``finish``)
        self._sums = sums

    def add_picture(self, sha256: str, jpeg: bytes) -> None:
        """Add ``jpeg``, whose hash this is."""
        name = f"pictures/{sha256[:2]}/{sha256}.jpg"
        self._add(name, io.BytesIO(jpeg), len(jpeg))
        self._sums.write(_line(sha256, name))

    def finish(self, database: Path, contents: Contents) -> None:
        """Add the database, the hashes and ``contents``."""
        with database.open("rb") as file:
            self._sums.write(_line(hashlib.file_digest(file, "sha256").hexdigest(), DATABASE))
            file.seek(0)
            self._add(DATABASE, file, database.stat().st_size)
        size = self._sums.tell()
        self._sums.seek(0)
        self._add(_SUMS, self._sums, size)
        told = json.dumps(asdict(contents), indent=2).encode()
        self._add(_CONTENTS, io.BytesIO(told), len(told))
        self._tar.close()

    def _add(self, name: str, content: IO[bytes], size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._tar.addfile(member, content)


def check(
    path: Path, take: Callable[[str, IO[bytes]], None] = lambda _name, _content: None
) -> Contents:
    """Read a backup to its end and compare all hashes; what is in it.

    ``take`` gets the name and the content of each picture, and of the database, before it is known
    whether the rest is whole. Raises UsageError for what is not a backup, is damaged, or is of a
    newer program; what ``take`` raises; OSError.
    """
    sums, pictures, order = hashlib.sha256(), 0, ""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise _refused(path, f"has {member.name[:80]!r}, which is no file")
                if order == "" and (member.name == DATABASE or _PICTURE.fullmatch(member.name)):
                    sha256 = _digest(content)
                    sums.update(_line(sha256, member.name))
                    if member.name == DATABASE:
                        order = _SUMS
                    elif f"/{sha256}." in member.name:
                        pictures += 1
                    else:
                        raise _refused(path, f"{member.name} is damaged")
                    content.seek(0)
                    take(member.name, content)
                elif member.name == order == _SUMS:
                    if _digest(content) != sums.hexdigest():
                        raise _refused(path, "the hashes do not fit: it is damaged")
                    order = _CONTENTS
                elif member.name == order == _CONTENTS:
                    return _contents(path, content.read(_MAX_JSON_BYTES), pictures)
                else:
                    raise _refused(path, f"has {member.name[:80]!r} where that cannot be")
    except (tarfile.TarError, EOFError) as error:
        raise _refused(path, f"is no backup, or damaged ({error})") from error
    raise _refused(path, "is not whole: its end is missing")


def _contents(path: Path, told: bytes, pictures: int) -> Contents:
    try:
        fields = json.loads(told)
        if fields["format"] > FORMAT:
            raise _refused(path, f"was made by a newer release, {fields['program']}")
        found = Contents(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise _refused(path, f"{_CONTENTS} in it cannot be read ({error})") from error
    if found.pictures != pictures:
        raise _refused(path, f"has {pictures} pictures of {found.pictures}")
    return found


def _digest(content: IO[bytes]) -> str:
    found = hashlib.sha256()
    while chunk := content.read(_CHUNK_BYTES):
        found.update(chunk)
    return found.hexdigest()


def _line(sha256: str, name: str) -> bytes:
    return f"{sha256}  {name}\n".encode()


def _refused(path: Path, problem: str) -> UsageError:
    return UsageError(str(path), problem, "Take another backup; nothing was changed.")
