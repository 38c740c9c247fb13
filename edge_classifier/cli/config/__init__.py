"""``edge-classify config``: the daemon's settings written, checked and shown."""

import json
import os
import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from edge_classifier.cli.common import add_action, add_settings_arguments, settings_sources
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import (
    SYSTEM_FILE,
    SettingProblem,
    SettingsReport,
    SettingsSources,
    named_file,
    search_path,
)
from edge_classifier.config.toml import Key, dotted, inline
from edge_classifier.core.text import escaped
from edge_classifier.errors import (
    CameraError,
    EdgeClassifierError,
    ExitCode,
    OutputError,
    UsageError,
)
from edge_classifier.files import default_state_folder

# pydantic and what needs it is imported late: not every sub-command reads settings. So are
# the catalogue and the engine: settings that are wrong need neither.

DESCRIPTION = "Writes, checks and shows the daemon's settings."
# Of the service that systemd runs.
_SERVICE_STATE = Path("/var/lib/edge-classifier")
_NOT_LOOKED_AT = SettingProblem("labels were not looked at: mend these first")
_NOT_COMPARED = SettingProblem("label names were not compared with the model's; --labels does")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(required=True, metavar="init|check|show|schema")
    init = add_action(actions, "init", _init, "write settings to begin with, for a camera at home")
    init.add_argument("--output", metavar="PATH", help="where, - for standard output")
    init.add_argument("--force", action="store_true", help="overwrite a file that is there")
    init.add_argument(
        "--camera", metavar="SOURCE", help="its source (default: the first that is found, else 0)"
    )
    init.add_argument(
        "--broker", default="localhost", metavar="HOST", help="MQTT's host (default: %(default)s)"
    )
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
    from edge_classifier.capture.find_camera import first_camera, source_for_settings
    from edge_classifier.cli.config.preset import home_settings

    if options.camera and "://" in options.camera and "@" in options.camera:
        remedy = "Put USER:PASSWORD into a file, and its name into credentials_file."
        raise UsageError("--camera", "a password does not belong on a command line", remedy)
    if options.camera:
        source = source_for_settings(options.camera)
    else:
        source = "0"
        with suppress(CameraError):
            source = first_camera()
    text = home_settings(source=source, broker=options.broker, recorded=options.recorded)
    if options.output == "-":
        print(text, end="")
        return ExitCode.OK
    path = Path(options.output) if options.output else _place()
    _write(path, text, force=options.force)
    print(path)
    named = "" if path in search_path(os.environ) else f" --config {shlex.quote(str(path))}"
    # Whoever reads the name of the file alone gets no more.
    print(
        "Then:",
        f"  edge-classify watch{named} --camera camera   what does it see?",
        f"  edge-classify run{named}                     publish it",
        sep="\n",
        file=sys.stderr,
    )
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
    print(merged(_with_overrides(report, report.settings), origins=options.origins), end="")
    return ExitCode.OK


def _with_overrides(
    report: SettingsReport[Settings], settings: Settings
) -> SettingsReport[Settings]:
    """``report`` with what was set over MQTT; where that cannot be read, standard error says so."""
    from edge_classifier.daemon.cameras.camera_overrides import (
        ORIGIN,
        changed_keys,
        kept_overrides,
        override,
        still_valid,
    )
    from edge_classifier.mqtt.codec.json_fields import decoded_or_empty
    from edge_classifier.mqtt.outbox.outbox_database import remembered_beside_daemon

    folder = settings.device.state_folder
    if folder is None and report.file == SYSTEM_FILE and "STATE_DIRECTORY" not in os.environ:
        folder = _SERVICE_STATE
    folder = folder or default_state_folder("edge-classifier", os.environ)
    try:
        remembered = remembered_beside_daemon(folder / "outbox.db")
    except FileNotFoundError:
        # No daemon has run yet.
        return report
    except OSError as error:
        text = f"cannot be read ({error.strerror}), so what was {ORIGIN} is not shown; use sudo"
        print(f"edge-classify: {escaped(str(folder))}: {text}", file=sys.stderr)
        return report
    cameras, origins = dict(settings.cameras), dict(report.origins)
    kept = {key: decoded_or_empty(text) for key, text in remembered.items()}
    for name, overrides in kept_overrides(kept).items():
        if name in cameras:
            valid, _ = still_valid(name, cameras[name], overrides)
            before, cameras[name] = cameras[name], override(name, cameras[name], valid).camera
            for key in changed_keys(before, cameras[name], valid):
                origins[("cameras", name, *key)] = ORIGIN
    return replace(report, settings=replace(settings, cameras=cameras), origins=origins)


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
        for owner, key in _models(settings).items():
            use = settings.cameras[owner].model if owner else settings.model.use
            found = SettingProblem("", dotted(key), inline(use), report.origins.get(key, ""))
            _look_for_model(use, found, problems, warnings)
    if settings and not problems:
        warnings += _memory_warnings(settings)
    if not settings or problems:
        warnings += [_NOT_LOOKED_AT] if labels else []
    elif labels:
        unknown, resting = _unknown_labels(settings)
        problems += unknown
        warnings += resting
    elif any(
        d.groups or d.aliases or d.ignore or d.labels or d.only
        for d in (settings.decision, *(one.decision for one in settings.cameras.values()))
    ):
        warnings.append(_NOT_COMPARED)
    if problems:
        report = replace(report, settings=None, problems=tuple(problems))
    return replace(report, warnings=tuple(warnings))


