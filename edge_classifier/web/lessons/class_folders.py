"""A lesson as class folders that ``edge-classify teach`` and ``train`` take: on disk, or in a zip.

A folder a class that has pictures, called as the class where a file system can; ``unknown`` for
"nothing there"; and ``names.toml`` where there are Chinese names.
"""

import os
import shutil
import threading
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.config.toml import document
from edge_classifier.files import make_folder, replacing
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.lessons.classes import with_counts
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.records import picture_storage
from edge_classifier.web.review.datasets import FiledPicture, zipped
from edge_classifier.web.review.folder_names import NAMES_FILE, folder_names, names_table

_one_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class FilledFolders:
    """A lesson's class folders on disk."""

    root: Path
    # The name of a class's folder, which becomes its label, to the class's id: it may be called
    # something else by now.
    classes: dict[str, int]


def folder(lesson: Lesson, folders: Folders) -> FilledFolders:
    """The lesson's folder, brought up to date: ``FOLDER/lessons/KEY/CLASS/SHA256.jpg``.

    Pictures that lie on the same disk take no room twice. A picture that is missing in storage is
    left out. Raises OSError, StorageError.
    """
    root = folders.lessons / str(lesson.key)
    with _one_at_a_time:
        make_folder(root, 0o700)
        names_of = _folder_names(lesson)
        wanted = _contents(lesson, names_of)
        for there in list(root.iterdir()):
            if there.is_dir() and there.name not in wanted:
                shutil.rmtree(there)
        for name, hashes in wanted.items():
            _fill(root / name, hashes, folders)
        names = root / NAMES_FILE
        if text := _names(lesson, wanted):
            with replacing(names, durable=False, mode=0o600) as file:
                file.write(text.encode())
        else:
            names.unlink(missing_ok=True)
    return FilledFolders(root, {name: of for of, name in names_of.items()})


def archive(lesson: Lesson) -> Iterator[bytes]:
    """The same as a zip, piece by piece. Raises StorageError."""
    found = _contents(lesson, _folder_names(lesson))
    shown = (FiledPicture(name, sha256) for name, hashes in found.items() for sha256 in hashes)
    return zipped(shown, lambda kept: _names(lesson, kept))


def _folder_names(lesson: Lesson) -> dict[int, str]:
    """What the folder of each class that has pictures is called, by its id."""
    filled = [one for one in with_counts(lesson) if one.shown]
    names = folder_names(one.name for one in filled)
    return {one.pk: names[one.name] for one in filled}


def _contents(lesson: Lesson, folders: Mapping[int, str]) -> dict[str, list[str]]:
    """Each folder, and the hashes of its class's pictures in the order in which they came."""
    found: dict[str, list[str]] = {name: [] for name in folders.values()}
    rows = lesson.pictures.filter(removed_at=None, of__in=list(folders)).order_by("pk")
    for of, sha256 in rows.values_list("of", "picture__sha256"):
        found[folders[of]].append(sha256)
    return found


def _names(lesson: Lesson, kept: Container[str]) -> str:
    """The text of ``names.toml`` for the folders ``kept``; empty where none is needed."""
    chinese = {one.name: one.chinese for one in with_counts(lesson) if one.shown}
    folders = {name: one for name, one in folder_names(chinese).items() if one in kept}
    table = names_table(folders, chinese)
    return document(table) if table else ""


def _fill(target: Path, hashes: list[str], folders: Folders) -> None:
    """Bring one class's folder up to date."""
    target.mkdir(0o700, exist_ok=True)
    wanted = {f"{sha256}.jpg": sha256 for sha256 in hashes}
    there = {file.name for file in target.iterdir()}
    for name in there - wanted.keys():
        (target / name).unlink()
    for name in wanted.keys() - there:
        stored = picture_storage.picture_name(wanted[name])
        try:
            os.link(folders.pictures / stored, target / name)
        except OSError:  # On another disk, or in a bucket.
            try:
                content = picture_storage.read(stored)
            except FileNotFoundError:
                continue
            with replacing(target / name, durable=False, mode=0o600) as file:
                file.write(content)
