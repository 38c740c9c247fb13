"""The models of this page: those of the catalogue that are here, and uploads."""

import hashlib
import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from edge_classifier.errors import MissingFileError, OutputError, UsageError
from edge_classifier.files import replacing
from edge_classifier.modelfile.catalogue import load_catalogue, sha256_of
from edge_classifier.modelfile.model_zip import is_zip, unpack_model
from edge_classifier.web.config.settings import ClassifySettings
from edge_classifier.web.installed_models.uploaded_report import UploadedReport
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Preference
from edge_classifier.web.worker.messages import (
    Message,
    ModelDescription,
    model_from_message,
    model_to_message,
)
from edge_classifier.web.worker.picture_worker import PictureWorker

SUFFIX = ".tflite"
# Of a hash, in names.
_DIGITS = 8
# In the folder of models: what the child process said of each, by its hash.
_FACTS = ".facts"
# The preference's name.
_CHOICE = "model"
_LONGEST_SLUG = 60
_READABLE = 0o644  # A daemon of another user may share the folder.


class DuplicateModelError(UsageError):
    """The very file is here already, under the name ``subject``."""


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One model file that is here."""

    # By which it is chosen, here and by a daemon that has it.
    name: str
    path: Path
    size: int
    sha256: str
    # Where the child's words on it are kept.
    facts_file: Path
    # Of those of the catalogue.
    title: str = ""
    # Of uploaded ones.
    changed_at: datetime | None = None

    @property
    def version(self) -> str:
        """As records name it: ``name@21331c65``."""
        return f"{self.name}@{self.sha256[:_DIGITS]}"

    def runs_on(self, device: Mapping[str, Any]) -> bool:
        """Whether a daemon says so, under whatever name it has the file."""
        digits = f"@{self.sha256[:_DIGITS]}"
        return any(running.endswith(digits) for running in (device["model"], *device["models"]))

    @property
    def is_uploaded(self) -> bool:
        """Whether it lies in the folder of models, and may be deleted."""
        return self.changed_at is not None

    @property
    def facts(self) -> ModelDescription | None:
        """What the child process said of it; None: it has not been asked yet."""
        try:
            return model_from_message(Message(json.loads(self.facts_file.read_text("utf-8"))))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # Absent, broken, or of another version: it is made again.

    @property
    def report_file(self) -> Path:
        """Where the figures that were uploaded with it are."""
        return _report_file(self.path)

    @property
    def report(self) -> UploadedReport | None:
        """The figures that were uploaded with it."""
        try:
            return UploadedReport.of_json(json.loads(self.report_file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # Absent, broken, or of another version.


class ModelStore:
    """Finds, takes, tries and deletes models; and knows which one uploads are classified with."""

    def __init__(
        self,
        classify: ClassifySettings,
        folder: Path,
        worker: PictureWorker,
        live: LiveClient | None = None,
    ) -> None:
        """``folder``: where uploaded models are. ``live`` tells which models daemons run."""
        self._classify = classify
        self._folder = folder
        self._worker = worker
        self._live = live
        self._sha256 = lru_cache(maxsize=64)(_sha256)

    def installed(self) -> list[InstalledModel]:
        """All models that are here: those of the catalogue first, embedded or pulled, then uploads.

        The catalogue is the one that the child process reads, so that both mean the same by a
        name. Raises MissingFileError and ContractError when it cannot be read.
        """
        catalogue = load_catalogue()
        # Where a file has a name of the catalogue, the catalogue's model is meant.
        names = {entry.name for entry in catalogue.entries}
        files = [(one.name, catalogue.file(one), one.title, False) for one in catalogue.entries]
        uploads = sorted(self._folder.glob("*" + SUFFIX))
        files += [(path.stem, path, "", True) for path in uploads if path.stem not in names]
        models = []
        for name, path, title, is_uploaded in files:
            with suppress(OSError):  # Not pulled, not for us to read, or it goes while we look.
                found = path.stat()
                sha256 = self._sha256(path, found.st_size, found.st_mtime_ns)
                facts_file = self._facts_file(sha256)
                at = datetime.fromtimestamp(found.st_mtime, UTC) if is_uploaded else None
                models.append(
                    InstalledModel(name, path, found.st_size, sha256, facts_file, title, at)
                )
        return models

    def find(self, name: str) -> InstalledModel:
        """The model called ``name``. Raises MissingFileError."""
        found = next((model for model in self.installed() if model.name == name), None)
        if found is None:
            raise MissingFileError(name, _("no such model"))
        return found

    def chosen(self) -> str:
        """The model for uploads, as the child process takes it: the administrator's, or as set."""
        preferred = Preference.objects.filter(name=_CHOICE).values_list("value", flat=True).first()
        return preferred or self._classify.model

    def current(self) -> str:
        """The name of the installed model that ``chosen`` means, or what it says.

        Raises MissingFileError and ContractError when the catalogue cannot be read.
        """
        reference = self.chosen() or load_catalogue().default
        return Path(reference).stem if reference.endswith(SUFFIX) else reference

    def choose(self, name: str) -> None:
        """Make ``name`` the model for uploads; empty: that of the settings.

        Raises MissingFileError.
        """
        value = self.find(name).name if name else ""
        Preference.objects.update_or_create(name=_CHOICE, defaults={"value": value})

    def describe(self, model: InstalledModel) -> ModelDescription:
        """What the child process says of ``model``; it is kept. Raises the worker's errors."""
        facts = self._worker.describe_model(model.path)
        self._keep_facts(model.sha256, facts)
        return facts

    def add(self, name: str, content: Iterable[bytes], report: bytes = b"") -> InstalledModel:
        """Take an uploaded model, after a child process has run it, or nothing at all.

        It may come in a zip with its label file. ``name`` is what a person calls it; a file name
        of our own is made of it. ``report``: report.json of its training, or empty. Raises
        ModelError, ContractError, UnavailableError, UsageError and OutputError; DuplicateModelError
        where the file is here already.
        """
        folder = self._folder
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".incoming-") as beside:
                unchecked = Path(beside, "model" + SUFFIX)
                sha256 = _write(unchecked, content)
                if is_zip(unchecked):
                    packed = unchecked.rename(unchecked.with_suffix(".zip"))
                    unpack_model(packed, unchecked)
                    sha256 = sha256_of(unchecked)
                path = folder / f"{_slug(name)}-{sha256[:_DIGITS]}{SUFFIX}"
                for other in self.installed():
                    if other.sha256 == sha256:
                        problem = _("this very model is here already: %s") % other.name
                        raise DuplicateModelError(other.name, problem)
                # Under its own name, which the facts tell.
                checked = unchecked.rename(unchecked.with_name(path.name))
                figures = UploadedReport.parse(report, sha256) if report else None
                facts = self._worker.describe_model(checked)
                if figures:
                    _write_json(_report_file(path), figures.as_json())
                checked.chmod(_READABLE)
                checked.replace(path)
        except OSError as error:
            problem = _("cannot be kept (%s)") % error.strerror
            raise OutputError(str(folder), problem, _("Is the disk full?")) from error
        self._keep_facts(sha256, facts)
        return self.find(path.stem)

    def delete(self, name: str) -> None:
        """Delete an uploaded model. Raises MissingFileError and UsageError when it must stay."""
        model = self.find(name)
        if not model.is_uploaded:
            raise UsageError(name, _("“%s” is not an upload, and stays.") % name)
        if name in (self.current(), Path(self._classify.model).stem):
            problem = _("“%s” is the model for uploads. Choose another one first.")
            raise UsageError(name, problem % name)
        if users := self.devices_with(model):
            problem = _("“%(model)s” is in use by %(devices)s.")
            raise UsageError(name, problem % {"model": name, "devices": ", ".join(users)})
        for path in (model.path, model.report_file, model.facts_file):
            path.unlink(missing_ok=True)

    def devices_with(self, model: InstalledModel) -> list[str]:
        """The daemons that say that they run ``model``."""
        live = self._live
        told = [live.device(name) for name in live.devices()] if live else []
        return [device["name"] for device in told if device and model.runs_on(device)]

    def _facts_file(self, sha256: str) -> Path:
        return self._folder / _FACTS / f"{sha256}.json"

    def _keep_facts(self, sha256: str, facts: ModelDescription) -> None:
        path = self._facts_file(sha256)
        # Without them the child process is asked again, nothing else.
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            _write_json(path, model_to_message(facts).header)


def _sha256(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 (they are the key)
    """Hash of a file, read again only when it has changed. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _report_file(path: Path) -> Path:
    """Where the figures of the model at ``path`` are."""
    return path.with_suffix(".report.json")


def _write(path: Path, content: Iterable[bytes]) -> str:
    """Write a file; its SHA-256. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in content:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    """As a whole or not at all. Raises OSError."""
    with replacing(path) as file:
        file.write(json.dumps(value, ensure_ascii=False).encode())


def _slug(name: str) -> str:
    """``name`` in a to z, 0 to 9 and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain.removesuffix(SUFFIX).removesuffix(".zip"))
    return "-".join(words)[:_LONGEST_SLUG].strip("-") or "model"