def _models(settings: Settings) -> Mapping[str, Key]:
    """Where each model is named: a camera's own, and under an empty name the common one."""
    own = {name: ("cameras", name, "model") for name, one in settings.cameras.items() if one.model}
    common: dict[str, Key] = {} if len(own) == len(settings.cameras) else {"": ("model", "use")}
    return {**common, **own}


def _memory_warnings(settings: Settings) -> Iterator[SettingProblem]:
    """Whether this machine has memory for all models; the service may be allowed less."""
    from edge_classifier.engine.memory import DAEMON_BYTES, model_bytes, total_bytes
    from edge_classifier.modelfile.catalogue import load_catalogue
    from edge_classifier.modelfile.model_zip import model_file

    sizes = {}
    for owner in _models(settings):
        use = settings.cameras[owner].model if owner else settings.model.use
        # One that is not here yet was told.
        with suppress(EdgeClassifierError, OSError):
            path = model_file(load_catalogue().locate(use))
            sizes[path] = path.stat().st_size
    needed, total = sum(map(model_bytes, sizes.values())), total_bytes()
    if total is not None and needed + DAEMON_BYTES > total:
        text = (
            f"{len(sizes)} models need some {needed / 1e6:.0f} MB beside the daemon's own "
            f"{DAEMON_BYTES / 1e6:.0f} MB, and this machine has {total / 1e6:.0f} MB: let cameras "
            "share a model, or use smaller ones"
        )
        yield SettingProblem(text, "cameras")


def _look_for_model(
    use: str, found: SettingProblem, problems: list[SettingProblem], warnings: list[SettingProblem]
) -> None:
    """Whether the model's file is there, which needs no runtime."""
    from edge_classifier.engine.model_copy import require_tflite
    from edge_classifier.modelfile.catalogue import load_catalogue
    from edge_classifier.modelfile.model_zip import model_file

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


def _unknown_labels(
    settings: Settings,
) -> tuple[list[SettingProblem], list[SettingProblem]]:
    """Labels in the settings that the common model does not have; a camera's are told once.

    And, as warnings, rules of cameras with a model of their own that rest, as it lacks the labels.
    """
    from edge_classifier.daemon.models.models_in_force import COMMON, load_configured_models
    from edge_classifier.decision.fit_to_model import fit_to_model
    from edge_classifier.decision.label_map import require_labels
    from edge_classifier.decision.name_lines import UnknownLabelsError

    try:
        models = load_configured_models(settings)
    except EdgeClassifierError as error:
        return [SettingProblem(str(error), "model")], []
    found: dict[str, SettingProblem] = {}
    resting = []
    decisions = {"": ("decision", settings.decision)} if COMMON in models.by_owner else {}
    decisions |= {
        name: (f"cameras.{name}.decision", camera.decision)
        for name, camera in settings.cameras.items()
    }
    for name, (key, decision) in decisions.items():
        model = models.of(name).model
        if name in models.by_owner and name != COMMON:
            _, rules = fit_to_model(model.labels, decision, model.taxonomy)
            _, inherited = fit_to_model(model.labels, settings.decision, model.taxonomy)
            own = [rule for rule in rules if rule not in inherited]
            resting += [SettingProblem(f"rests: {rule}", key) for rule in own]
            continue
        try:
            require_labels(model.labels, decision, model.taxonomy)
        except UnknownLabelsError as error:
            for text in error.problems:
                found.setdefault(text, SettingProblem(text, key))
    return list(found.values()), resting
