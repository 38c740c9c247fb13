"""A camera that does what a test says, and a clock that goes when a test says."""

import queue
from collections.abc import Callable, Iterable

import numpy as np

from edge_classifier.core.frame import Frame
from edge_classifier.errors import CameraError


def plain(level: int, size: tuple[int, int] = (32, 24)) -> Frame:
    """A frame of ``size`` (width, height), all of one grey level."""
    return Frame(np.full((size[1], size[0], 3), level, np.uint8))


# A frame that can be grabbed, and cannot be decoded.
DAMAGED = plain(1)

# A frame to give, an error to raise, or something to do before the next step.
Step = Frame | Exception | Callable[[], object]


class FakeClock:
    """Seconds that pass only when they are added."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def add(self, seconds: float) -> None:
        self.now += seconds


class FakeCamera:
    """Goes through its steps, one each time a frame is asked for; ``make`` connects to it."""

    def __init__(self, steps: Iterable[Step] = (), *, live: bool = True) -> None:
        self.live = live
        self.steps: queue.SimpleQueue[Step] = queue.SimpleQueue()
        self.opened = self.retrieved = self.closed = 0
        self.on_open: Callable[[], object] = _nothing
        self.on_retrieve: Callable[[], object] = _nothing
        self.on_close: Callable[[], object] = _nothing
        self.shoot(*steps)

    def shoot(self, *steps: Step) -> None:
        """What happens next."""
        for step in steps:
            self.steps.put(step)

    def make(self) -> "FakeSource":
        return FakeSource(self)


class FakeSource:
    """One connection to a FakeCamera."""

    def __init__(self, camera: FakeCamera) -> None:
        self._camera = camera
        self._frame = DAMAGED

    @property
    def live(self) -> bool:
        return self._camera.live

    def open(self) -> str:
        self._camera.on_open()
        self._camera.opened += 1
        return "a fake camera"

    def grab(self) -> None:
        while True:
            step = self._camera.steps.get(timeout=60)
            if isinstance(step, Frame):
                self._frame = step
                return
            if isinstance(step, Exception):
                raise step
            step()

    def retrieve(self) -> Frame:
        self._camera.on_retrieve()
        if self._frame is DAMAGED:
            raise CameraError("fake", "sent a damaged picture")
        self._camera.retrieved += 1
        return self._frame

    def close(self) -> None:
        self._camera.on_close()
        self._camera.closed += 1


def _nothing() -> None:
    pass
