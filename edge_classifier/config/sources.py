"""Where settings come from, and how reading them ended: the settings, or all that is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from edge_classifier.config.toml import Key, inline
from edge_classifier.core.text import shortened
from edge_classifier.errors import ConfigurationError
from edge_classifier.files import may_be_there

SYSTEM_FILE = Path("/etc/edge-classifier/config.toml")
# Names the file, below ``--config``.
FILE_VARIABLE = "EDGE_CLASSIFIER_CONFIG"
# ``EDGE_CLASSIFIER__MQTT__HOST`` is the key ``mqtt.host``.
PREFIX = "EDGE_CLASSIFIER__"
# A class of settings: the daemon's, those of a training run, or those of the page.
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class SettingsSources:
    """All that settings are read from, the stronger below the weaker."""

    # The file, where one was named with ``--config``.
    path: Path | None = None
    # May hold a secret of somebody else's, and is in no repr.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    # ``KEY=VALUE``, of ``--set``.
    assignments: tuple[str, ...] = ()
    # Values of options of their own, by dotted keys.
    options: Mapping[str, Any] = field(default_factory=dict)
    # What the names of variables begin with.
    prefix: str = PREFIX


def named_file(sources: SettingsSources) -> Path | None:
    """The file that the user names, there or not."""
    variable = sources.environment.get(FILE_VARIABLE)
    return sources.path or (Path(variable) if variable else None)


def search_path(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where a file is looked for that nobody names, the best place first."""
    folder, home = environment.get("XDG_CONFIG_HOME"), environment.get("HOME")
    if not folder and home:
        folder = str(Path(home, ".config"))
    own = (Path(folder, "edge-classifier", "config.toml"),) if folder else ()
    return (SYSTEM_FILE, *own)


def find_file(sources: SettingsSources) -> Path | None:
    """The file to read; None if none is named and there is none."""
    candidates = search_path(sources.environment)
    return named_file(sources) or next(filter(may_be_there, candidates), None)


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One thing that is wrong, in words for people; it holds no secret."""

    # What is wrong, and what is allowed.
    text: str
    # Dotted. Empty: it is not about one key.
    key: str = ""
    # As TOML, masked and cut short. Empty: there is none, or it may be a secret.
    value: str = ""
    # ``line 3 of /etc/...``, ``$EDGE_CLASSIFIER__MQTT__HOST`` or ``--set``.
    origin: str = ""

    def __post_init__(self) -> None:
        # Names of keys and files are as long as somebody writes them.
        for part in ("text", "key", "origin"):
            object.__setattr__(self, part, shortened(getattr(self, part)))

    def __str__(self) -> str:
        what = f"{self.key} = {self.value}" if self.value else self.key
        where = f"({self.origin})" if what and self.origin else self.origin
        return ": ".join(filter(None, (" ".join(filter(None, (what, where))), self.text)))


@dataclass(frozen=True, slots=True)
class SettingsReport(Generic[Kind]):
    """How reading the settings ended."""

    # The file that was read; None: there was none.
    file: Path | None
    # Not set: there are problems.
    settings: Kind | None = None
    problems: tuple[SettingProblem, ...] = ()
    # What is allowed and probably not meant.
    warnings: tuple[SettingProblem, ...] = ()
    # Where each value was set that is not a default.
    origins: dict[Key, str] = field(default_factory=dict)

    def require(self) -> Kind:
        """The settings. Raises ConfigurationError with all problems, one a line."""
        if self.settings is None:
            subject = str(self.file) if self.file else "settings"
            lines = (str(problem).removeprefix(f"{subject}: ") for problem in self.problems)
            raise ConfigurationError(subject, "\n".join(lines))
        return self.settings


def allowed_words(facts: Mapping[str, Any]) -> str:
    """What may stand somewhere, for people; ``facts`` are those of a JSON schema."""
    if "enum" in facts:
        *most, last = map(inline, facts["enum"])
        return f"{', '.join(most)} or {last}"
    return _WORDS[facts["type"]](facts)


def _number(facts: Mapping[str, Any]) -> str:
    kind = "a whole number" if facts["type"] == "integer" else "a number"
    if "minimum" in facts and "maximum" in facts:
        return f"{kind} from {_plain(facts['minimum'])} to {_plain(facts['maximum'])}"
    return f"{kind} {_end(facts, 'from', 'minimum')}, {_end(facts, 'at most', 'maximum')}"


def _end(facts: Mapping[str, Any], word: str, name: str) -> str:
    """One end of a range, in words: whether it belongs to the range itself."""
    if name in facts:
        return f"{word} {_plain(facts[name])}"
    strict = {"minimum": ("above", "exclusiveMinimum"), "maximum": ("below", "exclusiveMaximum")}
    other, key = strict[name]
    return f"{other} {_plain(facts[key])}"


def _plain(number: float) -> str:
    return str(int(number) if number == int(number) else number)


def _string(facts: Mapping[str, Any]) -> str:
    if facts.get("format") == "path":
        return "a path in quotes"
    if "maxLength" in facts:
        return f"{facts['minLength']} to {facts['maxLength']} characters in quotes"
    return "text in quotes"


_WORDS = {
    "boolean": lambda _: "true or false",
    "integer": _number,
    "number": _number,
    "object": lambda _: "a table",
    "string": _string,
}
