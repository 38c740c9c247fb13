"""Classifying, with the classifier of the daemon and the command line."""

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.core.contract import Contract
from edge_classifier.core.geometry import least_size, place
from edge_classifier.core.labels.labels import UNKNOWN, display_names, node_names
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
    ScoreTask,
)


@dataclass(frozen=True, slots=True)
class _Network:
    """A model in use, and the file that it was loaded from."""

    key: tuple[str, int, int]
    id: str
    classifier: Classifier
    # A label, or a name above several, to its Chinese name.
    chinese: Mapping[str, str]


class LoadedNetworks:
    """Keeps the network that was used last, and no other."""

    def __init__(self) -> None:
        self._kept: _Network | None = None

    def classify(self, task: ClassifyTask) -> Classified:
        """Decode, make anew, classify. Raises PictureError, and the errors of loading a model."""
        catalogue = load_catalogue()
        network = self._network(catalogue, _reference(task, catalogue), task.top_k)
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
        sure = network.classifier.most_specific(task.threshold)
        if sure and sure.index is None:
            scoring.insert(0, sure)
        seen = place(frame.width, frame.height, contract).source
        return Classified(
            jpeg=jpeg,
            thumbnail=small,
            width=image.width,
            height=image.height,
            label=sure.label if sure else UNKNOWN,
            top=tuple(
                LabelScore(found.label, network.chinese.get(found.label, ""), found.score)
                for found in scoring
            ),
            crop=CropBox(
                seen.x / frame.width,
                seen.y / frame.height,
                seen.width / frame.width,
                seen.height / frame.height,
            ),
            timings_ms={
                "decode": 1e3 * (decoded - began),
                "preprocess": answer.preprocess_ms,
                "inference": answer.inference_ms,
                "encode": 1e3 * (done - answered),
            },
            model=network.id,
        )

    def score(self, jpeg: bytes, task: ScoreTask) -> tuple[LabelScore, ...]:
        """What ``task.model`` takes ``jpeg`` for. Raises as ``classify`` does."""
        network = self._network(load_catalogue(), task.model, task.top_k)
        least = least_size(network.classifier.contract)
        loaded = load_picture(
            "the frame", stream=io.BytesIO(jpeg), at_least=least, pixel_limit=task.pixel_limit
        )
        return tuple(
            LabelScore(found.label, network.chinese.get(found.label, ""), found.score)
            for found in network.classifier.classify(loaded.frame).predictions
        )

    def _network(self, catalogue: Catalogue, reference: str, top_k: int) -> _Network:
        path = catalogue.locate(reference)
        key = str(path), path.stat().st_mtime_ns, path.stat().st_size
        if self._kept is None or self._kept.key != key:
            self._kept = None  # Before the next one: there is memory for one.
            # Not on an accelerator, of which there is one, and the daemon has it.
            loaded = load_model(ModelChoice(reference, CPU))
            contract = loaded.resolved.contract
            nodes = [node.name for node in contract.taxonomy.nodes]
            names = dict(zip(nodes, node_names(contract.taxonomy, "zh"), strict=True))
            # A name that a node does not have is its English one.
            chinese = {name: shown for name, shown in names.items() if shown != name}
            self._kept = _Network(
                key,
                # As daemons tell it.
                f"{loaded.name}@{loaded.sha256[:8]}",
                loaded.classifier(AnswerOptions(top_k)),
                chinese | dict(zip(contract.labels, _chinese(contract), strict=False)),
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
