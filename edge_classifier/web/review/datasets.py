"""Reviewed pictures as class folders that `edge-classify train` takes as they are."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import NamedTuple
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from django.db.models import Count, QuerySet
from django.utils import timezone

from edge_classifier.config.toml import document
from edge_classifier.web.models import Label, Picture, Record
from edge_classifier.web.records import picture_storage
from edge_classifier.web.review.folder_names import NAMES_FILE, folder_names, names_table

# Pictures of a class without which training does not start: to learn from, and to measure on.
ENOUGH = 2
# With fewer, measures are rough; as ``dataset.check`` has it.
FEW = 20
_AT_ONCE = 500
_FILE_MODE = 0o100644


@dataclass(frozen=True, slots=True)
class Class:
    """One true label, and how many different pictures show it."""

    label: Label
    folder: str
    pictures: int

    @property
    def has_enough(self) -> bool:
        """Whether training starts with it."""
        return self.pictures >= ENOUGH

    @property
    def is_small(self) -> bool:
        """Whether what is measured on it is rough."""
        return self.pictures < FEW


class FiledPicture(NamedTuple):
    """One picture of a dataset."""

    folder: str
    sha256: str

    @property
    def path(self) -> str:
        """Where it lies in the dataset. Its name is the hash of its content, so ours."""
        return f"{self.folder}/{self.sha256}.jpg"


def reviewed(since: date | None = None) -> QuerySet[Record]:
    """Records whose picture has a true label; taken on the day ``since`` or later."""
    usable = Record.objects.filter(truth__isnull=False, picture__isnull=False).order_by()
    if since is None:
        return usable
    return usable.filter(at__gte=timezone.make_aware(datetime.combine(since, time.min)))


def classes(records: QuerySet[Record]) -> list[Class]:
    """The true labels of ``records``, by name."""
    counts = records.values("truth").annotate(pictures=Count("picture", distinct=True))
    pictures = {row["truth"]: row["pictures"] for row in counts}
    labels = sorted(Label.objects.filter(pk__in=pictures), key=lambda label: label.name)
    folders = folder_names(label.name for label in labels)
    return [Class(label, folders[label.name], pictures[label.pk]) for label in labels]


def pictures(records: QuerySet[Record], of: Iterable[Class]) -> Iterator[FiledPicture]:
    """The pictures of all classes, each once a folder; ``_AT_ONCE`` of them are in memory."""
    by_folder: dict[str, list[int]] = {}
    for one in of:
        by_folder.setdefault(one.folder, []).append(one.label.pk)
    for folder, labels in sorted(by_folder.items()):
        shown = records.filter(truth__in=labels).values_list("picture", flat=True)
        keys = sorted(shown.distinct())
        for first in range(0, len(keys), _AT_ONCE):
            some = Picture.objects.filter(pk__in=keys[first : first + _AT_ONCE])
            hashes = list(some.order_by("pk").values_list("sha256", flat=True))
            yield from (FiledPicture(folder, sha256) for sha256 in hashes)


def names_file(of: Iterable[Class]) -> str:
    """The text of ``names.toml``; empty where none is needed."""
    labels = {one.label.name: one for one in of}
    folders = {name: one.folder for name, one in labels.items()}
    table = names_table(folders, {name: one.label.chinese for name, one in labels.items()})
    return document(table) if table else ""


def archive(records: QuerySet[Record], least: int = 1) -> Iterator[bytes]:
    """A zip of ``records``, piece by piece: one picture is in memory, and the list of names.

    Classes with fewer than ``least`` pictures are left out, and so is a picture that was deleted
    meanwhile. Raises StorageError.
    """
    found = [one for one in classes(records) if one.pictures >= least]
    return zipped(
        pictures(records, found),
        lambda kept: names_file(one for one in found if one.folder in kept),
    )


def zipped(shown: Iterable[FiledPicture], names: Callable[[set[str]], str]) -> Iterator[bytes]:
    """A zip of these pictures; ``names`` gives its ``names.toml`` for the folders that are in it.

    As ``archive``.
    """
    pipe, kept = _Pipe(), set[str]()
    # JPEGs do not become smaller: they are stored as they are.
    with ZipFile(pipe, "w", ZIP_STORED) as file:
        for one in shown:
            try:
                content = picture_storage.read(picture_storage.picture_name(one.sha256))
            except FileNotFoundError:
                continue
            kept.add(one.folder)
            file.writestr(_entry(one.path), content)
            yield pipe.take()
        # Last, as training refuses names of folders that are not there.
        if text := names(kept):
            file.writestr(_entry(NAMES_FILE), text)
    yield pipe.take()


def _entry(name: str) -> ZipInfo:
    """An entry without a time, so that the same records give the same bytes; readable by all."""
    entry = ZipInfo(name)
    entry.external_attr = _FILE_MODE << 16
    return entry


class _Pipe:
    """A stream for ``ZipFile`` that cannot seek; what was written is taken out piece by piece."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep ``data`` until it is taken."""
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        """All that was written since the last time."""
        data = b"".join(self._written)
        self._written.clear()
        return data
