"""``edge-classify config``: the daemon's settings written, checked and shown."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

from edge_classifier.cli.common import add_action, add_settings_arguments, settings_sources
from edge_classifier.config.settings import DecisionSettings, Settings
from edge_classifier.config.sources import (
    SettingProblem,
    SettingsReport,
    SettingsSources,
    named_file,
    search_path,
)
from edge_classifier.config.toml import Key, inline
from edge_classifier.core.text import escaped
from edge_classifier.errors import EdgeClassifierError, ExitCode, OutputError, UsageError

# pydantic and what needs it is imported late: not every sub-command reads settings. So are
# the catalogue and the engine: settings that are wrong need neither.

DESCRIPTION = "Writes, checks and shows the daemon's settings."
_NOT_LOOKED_AT = SettingProblem("labels were not looked at: mend these first")
_NOT_COMPARED = SettingProblem("label names were not compared with the model's; --labels does")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(required=True, metavar="init|check|show|schema")
    init = add_action(actions, "init", _init, "write a commented file of settings")
    init.add_argument("--output", metavar="PATH", help="where, - for standard output")
    init.add_argument("--force", action="store_true", help="overwrite a file that is there")
    init.add_argument(
        "--camera", default="0", metavar="SOURCE", help="its source (default: %(default)s)"
    )
    init.add_argument("--broker", metavar="HOST", help="MQTT's host (default: localhost)")
    init.add_argument(
        "--recorded",
        action="store_true",
        help="for a device whose events a web page records: pictures wait with their events",
    )
    check = add_action(actions, "check", _check, "print everything that is wrong with the settings")
    add_settings_arguments(check)
    check.add_argument("--labels", action="store_true", help="load the model to check label names")
    check.add_argument("--json", action="store_true", help="print JSON")
    show = add_action(
        actions, "show", _show, "print all settings as they are in force, secrets masked"
    )
    add_settings_arguments(show)
    show.add_argument("--origins", action="store_true", help="say where each was set")
    add_action(actions, "schema", _schema, "print the JSON Schema of the file")


def run(options: Namespace) -> ExitCode:
    """Do what the sub-command says."""
    action: Callable[[Namespace], ExitCode] = options.action
    return action(options)


def _init(options: Namespace) -> ExitCode:
    from edge_classifier.config.reference import commented_file

    if "://" in options.camera and "@" in options.camera:
        remedy = "Put USER:PASSWORD into a file, and its name into credentials_file."
        raise UsageError("--camera", "a password does not belong on a command line", remedy)
    chosen: dict[Key, str | bool] = {("cameras", "camera", "source"): options.camera}
    if options.broker:
        chosen["mqtt", "host"] = options.broker
    if options.recorded:
        chosen["snapshots", "keep_waiting"] = True
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
    if named := named_file(SettingsSources(environment=os.environ)):
        return named
    for path in candidates:
        there = next((folder for folder in path.parents if os.access(folder, os.F_OK)), Path("/"))
        if os.access(there, os.W_OK | os.X_OK):
            return path
    raise OutputError(str(candidates[0]), "cannot be written", "Use sudo, or --output PATH.")


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

    report = _with_model(examine(settings_sources(options)), labels=options.labels)
    cameras = list(report.settings.cameras) if report.settings else []
    if options.json:
        facts = {
            "ok": report.settings is not None,
            "file": str(report.file) if report.file else None,
            "cameras": cameras,
            "problems": [asdict(problem) for problem in report.problems],
            "warnings": [asdict(warning) for warning in report.warnings],
        }
        print(json.dumps(facts, indent=1, ensure_ascii=False))
        return ExitCode.OK if report.settings else ExitCode.CONFIGURATION
    lines = [str(problem) for problem in report.problems]
    lines += [f"warning: {warning}" for warning in report.warnings]
    if report.settings:
        lines.append(f"OK: {report.file or 'no file'}, cameras: {', '.join(cameras)}")
    else:
        lines.append(f"NOT OK: {len(report.problems)} to mend")
    print(*map(escaped, lines), sep="\n")
    return ExitCode.OK if report.settings else ExitCode.CONFIGURATION


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


def _with_model(report: SettingsReport[Settings], *, labels: bool) -> SettingsReport[Settings]:
    """``report`` with what is wrong about the model; with ``labels`` it is loaded for their sake.

    Nothing is looked up for settings that are wrong already.
    """
    settings = report.settings
    problems: list[SettingProblem] = []
    warnings = list(report.warnings)
    if settings:
        origin = report.origins.get(("model", "use"), "")
        _look_for_model(settings.model.use, origin, problems, warnings)
    if not settings or problems:
        warnings += [_NOT_LOOKED_AT] if labels else []
    elif labels:
        problems += _label_problems(settings)
    elif any(d.groups or d.aliases or d.ignore or d.labels for d in _decisions(settings).values()):
        warnings.append(_NOT_COMPARED)
    if problems:
        report = replace(report, settings=None, problems=tuple(problems))
    return replace(report, warnings=tuple(warnings))


def _look_for_model(
    use: str, origin: str, problems: list[SettingProblem], warnings: list[SettingProblem]
) -> None:
    """Whether the model's file is there, which needs no runtime."""
    from edge_classifier.engine.model_copy import require_tflite
    from edge_classifier.modelfile.catalogue import load_catalogue
    from edge_classifier.modelfile.model_zip import model_file

    found = SettingProblem("", "model.use", inline(use), origin)
    try:
        catalogue = load_catalogue()
        entry = catalogue.entry(use)
        if entry and not entry.embedded and not catalogue.has(entry):
            # The service's models lie elsewhere than this user's: it may well have this one.
            text = f"is not in {catalogue.pulled_folder}. {catalogue.how_to_get(entry)}"
            warnings.append(replace(found, text=text))
        else:
            require_tflite(model_file(catalogue.locate(use)))
    except EdgeClassifierError as error:
        problems.append(replace(found, text=str(error).removeprefix(f"{use}: ")))


def _label_problems(settings: Settings) -> tuple[SettingProblem, ...]:
    """Labels in the settings that the model does not have; a camera's are told once."""
    from edge_classifier.daemon.active_model import load_active_model
    from edge_classifier.decision.label_map import UnknownLabelsError, require_labels

    try:
        labels = load_active_model(settings.model).labels
    except EdgeClassifierError as error:
        return (SettingProblem(str(error), "model"),)
    found: dict[str, SettingProblem] = {}
    for key, decision in _decisions(settings).items():
        try:
            require_labels(labels, decision)
        except UnknownLabelsError as error:
            for text in error.problems:
                found.setdefault(text, SettingProblem(text, key))
    return tuple(found.values())


def _decisions(settings: Settings) -> Mapping[str, DecisionSettings]:
    """Each table of that kind, by its key."""
    return {"decision": settings.decision} | {
        f"cameras.{name}.decision": camera.decision for name, camera in settings.cameras.items()
    }
