"""Settings of the page from a TOML file, variables and options; and where its files lie."""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.config.load import read_settings
from edge_classifier.config.sources import SettingsSources
from edge_classifier.errors import OutputError
from edge_classifier.files import may_be_there, replacing
from edge_classifier.web.settings import WebSettings

SYSTEM_FILE = Path("/etc/edge-classifier/web.toml")
# ``EDGE_CLASSIFIER_WEB__SERVER__PORT`` is the key ``server.port``.
PREFIX = "EDGE_CLASSIFIER_WEB__"
_HOW_TO_GET = "docs/web-settings.md shows one; none is needed."


def load(
    path: Path | None,
    assignments: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> WebSettings:
    """The settings in the file at ``path``, below variables, below ``KEY=VALUE`` assignments.

    Without ``path``, ``SYSTEM_FILE`` is read if it is there. Raises ConfigurationError with all
    problems, MissingFileError and UsageError.
    """
    path = path or (SYSTEM_FILE if may_be_there(SYSTEM_FILE) else None)
    sources = SettingsSources(
        environment=environment, assignments=tuple(assignments), prefix=PREFIX
    )
    return read_settings(WebSettings, path, sources, how_to_get=_HOW_TO_GET).require()


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the page's files lie; all absolute."""

    state: Path
    pictures: Path
    models: Path

    @property
    def database(self) -> Path:
        """SQLite's file."""
        return self.state / "web.db"

    @property
    def backups(self) -> Path:
        """Copies of the database from before each change of its tables."""
        return self.state / "backups"

    @property
    def secret_key(self) -> Path:
        """Signs cookies."""
        return self.state / "secret-key"

    @property
    def scratch(self) -> Path:
        """Files that are gone when a request ends, on the same disk as the models."""
        return self.state / "scratch"


def folders_of(settings: WebSettings, environment: Mapping[str, str] = os.environ) -> Folders:
    """Where the files of these settings lie.

    systemd may give several folders in $STATE_DIRECTORY; the first is meant.
    """
    given = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    home = environment.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    state = (settings.state_folder or Path(given or Path(home, "edge-classifier-web"))).absolute()
    return Folders(
        state,
        pictures=(settings.storage.folder or state / "pictures").absolute(),
        models=(settings.classify.models_folder or state / "models").absolute(),
    )


def make_folders(found: Folders) -> None:
    """Make what is not there, for this user alone. Raises OutputError."""
    for folder in (found.state, found.pictures, found.models, found.backups, found.scratch):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            problem = f"the folder cannot be made ({error.strerror})"
            raise OutputError(str(folder), problem, "state_folder names another.") from error


def secret_key(found: Folders) -> str:
    """The key that signs cookies; made when there is none. Raises OutputError."""
    try:
        # Empty: the power failed just after it was made.
        if not found.secret_key.exists() or not found.secret_key.stat().st_size:
            with replacing(found.secret_key, mode=0o600) as file:
                file.write(secrets.token_urlsafe(64).encode())
        return found.secret_key.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"the key cannot be read or written ({error})"
        remedy = "Deleted, it is made anew; everybody has to log in again."
        raise OutputError(str(found.secret_key), problem, remedy) from error
