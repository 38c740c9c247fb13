"""The folder of a training run: what was run, on what, with which versions."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edge_classifier import __version__
from edge_classifier.config.toml import as_tree
from edge_classifier.errors import ConfigurationError, MissingFileError
from edge_classifier.files import cannot_write, write_whole
from edge_classifier.training import load_settings
from edge_classifier.training.settings import TrainingSettings
from edge_classifier.training.train.plan import Stage, checkpoint_path

SETTINGS_FILE, FACTS_FILE = "settings.toml", "run.json"
MODEL_FILE, PTQ_FILE = "model.tflite", "ptq.tflite"
_LIBRARIES = ("torch", "litert-torch", "litert-quantizer", "ai-edge-litert")
_HEAD = ("seed", "class_weights", "network", "head")
# What a stage's result depends on, beside the data.
_SECTIONS: Mapping[Stage, tuple[str, ...]] = {
    "head": _HEAD,
    "finetune": (*_HEAD, "augment", "finetune"),
    "quantize": (*_HEAD, "augment", "finetune", "quantize"),
}


def write_run_facts(
    folder: Path, settings: TrainingSettings, fingerprint: str, *, resume: bool
) -> None:
    """Make the folder of a run, and say in it what is run.

    Raises OutputError, and ConfigurationError for a folder where a stage has begun already, unless
    that is to be resumed with the same pictures and settings.
    """
    if begun := [stage for stage in _SECTIONS if checkpoint_path(folder, stage, "last").exists()]:
        if not resume:
            remedy = "Go on with --resume, or name another --out."
            raise ConfigurationError(str(folder), "holds a run already", remedy)
        _require_same(folder, begun[-1], settings, fingerprint)
    facts = {"seed": settings.seed, "data": fingerprint, "versions": versions()}
    write(folder / SETTINGS_FILE, load_settings.as_toml(settings))
    write(folder / FACTS_FILE, json.dumps(facts, indent=1) + "\n")


def _require_same(folder: Path, stage: Stage, settings: TrainingSettings, fingerprint: str) -> None:
    """What has been learned up to ``stage`` is good for what it was learned with."""
    remedy = "Name another --out."
    facts = folder / FACTS_FILE
    try:
        begun_with = json.loads(facts.read_text("utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = "does not say any more which pictures the run was begun with"
        raise ConfigurationError(str(facts), problem, remedy) from error
    if begun_with != fingerprint:
        problem = "was begun with other pictures, or another share of them held out"
        raise ConfigurationError(str(folder), problem, remedy)
    before, now = _relevant(stage, require_settings(folder)), _relevant(stage, settings)
    changed = [f"{key} was {before[key]}, is {now[key]}" for key in now if before[key] != now[key]]
    if changed:
        problem = f"was begun with other settings: {', '.join(changed)}"
        raise ConfigurationError(str(folder), problem, remedy)


def _relevant(stage: Stage, settings: TrainingSettings) -> dict[str, Any]:
    """What the result of ``stage`` depends on, by dotted key."""
    tree = as_tree(settings)
    tables = {name: tree[name] for name in _SECTIONS[stage]}
    return {
        f"{name}.{key}" if key else name: value
        for name, table in tables.items()
        for key, value in (table if isinstance(table, dict) else {"": table}).items()
    }


def require_settings(folder: Path, assignments: Sequence[str] = ()) -> TrainingSettings:
    """Those that the run in ``folder`` was last begun with, below ``KEY=VALUE`` assignments.

    Raises MissingFileError, ConfigurationError.
    """
    if not (folder / SETTINGS_FILE).exists():
        raise MissingFileError(str(folder), "holds no run of `edge-classify train`")
    return load_settings.load(folder / SETTINGS_FILE, assignments, {})


def signature(stage: Stage, settings: TrainingSettings, fingerprint: str) -> str:
    """Stands for everything that the result of ``stage`` depends on, but for the machine."""
    text = json.dumps([fingerprint, _relevant(stage, settings)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of this program, of Python, and of the libraries that a result may depend on."""
    own = {"edge-classifier": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in _LIBRARIES}


def write(path: Path, text: str) -> None:
    """Write ``text`` whole or not at all, into a folder that is made. Raises OutputError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    write_whole(path, text)
