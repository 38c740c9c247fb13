"""The bare networks' speed, by turns, so that a busy machine slows both."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_classifier.evaluation.measures import rounded
from edge_classifier.protocols import Clock, Engine

ROUNDS = 60
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class Latency:
    """Medians over rounds, in milliseconds."""

    median_ms: float
    # The network that took turns with it.
    reference: str
    reference_ms: float
    # Median over rounds of this network's time over the other's.
    ratio: float
    rounds: int
    threads: int

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "median_ms": rounded(self.median_ms),
            "reference": self.reference,
            "reference_ms": rounded(self.reference_ms),
            "ratio": rounded(self.ratio),
            "rounds": self.rounds,
            "threads": self.threads,
        }


def interleaved(
    engine: Engine,
    reference: Engine,
    name: str,
    *,
    rounds: int = ROUNDS,
    threads: int = 1,
    clock: Clock = time.perf_counter,
) -> Latency:
    """Invoke ``engine`` and ``reference``, which is called ``name``, by turns for ``rounds``."""
    for _ in range(_WARM_UP):
        engine.invoke()
        reference.invoke()
    times = np.array([(_timed(engine, clock), _timed(reference, clock)) for _ in range(rounds)])
    own, other = 1e3 * np.median(times, axis=0)
    ratio = float(np.median(times[:, 0] / times[:, 1]))
    return Latency(float(own), name, float(other), ratio, rounds, threads)


def _timed(engine: Engine, clock: Clock) -> float:
    started = clock()
    engine.invoke()
    return clock() - started
