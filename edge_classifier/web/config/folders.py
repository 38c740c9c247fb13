"""Where the web server's files lie: the database, pictures, models, the key that signs cookies."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.errors import OutputError
from edge_classifier.files import default_state_folder, replacing
from edge_classifier.web.config.settings import WebSettings


@dataclass(frozen=True, slots=True)
class Folders:
    """The paths; all absolute."""

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
    def clock(self) -> Path:
        """What the clock was when it was looked at last."""
        return self.state / "clock.json"

    @property
    def lessons(self) -> Path:
        """Class folders of lessons, made when they are wanted."""
        return self.state / "lessons"

    @property
    def taught(self) -> Path:
        """Models that lessons came to, and their reports."""
        return self.state / "taught"

    @property
    def features(self) -> Path:
        """What networks made of pictures of lessons; it may be deleted at any time."""
        return self.state / "features"

    @property
    def scratch(self) -> Path:
        """Files that are gone when a request ends, on the same disk as the models."""
        return self.state / "scratch"


def folders_of(settings: WebSettings, environment: Mapping[str, str] = os.environ) -> Folders:
    """Where the files of these settings lie. Raises OutputError for a user without a home."""
    own = settings.state_folder or default_state_folder("edge-classifier-web", environment)
    state = own.absolute()
    return Folders(
        state,
        pictures=(settings.storage.folder or state / "pictures").absolute(),
        models=(settings.classify.models_folder or state / "models").absolute(),
    )


def make_folders(folders: Folders) -> None:
    """Make what is not there, for this user alone. Raises OutputError."""
    for folder in (
        folders.state,
        folders.pictures,
        folders.models,
        folders.backups,
        folders.scratch,
        folders.lessons,
    ):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            problem = f"the folder cannot be made ({error.strerror})"
            raise OutputError(str(folder), problem, "state_folder names another.") from error


def secret_key(folders: Folders) -> str:
    """The key that signs cookies; made when there is none. Raises OutputError."""
    try:
        # Empty: the power failed just after it was made.
        if not folders.secret_key.exists() or not folders.secret_key.stat().st_size:
            with replacing(folders.secret_key, mode=0o600) as file:
                file.write(secrets.token_urlsafe(64).encode())
        return folders.secret_key.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"the key cannot be read or written ({error})"
        remedy = "Deleted, it is made anew; everybody has to log in again."
        raise OutputError(str(folders.secret_key), problem, remedy) from error
