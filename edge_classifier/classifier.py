"""One frame in, named predictions and timings out: the step of command line, daemon and page."""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.labels.labels import display_names, unknown_name
from edge_classifier.core.labels.tree_names import TreeNames
from edge_classifier.core.scores import Prediction, ScoreReader, name_predictions, top_k
from edge_classifier.protocols import Clock, Engine
from edge_classifier.vision.preprocess import Preprocessor


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How predictions are to be given."""

    top_k: int = 5
    # Scores below it are left out. When none is left, it is the most specific name above the labels
    # that reaches it, else ``unknown``.
    threshold: float | None = None
    language: str = "en"


class Classification(NamedTuple):
    """What the network made of one frame."""

    # Best first.
    predictions: tuple[Prediction, ...]
    preprocess_ms: float
    # Running the network and reading its scores.
    inference_ms: float


class ScoredFrame(NamedTuple):
    """The scores of one frame."""

    # Shape (classes,), in [0, 1]; the caller's own.
    scores: NDArray[np.float32]
    preprocess_ms: float
    inference_ms: float
    # What they are of; None: all that was given.
    box: RelativeBox | None = None


class Classifier:
    """An engine with its contract. Belongs to one thread, as the engine does."""

    def __init__(
        self,
        engine: Engine,
        contract: Contract,
        answer: AnswerOptions = AnswerOptions(),
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.engine = engine
        self.contract = contract
        self._answer = answer
        self._clock = clock
        self._preprocessor = Preprocessor(contract, engine.input, engine.picture)
        self._reader = ScoreReader(engine.output, contract.output)
        self._picture = engine.picture.data.cast("B")
        self._names = display_names(contract, answer.language)
        self._unknown = unknown_name(answer.language)
        self._tree_names = TreeNames(contract, answer.language)

    def classify(self, frame: Frame) -> Classification:
        """Predictions for ``frame``, at most ``top_k`` of them and at least one."""
        started = self._clock()
        self._preprocessor.write(frame)
        filled = self._clock()
        self.engine.invoke()
        ranked = top_k(
            self.engine.scores,
            self.engine.output.quantization,
            self.contract.output,
            self._answer.top_k,
        )
        threshold = self._answer.threshold
        predictions = name_predictions(ranked, self._names, threshold, self._unknown)
        sure = None if threshold is None else self.most_specific(threshold)
        if sure is not None and sure.label != predictions[0].label:
            predictions = (sure,)
        else:
            predictions = tuple(map(self._tree_names.described, predictions))
        done = self._clock()
        return Classification(predictions, 1e3 * (filled - started), 1e3 * (done - filled))

    def most_specific(self, threshold: float) -> Prediction | None:
        """The most specific name that is sure of the last frame; None: no name is."""
        return self._tree_names.most_specific(self._reader.read(self.engine.scores), threshold)

    def score(self, frame: Frame) -> ScoredFrame:
        """The scores of all classes, to be smoothed over time."""
        started = self._clock()
        self._preprocessor.write(frame)
        return self._scored(1e3 * (self._clock() - started))

    def score_preprocessed(self, picture: NDArray[Any], preprocess_ms: float) -> ScoredFrame:
        """The same for a picture that was made for this very network, shape (height, width, 3)."""
        # numpy would let go of the interpreter's lock meanwhile, and the camera's thread, which has
        # just been told that its frame was taken, would get it before the network runs.
        self._picture[:] = picture.data.cast("B")
        return self._scored(preprocess_ms)

    def _scored(self, preprocess_ms: float) -> ScoredFrame:
        started = self._clock()
        self.engine.invoke()
        scores = self._reader.read(self.engine.scores)
        return ScoredFrame(scores, preprocess_ms, 1e3 * (self._clock() - started))
