"""Starts the camera's thread, and replaces it when its driver hangs.

``reader`` reopens a lost camera.
"""

import random as random_module
import threading
import time
from collections.abc import Callable

from edge_classifier.capture.dead_pictures import DeadPictureDetector
from edge_classifier.capture.frame_slot import (
    CameraStatus,
    CapturedFrame,
    FrameSlot,
    FrameTaker,
    Prepare,
)
from edge_classifier.capture.reader import GRACE_S, CameraReader, MakeSource
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.network.camera_address import is_stream
from edge_classifier.protocols import Clock

# Threads that may hang in one camera's driver before no further one is started.
MAX_HUNG_THREADS = 2
# Seconds without a check after which this process itself did not run: it was stopped by a signal,
# or had no processor. What its threads waited for then is no fault of a camera.
_STOOD_STILL_S = 2.0
# What hangs, and what helps, with a camera that is plugged in and with one behind an address.
_DRIVER = (
    "its driver hangs in",
    "calls into its driver hang",
    "Unplug the camera and plug it in again, or restart the service.",
)
_CONNECTION = (
    "its connection hangs in",
    "calls into its connection hang",
    "Switch the camera off and on again, or restart the service.",
)


class CameraCapture:
    """Keeps one camera open and its newest frame at hand.

    A thread of its own reads the camera. ``check`` is to be called at least once a second: it
    gives up a thread that hangs in the driver, and starts another one. ``status`` is for any
    thread, the rest for one caller; nothing but ``stop`` waits for the driver.

    ``wake`` is called, from the camera's thread too, when there is a new frame or status. It must
    not block.
    """

    def __init__(
        self,
        name: str,
        make_source: MakeSource,
        camera: CameraSettings,
        *,
        wake: Callable[[], None],
        clock: Clock = time.monotonic,
        utc: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._name, self._make_source, self._camera = name, make_source, camera
        self._clock, self._utc, self._random = clock, utc, random
        texts = _CONNECTION if is_stream(camera.source) else _DRIVER
        self._one_hangs, self._many_hang, self._remedy = texts
        self._slot = FrameSlot(wake, clock, utc)
        # Outlives the readers: a camera that is black again after reopening has not come back.
        self._dead_pictures = DeadPictureDetector(camera.black_s, camera.frozen_s)
        self._reader: CameraReader | None = None
        self._thread: threading.Thread | None = None
        self._hung: list[threading.Thread] = []
        self._stopped = False
        # Monotonic seconds of the last check, and of the one that came after a long while.
        self._checked_at, self._resumed_at = clock(), float("-inf")
        # Whether ``start`` was called.
        self.is_started = False

    @property
    def status(self) -> CameraStatus:
        """How the camera is now."""
        return self._slot.status(sum(thread.is_alive() for thread in self._hung))

    @property
    def wanted_from(self) -> float:
        """Monotonic seconds: frames captured before are neither decoded nor given.

        A source that is not live waits instead. Frames are decoded regardless while the camera is
        offline: the first one shows that it is back.
        """
        return self._slot.wanted_from

    @wanted_from.setter
    def wanted_from(self, seconds: float) -> None:
        self._slot.wanted_from = seconds

    @property
    def prepare(self) -> Prepare | None:
        """What is made of each frame in the camera's thread; see ``CapturedFrame.prepared``."""
        return self._slot.prepare

    @prepare.setter
    def prepare(self, prepare: Prepare | None) -> None:
        self._slot.prepare = prepare

    def share_with(self, takers: tuple[FrameTaker, ...]) -> None:
        """Give frames to these as well, and to nobody else."""
        self._slot.takers = takers

    def start(self) -> None:
        """Start a thread that opens the camera; where none is available, ``check`` tries again."""
        self.is_started = True
        self._checked_at = self._clock()
        reader = CameraReader(
            self._name,
            self._make_source,
            self._camera,
            self._slot,
            self._slot.replace_reader(),
            self._dead_pictures,
            stood_still=self._stood_still,
            clock=self._clock,
            utc=self._utc,
            random=self._random,
        )
        thread = threading.Thread(target=reader.run, name=f"camera-{self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._slot.set_offline(f"{self._name}: no thread can be started")
        else:
            self._reader, self._thread = reader, thread

    def take_frame(self) -> CapturedFrame | None:
        """The newest frame that was not taken yet and is wanted. Never waits."""
        return self._slot.take_frame()

    def check(self) -> None:
        """Check the thread. Never waits."""
        now_s = self._clock()
        if now_s - self._checked_at > _STOOD_STILL_S:
            self._resumed_at = now_s
        self._checked_at = now_s
        self._hung = [thread for thread in self._hung if thread.is_alive()]
        if self._stopped or self._slot.ended:
            return
        if self._reader is not None and self._thread is not None:
            # Whoever stood still himself lets the driver come back first.
            is_patient = now_s - self._resumed_at <= GRACE_S
            hung_call = "" if is_patient else self._reader.hung_call(now_s)
            if hung_call:
                self._hung.append(self._thread)
                reason = f"{self._name}: {self._one_hangs} {hung_call}. {self._remedy}"
                self._slot.shut_out_hung_reader(reason)
            if hung_call or not self._thread.is_alive():
                self._reader = self._thread = None
        if self._reader is None and len(self._hung) < MAX_HUNG_THREADS:
            self.start()
        elif self._reader is None:
            self.wait_for_driver()

    def _stood_still(self, since_s: float) -> bool:
        """Whether this process did not run for a while, since that monotonic second. For readers.

        The thread that checks may not have noticed yet.
        """
        return self._resumed_at >= since_s or self._clock() - self._checked_at > _STOOD_STILL_S

    def wait_for_driver(self) -> None:
        """Say that too many threads hang in this camera's driver for another one to be started."""
        self._slot.set_offline(
            f"{self._name}: {MAX_HUNG_THREADS} {self._many_hang}. {self._remedy}"
        )

    def stop(self, within_s: float) -> bool:
        """Close the camera; whether every thread has ended in time.

        Where one has not, its driver hangs, and the process can only be left by os._exit.
        """
        self._stopped = True
        self._slot.replace_reader()
        self._slot.set_offline(f"{self._name}: stopped")
        deadline = time.monotonic() + within_s
        threads = [*self._hung, *([self._thread] if self._thread else [])]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)
