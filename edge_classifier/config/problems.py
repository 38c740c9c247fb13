"""What was found when settings were read: the settings, or everything that is wrong with them."""

from dataclasses import dataclass, field
from pathlib import Path

from edge_classifier.config.settings import Settings
from edge_classifier.config.toml import Key
from edge_classifier.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One thing that is wrong, in words for people; it holds no secret."""

    # What is wrong, and what is allowed.
    text: str
    # Dotted. Empty: it is not about one key.
    key: str = ""
    # As TOML, masked and cut short. Empty: there is none, or it is nobody's business.
    value: str = ""
    # ``line 3 of /etc/...``, ``$EDGE_CLASSIFIER__MQTT__HOST`` or ``--set``.
    origin: str = ""

    def __str__(self) -> str:
        what = f"{self.key} = {self.value}" if self.value else self.key
        where = f"({self.origin})" if what and self.origin else self.origin
        return ": ".join(filter(None, (" ".join(filter(None, (what, where))), self.text)))


@dataclass(frozen=True, slots=True)
class SettingsReport:
    """How reading the settings ended."""

    # The file that was read; None: there was none.
    file: Path | None
    # Not set: there are problems.
    settings: Settings | None = None
    problems: tuple[SettingProblem, ...] = ()
    # What is allowed and probably not meant.
    warnings: tuple[SettingProblem, ...] = ()
    # Where each value that is no default was set.
    origins: dict[Key, str] = field(default_factory=dict)

    def require(self) -> Settings:
        """The settings. Raises ConfigurationError with all problems, one a line."""
        if self.settings is None:
            subject = str(self.file) if self.file else "settings"
            lines = (str(problem).removeprefix(f"{subject}: ") for problem in self.problems)
            raise ConfigurationError(subject, "\n".join(lines))
        return self.settings
