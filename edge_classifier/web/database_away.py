"""Whether an error of the database passes by itself, or is a bug's."""

import re
import shutil
import sqlite3
from pathlib import Path

from django.db import DatabaseError, Error, OperationalError, connection

# SQLite's primary codes for what is no fault of the statement: somebody else has the file, or the
# disk is full, broken, or read-only for now.
_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_SQLITE_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# SQLite says these, too, where it finds no room for the files beside its own.
_SQLITE_PERHAPS_FULL = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
# Bytes: so much these need.
_LEAST_ROOM = 100_000
_PRIMARY = 0xFF
# PostgreSQL's classes (the first two characters) and codes of the same kind:
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES_AWAY = (
    # Connection lost; no room on disk, in memory or for a connection; errors of its own files.
    *("08", "53", "58"),
    # Shut down by somebody, crashed, still starting, idle for too long.
    *("57P01", "57P02", "57P03", "57P05"),
    # Locked: not in time, deadlocks, and statements that took too long.
    *("55P03", "40001", "40P01", "57014"),
    # Read-only: it stands in for another one.
    "25006",
)
_POSTGRES_FULL = "53100"
_POSTGRES_DAMAGED = ("XX001", "XX002")
# Tables, columns or rights that are lacking, as between two versions of this program.
_POSTGRES_OTHER_VERSION = ("42P01", "42703", "42501")
# SQLite has one code for whatever is wrong with a statement.
_SQLITE_OTHER_VERSION = re.compile("no such (table|column)|has no column named")


def is_away(error: BaseException | None) -> bool:
    """Whether the database cannot be reached or written just now, whatever it was asked for."""
    if not isinstance(error, DatabaseError):
        return False
    cause = error.__cause__
    if code := getattr(cause, "sqlite_errorcode", None):
        return code & _PRIMARY in _SQLITE_AWAY
    if state := getattr(cause, "sqlstate", None):
        return str(state).startswith(_POSTGRES_AWAY)
    # A connection that could not be made, or ended, has no code.
    return isinstance(error, OperationalError)


def lacks_room(error: BaseException | None) -> bool:
    """Whether the database's disk is full."""
    cause = error.__cause__ if isinstance(error, Error) else None
    if code := getattr(cause, "sqlite_errorcode", None):
        primary = code & _PRIMARY
        is_perhaps = primary in _SQLITE_PERHAPS_FULL and not _has_room()
        return primary == sqlite3.SQLITE_FULL or is_perhaps
    return getattr(cause, "sqlstate", None) == _POSTGRES_FULL


def _has_room() -> bool:
    """Whether the disk of SQLite's file has."""
    folder = Path(connection.settings_dict["NAME"]).parent
    try:
        return shutil.disk_usage(folder).free >= _LEAST_ROOM
    except OSError:
        return True


def is_damaged(error: BaseException | None) -> bool:
    """Whether the database's own files are: somebody has to mend them, and no message can."""
    cause = error.__cause__ if isinstance(error, Error) else None
    if code := getattr(cause, "sqlite_errorcode", None):
        return code & _PRIMARY in _SQLITE_DAMAGED
    return getattr(cause, "sqlstate", None) in _POSTGRES_DAMAGED


def is_of_another_version(error: BaseException | None) -> bool:
    """Whether its tables or rights are not those that this version needs, for any message."""
    cause = error.__cause__ if isinstance(error, Error) else None
    if state := getattr(cause, "sqlstate", None):
        return state in _POSTGRES_OTHER_VERSION
    is_sqlite = isinstance(cause, sqlite3.Error)
    return is_sqlite and bool(_SQLITE_OTHER_VERSION.search(str(cause)))
