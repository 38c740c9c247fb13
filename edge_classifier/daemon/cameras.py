"""The cameras of the configuration: opened, exchanged and closed as it changes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import fields

from edge_classifier.capture.camera import CameraCapture
from edge_classifier.capture.reader import MakeSource
from edge_classifier.capture.sources import source_for
from edge_classifier.config.changes import effect_of
from edge_classifier.config.field_types import Effect
from edge_classifier.config.secrets import read_secret
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.events import CameraState
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.frame_result import CameraOverride

# Settings that reach the camera itself.
_REOPENING = tuple(
    item.name
    for item in fields(CameraSettings)
    if effect_of(("cameras", "NAME", item.name)) is Effect.REOPEN
)


class Cameras:
    """One grabber and one lane a camera. Belongs to the pipeline's thread."""

    def __init__(
        self,
        *,
        wake: Callable[[], None],
        restored: Mapping[str, CameraState],
        overrides: Mapping[str, CameraOverride],
    ) -> None:
        self._wake = wake
        self._restored = dict(restored)
        self._overrides = dict(overrides)
        self._grabbers: dict[str, CameraCapture] = {}
        # Of cameras that were removed or exchanged, until their drivers have let go.
        self._leaving: list[CameraCapture] = []
        # By name, in the configuration's order. Other threads read it: it is exchanged as a whole,
        # and never changed.
        self.lanes: Mapping[str, CameraPipeline] = {}

    def take(self, cameras: Mapping[str, CameraSettings], network: ActiveModel) -> None:
        """Let these cameras and this network take over.

        Raises ConfigurationError, with everything as it was, where a camera's credentials cannot
        be read.
        """
        sources = {
            name: _source(name, camera, network)
            for name, camera in cameras.items()
            if name not in self.lanes or must_reopen(self.lanes[name].settings, camera)
        }
        for name in set(self.lanes) - set(cameras):
            self._put_away(name)
        for name, make_source in sources.items():
            self._open(name, make_source, cameras[name])
        lanes: dict[str, CameraPipeline] = {}
        for name, camera in cameras.items():
            lanes[name] = self.lanes.get(name) or self._lane(name, camera, network)
            lanes[name].grabber = self._grabbers[name]
            lanes[name].configure(camera, network)
        self.lanes = lanes

    def check(self) -> None:
        """Look after all grabbers."""
        self._leaving = [grabber for grabber in self._leaving if not grabber.stop(0.0)]
        for grabber in self._grabbers.values():
            grabber.check()

    def stop(self, within_s: float) -> bool:
        """Close all; whether every driver has let go."""
        deadline = time.monotonic() + within_s
        for grabber in self._grabbers.values():
            grabber.stop(0.0)  # All begin to close before the first is waited for.
        closed = [
            grabber.stop(max(0.0, deadline - time.monotonic()))
            for grabber in (*self._grabbers.values(), *self._leaving)
        ]
        return all(closed)

    def _lane(self, name: str, camera: CameraSettings, network: ActiveModel) -> CameraPipeline:
        before = self._restored.get(name)
        override = self._overrides.get(name, CameraOverride())
        return CameraPipeline(
            name, camera, self._grabbers[name], network, before=before, override=override
        )

    def _open(self, name: str, make_source: MakeSource, camera: CameraSettings) -> None:
        self._close(name)
        self._grabbers[name] = CameraCapture(name, make_source, camera, wake=self._wake)
        self._grabbers[name].start()

    def _put_away(self, name: str) -> None:
        """Close a camera that may come back, and then counts on."""
        self._restored[name] = self.lanes[name].state()
        self._overrides[name] = self.lanes[name].override
        self._close(name)

    def _close(self, name: str) -> None:
        """Without waiting, because its driver may hang."""
        grabber = self._grabbers.pop(name, None)
        if grabber and not grabber.stop(0.0):
            self._leaving.append(grabber)


def must_reopen(old: CameraSettings, new: CameraSettings) -> bool:
    """Whether a change of settings reaches the camera itself."""
    return any(getattr(old, key) != getattr(new, key) for key in _REOPENING)


def _source(name: str, camera: CameraSettings, network: ActiveModel) -> MakeSource:
    secret = read_secret(camera.credentials_file, f"camera-{name}")
    _, height, width, _ = network.loaded.engine.input.shape
    return source_for(camera, secret.reveal() if secret else None, near_px=min(height, width))
