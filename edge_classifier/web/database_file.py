"""Notices that SQLite's file was deleted or exchanged under a process that runs.

An open connection would go on with the file that nobody finds any more, and a new one would begin
with an empty file: what is recorded then is lost with the process.
"""

import os
from typing import Any

from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

_GONE = "the file of the database is gone, or another one"


def watch() -> None:
    """From now on each new connection needs a file with tables."""
    connection_created.connect(_note_file)


def require_same_file() -> None:
    """For whoever keeps a connection. Raises OperationalError, until the file is there again."""
    noted = getattr(connection, "noted_file", None)
    if connection.connection is not None and noted and noted != _identity(connection):
        connection.close()
        raise OperationalError(_GONE)


def _note_file(connection: BaseDatabaseWrapper, **_: Any) -> None:
    if connection.vendor != "sqlite":
        return
    connection.noted_file = _identity(connection)
    with connection.wrap_database_errors:
        tables = connection.connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    # SQLite has just made it.
    if not tables:
        connection.close()
        raise OperationalError(_GONE)


def _identity(connection: BaseDatabaseWrapper) -> tuple[int, int] | None:
    """Device and number; None: it is not there."""
    try:
        found = os.stat(connection.settings_dict["NAME"])  # noqa: PTH116 (a name, not a path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
