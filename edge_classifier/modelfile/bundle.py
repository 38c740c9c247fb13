"""The zip appended to a .tflite: labels, contract and model card, as TFLite metadata tools do.

A flatbuffer is read from its front and a zip from its end, so one file is both.
"""

import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import ModelError

CONTRACT_FILE = "contract.json"
LABELS_FILE = "labels.txt"
TAXONOMY_FILE = "taxonomy.tsv"
CARD_FILE = "model_card.md"
# Far above any list of labels; a zip that promises more is not read.
MEMBER_LIMIT_BYTES = 8_000_000
# Of a zip's list of its members. Python makes ten times as much of it, before it says how many.
_LIST_LIMIT_BYTES = 1_000_000
# What metadata tools write, and what Python can inflate piece by piece.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What the last record of a zip begins with; it has 22 bytes and a comment of 65,535 at most.
_END, _END_LIMIT_BYTES = b"PK\x05\x06", 22 + 65_535


def read_bundle(path: Path) -> dict[str, bytes]:
    """The members of the appended zip, by name; empty when there is none.

    Raises ModelError when there is one that cannot be read whole.
    """
    try:
        if not _has_zip(path):
            return {}
        with open_zip(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MEMBER_LIMIT_BYTES:
                problem = Sentence("the zip inside it is too large to be labels")
                raise ModelError(str(path), problem)
            contents = {}
            for member in members:
                if member.compress_type not in _METHODS:
                    raise NotImplementedError(f"compression method {member.compress_type}")
                with archive.open(member) as file:
                    # Its promised bytes and no more: a few kilobytes can inflate to gigabytes.
                    contents[member.filename] = file.read(member.file_size)
            return contents
    except ModelError:
        raise
    except Exception as error:  # BadZipFile, zlib.error, struct.error ...: a damaged zip
        problem = Sentence("the zip with its labels is damaged ({cause})", cause=str(error))
        raise ModelError(str(path), problem, Sentence("Copy the model again.")) from error


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip at ``path``, to be read. Raises BadZipFile, also for too long a list of members."""
    with _ZipSource(io.FileIO(path)) as source, zipfile.ZipFile(source) as archive:
        source.is_listed = True
        yield archive


class _ZipSource(io.BufferedReader):
    """The file of a zip; its list is read as a whole, and before any of its members."""

    is_listed = False

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.is_listed and (size or 0) > _LIST_LIMIT_BYTES:
            raise zipfile.BadZipFile("its list of files is too long")
        return super().read(size)


def _has_zip(path: Path) -> bool:
    """Whether there is the end of a zip, damaged or not.

    ``zipfile.is_zipfile`` is also False for damaged ones in newer releases of Python (3.13.5):
    their labels would be missing without a word.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _END_LIMIT_BYTES))
            return _END in file.read()
    except OSError:
        return False


def append_bundle(path: Path, members: Mapping[str, str | bytes], *, deflate: bool = True) -> None:
    """Append ``members`` (name to text) to the model at ``path``, with fixed dates.

    The same members give the same bytes. Do it last: whatever rewrites the flatbuffer drops it.
    """
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "a", method) as archive:
        for name, text in members.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = method
            archive.writestr(entry, text)
