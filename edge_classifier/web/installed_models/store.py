"""The models of this page: those that came with it, and those that were uploaded."""

import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.utils.translation import gettext as _

from edge_classifier.errors import MissingFileError, OutputError, UsageError
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.web.installed_models.files import (
    DIGITS,
    SUFFIX,
    InstalledModel,
    facts_file,
    installed,
    report_file,
    write_json,
)
from edge_classifier.web.installed_models.uploaded_report import UploadedReport
from edge_classifier.web.models import Preference
from edge_classifier.web.services import parts
from edge_classifier.web.worker.results import ModelDescription, model_to

__all__ = [
    "InstalledModel",
    "add",
    "choose",
    "chosen",
    "current",
    "delete",
    "devices_with",
    "find",
    "installed",
    "look",
]

# The preference's name.
_CHOICE = "model"
_LONGEST_SLUG = 60
_READABLE = 0o644  # A daemon of another user may share the folder.


def find(name: str) -> InstalledModel:
    """The model called ``name``. Raises MissingFileError."""
    found = next((model for model in installed() if model.name == name), None)
    if found is None:
        raise MissingFileError(name, _("no such model"))
    return found


def chosen() -> str:
    """The model for uploads, as the child process takes it: the administrator's, or as set."""
    preferred = Preference.objects.filter(name=_CHOICE).values_list("value", flat=True).first()
    return preferred or parts().settings.classify.model


def current() -> str:
    """The name of the installed model that ``chosen`` means, or what it says.

    Raises MissingFileError and ContractError when the catalogue cannot be read.
    """
    reference = chosen() or load_catalogue().default
    return Path(reference).stem if reference.endswith(SUFFIX) else reference


def choose(name: str) -> None:
    """Make ``name`` the model for uploads; empty: as the settings say. Raises MissingFileError."""
    value = find(name).name if name else ""
    Preference.objects.update_or_create(name=_CHOICE, defaults={"value": value})


def look(model: InstalledModel) -> ModelDescription:
    """What the child process says of ``model``; it is kept. Raises the worker's errors."""
    facts = parts().worker.model(model.path)
    _keep_facts(model.sha256, facts)
    return facts


def add(name: str, content: Iterable[bytes], report: bytes = b"") -> InstalledModel:
    """Take an uploaded model, after a child process has run it, or nothing at all.

    ``name`` is what a person calls it; a file name of our own is made of it. ``report``:
    report.json of its training, or empty. Raises ModelError, ContractError, UnavailableError,
    UsageError and OutputError.
    """
    folder = parts().places.models
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".incoming-") as beside:
            unchecked = Path(beside, "model" + SUFFIX)
            sha256 = _write(unchecked, content)
            path = folder / f"{_slug(name)}-{sha256[:DIGITS]}{SUFFIX}"
            _refuse_copies(sha256)
            # Under its own name, which the facts tell.
            checked = unchecked.rename(unchecked.with_name(path.name))
            figures = UploadedReport.parse(report, sha256) if report else None
            facts = parts().worker.model(checked)
            if figures:
                write_json(report_file(path), figures.as_json())
            checked.chmod(_READABLE)
            checked.replace(path)
    except OSError as error:
        problem = _("cannot be kept (%s)") % error.strerror
        raise OutputError(str(folder), problem, _("Is the disk full?")) from error
    _keep_facts(sha256, facts)
    return find(path.stem)


def delete(name: str) -> None:
    """Delete an uploaded model. Raises MissingFileError and UsageError when it must stay."""
    model = find(name)
    if not model.is_uploaded:
        raise UsageError(name, _("is not an upload and stays"))
    if name in (current(), Path(parts().settings.classify.model).stem):
        raise UsageError(name, _("is the model for uploads; choose another one first"))
    if users := devices_with(model):
        raise UsageError(name, _("is in use by %s") % ", ".join(users))
    for path in (model.path, report_file(model.path), facts_file(model.sha256)):
        path.unlink(missing_ok=True)


def devices_with(model: InstalledModel) -> list[str]:
    """The daemons that say that they run ``model``."""
    live = parts().live
    told = [live.device(name) for name in live.devices()] if live else []
    return [device["name"] for device in told if device and device["model"] == model.version]


def _refuse_copies(sha256: str) -> None:
    same = next((model for model in installed() if model.sha256 == sha256), None)
    if same:
        raise UsageError(same.name, _("this very model is here already: %s") % same.name)


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


def _slug(name: str) -> str:
    """``name`` in a to z, 0 to 9 and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain.removesuffix(SUFFIX))
    return "-".join(words)[:_LONGEST_SLUG].strip("-") or "model"


def _keep_facts(sha256: str, facts: ModelDescription) -> None:
    path = facts_file(sha256)
    # Without them the child process is asked again, nothing else.
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        write_json(path, model_to(facts).header)
