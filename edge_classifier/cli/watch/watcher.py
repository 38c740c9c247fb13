"""The daemon's way of a frame without the daemon: nothing is published, and nothing is kept."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from edge_classifier.capture.frame_slot import CameraStatus
from edge_classifier.config.settings import Settings
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_pipeline import (
    CameraPipeline,
    DaemonOutputs,
    Explain,
)
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.loop import MainLoop
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.models.models_in_force import ModelsInForce
from edge_classifier.daemon.store import CaptureStore
from edge_classifier.mqtt.publisher import Publisher

# For drivers to let go, when it ends.
_CLOSING_S = 3.0

_ENDING = (signal.SIGINT, signal.SIGTERM)

# Gets why a camera gives no frames.
Trouble = Callable[[str], None]
# Whether enough was seen; gets how the cameras are, by name.
IsEnough = Callable[[Mapping[str, CameraStatus]], bool]


class Watcher:
    """The cameras of ``settings``, through the daemon's own pipeline. Belongs to the main thread.

    ``on_frame`` gets what became of each frame, ``on_trouble`` each reason why a camera is offline.
    """

    def __init__(
        self, settings: Settings, models: ModelsInForce, *, on_frame: Explain, on_trouble: Trouble
    ) -> None:
        settings = replace(
            settings,
            mqtt=replace(settings.mqtt, enabled=False),
            snapshots=replace(settings.snapshots, enabled=False),
            store=replace(settings.store, enabled=False),
        )
        self.frames = 0
        # How the cameras were when it ended, by name.
        self.statuses: Mapping[str, CameraStatus] = {}
        self._on_frame, self._on_trouble = on_frame, on_trouble
        # Whether a driver did not let go.
        self.has_hung = False
        self._is_enough: IsEnough = lambda _: False
        self._told: dict[str, str] = {}
        self._ends_s = float("inf")
        # Neither is started: what they are given waits for nobody, and each part of it is bounded.
        publisher = Publisher(
            settings.mqtt,
            settings.outbox,
            Path(os.devnull),
            node="watch",
            cameras={},
            password=lambda: None,
            on_request=lambda *_: None,
            on_published=lambda _: None,
        )
        store = CaptureStore(settings.store, Path(os.devnull))
        meters = Meters()
        meters.set_cameras(settings.cameras)
        outputs = DaemonOutputs(publisher, store, meters, self._count)
        self._loop = MainLoop(
            self._pipelines,
            every_second=self._every_second,
            on_progress=self._stop_in_time,
        )
        self._cameras = Cameras(wake=self._loop.wake, outputs=outputs, restored={})
        self._cameras.configure(
            settings, {name: models.of(name).model for name in settings.cameras}
        )

    def run(self, seconds: float | None, is_enough: IsEnough = lambda _: False) -> None:
        """Watch, until Ctrl-C, SIGTERM, the end of all videos, or so many seconds have passed.

        ``is_enough`` may end it, too; it is asked once a second.
        """
        self._is_enough = is_enough
        if seconds is not None:
            self._ends_s = time.monotonic() + seconds
        before = {number: signal.signal(number, lambda *_: self._loop.stop()) for number in _ENDING}
        try:
            self._loop.run()
        finally:
            self.statuses = self._status_of_all()
            self.has_hung = not self._cameras.stop(_CLOSING_S)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pipelines(self) -> Iterable[CameraPipeline]:
        return self._cameras.pipelines.values()

    def _count(self, pipeline: CameraPipeline, result: FrameResult) -> None:
        self.frames += 1
        self._told.pop(pipeline.name, None)
        self._on_frame(pipeline, result)

    def _stop_in_time(self) -> None:
        if time.monotonic() >= self._ends_s:
            self._loop.stop()

    def _every_second(self) -> None:
        self._cameras.check()
        statuses = self._status_of_all()
        has_ended = all(status.ended for status in statuses.values())
        # One that never gave a frame is most probably named wrongly; one that was lost comes back.
        has_failed = not self.frames and all(status.failures for status in statuses.values())
        if has_ended or has_failed or self._is_enough(statuses):
            self._loop.stop()
            return
        for name, status in statuses.items():
            is_news = status.failures and status.reason != self._told.get(name)
            if is_news and not status.online and not status.ended:
                self._told[name] = status.reason
                self._on_trouble(status.reason)

    def _status_of_all(self) -> dict[str, CameraStatus]:
        return {name: one.capture.status for name, one in self._cameras.pipelines.items()}
