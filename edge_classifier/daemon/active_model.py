"""The model in use: found by name, loaded, and what the rest of the daemon needs to know of it."""

import os
import shutil
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.config.settings import ModelSettings
from edge_classifier.core.contract import Crop, range_from_text
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels import UNKNOWN, display_names, unknown_name
from edge_classifier.core.text import is_printable
from edge_classifier.engine.model_copy import release_unused_memory
from edge_classifier.errors import MissingFileError, ModelError, OutputError
from edge_classifier.files import make_folder, replacing
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.modelfile.resolve import ContractOverrides

UPLOADS_VARIABLE = "EDGE_CLASSIFIER_UPLOADS"
# A file with holes takes no room where it is, and all that there is where it is copied.
LARGEST_BYTES = 1_000_000_000
_SUFFIX = ".tflite"


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

    def has_changed_on_disk(self, settings: ModelSettings) -> bool:
        """Whether the files that ``settings``, by which it was loaded, name are others now."""
        try:
            return self.loaded.has_changed_on_disk(_choice(settings))
        except MissingFileError:
            # What is gone cannot be taken; what is loaded goes on.
            return False

    def names(self, language: str) -> Mapping[str, str]:
        """What people call each label, ``unknown`` among them."""
        names = display_names(self.classifier.contract, language)
        return dict(zip(self.labels, names, strict=True)) | {UNKNOWN: unknown_name(language)}


def load_active_model(
    settings: ModelSettings, before_use: Callable[[str], None] = lambda _: None
) -> ActiveModel:
    """Load a model and run it once, so that the first frame finds it warm.

    May run beside a model in use, in another thread. Raises the errors of ``load_model``, and what
    its ``before_use`` raises.
    """
    loaded = load_model(_choice(settings), threads=settings.threads, before_use=before_use)
    classifier = loaded.classifier(AnswerOptions())
    _, height, width, _ = loaded.engine.input.shape
    classifier.score(Frame(np.zeros((height, width, 3), np.uint8)))
    release_unused_memory()
    return ActiveModel(loaded, classifier)


def _choice(settings: ModelSettings) -> ModelChoice:
    crop = Crop(settings.crop) if settings.crop else None
    input_range = range_from_text(settings.input_range) if settings.input_range else None
    overrides = ContractOverrides(settings.labels, crop, input_range)
    return ModelChoice(settings.use, settings.delegate, overrides)


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
    # The page's folder; None: there is no page on this machine.
    uploads: Path | None = None

    @classmethod
    def below(cls, state: Path, environment: Mapping[str, str] = os.environ) -> "ModelFiles":
        """Those of the daemon with this state folder."""
        uploads = environment.get(UPLOADS_VARIABLE)
        return cls(state / "models", state / "uploads", Path(uploads) if uploads else None)

    def reference(self, name: str, *, in_use: str = "") -> str:
        """What ``load_model`` takes for the model called ``name``.

        An upload is copied when it is first asked for; earlier copies go, but that of ``in_use``.
        Raises MissingFileError, ModelError and OutputError.
        """
        catalogue = load_catalogue()
        try:
            return catalogue.reference_for_name(name, self.own, self.copies)
        except MissingFileError:
            file = f"{name.removesuffix(_SUFFIX)}{_SUFFIX}"
            if self.uploads is None or Path(file).name != file or not is_printable(file):
                raise
            if not self._copy_upload(self.uploads / file, {in_use, f"{in_use}{_SUFFIX}"}):
                raise
        return str(self.copies / file)

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


def _open_upload(path: Path) -> BinaryIO:
    """Not through a link, to what the daemon may read and the page may not; nor waiting."""
    extra = os.O_NOFOLLOW | os.O_NONBLOCK
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | extra))
