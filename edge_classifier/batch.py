"""Many pictures: decoding overlapped with inference, results in order, no picture's fault fatal."""

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edge_classifier.classifier import Classification, Classifier
from edge_classifier.core.ahead import work_ahead
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.protocols import Clock
from edge_classifier.vision.pictures import LoadedPicture


@dataclass(frozen=True, slots=True)
class BatchItem:
    """What became of one picture: ``error``, or all the rest."""

    reference: str
    error: EdgeClassifierError | None = None
    picture: LoadedPicture | None = None
    classification: Classification | None = None
    decode_ms: float = 0.0
    # Decoding, preprocessing and inference; waiting for a free engine is not in it.
    total_ms: float = 0.0
    # Of a video: the second that the picture is from.
    at_s: float | None = None


def classify_all(
    references: Sequence[str],
    load: Callable[[str], LoadedPicture],
    classifiers: Sequence[Classifier],
    *,
    clock: Clock = time.perf_counter,
) -> Iterator[BatchItem]:
    """Outcomes in the order of ``references``.

    Each of ``classifiers`` serves one picture at a time, while the next ones are decoded. A bounded
    number is under way at once.
    """
    free: queue.SimpleQueue[Classifier] = queue.SimpleQueue()
    for classifier in classifiers:
        free.put(classifier)

    def work(reference: str) -> BatchItem:
        try:
            started = clock()
            picture = load(reference)
            decode_ms = 1e3 * (clock() - started)
            classifier = free.get()
            try:
                found = classifier.classify(picture.frame)
            finally:
                free.put(classifier)
        except EdgeClassifierError as error:
            return BatchItem(reference, error)
        total_ms = decode_ms + found.preprocess_ms + found.inference_ms
        return BatchItem(reference, None, picture, found, decode_ms, total_ms)

    if len(references) == 1:
        # A thread would have nobody to overlap with.
        yield work(references[0])
        return
    # Two for a single engine, so that it never waits for a file; more than engines only contend.
    yield from work_ahead(work, references, max(2, len(classifiers)))
