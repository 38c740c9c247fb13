"""The cameras of the configuration: opened, exchanged and closed as it changes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import fields

from edge_classifier.capture.camera import MAX_HUNG_THREADS, CameraCapture
from edge_classifier.capture.sources import source_for
from edge_classifier.config.changes import effect_of
from edge_classifier.config.field_types import Effect
from edge_classifier.config.secrets import read_secret
from edge_classifier.config.settings import CameraSettings, Settings
from edge_classifier.core.events import CameraState
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.camera_pipeline import CameraOverride, CameraPipeline, DaemonOutputs
from edge_classifier.mqtt.outbox.event_numbers import LastNumbers

# Settings that reach the camera itself.
_REOPENING = tuple(
    item.name
    for item in fields(CameraSettings)
    if effect_of(("cameras", "NAME", item.name)) is Effect.REOPEN
)


class Cameras:
    """One capture and one pipeline a camera. Belongs to the main loop's thread."""

    def __init__(
        self,
        *,
        wake: Callable[[], None],
        outputs: DaemonOutputs,
        restored: Mapping[str, CameraState],
        overrides: Mapping[str, CameraOverride],
        last_numbers: LastNumbers = LastNumbers(),
    ) -> None:
        """``restored``, ``last_numbers`` and ``overrides``: from before the restart."""
        self._wake = wake
        self._outputs = outputs
        self._restored = dict(restored)
        self._last_numbers = last_numbers
        self._overrides = dict(overrides)
        self._captures: dict[str, CameraCapture] = {}
        # Of cameras that were removed or exchanged, with their sources, until their drivers have
        # let go.
        self._closing: list[tuple[str, CameraCapture]] = []
        # By name, in the configuration's order. Other threads read it: it is exchanged as a whole,
        # and never changed.
        self.pipelines: Mapping[str, CameraPipeline] = {}

    def configure(self, settings: Settings, model: ActiveModel) -> None:
        """Open, close and exchange cameras until they are those of ``settings``, with ``model``.

        Raises ConfigurationError, with everything as it was, where a camera's credentials cannot
        be read.
        """
        cameras = settings.cameras
        _, height, width, _ = model.loaded.engine.input.shape
        opened = {}
        for name, camera in cameras.items():
            if name not in self.pipelines or must_reopen(self.pipelines[name].settings, camera):
                secret = read_secret(camera.credentials_file, f"camera-{name}")
                credentials = secret.reveal() if secret else None
                make_source = source_for(camera, credentials, near_px=min(height, width))
                opened[name] = CameraCapture(name, make_source, camera, wake=self._wake)
        for name in set(self.pipelines) - set(cameras):
            # It may come back, and then counts on.
            self._restored[name] = self.pipelines[name].state()
            self._overrides[name] = self.pipelines[name].override
            self._close(name)
        for name, capture in opened.items():
            self._close(name)
            self._captures[name] = capture
            self._start_or_wait(cameras[name].source, capture)
        pipelines: dict[str, CameraPipeline] = {}
        for name, camera in cameras.items():
            pipeline = self.pipelines.get(name)
            if pipeline:
                pipeline.capture = self._captures[name]
                pipeline.configure(camera, settings.snapshots, model)
            pipelines[name] = pipeline or CameraPipeline(
                name,
                camera,
                settings.snapshots,
                model,
                self._captures[name],
                self._outputs,
                restored=self._restored.get(name),
                last_number=self._last_numbers.of(name),
                override=self._overrides.get(name, CameraOverride()),
            )
        self.pipelines = pipelines

    def check(self) -> None:
        """Look after all captures, once a second."""
        self._closing = [(source, one) for source, one in self._closing if not one.stop(0.0)]
        for name, capture in self._captures.items():
            if capture.is_started:
                capture.check()
            else:
                self._start_or_wait(self.pipelines[name].settings.source, capture)

    def stop(self, within_s: float) -> bool:
        """Close all; whether every driver has let go."""
        deadline = time.monotonic() + within_s
        # All begin to close before the first is waited for.
        for capture in self._captures.values():
            capture.stop(0.0)
        closed = [
            capture.stop(max(0.0, deadline - time.monotonic()))
            for capture in (*self._captures.values(), *(one for _, one in self._closing))
        ]
        return all(closed)

    def _close(self, name: str) -> None:
        """Without waiting, because its driver may hang."""
        capture = self._captures.pop(name, None)
        if capture and not capture.stop(0.0):
            self._closing.append((self.pipelines[name].settings.source, capture))

    def _start_or_wait(self, source: str, capture: CameraCapture) -> None:
        """Without a bound, each reload would add a thread to those that hang in one driver."""
        if sum(other == source for other, _ in self._closing) < MAX_HUNG_THREADS:
            capture.start()
        else:
            capture.wait_for_driver()


def must_reopen(old: CameraSettings, new: CameraSettings) -> bool:
    """Whether a change of settings reaches the camera itself."""
    return any(getattr(old, key) != getattr(new, key) for key in _REOPENING)
