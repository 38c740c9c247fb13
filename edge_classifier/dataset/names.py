"""``names.toml`` beside the class folders: what classes are called in other languages."""

import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_classifier.core.contract import Contract
from edge_classifier.core.labels import UNKNOWN, unknown_name
from edge_classifier.errors import ConfigurationError

NAMES_FILE = "names.toml"
_REMEDY = 'Write e.g. daisy = {zh = "雏菊", en = "Daisy"}; labels with other than a-z are quoted.'


def read_names(path: Path, labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Language to one name a label, for each language that ``path`` has; none without the file.

    What is not named keeps its label. Raises ConfigurationError with everything that is wrong.
    """
    table = _parsed(path)
    problems = [problem for label in table for problem in _problems(label, table[label], labels)]
    names = {} if problems else _by_language(table, labels)
    problems += Contract(1, 1, labels=tuple(labels), names=names).problems()
    if problems:
        raise ConfigurationError(str(path), "\n".join(problems))
    return names


def _parsed(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(path), f"cannot be read ({error})", _REMEDY) from error
    # As the folders' names are: editors and file systems disagree on how to write an é.
    return {unicodedata.normalize("NFC", label): names for label, names in table.items()}


def _problems(label: str, value: object, labels: Sequence[str]) -> list[str]:
    # The same file serves with and without pictures of anything else.
    wrong = [] if label in labels or label == UNKNOWN else [f"{label!r} is no class folder"]
    if not isinstance(value, dict):
        return [*wrong, f"{label} is {value!r}. {_REMEDY}"]
    return wrong + [
        f"{label}.{language} is {name!r}; a text is expected"
        for language, name in value.items()
        if not isinstance(name, str) or not name.strip()
    ]


def _by_language(
    table: Mapping[str, Mapping[str, str]], labels: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    languages = sorted({language for names in table.values() for language in names})
    return {
        language: tuple(_name(table.get(label, {}), label, language) for label in labels)
        for language in languages
    }


def _name(names: Mapping[str, str], label: str, language: str) -> str:
    return names.get(language, unknown_name(language) if label == UNKNOWN else label)
