"""Classifying, with the classifier of the daemon and the command line."""

import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import least_size, place
from edge_classifier.core.labels import UNKNOWN, display_names
from edge_classifier.core.scores import Prediction, name_predictions
from edge_classifier.engine.delegates import CPU
from edge_classifier.errors import MissingFileError
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.catalogue import Catalogue, load_catalogue
from edge_classifier.vision.pictures import load_picture
from edge_classifier.web.worker.child_pictures import encoded, shrunk, thumbnail
from edge_classifier.web.worker.messages import (
    Classified,
    ClassifyTask,
    CropBox,
    LabelScore,
    ModelDescription,
)


@dataclass(frozen=True, slots=True)
class _Network:
    """A model in use, and the file that it was loaded from."""

    key: tuple[str, int, int]
    id: str
    classifier: Classifier
    chinese: tuple[str, ...]


class LoadedNetworks:
    """Keeps the network that was used last, and no other."""

    def __init__(self) -> None:
        self._kept: _Network | None = None

    def classify(self, task: ClassifyTask) -> Classified:
        """Decode, make anew, classify. Raises PictureError, and the errors of loading a model."""
        network = self._network(task)
        contract = network.classifier.contract
        began = time.perf_counter()
        # Decoded once: no smaller than what is kept, nor than what the network sees.
        width, height = (max(side, task.keep_px) for side in least_size(contract))
        frame = load_picture(
            task.picture, at_least=(width, height), pixel_limit=task.pixel_limit
        ).frame
        decoded = time.perf_counter()
        answer = network.classifier.classify(frame)
        answered = time.perf_counter()
        image = shrunk(Image.fromarray(frame.pixels), task.keep_px)
        jpeg, small = encoded(image), thumbnail(image)
        done = time.perf_counter()
        best, *others = answer.predictions
        # Of a quantized network with many labels, most score exactly nothing.
        scoring = [best, *(other for other in others if other.score > 0)]
        named = name_predictions([(0, best.score)], (best.label,), task.threshold, UNKNOWN)
        return Classified(
            jpeg=jpeg,
            thumbnail=small,
            width=image.width,
            height=image.height,
            label=named[0].label,
            top=tuple(_label_score(found, network.chinese) for found in scoring),
            crop=_crop(frame, contract),
            timings_ms={
                "decode": 1e3 * (decoded - began),
                "preprocess": answer.preprocess_ms,
                "inference": answer.inference_ms,
                "encode": 1e3 * (done - answered),
            },
            model=network.id,
        )

    def _network(self, task: ClassifyTask) -> _Network:
        catalogue = load_catalogue()
        reference = _reference(task, catalogue)
        path = catalogue.locate(reference)
        key = str(path), path.stat().st_mtime_ns, path.stat().st_size
        if self._kept is None or self._kept.key != key:
            self._kept = None  # Before the next one: there is memory for one.
            # Not on an accelerator, of which there is one, and the daemon has it.
            loaded = load_model(ModelChoice(reference, CPU))
            self._kept = _Network(
                key,
                # As daemons tell it.
                f"{loaded.name}@{loaded.sha256[:8]}",
                loaded.classifier(AnswerOptions(task.top_k)),
                _chinese(loaded.resolved.contract),
            )
        return self._kept


def _reference(task: ClassifyTask, catalogue: Catalogue) -> str:
    """What ``load_model`` takes for the name that was chosen.

    Paths come from the settings only: whoever chooses a model must not reach the file system.
    """
    name = task.model or task.configured
    try:
        return catalogue.reference_for_name(name, Path(task.models)) if name else name
    except MissingFileError:
        if name == task.configured:
            return name
        raise


def _chinese(contract: Contract) -> tuple[str, ...]:
    """The Chinese names, one a label; empty if the model has none."""
    names = display_names(contract, "zh")
    return () if names is contract.labels else names


def _label_score(found: Prediction, chinese: tuple[str, ...]) -> LabelScore:
    name = chinese[found.index] if chinese and found.index is not None else ""
    return LabelScore(found.label, name, found.score)


def _crop(frame: Frame, contract: Contract) -> CropBox:
    box = place(frame.width, frame.height, contract).source
    width, height = frame.width, frame.height
    return CropBox(box.x / width, box.y / height, box.width / width, box.height / height)


def describe(path: Path) -> ModelDescription:
    """Try the model file at ``path``. Raises ModelError, ContractError."""
    loaded = load_model(ModelChoice(str(path), CPU))
    contract = loaded.resolved.contract
    return ModelDescription(
        name=loaded.name,
        sha256=loaded.sha256,
        size=path.stat().st_size,
        labels=contract.labels,
        chinese=_chinese(contract),
        width=contract.width,
        height=contract.height,
        card=loaded.resolved.card,
        notes=loaded.notes,
    )
