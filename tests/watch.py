"""Looking after one camera, as the pipeline does, and what can be seen of it."""

import threading
from typing import Self

import numpy as np

from edge_classifier.capture.camera import CameraCapture
from edge_classifier.capture.frame_slot import CapturedFrame
from edge_classifier.capture.sources import source_for
from edge_classifier.config.settings import CameraSettings
from tests.mjpeg import Colour

READ_S, OPEN_S = 1.5, 3.0


class Watch:
    """A capture that is checked as the pipeline would, from a thread of its own."""

    def __init__(self, source: str, credentials: str | None = None, black_s: float = 0) -> None:
        settings = CameraSettings(
            source=source,
            open_timeout_s=OPEN_S,
            read_timeout_s=READ_S,
            black_s=black_s,
            retry_max_s=0.2,
        )
        # Whether it was online, each time that changed.
        self.onlines: list[bool] = []
        self.latest: CapturedFrame | None = None
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
            self.latest = self.capture.take_frame() or self.latest

    def is_online(self) -> bool:
        return self.capture.status.online

    def is_offline(self) -> bool:
        return not self.capture.status.online

    def has_failed(self) -> bool:
        return self.capture.status.failures > 1

    @property
    def number(self) -> int:
        """Of the latest frame."""
        return self.latest.number if self.latest else 0

    def is_beyond(self, number: int) -> bool:
        return self.number > number

    def shows(self, colour: Colour) -> bool:
        if self.latest is None:
            return False
        return bool(np.abs(self.latest.frame.pixels[50, 50].astype(int) - colour).max() < 8)

    def __enter__(self) -> Self:
        self.capture.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending = True
        self.thread.join()
        assert self.capture.stop(20), "a thread is left"
