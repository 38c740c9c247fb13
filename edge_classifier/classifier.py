"""One frame in, named predictions and timings out: the step of command line, daemon and page."""

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame, PreprocessedFrame
from edge_classifier.core.labels import display_names, unknown_name
from edge_classifier.core.scores import Prediction, ScoreReader, name_predictions, top_k
from edge_classifier.protocols import Clock, Engine
from edge_classifier.vision.preprocess import Preprocessor


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """How predictions are to be given."""

    top_k: int = 5
    # Scores below it are left out; when none is left the label is ``unknown``.
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
        predictions = name_predictions(ranked, self._names, self._answer.threshold, self._unknown)
        done = self._clock()
        return Classification(predictions, 1e3 * (filled - started), 1e3 * (done - filled))

    def score(self, frame: Frame) -> ScoredFrame:
        """The scores of all classes, to be smoothed over time."""
        started = self._clock()
        self._preprocessor.write(frame)
        return self._scored(1e3 * (self._clock() - started))

    def score_prepared(self, prepared: PreprocessedFrame) -> ScoredFrame:
        """The same for a frame that was prepared for this very network."""
        # numpy would let go of the interpreter's lock meanwhile, and the camera's thread, which has
        # just been told that its frame was taken, would get it before the network runs.
        self._picture[:] = prepared.picture.data.cast("B")
        return self._scored(prepared.preprocess_ms)

    def _scored(self, preprocess_ms: float) -> ScoredFrame:
        started = self._clock()
        self.engine.invoke()
        scores = self._reader.read(self.engine.scores)
        return ScoredFrame(scores, preprocess_ms, 1e3 * (self._clock() - started))
