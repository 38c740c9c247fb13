"""The model files that are here, and what is kept beside them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from edge_classifier.files import replacing
from edge_classifier.modelfile.catalogue import Catalogue, load_catalogue
from edge_classifier.web.installed_models.uploaded_report import UploadedReport
from edge_classifier.web.services import parts
from edge_classifier.web.worker.protocol import Message
from edge_classifier.web.worker.results import ModelDescription, model_from

SUFFIX = ".tflite"
# Of a hash, in names.
DIGITS = 8
# In the folder of models: what the child process said of each, by its hash.
_FACTS = ".facts"


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One model file that is here."""

    # By which it is chosen, here and by a daemon that has it.
    name: str
    path: Path
    size: int
    sha256: str
    # Of those of the catalogue.
    title: str = ""
    # Of uploaded ones.
    changed_at: datetime | None = None

    @property
    def version(self) -> str:
        """As records name it: ``name@21331c65``."""
        return f"{self.name}@{self.sha256[:DIGITS]}"

    @property
    def is_uploaded(self) -> bool:
        """Whether it lies in the folder of models, and may be deleted."""
        return self.changed_at is not None

    @property
    def facts(self) -> ModelDescription | None:
        """What the child process said of it; None: it has not been asked yet."""
        try:
            kept = json.loads(facts_file(self.sha256).read_text("utf-8"))
            return model_from(Message(kept))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # Absent, broken, or of another version: it is made again.

    @property
    def report(self) -> UploadedReport | None:
        """The figures that were uploaded with it."""
        try:
            return UploadedReport.of_json(json.loads(report_file(self.path).read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # Absent, broken, or of another version.


def installed() -> list[InstalledModel]:
    """All models that are here: those of the catalogue first, embedded or pulled, then uploads.

    The catalogue is the one that the child process reads, so that both mean the same by a name.
    Raises MissingFileError and ContractError when it cannot be read.
    """
    known = load_catalogue()
    # Where a file has a name of the catalogue, the catalogue's model is meant.
    names = {entry.name for entry in known.entries}
    uploads = [model for model in _uploaded() if model.name not in names]
    return [*_catalogued(known), *uploads]


def _catalogued(known: Catalogue) -> Iterator[InstalledModel]:
    for entry in known.entries:
        path = known.file(entry)
        with suppress(OSError):  # It is not pulled, or not for us to read.
            facts = path.stat()
            sha256 = _sha256(path, facts.st_size, facts.st_mtime_ns)
            yield InstalledModel(entry.name, path, facts.st_size, sha256, entry.title)


def _uploaded() -> Iterator[InstalledModel]:
    for path in sorted(parts().places.models.glob("*" + SUFFIX)):
        with suppress(OSError):  # It goes while we look.
            facts = path.stat()
            sha256 = _sha256(path, facts.st_size, facts.st_mtime_ns)
            at = datetime.fromtimestamp(facts.st_mtime, UTC)
            yield InstalledModel(path.stem, path, facts.st_size, sha256, changed_at=at)


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 (they are the key)
    """Hash of a file, read again only when it has changed. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def report_file(path: Path) -> Path:
    """Where the figures of the model at ``path`` are."""
    return path.with_suffix(".report.json")


def facts_file(sha256: str) -> Path:
    """Where the child's words on the model with this hash are."""
    return parts().places.models / _FACTS / f"{sha256}.json"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """As a whole or not at all. Raises OSError."""
    with replacing(path) as file:
        file.write(json.dumps(value, ensure_ascii=False).encode())
