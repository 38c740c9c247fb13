"""Before anything else: Django knows its settings, and the tables are as the code has them."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import django
from django.conf import settings as django_settings

from edge_classifier.errors import OutputError, UnavailableError
from edge_classifier.web.configuration import Places, make_folders, places
from edge_classifier.web.framework import framework
from edge_classifier.web.settings import Settings

_log = logging.getLogger(__name__)
_KEPT_BACKUPS = 3


def configure(settings: Settings) -> Places:
    """Make Django ready, once a process. Raises OutputError and ConfigurationError."""
    found = places(settings)
    make_folders(found)
    django_settings.configure(**framework(settings, found))
    django.setup(set_prefix=False)
    return found


def migrate(found: Places) -> None:
    """Bring the tables up to date; each step is a transaction of its own.

    SQLite's file is copied before the first one. Raises OutputError and UnavailableError.
    """
    from django.core.management import call_command  # Works only after ``configure``.
    from django.db import DatabaseError, connection
    from django.db.migrations.executor import MigrationExecutor

    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not plan:
            return
        if connection.vendor == "sqlite" and executor.loader.applied_migrations:
            back_up(found)
        _log.info("the database is brought up to date: %d steps", len(plan))
        call_command("migrate", interactive=False, verbosity=0)
    except DatabaseError as error:
        name = str(connection.settings_dict["NAME"])
        raise UnavailableError(name, f"the database cannot be used ({error})") from error
    finally:
        connection.close()


def back_up(found: Places) -> None:
    """Copy SQLite's file as it is now, and keep the newest few copies. Raises OutputError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    copy = found.backups / f"web-{stamp}.db"
    try:
        with (
            closing(sqlite3.connect(found.database)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        copy.chmod(0o600)
        for old in sorted(found.backups.glob("web-*.db"))[:-_KEPT_BACKUPS]:
            old.unlink()
    except (sqlite3.Error, OSError) as error:
        copy.unlink(missing_ok=True)
        remedy = "The page does not start without a copy to go back to; make room."
        raise OutputError(str(copy), f"no copy of the database ({error})", remedy) from error
    _log.info("the database was copied to %s", copy)
