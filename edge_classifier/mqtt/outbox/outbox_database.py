"""The SQLite file under the outbox: events that wait, and what is remembered through restarts."""

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_classifier.core.events import Moment
from edge_classifier.files import device_and_inode, make_folder
from edge_classifier.mqtt.outbox.database_log import is_begun_anew

# What makes each version of the schema out of the one before.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # AUTOINCREMENT: no row's number comes again, so that a late delete cannot hit another one.
        """CREATE TABLE outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            event_id TEXT NOT NULL,
            camera TEXT NOT NULL,
            payload BLOB NOT NULL,
            captured_utc REAL NOT NULL,
            captured_monotonic REAL NOT NULL,
            boot TEXT NOT NULL
        )""",
        "CREATE TABLE remembered (key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID",
    ),
)
_PRAGMAS = (
    # One process at a time; and the index of the log needs no shared memory then.
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    # A commit is on the card when it returns. NORMAL would lose the last ones to a power cut.
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 128",  # pages of 4 KB
    "PRAGMA journal_size_limit = 524288",
    "PRAGMA cache_size = -512",  # KB
    "PRAGMA temp_store = MEMORY",
)
_COLUMNS = "event_id, camera, payload, captured_utc, captured_monotonic, boot, id"
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY_TIMEOUT_S = 1.0
# Attempts to copy the files between two writes.
_COPIES = 20


class DamagedError(sqlite3.DatabaseError):
    """The file is not a database, or one that this version cannot read."""


@dataclass(slots=True, eq=False)
class QueuedEvent:
    """One event on its way out."""

    event_id: str
    camera: str
    payload: bytes
    captured: Moment
    # The boot that ``captured.monotonic`` counts from.
    boot: str
    # Its number on disk; None while it is not there.
    row: int | None = None

    @property
    def seq(self) -> int:
        """Its number among its camera's events; 0 where the payload cannot be read."""
        try:
            found = json.loads(self.payload)["seq"]
        except (ValueError, TypeError, KeyError):
            return 0
        return found if isinstance(found, int) else 0


