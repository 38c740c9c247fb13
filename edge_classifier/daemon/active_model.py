"""The network in use: loading one, and what the rest of the daemon needs to know of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_classifier.assembly import LoadedModel, ModelChoice, load_model
from edge_classifier.classifier import Answer, Classifier
from edge_classifier.config.settings import ModelSettings
from edge_classifier.core.contract import Crop
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels import UNKNOWN, display_names, unknown_name
from edge_classifier.engine.memory import give_back
from edge_classifier.modelfile.resolve import ContractOverrides


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """A model that has been loaded, tried and warmed. Belongs to the pipeline's thread."""

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

    def names(self, language: str) -> Mapping[str, str]:
        """What people call each label, ``unknown`` among them."""
        names = display_names(self.classifier.contract, language)
        return dict(zip(self.labels, names, strict=True)) | {UNKNOWN: unknown_name(language)}


def load_network(settings: ModelSettings) -> ActiveModel:
    """Load a model and run it once, so that the first frame finds it warm.

    May run beside a network in use, in another thread. Raises the errors of ``load_model``.
    """
    crop = Crop(settings.crop) if settings.crop else None
    choice = ModelChoice(settings.use, settings.delegate, ContractOverrides(settings.labels, crop))
    loaded = load_model(choice, threads=settings.threads)
    classifier = loaded.classifier(Answer())
    _, height, width, _ = loaded.engine.input.shape
    classifier.score(Frame(np.zeros((height, width, 3), np.uint8)))
    give_back(loaded.seat.model)
    return ActiveModel(loaded, classifier)
