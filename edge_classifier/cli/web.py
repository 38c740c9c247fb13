"""``edge-classify web``: the web page."""

import argparse
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edge_classifier.cli.common import add_set_option
from edge_classifier.cli.log import start_log
from edge_classifier.daemon.systemd import Notifier
from edge_classifier.errors import ExitCode, MissingFileError, UsageError
from edge_classifier.installation import how_to_add

if TYPE_CHECKING:
    from edge_classifier.web.config.folders import Folders
    from edge_classifier.web.config.settings import WebSettings

DESCRIPTION = "Serve the web page: uploads, live view, history, review, administration."
# Days that are named.
_MOST_DAYS = 10


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    add_common_arguments(parser)
    parser.add_argument("--host", help="address to listen on; 0.0.0.0: all (key: server.host)")
    parser.add_argument("--port", type=int, help="port to listen on (key: server.port)")
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    make = actions.add_parser("createadmin", help="make an administrator; asks for a password")
    make.add_argument("username", nargs="?", default="", help="asked for if it is not given")
    backup = actions.add_parser("backup", help="copy database and pictures, while the page runs")
    backup.add_argument("file", nargs="?", type=Path, help="default: numbered, in backup.folder")
    restore = actions.add_parser("restore", help="put a backup back, while nothing runs")
    restore.add_argument("file", type=Path)
    restore.add_argument(
        "--replace", action="store_true", help="also where there are records, which are kept aside"
    )
    tally = actions.add_parser("tally", help="compare the counts of each day with its records")
    tally.add_argument("--repair", action="store_true", help="count all days anew")
    manage = actions.add_parser("manage", help="run one of Django's commands, e.g. check --deploy")
    manage.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="and options")


def add_common_arguments(parser: ArgumentParser) -> None:
    """Declare what `web` and `record` share."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="TOML file; default: /etc/edge-classifier/web.toml",
    )
    add_set_option(parser, "one setting, e.g. mqtt.host=broker; may be given several times")


def run(options: Namespace) -> ExitCode:
    """Serve, or do what was asked for instead."""
    start_log()
    # Options of their own are settings, too; they win.
    given = {"server.host": options.host, "server.port": options.port}
    own = [f"{key}={value}" for key, value in given.items() if value is not None]
    assignments = [*options.assignments, *own]
    if options.action == "backup":
        return _backup(options, assignments)
    if options.action == "restore":
        return _restore(options, assignments)
    settings, folders = prepare(options, assignments, waits=not options.action)
    if options.action == "createadmin":
        from edge_classifier.web.accounts.first_run import (
            create_administrator,  # Needs Django's settings.
        )

        user = create_administrator(options.username)
        print(f"{user.get_username()} is an administrator now.")
        return ExitCode.OK
    if options.action == "tally":
        return _tally(repair=options.repair)
    if options.action == "manage":
        from django.core.management import execute_from_command_line  # Needs Django's settings.

        execute_from_command_line(["edge-classify web manage", *options.command])
        return ExitCode.OK
    from edge_classifier.web.server import serve  # Needs Django's settings.

    serve(settings, folders, Notifier.from_environment().ready)
    return ExitCode.OK


def _tally(*, repair: bool) -> ExitCode:
    from edge_classifier.web.tally import upkeep  # Needs Django's settings.

    if repair:
        print(f"{upkeep.install(anew=True)} days were counted anew.")
        return ExitCode.OK
    wrong = upkeep.wrong_days()
    if not wrong:
        print("The counts of each day are those of its records.")
        return ExitCode.OK
    days = ", ".join(str(day) for day in wrong[:_MOST_DAYS])
    more = f" and {len(wrong) - _MOST_DAYS} more" if len(wrong) > _MOST_DAYS else ""
    print(f"Not those of their records: {days}{more}. `edge-classify web tally --repair` mends it.")
    return ExitCode.BAD_DATA


def prepare(
    options: Namespace, assignments: Sequence[str], *, waits: bool
) -> "tuple[WebSettings, Folders]":
    """Read the settings, make Django ready, and bring the tables up to date.

    ``waits``: for a database that is away.
    """
    settings, folders = _configure(options, assignments)
    from edge_classifier.web import database_file, startup

    startup.use(folders)
    startup.migrate(folders, waits=waits)
    database_file.watch()
    return settings, folders


def _configure(options: Namespace, assignments: Sequence[str]) -> "tuple[WebSettings, Folders]":
    """Read the settings and make Django ready; no database is touched."""
    try:
        from edge_classifier.web import startup  # Whoever classifies only has no Django.
    except ImportError as error:
        raise UsageError("web", f"needs the extra [web] ({error})", how_to_add("web")) from error
    from edge_classifier.web.config.load_settings import load

    settings = load(options.config, assignments)
    return settings, startup.configure(settings)


def _backup(options: Namespace, assignments: Sequence[str]) -> ExitCode:
    settings, folders = _configure(options, assignments)
    from edge_classifier.web.backup.make_backup import (
        keep_newest,
        make_backup,
        next_file,
        require_sqlite,
    )

    require_sqlite()
    if not folders.database.exists():
        raise MissingFileError(str(folders.database), "there is no database yet")
    folder = settings.backup.folder or folders.backups
    file: Path = (options.file or next_file(folder)).absolute()
    made = make_backup(file, folders, settings.storage.bucket)
    if options.file is None:
        keep_newest(folder, settings.backup.keep)
    print(f"{file}: {made.records} records, {made.pictures} pictures, read back and compared.")
    if made.missing:
        print(f"{made.missing} pictures that the database names are lost or damaged already.")
    if made.bucket:
        print(f"Pictures are in the bucket {made.bucket}, and not in the file.")
    return ExitCode.OK


def _restore(options: Namespace, assignments: Sequence[str]) -> ExitCode:
    settings, folders = _configure(options, assignments)
    from edge_classifier.web import startup
    from edge_classifier.web.backup.make_backup import require_sqlite
    from edge_classifier.web.backup.restore import restore

    require_sqlite()
    done = restore(
        options.file,
        folders,
        startup.known_steps(),
        bucket=settings.storage.bucket,
        replace=options.replace,
    )
    found = done.contents
    print(
        f"{folders.database} is as it was at {found.made}: {found.records} records,"
        f" {found.pictures} pictures, of which {done.new_pictures} were not there."
    )
    if done.kept:
        print(f"The database before is {done.kept}; its pictures are deleted in a day or two.")
    print("Accounts, passwords and tokens are those of the backup, too.")
    return ExitCode.OK
