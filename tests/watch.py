"""Looking after one camera, as the pipeline does, and what can be seen of it."""

import threading
import time
from collections import deque
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_classifier.capture.camera import CameraCapture
from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.capture.sources import source_for
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from tests.mjpeg import Colour

READ_S, OPEN_S = 1.5, 3.0
# So long that a camera whose loss is seen within ``eventually`` was not given up for its silence.
PATIENT_S = 60.0


class Watch:
    """A capture that is checked as the pipeline would, from a thread of its own."""

    def __init__(
        self,
        source: str,
        credentials: str | None = None,
        black_s: float = 0,
        read_timeout_s: float = READ_S,
        open_timeout_s: float = OPEN_S,
        frozen_s: float = 0,
        picture_s: float = 3,
    ) -> None:
        settings = CameraSettings(
            source=source,
            open_timeout_s=open_timeout_s,
            read_timeout_s=read_timeout_s,
            black_s=black_s,
            frozen_s=frozen_s,
            picture_s=picture_s,
            retry_max_s=0.2,
        )
        # Whether it was online, each time that changed.
        self.onlines: list[bool] = []
        self.latest: CapturedFrame | None = None
        # Number and colour of the last frames that were taken.
        self.seen: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=1000)
        self.woken = threading.Event()
        self.ending = False
        self.capture = CameraCapture(
            "door", source_for(settings, credentials), settings, wake=self._wake
        )
        self.thread = threading.Thread(target=self._look_after)

    def _wake(self) -> None:
        online = self.capture.status.online
        if self.onlines[-1:] != [online]:
            self.onlines.append(online)
        self.woken.set()

    def _look_after(self) -> None:
        while not self.ending:
            self.woken.wait(0.5)
            self.woken.clear()
            self.capture.check()
            if captured := self.capture.take_frame():
                self.latest = captured
                self.seen.append((captured.number, colour_of(captured.frame)))

    def is_online(self) -> bool:
        """As it was told last: ``onlines`` is complete then."""
        return self.onlines[-1:] == [True]

    def is_offline(self) -> bool:
        return self.onlines[-1:] == [False]

    def has_failed(self) -> bool:
        return self.capture.status.failures > 1

    @property
    def number(self) -> int:
        """Of the latest frame."""
        return self.latest.number if self.latest else 0

    @property
    def captured(self) -> int:
        """The number of the newest frame that came, whether it was taken yet or not."""
        return self.capture._slot._number

    @property
    def silent_s(self) -> float:
        """For how long no frame has come."""
        assert self.latest
        return time.monotonic() - self.latest.at.monotonic

    def is_beyond(self, number: int) -> bool:
        return self.number > number

    def shows(self, colour: Colour) -> bool:
        """Whether the latest frame does."""
        return bool(self.seen) and is_near(self.seen[-1][1], colour)

    def first_showing(self, colour: Colour) -> int:
        """The number of the first of the last frames that does."""
        return next(number for number, seen in list(self.seen) if is_near(seen, colour))

    def __enter__(self) -> Self:
        self.capture.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending = True
        self.thread.join()
        assert self.capture.stop(20), "a thread is left"


def colour_of(frame: Frame) -> NDArray[np.uint8]:
    """Blue, green and red of one pixel."""
    pixel = frame.pixels[50, 50, ::-1] if frame.order is ColourOrder.RGB else frame.pixels[50, 50]
    return np.array(pixel, np.uint8)


def is_near(seen: NDArray[np.uint8], colour: Colour) -> bool:
    return bool(np.abs(seen.astype(int) - colour).max() < 8)