class OutboxDatabase:
    """One open file. All calls but ``is_open`` raise sqlite3.Error, or OSError."""

    def __init__(self, path: Path, utc: Callable[[], float]) -> None:
        self.path = path
        self._utc = utc
        self._connection: sqlite3.Connection | None = None
        # Device and inode of the file and of its log.
        self._identity: tuple[tuple[int, int] | None, ...] = ()
        # Whether ``open`` has made a new file.
        self.was_made = False
        # Whether ``open`` has found the file's log: one that was killed leaves it.
        self.log_found = False

    @property
    def is_open(self) -> bool:
        """Whether there is a file to read and write."""
        return self._connection is not None

    def open(self) -> None:
        """Open or make the file. Raises DamagedError where ``set_aside`` helps."""
        make_folder(self.path.parent, 0o700)
        self._require_usable()
        was_begun_anew = is_begun_anew(Path(f"{self.path}-wal"))
        # Opened by whoever wants to know what is remembered, then used by the publisher's thread.
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in _PRAGMAS:
                connection.execute(pragma)
            # What a power cut can leave behind.
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise DamagedError(verdict)
            self.log_found = _has_commits(connection) or was_begun_anew
            self.was_made = _migrate(connection)
            # Somebody else's tables are an error of SQL.
            connection.execute(f"SELECT {_COLUMNS} FROM outbox LIMIT 1").fetchall()  # noqa: S608
            connection.execute("SELECT key, json FROM remembered LIMIT 1").fetchall()
        except sqlite3.Error as error:
            connection.close()
            if is_damage(error) or error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                raise DamagedError(str(error)) from error
            raise
        self._connection = connection
        self._identity = self._present_identity()

    def is_in_place(self) -> bool:
        """Whether the open files are still those under their names, and not deleted or exchanged.

        SQLite goes on with a deleted file, of which nothing is left when the process ends.
        """
        return self._present_identity() == self._identity

    def has_file(self) -> bool:
        """Whether the file itself, without its log, is still the open one."""
        return self._present_identity()[0] == self._identity[0]

    def _present_identity(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(device_and_inode(Path(f"{self.path}{ending}")) for ending in ("", "-wal"))

    def _require_usable(self) -> None:
        """Raises DamagedError for what is not a file, or another user's in a folder of ours."""
        for ending in ("", "-wal"):
            path = Path(f"{self.path}{ending}")
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(found.st_mode):
                raise DamagedError(f"{path.name} is not a file")
            # On a file system that is read-only nothing is gained by another file.
            may_rename = os.access(self.path.parent, os.W_OK)
            if may_rename and not os.access(path, os.R_OK | os.W_OK):
                raise DamagedError(f"{path.name} may not be read and written by this user")

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def set_aside(self) -> Path:
        """Move a damaged file out of the way, for whoever wants to look at it.

        Only the newest is kept: a failing card must not fill itself.
        """
        self.close()
        for old in self.path.parent.glob(f"{self.path.name}.damaged-*"):
            if not old.is_dir():
                old.unlink()
        moment = datetime.fromtimestamp(self._utc(), UTC)
        aside = Path(f"{self.path}.damaged-{moment:%Y%m%dT%H%M%SZ}")
        for ending in ("", "-wal", "-shm"):
            part = Path(f"{self.path}{ending}")
            if part.exists():
                part.rename(f"{aside}{ending}")
        return aside

    def renew_log(self) -> None:
        """Write the log, which has no name any more, into the file, and begin another."""
        (busy, *_) = self._require_open().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise sqlite3.OperationalError("the log cannot be written back")
        self.close()
        self.open()
        # Whoever finds none takes the file for an older one.
        self._require_open().execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and on the card when it ends without an error."""
        connection = self._require_open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            # A full disk may have rolled back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def insert(self, event: QueuedEvent) -> int:
        """Insert ``event``; returns its row number, higher than all before."""
        moment = event.captured
        cursor = self._require_open().execute(
            "INSERT INTO outbox"
            " (event_id, camera, payload, captured_utc, captured_monotonic, boot)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (event.event_id, event.camera, event.payload, moment.utc, moment.monotonic, event.boot),
        )
        return cursor.lastrowid or 0

    def delete(self, rows: Iterable[int]) -> int:
        """Delete ``rows``; returns how many of them there were."""
        execute = self._require_open().execute
        return sum(execute("DELETE FROM outbox WHERE id = ?", (row,)).rowcount for row in rows)

    def delete_oldest(self, number: int) -> int:
        """Delete the ``number`` oldest; returns how many there were."""
        cursor = self._require_open().execute(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT ?)", (number,)
        )
        return cursor.rowcount

    def after(self, row: int, limit: int) -> list[QueuedEvent]:
        """The next events behind ``row``, in order."""
        found = self._require_open().execute(
            f"SELECT {_COLUMNS} FROM outbox WHERE id > ? ORDER BY id LIMIT ?",  # noqa: S608
            (row, limit),
        )
        return [_queued_event(columns) for columns in found]

    def rows(self) -> dict[str, int]:
        """The row of each event, by its id."""
        return dict(self._require_open().execute("SELECT event_id, id FROM outbox"))

    def count(self) -> int:
        """How many events wait here."""
        (number,) = self._require_open().execute("SELECT COUNT(*) FROM outbox").fetchone()
        return int(number)

    def event_ids(self) -> list[str]:
        """Of all events that wait here."""
        found = self._require_open().execute("SELECT event_id FROM outbox")
        return [event_id for (event_id,) in found]

    def rows_of(self, event_id: str) -> list[int]:
        """Where this event waits here: in one row, if at all."""
        # An event whose picture comes is among the newest.
        found = self._require_open().execute(
            "SELECT id FROM outbox WHERE event_id = ? ORDER BY id DESC LIMIT 1", (event_id,)
        )
        return [row for (row,) in found]

    def remembered(self) -> dict[str, str]:
        """Key to JSON."""
        return dict(self._require_open().execute("SELECT key, json FROM remembered"))

    def remember(self, key: str, value: str | None) -> None:
        """None forgets."""
        if value is None:
            self._require_open().execute("DELETE FROM remembered WHERE key = ?", (key,))
        else:
            self._require_open().execute(
                "INSERT OR REPLACE INTO remembered VALUES (?, ?)", (key, value)
            )

    def _require_open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.OperationalError("the file is not open")
        return self._connection


def is_damage(error: Exception) -> bool:
    """Whether only a new file helps."""
    if isinstance(error, DamagedError):
        return True
    # The lowest byte is the error, the others say more.
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _DAMAGED


def salvage(path: Path) -> tuple[list[QueuedEvent], dict[str, str]]:
    """What can still be read of a damaged file: events in order, and what is remembered.

    Of a table with a hole that is what stands before it and behind it.
    """
    events: dict[int, QueuedEvent] = {}
    remembered: dict[str, str] = {}
    if not path.is_file():
        return [], {}
    for ending in ("", "-wal"):
        # Ours, perhaps, with rights that somebody has taken away.
        with contextlib.suppress(OSError):
            Path(f"{path}{ending}").chmod(0o600)
    # What cannot be opened or read any further has given what it had.
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        for order in ("ASC", "DESC"):
            with contextlib.suppress(sqlite3.Error):
                for columns in file.execute(f"SELECT {_COLUMNS} FROM outbox ORDER BY id {order}"):  # noqa: S608
                    if [type(one) for one in columns] == [str, str, bytes, float, float, str, int]:
                        event = _queued_event(columns)
                        if event.seq and event.row is not None:
                            events[event.row] = event
            with contextlib.suppress(sqlite3.Error):
                rows = file.execute(f"SELECT * FROM remembered ORDER BY key {order}")  # noqa: S608
                remembered.update((key, text) for key, text in rows if isinstance(text, str))
    return [events[row] for row in sorted(events)], remembered


def remembered_beside_daemon(path: Path) -> dict[str, str]:
    """What is remembered in ``path``, key to JSON, whether a daemon has it open or not.

    The daemon has it for itself. So the file is copied with its log, as a power cut would leave it,
    and the copy is read. Raises OSError, FileNotFoundError where there is none.
    """
    log = Path(f"{path}-wal")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, path.name)
        for _ in range(_COPIES):
            before = _versions(path, log)
            shutil.copyfile(path, copy)
            copied_log = Path(f"{copy}-wal")
            copied_log.unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(log, copied_log)
            # Else it was written to meanwhile, and the two need not go together.
            if before == _versions(path, log):
                break
        try:
            with contextlib.closing(sqlite3.connect(copy)) as file:
                return dict(file.execute("SELECT key, json FROM remembered"))
        except sqlite3.Error as error:
            raise OSError(errno.EIO, str(error)) from error


def _versions(*paths: Path) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            seen = path.stat()
        except FileNotFoundError:
            found.append(None)
        else:
            found.append((seen.st_mtime_ns, seen.st_size))
    return found


def _queued_event(columns: tuple[Any, ...]) -> QueuedEvent:
    event_id, camera, payload, utc, monotonic, boot, row = columns
    return QueuedEvent(event_id, camera, payload, Moment(utc, monotonic), boot, row)


def _has_commits(connection: sqlite3.Connection) -> bool:
    """Whether there is a log with commits in it that belong to this file."""
    try:
        (_, frames, _) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.OperationalError:
        # A full disk does not take what is in it.
        return True
    return bool(frames > 0)


def _migrate(connection: sqlite3.Connection) -> bool:
    """Whether the file was empty before."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(_MIGRATIONS):
        raise DamagedError(f"made by a newer version ({version})")
    if version == len(_MIGRATIONS):
        return False
    connection.execute("BEGIN IMMEDIATE")
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    connection.execute("COMMIT")
    return bool(version == 0)
