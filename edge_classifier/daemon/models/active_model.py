"""The model in use: found by name, loaded, and what the rest of the daemon needs to know of it."""

import hashlib
import io
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.config.settings import ModelSettings
from edge_classifier.core.contract import Crop, range_from_text
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels.labels import UNKNOWN, display_names, node_names, unknown_name
from edge_classifier.core.labels.taxonomy import Taxonomy
from edge_classifier.core.text import is_printable
from edge_classifier.daemon.models.fetched_models import FetchedModels
from edge_classifier.engine.delegates import AUTO
from edge_classifier.engine.model_copy import release_unused_memory
from edge_classifier.errors import MissingFileError, ModelError, OutputError
from edge_classifier.files import make_folder, replacing
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.modelfile.catalogue import load_catalogue, sha256_of
from edge_classifier.modelfile.resolve import ContractOverrides

UPLOADS_VARIABLE = "EDGE_CLASSIFIER_UPLOADS"
# A file with holes takes no room where it is, and all that there is where it is copied.
LARGEST_BYTES = 1_000_000_000
_SUFFIX = ".tflite"
# Of which an event tells the names, beside the device's own.
_MOST_LANGUAGES = 8


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A model that has been loaded, tried and warmed. Belongs to the main loop's thread."""

    loaded: LoadedModel
    classifier: Classifier

    @property
    def id(self) -> str:
        """Name and the first digits of the file's SHA-256: which weights said so."""
        return f"{self.loaded.name}@{self.loaded.sha256[:8]}"

    @property
    def labels(self) -> tuple[str, ...]:
        """One an output."""
        return self.classifier.contract.labels

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree above them."""
        return self.classifier.contract.taxonomy

    @property
    def languages(self) -> tuple[str, ...]:
        """In which it has names, the first of them."""
        tags = {tag for node in self.taxonomy.nodes for tag in node.names}
        return tuple(sorted({*self.classifier.contract.names, *tags})[:_MOST_LANGUAGES])

    def has_changed_on_disk(self, settings: ModelSettings) -> bool:
        """Whether the files that ``settings``, by which it was loaded, name are others now."""
        try:
            return self.loaded.has_changed_on_disk(_choice(settings))
        except MissingFileError:
            # What is gone cannot be taken; what is loaded goes on.
            return False

    def names(self, language: str) -> Mapping[str, str]:
        """What people call each label and node, ``unknown`` among them."""
        nodes = [node.name for node in self.taxonomy.nodes]
        names = dict(zip(nodes, node_names(self.taxonomy, language), strict=True))
        labels = display_names(self.classifier.contract, language)
        names |= dict(zip(self.labels, labels, strict=True))
        return names | {UNKNOWN: unknown_name(language)}


def load_active_model(
    settings: ModelSettings,
    before_use: Callable[[str], None] = lambda _: None,
    *,
    sha256: str = "",
    running: Iterable[ActiveModel] = (),
) -> ActiveModel:
    """Load a model and run it once, so that the first frame finds it warm.

    ``sha256``: what its file must have; empty: anything. ``running``: one with the same bytes
    shares its engine.

    May run beside models in use, in another thread. Raises the errors of ``load_model``, and what
    its ``before_use`` raises.
    """
    choice = replace(_choice(settings), sha256=sha256)
    engines = [one.loaded for one in running]
    loaded = load_model(choice, threads=settings.threads, before_use=before_use, running=engines)
    classifier = loaded.classifier(AnswerOptions())
    if not any(one.engine is loaded.engine for one in engines):
        _, height, width, _ = loaded.engine.input.shape
        classifier.score(Frame(np.zeros((height, width, 3), np.uint8)))
        release_unused_memory()
    return ActiveModel(loaded, classifier)


def _choice(settings: ModelSettings) -> ModelChoice:
    crop = Crop(settings.crop) if settings.crop else None
    input_range = range_from_text(settings.input_range) if settings.input_range else None
    overrides = ContractOverrides(settings.labels, crop, input_range, settings.taxonomy)
    return ModelChoice(settings.use, settings.delegate, overrides)


@dataclass(frozen=True, slots=True)
class RequestedModel:
    """A model that somebody asked for over MQTT; without a name, the configured one."""

    name: str = ""
    # Of its file, hex; empty: whichever has the name.
    sha256: str = ""

    def __bool__(self) -> bool:
        return bool(self.name)

    def as_json(self) -> dict[str, str]:
        """As it is remembered."""
        return {"model": self.name, "sha256": self.sha256}

    @classmethod
    def of_json(cls, kept: Any) -> "RequestedModel":
        """What ``as_json`` gave; the configured one, if it is anything else."""
        found = kept if isinstance(kept, Mapping) else {}
        name, sha256 = found.get("model"), found.get("sha256")
        if not isinstance(name, str):
            return cls()
        return cls(name, sha256 if isinstance(sha256, str) else "")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where models are that may be asked for over MQTT.

    The catalogue, a folder for whoever has the machine, and uploads. What was uploaded to the web
    page of this machine belongs to another user's service, and is copied before anything else reads
    it. The runtime maps the file of the model in use, and trusts what is in it: changed by somebody
    else after its trial, it could do anything to the daemon.
    """

    own: Path
    # Of uploads that were asked for.
    copies: Path
    # What was fetched from elsewhere.
    fetched: FetchedModels
    # The page's folder; None: there is no page on this machine.
    uploads: Path | None = None

    @classmethod
    def below(cls, state: Path, environment: Mapping[str, str] = os.environ) -> "ModelFiles":
        """Those of the daemon with this state folder."""
        uploads = environment.get(UPLOADS_VARIABLE)
        page = Path(uploads) if uploads else None
        return cls(state / "models", state / "uploads", FetchedModels(state / "fetched"), page)

    def has(self, name: str, sha256: str) -> bool:
        """Whether the very file is on this machine. Copies nothing. Raises ModelError."""
        catalogue = load_catalogue()
        entry = catalogue.by_hash(sha256)
        if self.fetched.find(sha256) or (entry and catalogue.has(entry)):
            return True
        with suppress(MissingFileError):
            found = catalogue.locate(catalogue.reference_for_name(name, self.own, self.copies))
            return sha256_of(found) == sha256
        if upload := self._upload(name):
            with suppress(OSError), _open_upload(upload) as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == sha256
        return False

    def reference(
        self, name: str, *, in_use: Collection[str] = (), sha256: str = "", delegate: str = AUTO
    ) -> str:
        """What ``load_model`` takes for the model called ``name``; with ``sha256``, that file.

        An upload is copied when it is first asked for; earlier copies go, but those of ``in_use``.
        A fetched model is tried again where ``delegate`` or the runtime are not those of its trial.
        Raises MissingFileError, ModelError and OutputError.
        """
        catalogue = load_catalogue()
        if sha256:
            if file := self.fetched.use(sha256, delegate):
                return str(file)
            entry = catalogue.by_hash(sha256)
            if entry and catalogue.has(entry):
                return entry.name
        fetched = self.fetched.folders()
        try:
            found = catalogue.reference_for_name(name, self.own, self.copies, *fetched)
        except MissingFileError:
            upload = self._upload(name)
            if upload is None:
                raise
            kept = {*in_use, *(f"{one}{_SUFFIX}" for one in in_use)}
            if not self._copy_upload(upload, kept):
                raise
            return str(self.copies / upload.name)
        if Path(found).parent in fetched:
            self.fetched.use(Path(found).parent.name, delegate)
        return found

    def _upload(self, name: str) -> Path | None:
        """Where an upload called ``name`` would be."""
        file = f"{name.removesuffix(_SUFFIX)}{_SUFFIX}"
        if self.uploads is None or Path(file).name != file or not is_printable(file):
            return None
        return self.uploads / file

    def names(self) -> tuple[str, ...]:
        """The models that are here and may be asked for, those of the catalogue first."""
        catalogue = load_catalogue()
        known = [entry.name for entry in catalogue.entries if catalogue.has(entry)]
        folders = [self.own, self.copies, *self.fetched.folders()]
        folders += [self.uploads] if self.uploads else []
        for folder in folders:
            # A folder that is not there, or not ours to look at, has none.
            with suppress(OSError):
                known += sorted(
                    path.stem
                    for path in folder.iterdir()
                    if path.suffix == _SUFFIX or (folder == self.own and path.suffix == ".zip")
                )
        return tuple(name for name in dict.fromkeys(known) if is_printable(name))

    def _copy_upload(self, upload: Path, kept: set[str]) -> bool:
        """Copy ``upload``; False: it is not there. Raises ModelError and OutputError."""
        try:
            source = _open_upload(upload)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ModelError(upload.name, f"cannot be read ({error.strerror})") from error
        with source:
            facts = os.fstat(source.fileno())
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST_BYTES:
                raise ModelError(
                    upload.name,
                    f"is not a regular file, or larger than {LARGEST_BYTES // 10**6} MB",
                )
            try:
                make_folder(self.copies, 0o700)
                for old in self.copies.iterdir():
                    if old.name not in kept:
                        old.unlink()
                with replacing(self.copies / upload.name) as copy:
                    shutil.copyfileobj(source, copy)
            except OSError as error:
                problem = f"an upload cannot be copied here ({error.strerror})"
                raise OutputError(str(self.copies), problem, "Is the disk full?") from error
        return True


def _open_upload(path: Path) -> io.BufferedReader:
    """Not through a link, to what the daemon may read and the page may not; nor waiting."""
    extra = os.O_NOFOLLOW | os.O_NONBLOCK
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | extra))
