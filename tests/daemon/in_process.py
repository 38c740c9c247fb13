"""The daemon without its process, broker and signals: what a request may reach."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_classifier.config.settings import (
    CameraSettings,
    DeviceSettings,
    ModelSettings,
    Settings,
    StoreSettings,
)
from edge_classifier.core.events import CameraState
from edge_classifier.daemon.active_configuration import ActiveConfiguration
from edge_classifier.daemon.active_model import ModelFiles
from edge_classifier.daemon.camera_pipeline import CameraPipeline, DaemonOutputs
from edge_classifier.daemon.cameras import Cameras
from edge_classifier.daemon.commands import CommandHandler
from edge_classifier.daemon.loop import MainLoop
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.model_trials import ModelTrials
from edge_classifier.daemon.store import CaptureStore
from tests.daemon.parts import AT_ONCE, RecordingPublisher
from tests.running_daemon import colours, model
from tests.waiting import eventually

GERMAN = ("rot", "grün", "blau")


class InProcessDaemon:
    """Two cameras before which colours change, a folder with models, and no publisher's thread."""

    def __init__(self, folder: Path, *, requested: str = "") -> None:
        self.folder = folder
        pictures = colours(folder / "pictures", "red", "green")
        self.camera = CameraSettings(
            source=f"pictures:{pictures}", picture_s=0, rate_fps=50, decision=AT_ONCE
        )
        self.models, self.uploads = folder / "models", folder / "uploads"
        model(self.models / "german.tflite", GERMAN, size=16)
        use = str(model(folder / "rgb.tflite"))
        self.settings = Settings(
            device=DeviceSettings(name="pi"),
            model=ModelSettings(use=use),
            cameras={"door": self.camera, "yard": self.camera},
            store=StoreSettings(enabled=True),
        )
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
        self.cameras = Cameras(wake=self.loop.wake, outputs=self.outputs, restored={}, overrides={})
        self.trials = ModelTrials(folder)
        self.configuration = self.make_configuration(requested)
        self.commands = CommandHandler(
            post=self.loop.post,
            configuration=self.configuration,
            cameras=self.cameras,
            outputs=self.outputs,
        )

    def _every_second(self) -> None:
        """The cameras are made after the loop."""
        self.cameras.check()

    def make_configuration(self, requested: str = "") -> ActiveConfiguration:
        return ActiveConfiguration(
            self.settings,
            read_settings=self._read,
            model_files=ModelFiles(self.models, self.folder / "copies", self.uploads),
            trials=self.trials,
            requested_model=requested,
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
            (name, one.settings, one.override, one.capture)
            for name, one in self.cameras.pipelines.items()
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
