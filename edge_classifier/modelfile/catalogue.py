"""The models known by name: which are embedded, which can be fetched, and where they lie."""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import ContractError, MissingFileError, ModelError
from edge_classifier.files import open_regular

CATALOGUE_VARIABLE = "EDGE_CLASSIFIER_CATALOGUE"
MODELS_VARIABLE = "EDGE_CLASSIFIER_MODELS"


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the catalogue."""

    name: str
    file: str
    title: str
    # Width and height in pixels.
    input: tuple[int, int]
    licence: str
    source: str
    # Number of outputs; 0: unknown.
    labels: int = 0
    # Hex; empty: unknown, and then the model is not offered.
    sha256: str = ""
    url: str = ""
    embedded: bool = False
    contract: Mapping[str, Any] = field(default_factory=dict)

    @property
    def offered(self) -> bool:
        """Whether it is here or can be fetched and verified."""
        return bool(self.sha256)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries, and the two folders that model files lie in."""

    default: str
    entries: tuple[Entry, ...]
    embedded_folder: Path
    pulled_folder: Path

    def entry(self, name: str) -> Entry | None:
        """The entry called ``name``."""
        return next((entry for entry in self.entries if entry.name == name), None)

    def by_hash(self, sha256: str) -> Entry | None:
        """The entry whose file has this hash."""
        return next((entry for entry in self.entries if entry.sha256 == sha256), None)

    def file(self, entry: Entry) -> Path:
        """Where the entry's file lies, or would lie once it is pulled."""
        return (self.embedded_folder if entry.embedded else self.pulled_folder) / entry.file

    def has(self, entry: Entry) -> bool:
        """Whether the entry's file is there; one in a folder that may not be searched is not."""
        try:
            return self.file(entry).is_file()
        except OSError:
            return False

    def require(self, name: str) -> Entry:
        """The entry called ``name``. Raises MissingFileError that names the nearest ones."""
        if entry := self.entry(name):
            return entry
        import difflib  # Here, because a name that exists needs no neighbours.

        names = [entry.name for entry in self.entries]
        near = difflib.get_close_matches(name, names, n=1)
        hint = (
            Sentence("Did you mean {name}?", name=near[0])
            if near
            else Sentence("There are {names}.", names=", ".join(names))
        )
        raise MissingFileError(name, Sentence("no such model in the catalogue"), hint)

    def locate(self, reference: str) -> Path:
        """The model file for a catalogue name or a path; empty: the default model's.

        Raises MissingFileError when there is none, saying how to get it.
        """
        reference = reference or self.default
        path = Path(reference)
        if entry := self.entry(reference):
            if not self.has(entry):
                problem = Sentence("is not on this machine yet")
                raise MissingFileError(reference, problem, self.how_to_get(entry))
            return self.file(entry)
        try:
            if path.is_file():
                return path
        except OSError as error:
            raise MissingFileError(reference, f"cannot be looked at ({error.strerror})") from error
        if path.suffix or "/" in reference:
            remedy = Sentence("See: edge-classify models list")
            raise MissingFileError(reference, Sentence("no such model file"), remedy)
        self.require(reference)
        raise AssertionError(reference)

    def reference_for_name(self, name: str, *folders: Path) -> str:
        """What ``locate`` takes for a model that somebody asks for over a network.

        That is a name of the catalogue, or of a file in ``folders``, the first before the second;
        never a path, because who may ask must not reach the file system. Raises MissingFileError.
        """
        if self.entry(name):
            return name
        found = [path for folder in folders for path in sorted(folder.glob("*"))]
        files = [path for path in found if path.suffix in (".tflite", ".zip") and path.is_file()]
        for path in files:
            if name in {path.name, path.stem}:
                return str(path)
        known = [entry.name for entry in self.entries] + [path.stem for path in files]
        raise MissingFileError(repr(name), "no such model", f"Known are {', '.join(known)}.")

    def how_to_get(self, entry: Entry) -> str:
        """What a person does to have the model here."""
        if entry.embedded:
            return Sentence("The installation is incomplete: install edge-classifier again.")
        if not entry.offered:
            return Sentence(
                "Its checksum is unknown, so it is not fetched: get it from {source}",
                source=entry.source,
            )
        return Sentence("Fetch it with: edge-classify models pull {name}", name=entry.name)


def load_catalogue(file: Path | None = None) -> Catalogue:
    """The catalogue of this installation, or of ``$EDGE_CLASSIFIER_CATALOGUE``, or ``file``.

    Raises ContractError when it cannot be understood.
    """
    override = os.environ.get(CATALOGUE_VARIABLE)
    file = file or (Path(override) if override else embedded_folder() / "catalogue.toml")
    try:
        with open_regular(file) as opened:
            data = tomllib.loads(opened.read().decode("utf-8-sig"))
        entries = []
        for item in data["model"]:
            width, height = item.pop("input")
            contract = MappingProxyType(item.pop("contract", {}))
            entries.append(Entry(input=(width, height), contract=contract, **item))
        return Catalogue(data["default"], tuple(entries), embedded_folder(), pulled_folder())
    except FileNotFoundError as error:
        raise MissingFileError(str(file), "no such catalogue") from error
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{type(error).__name__}: {str(error)[:80]}"
        raise ContractError(str(file), f"is not a model catalogue ({reason})") from error


def embedded_folder() -> Path:
    """The models that came with the package: inside it, or beside it in a checkout."""
    inside = Path(__file__).parent.parent / "models"
    return inside if inside.is_dir() else inside.parent.parent / "models"


def pulled_folder() -> Path:
    """Where ``models pull`` puts files: ``$EDGE_CLASSIFIER_MODELS`` or the user's data folder.

    The default follows the XDG Base Directory Specification.
    """
    if override := os.environ.get(MODELS_VARIABLE):
        return Path(override)
    return _user_folder("XDG_DATA_HOME", ".local/share", "/var/lib") / "models"


def cache_folder() -> Path:
    """Where results that can be made again are kept (XDG Base Directory Specification)."""
    return _user_folder("XDG_CACHE_HOME", ".cache", "/var/cache")


def _user_folder(variable: str, in_home: str, without_home: str) -> Path:
    """This program's folder of one kind; a service user need not have a home."""
    try:
        folder = os.environ.get(variable) or Path.home() / in_home
    except RuntimeError:
        folder = without_home
    return Path(folder) / "edge-classifier"


def sha256_of(path: Path) -> str:
    """Hex digest of a file. Raises ModelError when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        problem = Sentence("cannot be read ({cause})", cause=error.strerror)
        raise ModelError(str(path), problem) from error
