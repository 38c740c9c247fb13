"""Two networks by turns, on a clock that is advanced by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from edge_classifier.core.quantization import Array, TensorSpec
from edge_classifier.evaluation.latency import interleaved
from tests.fake_source import FakeClock

SPEC = TensorSpec("x", (2,), np.dtype(np.uint8))


@dataclass
class Slow:
    """An engine that takes a known time; every tenth call is disturbed."""

    clock: FakeClock
    seconds: float
    calls: int = 0
    input: TensorSpec = SPEC
    output: TensorSpec = SPEC

    @property
    def picture(self) -> Array:
        raise NotImplementedError

    @property
    def scores(self) -> Array:
        raise NotImplementedError

    def invoke(self) -> None:
        self.calls += 1
        self.clock.add(self.seconds * (50 if self.calls % 10 == 0 else 1))


def test_latency_is_the_median_of_each_and_their_ratio() -> None:
    clock = FakeClock()
    mine, other = Slow(clock, 0.003), Slow(clock, 0.004)
    found = interleaved(mine, other, "other", rounds=20, clock=clock)
    assert (found.median_ms, found.reference_ms) == pytest.approx((3.0, 4.0))
    assert found.ratio == pytest.approx(0.75)
    assert mine.calls == other.calls == 25
    assert found.as_dict() == {
        "median_ms": 3.0, "reference": "other", "reference_ms": 4.0, "ratio": 0.75,
        "rounds": 20, "threads": 1,
    }  # fmt: skip
