"""Times the pipeline against the bare network, interleaved, so that a busy machine slows both."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_classifier.classifier import Classifier
from edge_classifier.core.frame import Frame
from edge_classifier.protocols import Clock

_WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds."""

    median: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One frame size on one model."""

    frame: str
    rounds: int
    decode_ms: Spread
    preprocess_ms: Spread
    inference_ms: Spread
    # Preprocessing and inference, from frame to labels; decoding is not in it.
    total_ms: Spread
    bare_invoke_ms: Spread
    # Median over rounds of total over the bare invoke of the same round.
    ratio_to_bare_invoke: float


def measure(
    name: str,
    decode: Callable[[], Frame],
    classifier: Classifier,
    rounds: int,
    *,
    clock: Clock = time.perf_counter,
) -> BenchResult:
    """Decode and classify, decode and invoke, by turns for ``rounds`` rounds.

    The frame is fresh from its decoder, as a camera's is. The bare network runs after a decoder,
    too: what that has swept from the caches costs both the same.
    """
    for _ in range(_WARM_UP):
        classifier.classify(decode())
        classifier.engine.invoke()
    decodes, pre, inference, totals, bare = (np.empty(rounds) for _ in range(5))
    for number in range(rounds):
        started = clock()
        frame = decode()
        decoded = clock()
        found = classifier.classify(frame)
        classified = clock()
        decode()
        ready = clock()
        classifier.engine.invoke()
        done = clock()
        decodes[number] = decoded - started
        totals[number] = classified - decoded
        bare[number] = done - ready
        pre[number] = found.preprocess_ms / 1e3
        inference[number] = found.inference_ms / 1e3
    return BenchResult(
        frame=name,
        rounds=rounds,
        decode_ms=_spread(decodes),
        preprocess_ms=_spread(pre),
        inference_ms=_spread(inference),
        total_ms=_spread(totals),
        bare_invoke_ms=_spread(bare),
        ratio_to_bare_invoke=round(float(np.median(totals / bare)), 4),
    )


def _spread(seconds: NDArray[np.float64]) -> Spread:
    return Spread(*(round(float(1e3 * np.percentile(seconds, q)), 4) for q in (50, 95, 99)))
