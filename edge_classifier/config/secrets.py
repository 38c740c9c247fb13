"""Passwords: read from files, and hidden wherever a value might be shown."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_classifier.config.toml import Key
from edge_classifier.core.network.camera_address import is_miswritten, is_stream, mask
from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import ConfigurationError
from edge_classifier.files import may_be_there, open_regular

# Set by systemd: a folder that only this service can read.
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
HIDDEN = "***"
_LONGEST = 4096
# Keys that name a file with a secret in it, and what that file is.
SECRET_FILES: Mapping[str, str] = MappingProxyType(
    {
        "password_file": "a file whose first line is the password",
        "credentials_file": "a file whose first line is USER:PASSWORD",
        "addresses_file": "a file with one address a line",
        "token_file": "a file whose first line is the token",
    }
)


class Secret:
    """A password that is not printed by accident. To be kept no longer than needed."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The password, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    __hash__ = None  # type: ignore[assignment]  # as a key it would be kept


def presentable(key: Key, value: Any) -> Any:
    """The value of a setting, or a table of them, as it may be shown to anybody."""
    if isinstance(value, Mapping):
        return {name: presentable((*key, name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [presentable(key, item) for item in value]
    text = str(value) if isinstance(value, str | Path) else ""
    if key and key[-1] in SECRET_FILES and text and ("/" not in text or "://" in text):
        return HIDDEN  # No path: somebody may have put the secret itself there.
    if key and key[-1] == "source" and is_miswritten(text):
        return HIDDEN  # Meant as an address, with a password as likely as not.
    return mask(text) if is_stream(text) else value


def read_secret(
    file: Path | None, credential: str, environment: Mapping[str, str] = os.environ
) -> Secret | None:
    """The first line of ``file``, else of the systemd credential; None if there is neither.

    Raises ConfigurationError for a file that is named or there, and has no such line.
    """
    path = _secret_file(file, credential, environment)
    if path is None:
        return None
    text = _read(path, _LONGEST + 2)
    line = text.partition("\n")[0].rstrip("\r")
    if not line or len(line) > _LONGEST:
        problem = Sentence("is empty")
        if text:
            problem = Sentence(
                "the first line is not a secret of 1 to {most} characters", most=_LONGEST
            )
        remedy = Sentence("Write the secret there, and nothing else.")
        raise ConfigurationError(str(path), problem, remedy)
    return Secret(line)


def read_secret_lines(
    file: Path | None, credential: str, most: int, environment: Mapping[str, str] = os.environ
) -> list[tuple[int, Secret]]:
    """The lines of such a file with their numbers, but for empty ones and those after a #.

    Raises ConfigurationError where there is no file, or not 1 to ``most`` lines in it.
    """
    path = _secret_file(file, credential, environment)
    if path is None:
        problem = Sentence("no file is named, and there is no such systemd credential")
        raise ConfigurationError(credential, problem)
    text = _read(path, most * _LONGEST)
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    found = [(number, Secret(line)) for number, line in lines if line and line[0] != "#"]
    if not 1 <= len(found) <= most:
        problem = Sentence(
            "must have 1 to {most} lines, but has {count}", most=most, count=len(found)
        )
        raise ConfigurationError(str(path), problem)
    return found


def _secret_file(file: Path | None, credential: str, environment: Mapping[str, str]) -> Path | None:
    folder = environment.get(CREDENTIALS_VARIABLE)
    if file or not folder:
        return file
    # Of ``LoadCredential=NAME:FILE``, and of ``LoadCredential=secrets:FOLDER``.
    credentials = Path(folder, credential), Path(folder, f"secrets_{credential}")
    return next(filter(may_be_there, credentials), None)


def _read(path: Path, most: int) -> str:
    """At most so many characters from the beginning of a file."""
    try:
        # Windows' editors begin a file with a byte order mark, which no password does.
        with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig") as file:
            return file.read(most)
    except OSError as error:
        remedy = Sentence("It is to be a text file that the service's user can read.")
        problem = Sentence("the secret cannot be read ({cause})", cause=error.strerror)
        raise ConfigurationError(str(path), problem, remedy) from error
    except UnicodeDecodeError:
        # Its cause would show the secret.
        raise ConfigurationError(str(path), Sentence("the secret is not UTF-8 text")) from None
