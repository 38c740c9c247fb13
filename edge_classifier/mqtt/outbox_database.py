"""The SQLite file under the outbox: events that wait, and what is remembered through restarts."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_classifier.core.events import Moment

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
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_BUSY_TIMEOUT_S = 1.0


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


class OutboxDatabase:
    """One open file. All calls but ``is_open`` raise sqlite3.Error, or OSError."""

    def __init__(self, path: Path, utc: Callable[[], float]) -> None:
        self.path = path
        self._utc = utc
        self._connection: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a file to read and write."""
        return self._connection is not None

    def open(self) -> None:
        """Open or make the file. Raises DamagedError where ``set_aside`` helps."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
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
            _migrate(connection)
        except sqlite3.Error as error:
            connection.close()
            if is_damage(error):
                raise DamagedError(str(error)) from error
            raise
        self._connection = connection

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
            old.unlink()
        moment = datetime.fromtimestamp(self._utc(), UTC)
        aside = Path(f"{self.path}.damaged-{moment:%Y%m%dT%H%M%SZ}")
        for ending in ("", "-wal", "-shm"):
            part = Path(f"{self.path}{ending}")
            if part.exists():
                part.rename(f"{aside}{ending}")
        return aside

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
            "SELECT event_id, camera, payload, captured_utc, captured_monotonic, boot, id"
            " FROM outbox WHERE id > ? ORDER BY id LIMIT ?",
            (row, limit),
        )
        return [
            QueuedEvent(event_id, camera, payload, Moment(utc, monotonic), boot, number)
            for event_id, camera, payload, utc, monotonic, boot, number in found
        ]

    def count(self) -> int:
        """How many events wait here."""
        (number,) = self._require_open().execute("SELECT COUNT(*) FROM outbox").fetchone()
        return int(number)

    def event_ids(self) -> list[str]:
        """Of all events that wait here."""
        found = self._require_open().execute("SELECT event_id FROM outbox")
        return [event_id for (event_id,) in found]

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


def _migrate(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(_MIGRATIONS):
        raise DamagedError(f"made by a newer version ({version})")
    if version == len(_MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    for statements in _MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")
    connection.execute("COMMIT")
