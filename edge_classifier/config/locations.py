"""Where settings come from: which file, which variables, which options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SYSTEM_FILE = Path("/etc/edge-classifier/config.toml")
# Names the file, below ``--config``.
FILE_VARIABLE = "EDGE_CLASSIFIER_CONFIG"
# ``EDGE_CLASSIFIER__MQTT__HOST`` is the key ``mqtt.host``.
PREFIX = "EDGE_CLASSIFIER__"


@dataclass(frozen=True, slots=True)
class SettingsSources:
    """All that settings are read from, the stronger below the weaker."""

    # The file, where one was named with ``--config``.
    path: Path | None = None
    # May hold a secret of somebody else's, and is in no repr.
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    # ``KEY=VALUE``, of ``--set``.
    assignments: tuple[str, ...] = ()


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


def may_be_there(path: Path) -> bool:
    """Whether reading ``path`` would find something, or be refused."""
    try:
        return path.exists()
    except PermissionError:
        return True  # Reading it will say so; passing over it would be a riddle.
    except OSError:
        return False  # Such as a name that is too long.
