"""What ``edge-classify config check`` finds out with the help of the model that is set."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from edge_classifier.config.settings import DecisionSettings, Settings
from edge_classifier.config.sources import SettingProblem, SettingsReport
from edge_classifier.config.toml import inline
from edge_classifier.errors import EdgeClassifierError

# The catalogue and the engine are imported late: settings that are wrong need neither.

_NOT_LOOKED_AT = SettingProblem("labels were not looked at: mend these first")
_NOT_COMPARED = SettingProblem("label names were not compared with the model's; --labels does")


def with_model(report: SettingsReport[Settings], *, labels: bool) -> SettingsReport[Settings]:
    """``report`` with what is wrong about the model; with ``labels`` it is loaded for their sake.

    Nothing is looked up for settings that are wrong already.
    """
    if report.settings:
        report = _with_place(report, report.settings)
    if labels and report.settings:
        return _refused(report, _label_problems(report.settings))
    if labels:
        return _warned(report, _NOT_LOOKED_AT)
    return _warned(report, _NOT_COMPARED) if _names_labels(report.settings) else report


def _refused(
    report: SettingsReport[Settings], problems: Iterable[SettingProblem]
) -> SettingsReport[Settings]:
    found = tuple(problems)
    return replace(report, problems=found, settings=None) if found else report


def _warned(report: SettingsReport[Settings], warning: SettingProblem) -> SettingsReport[Settings]:
    return replace(report, warnings=(*report.warnings, warning))


def _with_place(report: SettingsReport[Settings], settings: Settings) -> SettingsReport[Settings]:
    """``report`` after a look for the model's file, which needs no runtime."""
    from edge_classifier.engine.tflite import require_tflite
    from edge_classifier.modelfile.catalogue import load_catalogue

    use, origin = settings.model.use, report.origins.get(("model", "use"), "")
    found = SettingProblem("", "model.use", inline(use), origin)
    try:
        catalogue = load_catalogue()
        entry = catalogue.entry(use)
        if entry and not entry.embedded and not catalogue.has(entry):
            # The service's models lie elsewhere than this user's: it may well have this one.
            text = f"is not in {catalogue.pulled_folder}. {catalogue.how_to_get(entry)}"
            return _warned(report, replace(found, text=text))
        require_tflite(catalogue.locate(use))
    except EdgeClassifierError as error:
        return _refused(report, [replace(found, text=str(error).removeprefix(f"{use}: "))])
    return report


def _label_problems(settings: Settings) -> tuple[SettingProblem, ...]:
    """Labels in the settings that the model does not have; a camera's are told once."""
    from edge_classifier.daemon.active_model import load_network
    from edge_classifier.decision.label_map import UnknownLabelsError, label_map

    try:
        labels = load_network(settings.model).labels
    except EdgeClassifierError as error:
        return (SettingProblem(str(error), "model"),)
    found: dict[str, SettingProblem] = {}
    for key, decision in _decisions(settings).items():
        try:
            label_map(labels, decision)
        except UnknownLabelsError as error:
            for text in error.problems:
                found.setdefault(text, SettingProblem(text, key))
    return tuple(found.values())


def _decisions(settings: Settings) -> Mapping[str, DecisionSettings]:
    """Each table of that kind, by its key."""
    return {"decision": settings.decision} | {
        f"cameras.{name}.decision": camera.decision for name, camera in settings.cameras.items()
    }


def _names_labels(settings: Settings | None) -> bool:
    decisions = _decisions(settings).values() if settings else ()
    return any(one.groups or one.aliases or one.ignore or one.labels for one in decisions)
