"""What one part may ask of another; fakes are in ``tests/``."""

from collections.abc import Callable
from typing import Protocol

from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import Array, TensorSpec

# Monotonic seconds, as ``time.perf_counter``.
Clock = Callable[[], float]


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


class FrameSource(Protocol):
    """Where one camera's frames come from. Used by one thread at a time.

    Any call may block, for about as long as the time limits that the source was made with; a
    driver may block for longer, and then the thread in it is abandoned.
    """

    @property
    def live(self) -> bool:
        """Whether frames come and go by themselves, as a camera's do.

        A source that is not live, such as a video file, makes each frame when it is asked for, and
        none is skipped.
        """

    def open(self) -> str:
        """Connect, and say with what, e.g. ``640x480 MJPG 30 fps``. Raises CameraError."""

    def grab(self) -> None:
        """Wait for the next frame, at the least cost. Raises CameraError, or EndOfFrames."""

    def retrieve(self) -> Frame:
        """Decode the frame that was grabbed. Its pixels are the caller's. Raises CameraError."""

    def close(self) -> None:
        """Let go of the device. Never raises; may be called at any time after ``open``."""
