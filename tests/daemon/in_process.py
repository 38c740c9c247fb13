"""The daemon without its process, broker and signals: what a request may reach."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_classifier.config.settings import (
    CameraSettings,
    DeviceSettings,
    ModelSettings,
    ModelSourceSettings,
    Settings,
    StoreSettings,
)
from edge_classifier.core.events import CameraState
from edge_classifier.daemon.active_configuration import ActiveConfiguration
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_overrides import Overrides
from edge_classifier.daemon.cameras.camera_pipeline import CameraPipeline, DaemonOutputs
from edge_classifier.daemon.commands import CommandHandler
from edge_classifier.daemon.loop import MainLoop
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.models.active_model import ModelFiles, RequestedModel
from edge_classifier.daemon.models.fetched_models import FetchedModels
from edge_classifier.daemon.models.fetcher import ModelFetcher
from edge_classifier.daemon.models.model_trials import ModelTrials
from edge_classifier.daemon.models.models_in_force import COMMON, ModelLoader, RequestedModels
from edge_classifier.daemon.store import CaptureStore
from tests.daemon.parts import AT_ONCE, RecordingPublisher
from tests.running_daemon import colours, model
from tests.waiting import eventually

GERMAN = ("rot", "grün", "blau")


class InProcessDaemon:
    """Two cameras before which colours change, a folder with models, and no publisher's thread."""

    def __init__(
        self,
        folder: Path,
        *,
        requested: str = "",
        notes: Path | None = None,
        source: ModelSourceSettings = ModelSourceSettings(),
    ) -> None:
        """``notes``: of an earlier life's trials of models."""
        self.folder = folder
        pictures = colours(folder / "pictures", "red", "green")
        if notes:
            shutil.copy(notes, folder)
        self.camera = CameraSettings(
            source=f"pictures:{pictures}", picture_s=0, rate_fps=50, decision=AT_ONCE
        )
        self.fetched = FetchedModels(folder / "fetched")
        self.models, self.uploads = folder / "models", folder / "uploads"
        model(self.models / "german.tflite", GERMAN, size=16)
        self.source = source
        self.settings = self.make_settings()
        # What reading the configuration gives.
        self.file: Settings | Exception = self.settings
        # What it gives before that, once each.
        self.files: list[Settings] = []
        self.before_reading: Callable[[], object] = lambda: None
        self.publisher = RecordingPublisher()
        self.store = CaptureStore(self.settings.store, folder / "kept")
        self.loop = MainLoop(
            self._pipelines,
            every_second=self._every_second,
            on_progress=lambda: None,
        )
        self.outputs = DaemonOutputs(self.publisher, self.store, Meters())
        self.cameras = Cameras(wake=self.loop.wake, outputs=self.outputs, restored={})
        self.trials = ModelTrials(folder)
        # What was set over MQTT in an earlier life.
        self.overrides: Mapping[str, Overrides] = {}
        self.configuration = self.make_configuration(RequestedModel(requested))
        self.commands = self.make_commands()

    def make_commands(self) -> CommandHandler:
        return CommandHandler(
            post=self.loop.post,
            configuration=self.configuration,
            cameras=self.cameras,
            outputs=self.outputs,
        )

    def make_settings(self) -> Settings:
        """What it starts with."""
        return Settings(
            device=DeviceSettings(name="pi"),
            model=ModelSettings(use=str(model(self.folder / "rgb.tflite"))),
            models=self.source,
            cameras={"door": self.camera, "yard": self.camera},
            store=StoreSettings(enabled=True),
        )

    def _every_second(self) -> None:
        """The cameras are made after the loop."""
        self.cameras.check()

    def make_configuration(
        self,
        requested: RequestedModel = RequestedModel(),
        before: RequestedModels = MappingProxyType({}),
    ) -> ActiveConfiguration:
        files = ModelFiles(self.models, self.folder / "copies", self.fetched, self.uploads)
        return ActiveConfiguration(
            self.settings,
            read_settings=self._read,
            models=ModelLoader(files, self.trials),
            fetcher=ModelFetcher(files),
            trials=self.trials,
            requested={COMMON: requested} if requested else {},
            before=before,
            overrides=self.overrides,
            post=self.loop.post,
            cameras=self.cameras,
            outputs=self.outputs,
        )

    def start(self) -> None:
        self.configuration.start()

    def ask(self, command: str, **body: object) -> dict[str, Any]:
        """The response."""
        before = len(self.publisher.responses)
        self.commands.receive(command, json.dumps({"transaction": 5, **body}).encode())
        self.turn_until(lambda: len(self.publisher.responses) > before)
        to, payload = self.publisher.responses[-1]
        assert to == command
        assert payload["transaction"] == 5
        return dict(payload)

    def answers(self, command: str, **body: object) -> list[dict[str, Any]]:
        """All of them, to a request for a model that is fetched, to the last."""
        before = len(self.publisher.responses)
        self.commands.receive(command, json.dumps({"transaction": 5, **body}).encode())

        def found() -> list[dict[str, Any]]:
            return [dict(payload) for _, payload in self.publisher.responses[before:]]

        self.turn_until(lambda: found() and "fetching" not in found()[-1]["data"])
        # What was posted with the last one is done, too.
        self.loop.run_once()
        return found()

    def done(self, command: str, **body: object) -> dict[str, Any]:
        """What a request that is done answers."""
        answer = self.ask(command, **body)
        assert (answer["status"], answer["error"]) == ("ok", None)
        data: dict[str, Any] = answer["data"]
        return data

    def refused(self, command: str, **body: object) -> str:
        """Why a request is refused; nothing has changed."""
        before = self.in_force()
        answer = self.ask(command, **body)
        assert (answer["status"], answer["data"]) == ("error", {})
        assert self.in_force() == before
        self.goes_on()
        return str(answer["error"])

    def in_force(self) -> tuple[Any, ...]:
        cameras = [
            (name, one.settings, one.capture) for name, one in self.cameras.pipelines.items()
        ]
        remembered = list(self.publisher.remembered_values.items())
        return self.configuration.settings, cameras, remembered, len(self.publisher.infos)

    def goes_on(self) -> None:
        """Every camera is classified."""
        pipelines = self.cameras.pipelines
        before = {name: one.state().seq for name, one in pipelines.items()}
        self.turn_until(
            lambda: all(pipelines[name].state().seq > seq for name, seq in before.items())
        )

    def state(self, camera: str) -> CameraState:
        return self.cameras.pipelines[camera].state()

    @property
    def model_name(self) -> str:
        """Of the model that was published last."""
        return str(self.publisher.infos[-1]["model"]).partition("@")[0]

    def turn_until(self, condition: Callable[[], object]) -> None:
        def met() -> bool:
            self.loop.run_once()
            return bool(condition())

        eventually(met, 30)

    def _pipelines(self) -> list[CameraPipeline]:
        return list(self.cameras.pipelines.values())

    def _read(self) -> Settings:
        self.before_reading()
        found = self.files.pop(0) if self.files else self.file
        if isinstance(found, Exception):
            raise found
        return found
