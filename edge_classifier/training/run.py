"""The folder of a training run: what was run, on what, with which versions."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from edge_classifier import __version__
from edge_classifier.config.tree import as_tree
from edge_classifier.errors import ConfigurationError, MissingFileError, OutputError
from edge_classifier.training import configuration
from edge_classifier.training.plan import Stage
from edge_classifier.training.settings import Settings

SETTINGS_FILE, FACTS_FILE = "settings.toml", "run.json"
MODEL_FILE, PTQ_FILE = "model.tflite", "ptq.tflite"
_LIBRARIES = ("torch", "pytorch-lightning", "litert-torch", "litert-quantizer", "ai-edge-litert")
_HEAD = ("seed", "class_weights", "network", "head")
_SECTIONS: Mapping[Stage, tuple[str, ...]] = {
    "head": _HEAD,
    "finetune": (*_HEAD, "augment", "finetune"),
    "quantize": (*_HEAD, "augment", "finetune", "quantize"),
}
"""What a stage's result depends on, beside the data."""


def begin(folder: Path, settings: Settings, fingerprint: str, *, resume: bool) -> None:
    """Make the folder of a run, and say in it what is run.

    Raises ConfigurationError for a folder that holds a run already, unless it is to be resumed,
    and OutputError.
    """
    if holds_a_run(folder) and not resume:
        raise ConfigurationError(
            str(folder), "holds a run already", "Go on with --resume, or name another --out."
        )
    facts = {"seed": settings.seed, "data": fingerprint, "versions": versions()}
    write(folder / SETTINGS_FILE, configuration.as_toml(settings))
    write(folder / FACTS_FILE, json.dumps(facts, indent=1) + "\n")


def holds_a_run(folder: Path) -> bool:
    """Whether a run was begun there."""
    return (folder / SETTINGS_FILE).exists()


def require_settings(folder: Path, assignments: Sequence[str] = ()) -> Settings:
    """Those that the run in ``folder`` was last begun with, below ``KEY=VALUE`` assignments.

    Raises MissingFileError, ConfigurationError.
    """
    if not holds_a_run(folder):
        raise MissingFileError(str(folder), "holds no run of `edge-classify train`")
    return configuration.load(folder / SETTINGS_FILE, assignments, {})


def signature(stage: Stage, settings: Settings, fingerprint: str) -> str:
    """Stands for everything that the result of ``stage`` depends on, but for the machine."""
    tree = as_tree(settings)
    relevant = {name: tree[name] for name in _SECTIONS[stage]}
    text = json.dumps([fingerprint, relevant], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Of this program, of Python, and of the libraries that a result may depend on."""
    own = {"edge-classifier": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in _LIBRARIES}


def write(path: Path, text: str) -> None:
    """Write ``text`` whole or not at all, into a folder that is made. Raises OutputError."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, "utf-8")
        unfinished.replace(path)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise OutputError(str(path), f"cannot be written ({error.strerror})") from error
