"""``edge-classify config``: the daemon's settings written, checked and shown."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge_classifier.cli.model_check import with_model
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import (
    FILE_VARIABLE,
    SYSTEM_FILE,
    SettingsReport,
    SettingsSources,
    named_file,
    search_path,
)
from edge_classifier.config.toml import Key
from edge_classifier.core.text import escaped
from edge_classifier.errors import ExitCode, OutputError, UsageError

# pydantic and what needs it is imported late: `run` has options in common with this module.

DESCRIPTION = "Writes, checks and shows the daemon's settings."


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(required=True, metavar="init|check|show|schema")
    init = _add(actions, "init", _init, "write a commented file of settings")
    init.add_argument("--output", metavar="PATH", help="where, - for standard output")
    init.add_argument("--force", action="store_true", help="overwrite a file that is there")
    init.add_argument(
        "--camera", default="0", metavar="SOURCE", help="its source (default: %(default)s)"
    )
    init.add_argument("--broker", metavar="HOST", help="MQTT's host (default: localhost)")
    check = _add(actions, "check", _check, "tell everything that is wrong with the settings")
    add_settings_arguments(check)
    check.add_argument("--labels", action="store_true", help="load the model to check label names")
    check.add_argument("--json", action="store_true", help="print JSON")
    show = _add(actions, "show", _show, "print all settings as they are in force, secrets masked")
    add_settings_arguments(show)
    show.add_argument("--origins", action="store_true", help="say where each was set")
    _add(actions, "schema", _schema, "print the JSON Schema of the file")


def add_settings_arguments(parser: ArgumentParser) -> None:
    """Which settings, for each command that reads them."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="PATH",
        help=f"the file (default: ${FILE_VARIABLE}, {SYSTEM_FILE}, or that of your home)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="a setting above file and environment, e.g. mqtt.host=broker; several times",
    )


def settings_sources(options: Namespace) -> SettingsSources:
    """Where these options say that settings come from."""
    return SettingsSources(options.config, dict(os.environ), tuple(options.assignments))


def run(options: Namespace) -> ExitCode:
    """Do what the sub-command says."""
    action: Callable[[Namespace], ExitCode] = options.action
    return action(options)


def _add(
    actions: Any, name: str, action: Callable[[Namespace], ExitCode], help_: str
) -> ArgumentParser:
    parser: ArgumentParser = actions.add_parser(
        name, help=help_, description=help_, allow_abbrev=False
    )
    parser.set_defaults(action=action)
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def _init(options: Namespace) -> ExitCode:
    from edge_classifier.config.reference import commented_file

    if "://" in options.camera and "@" in options.camera:
        remedy = "Put USER:PASSWORD into a file, and its name into credentials_file."
        raise UsageError("--camera", "a password does not belong on a command line", remedy)
    chosen: dict[Key, str] = {("cameras", "camera", "source"): options.camera}
    if options.broker:
        chosen["mqtt", "host"] = options.broker
    text = commented_file(chosen)
    if options.output == "-":
        print(text, end="")
        return ExitCode.OK
    path = Path(options.output) if options.output else _place()
    _write(path, text, force=options.force)
    print(path)
    return ExitCode.OK


def _place() -> Path:
    """The file that is named, or the first place for one where this user may write."""
    candidates = search_path(os.environ)
    found = named_file(SettingsSources(environment=os.environ)) or next(
        filter(_may_be_written, candidates), None
    )
    if found is None:
        raise OutputError(str(candidates[0]), "cannot be written", "Use sudo, or --output PATH.")
    return found


def _may_be_written(path: Path) -> bool:
    there = next((folder for folder in path.parents if os.access(folder, os.F_OK)), Path("/"))
    return os.access(there, os.W_OK | os.X_OK)


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            # The daemon's user must read it, whatever root's umask is; there is no secret in it.
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
    except FileExistsError as error:
        raise OutputError(str(path), "is there already", "--force overwrites it.") from error
    except OSError as error:
        remedy = "Use sudo, or --output PATH."
        raise OutputError(str(path), f"cannot be written ({error.strerror})", remedy) from error


def _check(options: Namespace) -> ExitCode:
    from edge_classifier.config.load import examine

    report = with_model(examine(settings_sources(options)), labels=options.labels)
    print(_as_json(report) if options.json else _as_text(report))
    return ExitCode.OK if report.settings else ExitCode.CONFIGURATION


def _as_text(report: SettingsReport[Settings]) -> str:
    lines = [str(problem) for problem in report.problems]
    lines += [f"warning: {warning}" for warning in report.warnings]
    if report.settings is None:
        lines.append(f"NOT OK: {len(report.problems)} to mend")
    else:
        cameras = ", ".join(report.settings.cameras)
        lines.append(f"OK: {report.file or 'no file'}, cameras: {cameras}")
    return "\n".join(map(escaped, lines))


def _as_json(report: SettingsReport[Settings]) -> str:
    facts = {
        "ok": report.settings is not None,
        "file": str(report.file) if report.file else None,
        "cameras": list(report.settings.cameras) if report.settings else [],
        "problems": [asdict(problem) for problem in report.problems],
        "warnings": [asdict(warning) for warning in report.warnings],
    }
    return json.dumps(facts, indent=1, ensure_ascii=False)


def _show(options: Namespace) -> ExitCode:
    from edge_classifier.config.load import examine
    from edge_classifier.config.reference import merged

    report = examine(settings_sources(options))
    for problem in report.problems:
        print(f"edge-classify: {escaped(str(problem))}", file=sys.stderr)
    if report.settings is None:
        return ExitCode.CONFIGURATION
    print(merged(report, origins=options.origins), end="")
    return ExitCode.OK


def _schema(_: Namespace) -> ExitCode:
    from edge_classifier.config.schema import json_schema

    print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
    return ExitCode.OK
