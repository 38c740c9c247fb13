"""The cameras of the configuration: opened, exchanged and closed as it changes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import partial
from math import inf

from edge_classifier.capture.camera import MAX_HUNG_THREADS, CameraCapture
from edge_classifier.capture.frame_slot import FrameSupply
from edge_classifier.capture.shared_frames import SharedFrames
from edge_classifier.capture.sources import source_for
from edge_classifier.config.changes import effect_of
from edge_classifier.config.field_types import Effect
from edge_classifier.config.secrets import read_secret
from edge_classifier.config.settings import CameraSettings, Region, Settings
from edge_classifier.core.events import CameraState
from edge_classifier.core.network.camera_address import shared_camera
from edge_classifier.daemon.cameras.camera_pipeline import CameraPipeline, DaemonOutputs
from edge_classifier.daemon.cameras.network_thread import NetworkThread
from edge_classifier.daemon.models.active_model import ActiveModel
from edge_classifier.errors import UnavailableError
from edge_classifier.mqtt.outbox.numbers_file import LastNumbers
from edge_classifier.protocols import Engine

# Seconds that a frame may take: a network that takes longer hangs, or counts as if it did.
_LONGEST_INFERENCE_S = 10.0
# Settings that reach the camera itself.
_REOPENING = tuple(
    item.name
    for item in fields(CameraSettings)
    if effect_of(("cameras", "NAME", item.name)) is Effect.REOPEN
)


class Cameras:
    """One pipeline a camera, and one capture a lens. Belongs to the main loop's thread."""

    def __init__(
        self,
        *,
        wake: Callable[[], None],
        outputs: DaemonOutputs,
        restored: Mapping[str, CameraState],
        last_numbers: LastNumbers = LastNumbers(),
    ) -> None:
        """``restored`` and ``last_numbers``: from before the restart."""
        self._wake = wake
        self._outputs = outputs
        self._restored = dict(restored)
        self._last_numbers = last_numbers
        self._captures: dict[str, CameraCapture] = {}
        # What each of them was opened with.
        self._lenses: dict[str, CameraSettings] = {}
        # Of cameras that take another one's frames.
        self._shared: dict[str, SharedFrames] = {}
        # Of cameras that were removed or exchanged, with their sources, until their drivers have
        # let go.
        self._closing: list[tuple[str, CameraCapture]] = []
        # Those of several networks, and of networks that are not in use any more.
        self._networks: dict[Engine, NetworkThread] = {}
        self._ending: list[NetworkThread] = []
        # By name, in the configuration's order. Other threads read it: it is exchanged as a whole,
        # and never changed.
        self.pipelines: Mapping[str, CameraPipeline] = {}

    def configure(self, settings: Settings, models: Mapping[str, ActiveModel]) -> None:
        """Open, close and exchange cameras until they are those of ``settings``.

        ``models``: what each runs. Raises ConfigurationError, with everything as it was, where a
        camera's credentials cannot be read.
        """
        cameras = settings.cameras
        networks = self._networks_for(models)
        lenses = {
            name: lens_settings(name, cameras)
            for name, camera in cameras.items()
            if not shared_camera(camera.source)
        }
        opened = {}
        for name, lens in lenses.items():
            if name not in self._lenses or must_reopen(self._lenses[name], lens):
                secret = read_secret(lens.credentials_file, f"camera-{name}")
                credentials = secret.reveal() if secret else None
                make_source = source_for(lens, credentials, near_px=_near_px(name, cameras, models))
                opened[name] = CameraCapture(name, make_source, lens, wake=self._wake)
        for name in set(self.pipelines) - set(cameras):
            # It may come back, and then counts on, but nobody knows what it showed meanwhile.
            self.pipelines[name].reset_label()
            self._restored[name] = self.pipelines[name].state()
        for name in (set(self._captures) - set(lenses)) | set(opened):
            self._close(name)
        self._lenses = lenses
        for name, capture in opened.items():
            self._captures[name] = capture
            self._start_or_wait(lenses[name].source, capture)
        self._share(cameras)
        self._exchange_networks(networks)
        pipelines: dict[str, CameraPipeline] = {}
        for name, camera in cameras.items():
            frames, model = self._frames_of(name), models[name]
            network = networks.get(model.classifier.engine)
            # The time of a network in a thread of its own is shared by its own cameras alone.
            fps = sum(
                other.rate_fps or inf
                for other_name, other in cameras.items()
                if other.enabled
                and (not network or models[other_name].classifier.engine is model.classifier.engine)
            )
            pipeline = self.pipelines.get(name)
            if pipeline:
                pipeline.capture = frames
                pipeline.configure(camera, settings.snapshots, model, fps=fps, network=network)
            pipelines[name] = pipeline or CameraPipeline(
                name,
                camera,
                settings.snapshots,
                model,
                frames,
                self._outputs,
                restored=self._restored.get(name),
                last_number=self._last_numbers.of(name),
                fps=fps,
                network=network,
            )
        self.pipelines = pipelines

    def _networks_for(self, models: Mapping[str, ActiveModel]) -> dict[Engine, NetworkThread]:
        """A thread for each network, where there are several; a single one runs in the main loop.

        One that has a thread keeps it, because it may be in the middle of a frame.
        """
        engines = {model.classifier.engine: model.loaded.name for model in models.values()}
        try:
            return {
                engine: self._networks.get(engine) or NetworkThread(name, self._wake)
                for engine, name in engines.items()
                if engine in self._networks or len(engines) > 1
            }
        except RuntimeError as error:
            remedy = "Use fewer models, or raise the limit of threads."
            raise UnavailableError("network", "no thread can be started", remedy) from error

    def _exchange_networks(self, networks: dict[Engine, NetworkThread]) -> None:
        for engine, network in self._networks.items():
            if engine not in networks:
                network.end()
                self._ending.append(network)
        self._networks = networks

    def has_hung_network(self) -> bool:
        """Whether a frame has been in a network's thread for too long."""
        now_s = time.monotonic()
        pending = [one.pending for one in self.pipelines.values() if one.pending]
        return any(now_s - one.began_s > _LONGEST_INFERENCE_S for one in pending)

    def _frames_of(self, name: str) -> FrameSupply:
        return self._shared[name] if name in self._shared else self._captures[name]

    def _share(self, cameras: Mapping[str, CameraSettings]) -> None:
        """Have each lens give its frames to the cameras that take them, and to no others."""
        before, self._shared = self._shared, {}
        for name, camera in cameras.items():
            if not (owner := shared_camera(camera.source)):
                continue
            frames, capture = before.get(name), self._captures[owner]
            if frames is None or frames.capture is not capture:
                is_on = partial(self._is_switched_on, owner)
                frames = SharedFrames(owner, capture, is_switched_on=is_on, wake=self._wake)
            self._shared[name] = frames
        for capture in self._captures.values():
            capture.share_with(
                tuple(one for one in self._shared.values() if one.capture is capture)
            )

    def _is_switched_on(self, name: str) -> bool:
        """Any thread. Not before there is a pipeline that would know."""
        pipeline = self.pipelines.get(name)
        return pipeline is not None and pipeline.enabled

    def check(self) -> None:
        """Look after all captures, once a second."""
        self._ending = [network for network in self._ending if not network.has_ended(0.0)]
        self._closing = [(source, one) for source, one in self._closing if not one.stop(0.0)]
        for name, capture in self._captures.items():
            if capture.is_started:
                capture.check()
            else:
                self._start_or_wait(self._lenses[name].source, capture)

    def stop(self, within_s: float) -> bool:
        """Close all; whether every driver and every network has let go."""
        deadline = time.monotonic() + within_s
        for pipeline in self.pipelines.values():
            pipeline.reports.publish_best_picture()
        # All begin to close before the first is waited for.
        for capture in self._captures.values():
            capture.stop(0.0)
        closed = [
            capture.stop(max(0.0, deadline - time.monotonic()))
            for capture in (*self._captures.values(), *(one for _, one in self._closing))
        ]
        self._exchange_networks({})
        ended = [one.has_ended(max(0.0, deadline - time.monotonic())) for one in self._ending]
        return all(closed + ended)

    def _close(self, name: str) -> None:
        """Without waiting, because its driver may hang."""
        capture = self._captures.pop(name, None)
        if capture and not capture.stop(0.0):
            self._closing.append((self._lenses[name].source, capture))

    def _start_or_wait(self, source: str, capture: CameraCapture) -> None:
        """Without a bound, each reload would add a thread to those that hang in one driver."""
        if sum(other == source for other, _ in self._closing) < MAX_HUNG_THREADS:
            capture.start()
        else:
            capture.wait_for_driver()


