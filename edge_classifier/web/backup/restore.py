"""Puts a backup back. What was there is kept, and stays in use until the new one is whole."""

import os
import shutil
import sqlite3
import time
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge_classifier.errors import MissingFileError, OutputError, UsageError
from edge_classifier.files import is_file, name_stamp, replacing, sync_folder, why_missing
from edge_classifier.web.backup.archive import DATABASE, Contents, check
from edge_classifier.web.backup.make_backup import give_to_owner, picture_file
from edge_classifier.web.backup.scratch import scratch_folder
from edge_classifier.web.config.folders import Folders

_KEPT = 3
_SCRATCH = ".restore-"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# A step of the tables: app and name.
Step = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done."""

    contents: Contents
    # Pictures that were not there before.
    new_pictures: int
    # Where the database is that was there; None: there was none.
    kept: Path | None


def restore(
    file: Path, folders: Folders, known: Collection[Step], *, bucket: str = "", replace: bool
) -> Restored:
    """Put the backup in ``file`` into ``folders``.

    ``known``: the steps of the tables that this program has. ``replace``: also where a database
    with records is; without, that is refused. Nothing is changed before all of the backup has been
    read and compared. Raises MissingFileError, UsageError, UnavailableError and OutputError.
    """
    if not is_file(file):
        raise MissingFileError(str(file), why_missing(file, "file"))
    try:
        with scratch_folder(
            folders.backups,
            _SCRATCH,
            # As ``startup.use`` has it.
            locked=folders.state,
            problem="is in use: the page, a recorder or another command runs",
            remedy="Stop them first: sudo systemctl stop edge-classifier-web",
        ) as scratch:
            new = scratch / DATABASE

            def take_database(name: str, content: IO[bytes]) -> None:
                if name == DATABASE:
                    with new.open("wb") as target:
                        shutil.copyfileobj(content, target)
                        target.flush()
                        os.fsync(target.fileno())

            contents = check(file, take_database)
            if contents.bucket != bucket:
                raise UsageError(
                    str(file),
                    f"its pictures are in {contents.bucket or 'it'}, and storage.bucket is"
                    f" {bucket or 'not set'}",
                    "Set storage.bucket as it was then.",
                )
            _require_ours(new, str(file), known)
            _require_replaceable(folders.database, known, replace=replace)
            count = _put_pictures(file, folders)
            new.chmod(0o600)
            give_to_owner(new, folders)
            kept = _keep(folders)
            new.replace(folders.database)
            sync_folder(folders.state)
            return Restored(contents, count, kept)
    except (OSError, sqlite3.Error) as error:
        problem = f"the backup cannot be put back ({getattr(error, 'strerror', None) or error})"
        remedy = "The database is as it was. Make room, and try again."
        raise OutputError(str(folders.state), problem, remedy) from error


def _require_ours(database: Path, where: str, known: Collection[Step]) -> int:
    """How many records it has. Raises UsageError for one of another or a newer program."""
    try:
        with closing(sqlite3.connect(database)) as connection:
            steps = set(connection.execute("SELECT app, name FROM django_migrations"))
            ((records,),) = connection.execute("SELECT count(*) FROM web_record")
    except sqlite3.OperationalError as error:
        problem = f"the database is not one of this page ({error})"
        raise UsageError(where, problem, "Move it away, if it is the one that is there.") from error
    if newer := steps - set(known):
        _, name = max(newer)
        problem = f"the database was made by a newer release (it has {name})"
        raise UsageError(where, problem, "Install that release, or a newer one.")
    return records


def _require_replaceable(database: Path, known: Collection[Step], *, replace: bool) -> None:
    """Raise UsageError if there is a database that must not go."""
    if not database.exists() or not database.stat().st_size:
        return
    try:
        found = f"has {_require_ours(database, str(database), known)} records"
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) not in _DAMAGED:
            raise
        found = f"is damaged ({error})"
    if not replace and found != "has 0 records":
        remedy = (
            f"--replace puts the backup in its place, and keeps it in {database.parent}/backups."
        )
        raise UsageError(str(database), f"is there, and {found}", remedy)


def _put_pictures(file: Path, folders: Folders) -> int:
    """Write those that are not there; how many. They are in nobody's way before the database is."""
    count = 0

    def take(name: str, content: IO[bytes]) -> None:
        nonlocal count
        if name == DATABASE:
            return
        target, jpeg = picture_file(folders, Path(name).stem), content.read()
        with suppress(FileNotFoundError):
            if target.read_bytes() == jpeg:
                return
        is_new = not target.parent.exists()
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_new:
            give_to_owner(target.parent, folders)
        with replacing(target, mode=0o600) as written:
            written.write(jpeg)
        give_to_owner(target, folders)
        count += 1

    check(file, take)
    return count


def _keep(folders: Folders) -> Path | None:
    """Give the database that is there another name as well; the newest few of them are kept."""
    database = folders.database
    beside = [database.with_name(f"{database.name}{end}") for end in ("-wal", "-shm")]
    kept = folders.backups / f"before-restore-{name_stamp(time.time())}.db"
    if not database.exists():
        # They would be taken for parts of the new one.
        for file in beside:
            file.unlink(missing_ok=True)
        return None
    try:
        with closing(sqlite3.connect(database)) as connection:
            # Puts all into one file; refused while somebody else has it open.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) not in _DAMAGED:
            raise
    try:
        os.link(database, kept)
    except OSError:  # Not every file system has them.
        shutil.copy2(database, kept)
    for file in beside:
        with suppress(FileNotFoundError):
            file.rename(kept.with_name(kept.name + file.name.removeprefix(database.name)))
    for old in sorted(folders.backups.glob("before-restore-*.db"))[:-_KEPT]:
        old.unlink()
    return kept
