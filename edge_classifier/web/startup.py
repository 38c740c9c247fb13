"""The start of every command: Django gets its settings, and the tables are migrated."""

import fcntl
import gc
import logging
import os
import random as random_module
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path

import django
from django.conf import settings as django_settings
from django.core import signals

from edge_classifier.core.backoff import pause_s
from edge_classifier.errors import EdgeClassifierError, OutputError, UnavailableError
from edge_classifier.files import name_stamp
from edge_classifier.web.config.folders import Folders, folders_of, make_folders
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.django_settings import DATABASE_VARIABLE, django_options

_log = logging.getLogger(__name__)
_KEPT_BACKUPS = 3
_MAX_PAUSE_S = 30.0
# Any number that is the same for all of us: "edge".
_ADVISORY_LOCK = 0x65646765


def configure(settings: WebSettings) -> Folders:
    """Make Django ready, once a process. Raises OutputError and ConfigurationError."""
    found = folders_of(settings)
    make_folders(found)
    with _one_process_at_a_time(found):
        django_settings.configure(**django_options(settings, found))
    _load_ninja()
    django.setup(set_prefix=False)
    return found


def _load_ninja() -> None:
    """Load django-ninja without Django's test client, 5 MB that nobody uses.

    It takes one signal from there, which is at home in ``django.core.signals``.
    """
    name = "django.test.signals"
    if name in sys.modules:
        return
    sys.modules[name] = signals
    try:
        import ninja  # noqa: F401
    finally:
        # Whoever wants the real one gets it.
        del sys.modules[name]


def migrate(
    found: Folders,
    *,
    waits: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    random: Callable[[], float] = random_module.random,
) -> None:
    """Bring the tables up to date; each step is a transaction of its own.

    SQLite's file is copied before the first one. ``waits``: for a PostgreSQL that does not answer,
    for ever, as whoever runs for weeks also does later. Raises OutputError and UnavailableError.
    """
    # Works only after ``configure``.
    from edge_classifier.web.database_away import is_away

    if waits and _migrate_in_child(found):
        return
    for failures in count(1):
        try:
            _migrate(found)
            # Each state that the tables ever had was built for it, in circles of references.
            gc.collect()
            return
        except UnavailableError as error:
            if not waits or not is_away(error.__cause__) or not os.environ.get(DATABASE_VARIABLE):
                raise
            pause = pause_s(failures, random(), max_s=_MAX_PAUSE_S)
            _log.error("%s; tried again in %.1f s", error, pause)
            sleep(pause)


def _migrate_in_child(found: Folders) -> bool:
    """Whether a child has done it: in a process that stays, what that takes would stay, too.

    What is wrong is told by whoever tries again.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            with suppress(Exception):
                _migrate(found)
                code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _migrate(found: Folders) -> None:
    # These work only after ``configure``.
    from django.core.management import call_command
    from django.db import DatabaseError, InterfaceError, connection
    from django.db.migrations.executor import MigrationExecutor

    from edge_classifier.web.tally import upkeep

    try:
        with _one_process_at_a_time(found):
            if connection.vendor == "sqlite" and not found.database.exists():
                found.database.touch(mode=0o600)
            if connection.vendor == "postgresql":
                # Other machines have another folder. It ends with the connection.
                connection.cursor().execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if plan and connection.vendor == "sqlite" and executor.loader.applied_migrations:
                back_up(found)
            if plan:
                _log.info("the database is brought up to date: %d steps", len(plan))
                call_command("migrate", interactive=False, verbosity=0)
            upkeep.install()
    # The second: a connection that broke while nobody asked for anything.
    except (DatabaseError, InterfaceError) as error:
        raise _database_error(found, error) from error
    finally:
        connection.close()


def known_steps() -> set[tuple[str, str]]:
    """The steps of the tables that this program has: app and name. After ``configure``."""
    from django.db.migrations.loader import MigrationLoader

    return set(MigrationLoader(None).disk_migrations)


def use(found: Folders) -> None:
    """Let nobody put a backup back before this process ends."""
    # Never closed: the lock goes with the process, however that ends.
    handle = os.open(found.state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UnavailableError(str(found.state), "a backup is being put back", "Wait.") from error


@contextmanager
def _one_process_at_a_time(found: Folders) -> Iterator[None]:
    """Other processes with this folder wait, and find it done."""
    try:
        lock = (found.state / "lock").open("w")
    except OSError as error:
        raise OutputError(str(found.state), f"cannot be written to ({error.strerror})") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _database_error(found: Folders, error: Exception) -> EdgeClassifierError:
    # These work only after ``configure``.
    from django.db import connection

    from edge_classifier.web.database_away import is_damaged
    from edge_classifier.web.full_disk import is_full

    name = str(connection.settings_dict["NAME"])
    remedy = ""
    if is_full(error):
        return OutputError(name, "the disk is full", "Make room.")
    if connection.vendor == "sqlite":
        remedy = f"Copies from before earlier changes of its tables are in {found.backups}."
    if connection.vendor == "sqlite" and is_damaged(error):
        remedy = f"The file is damaged: put a copy from {found.backups} in its place, or move it"
        remedy += " away to begin anew. Pictures are not in it."
    return UnavailableError(name, f"the database cannot be used ({error})", remedy)


def back_up(found: Folders) -> Path:
    """Copy SQLite's file as it is now, and keep the newest few copies. Raises OutputError."""
    copy = found.backups / f"web-{name_stamp(time.time())}.db"
    try:
        copy.touch(mode=0o600)
        with (
            closing(sqlite3.connect(found.database)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        for old in sorted(found.backups.glob("web-*.db"))[:-_KEPT_BACKUPS]:
            old.unlink()
    except (sqlite3.Error, OSError) as error:
        copy.unlink(missing_ok=True)
        remedy = "The page does not start without a copy to go back to; make room."
        raise OutputError(str(copy), f"no copy of the database ({error})", remedy) from error
    _log.info("the database was copied to %s", copy)
    return copy
