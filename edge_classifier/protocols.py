"""The seams: what one part may ask of another. A fake for tests stands beside each real one."""

from collections.abc import Callable
from typing import Protocol

from edge_classifier.core.quantization import Array, TensorSpec

Clock = Callable[[], float]
"""Monotonic seconds, as ``time.perf_counter``."""


class Engine(Protocol):
    """Runs one network on one picture at a time. Not to be shared between threads."""

    @property
    def input(self) -> TensorSpec:
        """Shape (1, height, width, 3)."""

    @property
    def output(self) -> TensorSpec:
        """Shape (classes,)."""

    @property
    def picture(self) -> Array:
        """The input's own memory, shape (height, width, 3): write into it, then ``invoke``.

        It stays the same array for the life of the engine.
        """

    @property
    def scores(self) -> Array:
        """The output's own memory, shape (classes,), as stored; ``invoke`` overwrites it."""

    def invoke(self) -> None:
        """Run the network on ``picture``. Releases the interpreter lock."""
