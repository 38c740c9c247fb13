"""Pictures in storage, under the hash of their content: a folder, or S3 by django-storages."""

import hashlib
import secrets
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage

from edge_classifier.files import replacing
from edge_classifier.web.models import Picture


class AtomicFileStorage(FileSystemStorage):
    """A folder in which a file is there as a whole or not at all, whenever we are killed."""

    def _save(self, name: str, content: Any) -> str:
        path = Path(self.path(name))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with replacing(path, durable=False, mode=0o600, beside=beside) as file:
            for chunk in content.chunks():
                file.write(chunk)
        return name


def put(jpeg: bytes, width: int | None = None, height: int | None = None) -> Picture:
    """Keep ``jpeg``; the same content is kept once. Raises OSError, and storage's own errors.

    To be called in the transaction that makes the record, so that ``deletion`` takes the picture
    for used. The row comes before the file: who deletes both could come between otherwise.
    """
    sha256 = hashlib.sha256(jpeg).hexdigest()
    facts = {"size": len(jpeg), "width": width, "height": height}
    picture, _ = Picture.objects.get_or_create(sha256=sha256, defaults=facts)
    put_file(picture_name(sha256), jpeg)
    return picture


def put_file(name: str, content: bytes) -> None:
    """Write ``content`` unless the name, which is a hash of it, is there."""
    if not default_storage.exists(name):
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
