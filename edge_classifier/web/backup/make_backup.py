"""Makes backups while the page runs, and keeps the newest few."""

import hashlib
import os
import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from edge_classifier import __version__
from edge_classifier.errors import ConfigurationError, OutputError
from edge_classifier.files import name_stamp, replacing, utc_stamp
from edge_classifier.web.backup.archive import DATABASE, ArchiveWriter, Contents, check
from edge_classifier.web.backup.scratch import scratch_folder
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.django_settings import DATABASE_VARIABLE

_NAME = re.compile(r"backup-(\d{6,})-[0-9TZ]+\.tar")
_SCRATCH = ".backup-"
# What is left free for the recorder.
_SPARE_BYTES = 50_000_000
_BUSY_S = 20.0


def require_sqlite() -> None:
    """Raise ConfigurationError where the database is PostgreSQL, with the way that it has."""
    if os.environ.get(DATABASE_VARIABLE):
        remedy = (
            "That has tools of its own: pg_dump --format=custom, and pg_restore; then pack the"
            " pictures, after the database: tar -cf pictures.tar -C STATE_FOLDER pictures, or the"
            " bucket's own versions. docs/fleet.md has the lines."
        )
        raise ConfigurationError(DATABASE_VARIABLE, "names PostgreSQL", remedy)


def make_backup(file: Path, folders: Folders, bucket: str = "") -> Contents:
    """Write the database and the pictures that it names to ``file``, and read it back.

    ``bucket``: the pictures are there, and stay there. Raises OutputError, and UnavailableError
    when another one is being made.
    """
    try:
        with scratch_folder(
            folders.backups,
            _SCRATCH,
            locked=folders.backups,
            problem="another backup is being made",
            remedy="Wait for it.",
        ) as scratch:
            for left in folders.backups.glob(".*.unfinished"):
                left.unlink(missing_ok=True)
            database = scratch / DATABASE
            copy_database(folders.database, database)
            _require_room(file, database)
            with replacing(file, mode=0o600) as raw, (scratch / "sums").open("w+b") as sums:
                archive = ArchiveWriter(raw, sums)
                pictures, missing = (0, 0) if bucket else _add_pictures(archive, database, folders)
                with closing(sqlite3.connect(database)) as copy:
                    ((records,),) = copy.execute("SELECT count(*) FROM web_record")
                made = Contents(
                    program=__version__,
                    made=utc_stamp(time.time()),
                    records=records,
                    pictures=pictures,
                    missing=missing,
                    bucket=bucket,
                )
                archive.finish(database, made)
        give_to_owner(file, folders)
        return check(file)
    except (OSError, sqlite3.Error) as error:
        problem = f"the backup cannot be made ({getattr(error, 'strerror', None) or error})"
        raise OutputError(str(file), problem) from error


def next_file(folder: Path) -> Path:
    """The name of the next backup in ``folder``: counted, as a clock may be wrong."""
    numbers = [int(found[1]) for one in folder.iterdir() if (found := _NAME.fullmatch(one.name))]
    return folder / f"backup-{max(numbers, default=0) + 1:06}-{name_stamp(time.time())}.tar"


def made_backups(folder: Path) -> list[Path]:
    """The backups in ``folder``, by number: the newest is the last."""
    found = [(int(name[1]), one) for one in folder.iterdir() if (name := _NAME.fullmatch(one.name))]
    return [one for _, one in sorted(found)]


def keep_newest(folder: Path, count: int) -> None:
    """Delete all but the ``count`` newest backups."""
    for old in made_backups(folder)[:-count]:
        old.unlink(missing_ok=True)


def copy_database(source: Path, target: Path) -> None:
    """Copy SQLite's file as it is at one moment, also while others write. Raises sqlite3.Error."""
    target.touch(mode=0o600)
    with (
        closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        # All in one file.
        new.execute("PRAGMA journal_mode=DELETE")
        ((said, *_), *_) = new.execute("PRAGMA integrity_check")
        if said != "ok":
            raise sqlite3.DatabaseError(f"{source} is damaged: {said}")


def give_to_owner(file: Path, folders: Folders) -> None:
    """What root makes in the folders of the service has to be the service's own."""
    places = {folders.state, folders.pictures}
    if os.geteuid() == 0 and places.intersection(file.parents):
        owner = folders.state.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def picture_file(folders: Folders, sha256: str) -> Path:
    """Where this picture lies."""
    return folders.pictures / sha256[:2] / f"{sha256}.jpg"


def _require_room(file: Path, database: Path) -> None:
    with closing(sqlite3.connect(database)) as copy:
        ((pictures,),) = copy.execute("SELECT coalesce(sum(size), 0) FROM web_picture")
    needed = pictures + database.stat().st_size + _SPARE_BYTES
    free = shutil.disk_usage(file.parent).free
    if free < needed:
        problem = f"the backup needs {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free"
        raise OutputError(str(file), problem, "Make room, or name a file on another disk.")


def _add_pictures(archive: ArchiveWriter, database: Path, folders: Folders) -> tuple[int, int]:
    """Add what the database names; how many, and how many are missing.

    Who deletes a record meanwhile takes its picture from us: then the record is deleted from the
    copy as well.
    """
    count, missing, gone = 0, 0, []
    with (
        closing(sqlite3.connect(database)) as copy,
        closing(sqlite3.connect(f"{folders.database.as_uri()}?mode=ro", uri=True)) as live,
    ):
        for number, sha256 in copy.execute("SELECT id, sha256 FROM web_picture ORDER BY sha256"):
            try:
                jpeg = picture_file(folders, sha256).read_bytes()
            except FileNotFoundError:
                jpeg = b""
            if hashlib.sha256(jpeg).hexdigest() == sha256:
                archive.add_picture(sha256, jpeg)
                count += 1
            elif live.execute("SELECT 1 FROM web_picture WHERE sha256 = ?", [sha256]).fetchone():
                missing += 1
            else:
                gone.append((number,))
        copy.executemany("DELETE FROM web_record WHERE picture_id = ?", gone)
        copy.executemany("DELETE FROM web_eventpicture WHERE picture_id = ?", gone)
        copy.executemany(
            "DELETE FROM web_rightasitis WHERE picture_id IN"
            " (SELECT id FROM web_lessonpicture WHERE picture_id = ?)",
            gone,
        )
        copy.executemany("DELETE FROM web_lessonpicture WHERE picture_id = ?", gone)
        copy.executemany("DELETE FROM web_picture WHERE id = ?", gone)
        copy.commit()
    return count, missing
