"""Pictures in storage, under the hash of their content: a folder, or S3 by django-storages."""

import hashlib
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import connection, transaction

from edge_classifier.files import make_folder, replacing
from edge_classifier.web.models import Picture


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


def put(jpeg: bytes, width: int | None = None, height: int | None = None) -> Picture:
    """Keep ``jpeg``; the same content is kept once. Raises OSError, and storage's own errors.

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

    Raises OSError, storage's own errors, and Django's for the database.
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
    """
    if not default_storage.exists(name) or default_storage.size(name) != len(content):
        default_storage.save(name, ContentFile(content))


def read(name: str) -> bytes:
    """The content under ``name``. Raises FileNotFoundError, and storage's own errors."""
    with default_storage.open(name, "rb") as file:
        content: bytes = file.read()
    return content


def remove(sha256: str) -> None:
    """Delete a picture and its thumbnail, if they are there."""
    for name in (picture_name(sha256), thumbnail_name(sha256)):
        default_storage.delete(name)


def picture_name(sha256: str) -> str:
    """Where the picture with this hash is. The hash is ours, never what somebody sent."""
    return f"{sha256[:2]}/{sha256}.jpg"


def thumbnail_name(sha256: str) -> str:
    """Where its thumbnail is."""
    return f"thumbnails/{sha256[:2]}/{sha256}.jpg"