def lens_settings(name: str, cameras: Mapping[str, CameraSettings]) -> CameraSettings:
    """The settings by which the lens of ``name`` is opened, for all that look through it.

    Whoever looks at a part, or at what moves, needs the pixels of the whole frame.
    """
    owner = shared_camera(cameras[name].source) or name
    users = [one for one in cameras.values() if shared_camera(one.source) == owner]
    lens = cameras[owner]
    if any(one.look != "whole" or one.region != Region() for one in users):
        lens = replace(lens, look="both")
    return lens


def with_own_lens(name: str, cameras: Mapping[str, CameraSettings]) -> CameraSettings:
    """The camera ``name`` without the one whose frames it may take."""
    lens = lens_settings(name, cameras)
    own = {key: getattr(lens, key) for key in _REOPENING if key != "look"}
    return replace(cameras[name], **own)


def _near_px(
    owner: str, cameras: Mapping[str, CameraSettings], models: Mapping[str, ActiveModel]
) -> int:
    """The shorter side of the largest network that sees frames of the lens of ``owner``."""
    users = [name for name, one in cameras.items() if shared_camera(one.source) == owner]
    shapes = [models[name].loaded.engine.input.shape for name in (owner, *users)]
    return max(min(height, width) for _, height, width, _ in shapes)


def must_reopen(old: CameraSettings, new: CameraSettings) -> bool:
    """Whether a change of settings reaches the camera itself."""
    return any(getattr(old, key) != getattr(new, key) for key in _REOPENING)
