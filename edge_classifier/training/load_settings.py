"""Settings of a training run from a TOML file and options; all mistakes at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_classifier.config.load import read_settings
from edge_classifier.config.sources import SettingProblem, SettingsReport, SettingsSources
from edge_classifier.config.toml import as_tree, document
from edge_classifier.training import networks
from edge_classifier.training.settings import TrainingSettings

_HOW_TO_GET = "docs/training-settings.md shows one; none is needed."


def load(
    path: Path | None, assignments: Sequence[str], options: Mapping[str, Any]
) -> TrainingSettings:
    """The settings in the file at ``path``, below ``KEY=VALUE`` assignments, below ``options``.

    ``options`` has values by dotted keys. Paths are below the current folder, and come back
    absolute: a run goes on from anywhere. Raises ConfigurationError with all problems,
    MissingFileError and UsageError.
    """
    sources = SettingsSources(assignments=tuple(assignments), options=options)
    settings = read_settings(TrainingSettings, path, sources, how_to_get=_HOW_TO_GET).require()
    data, network = settings.data, settings.network
    pretrained = network.pretrained
    contradictions = networks.problems(network)
    if pretrained == networks.NONE and settings.finetune.batch_norm == "frozen":
        contradictions.append(
            "network.pretrained is none: nothing is learned unless finetune.batch_norm is trained"
        )
    if settings.learning_curve and not settings.head.epochs:
        contradictions.append(
            "learning_curve is true: it trains heads, so head.epochs must be more than 0"
        )
    if contradictions:
        SettingsReport(path, problems=tuple(map(SettingProblem, contradictions))).require()
    if pretrained not in (networks.EMBEDDED, networks.IMAGENET, networks.NONE):
        pretrained = str(Path(pretrained).absolute())
    return replace(
        settings,
        data=replace(
            data,
            folder=data.folder and data.folder.absolute(),
            validation=data.validation and data.validation.absolute(),
            other=data.other and data.other.absolute(),
        ),
        network=replace(network, pretrained=pretrained),
    )


def as_toml(settings: TrainingSettings) -> str:
    """All settings as a file that ``load`` reads."""
    return document(as_tree(settings))
