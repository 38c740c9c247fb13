"""Pictures in storage, under the hash of their content: a folder, or S3 by django-storages."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import connection, transaction

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import OutputError, StorageError
from edge_classifier.files import make_folder, replacing
from edge_classifier.web.models import Picture

_UNREADABLE = Sentence("cannot be read just now")


class AtomicFileStorage(FileSystemStorage):
    """A folder in which a file is there as a whole or not at all, also after a power cut.

    It is on the medium when it is saved: the record that names it is committed afterwards.
    """

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002
        """The name itself: it is a hash of the content, so what is there may be replaced."""
        return name

    def _save(self, name: str, content: Any) -> str:
        path = Path(self.path(name))
        make_folder(path.parent, 0o700)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with replacing(path, mode=0o600, beside=beside) as file:
            for chunk in content.chunks():
                file.write(chunk)
        return name


@contextmanager
def _errors_named(problem: str) -> Iterator[None]:
    """Each kind of storage has errors of its own; here they all become StorageError.

    Only that a file is not there passes as FileNotFoundError.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # boto's have no other base that it does not share with bugs.
        raise StorageError(problem, str(error)) from error


def put(jpeg: bytes, width: int | None = None, height: int | None = None) -> Picture:
    """Keep ``jpeg``; the same content is kept once. Raises OutputError and StorageError.

    To be called in the transaction that makes the record, so that ``deletion`` takes the picture
    for used. The row comes before the file: who deletes both could come between otherwise.
    """
    sha256 = hashlib.sha256(jpeg).hexdigest()
    row = Picture(sha256=sha256, size=len(jpeg), width=width, height=height)
    picture = reserve([row])[sha256]
    put_file(picture_name(sha256), jpeg)
    return picture


def put_thumbnail(sha256: str, jpeg: bytes) -> None:
    """Keep the thumbnail of a picture, unless the picture has been deleted meanwhile.

    Raises OutputError, StorageError, and Django's errors for the database.
    """
    with transaction.atomic():
        # Nobody deletes the files while we hold the row: no thumbnail is left without a picture.
        if Picture.objects.select_for_update(no_key=True).filter(sha256=sha256).first():
            put_file(thumbnail_name(sha256), jpeg)


def reserve(rows: Iterable[Picture]) -> dict[str, Picture]:
    """The pictures as they are in the table, by hash; made where there are none.

    Nobody deletes them before the transaction has ended that this is called in, whatever the
    database. Raises RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a picture is kept in the transaction that makes its record")
    wanted = {row.sha256: row for row in rows}
    found: dict[str, Picture] = {}
    # More than once only where a row was there, and was deleted while we waited for its lock.
    while missing := sorted(wanted.keys() - found.keys()):
        Picture.objects.bulk_create([wanted[name] for name in missing], ignore_conflicts=True)
        # In the order in which all lock them, so that no two wait for each other.
        locked = Picture.objects.select_for_update(no_key=True).order_by("sha256")
        found.update({row.sha256: row for row in locked.filter(sha256__in=missing)})
    return found


def put_file(name: str, content: bytes) -> None:
    """Write ``content`` unless it is there under ``name``, which is a hash of it.

    A file of another size is one that was cut short, by a power cut or a full disk.
    Raises OutputError for a disk that does not take it, and StorageError.
    """
    try:
        with _errors_named(Sentence("cannot be kept just now")):
            if not default_storage.exists(name) or default_storage.size(name) != len(content):
                default_storage.save(name, ContentFile(content))
    except (FileNotFoundError, StorageError) as error:
        cause = error.__cause__ or error
        # Some of boto's are OSErrors, too, without a number: no disk has said that.
        if not isinstance(cause, OSError) or cause.errno is None:
            raise
        problem = Sentence("cannot be kept ({cause})", cause=str(cause.strerror or cause))
        raise OutputError("pictures", problem, Sentence("Make room on the disk.")) from error


def exists(name: str) -> bool:
    """Whether there is something under ``name``. Raises StorageError."""
    with _errors_named(_UNREADABLE):
        return bool(default_storage.exists(name))


def read(name: str) -> bytes:
    """The content under ``name``. Raises FileNotFoundError and StorageError."""
    with _errors_named(_UNREADABLE), default_storage.open(name, "rb") as file:
        content: bytes = file.read()
    return content


def open_file(name: str) -> File:
    """The file under ``name``, of which a first byte was read: it is not only named somewhere.

    Raises FileNotFoundError and StorageError.
    """
    with _errors_named(_UNREADABLE):
        file = default_storage.open(name, "rb")
        try:
            file.read(1)
            file.seek(0)
        except BaseException:
            file.close()
            raise
    return file


def remove(sha256: str) -> None:
    """Delete a picture and its thumbnail, if they are there. Raises StorageError."""
    with _errors_named(Sentence("cannot be deleted just now")):
        for name in (picture_name(sha256), thumbnail_name(sha256)):
            default_storage.delete(name)


def picture_name(sha256: str) -> str:
    """Where the picture with this hash is. The hash is ours, never what somebody sent."""
    return f"{sha256[:2]}/{sha256}.jpg"


def thumbnail_name(sha256: str) -> str:
    """Where its thumbnail is."""
    return f"thumbnails/{sha256[:2]}/{sha256}.jpg"
