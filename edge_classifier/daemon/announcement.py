"""What is told of the daemon as a whole: ``info``, the description for Home Assistant, the log."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edge_classifier import __version__
from edge_classifier.config.changes import in_force
from edge_classifier.config.secrets import presentable
from edge_classifier.config.settings import Settings
from edge_classifier.config.toml import as_tree
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_overrides import (
    NO_OVERRIDES,
    Overrides,
    values_in_force,
)
from edge_classifier.daemon.cameras.camera_pipeline import DaemonOutputs
from edge_classifier.daemon.models.active_model import ActiveModel, RequestedModel
from edge_classifier.daemon.models.fetcher import ModelFetcher
from edge_classifier.daemon.models.models_in_force import (
    ModelLoader,
    ModelsInForce,
    configured_uses,
)
from edge_classifier.mqtt.codec.camera_settings import camera_settings_payload
from edge_classifier.mqtt.codec.device_payloads import RunningModel, info_payload
from edge_classifier.mqtt.message_writer import CameraLabels
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

# Of rules that rest, in what is told of the model: a camera may have hundreds.
MOST_TOLD = 10
# Models that were uploaded or fetched since are offered after so long at the latest.
_NAMES_S = 60.0


class DeviceAnnouncement:
    """What runs here, told to whoever listens. Belongs to the main loop's thread."""

    def __init__(
        self,
        settings: Settings,
        cameras: Cameras,
        outputs: DaemonOutputs,
        loader: ModelLoader,
        fetcher: ModelFetcher,
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """``settings``: with which the daemon was started."""
        self._started_with = self._settings = settings
        self._cameras, self._loader, self._fetcher = cameras, loader, fetcher
        self._publisher, self._store = outputs.publisher, outputs.store
        self._clock = clock
        self._models = ModelsInForce()
        # Rules that name labels which the camera's model does not have, a line each.
        self._resting_rules: Sequence[str] = ()
        # What was set over MQTT, by camera.
        self._overrides: Mapping[str, Overrides] = {}
        self._incidents: tuple[str, ...] = ()
        self._names: tuple[str, ...] = ()
        self._names_due_s = 0.0
        # By whoever recommends one; nothing: nobody does.
        self._offered = RequestedModel()

    def publish(
        self,
        settings: Settings,
        models: ModelsInForce,
        resting_rules: Sequence[str],
        overrides: Mapping[str, Overrides],
    ) -> None:
        """Tell what is in force from now on; ``overrides``: what of it was set over MQTT."""
        self._settings, self._models, self._resting_rules = settings, models, resting_rules
        self._overrides = overrides
        self._names = self._names_for_requests()
        self._publisher.follow_cameras(camera_titles(settings))
        self._describe()
        self.publish_info()
        for pipeline in self._cameras.pipelines.values():
            pipeline.publish_state()

    def log(self) -> None:
        """What was published last, to the log."""
        for model, cameras in self._cameras_by_model():
            note = model.loaded.delegate_choice.note
            _log.info("model %s, %s; cameras %s", model.id, note, ", ".join(cameras))
        for note in (*self._model_notes(), *self._resting_notes()):
            _log.warning("%s", note)

    def publish_news(self) -> None:
        """Once a second: tell what was lost or deleted since, and which models have come."""
        if self._incidents_now() != self._incidents:
            self.publish_info()
        if self._clock() >= self._names_due_s:
            names = self._names_for_requests()
            if names != self._names:
                self._names = names
                self._describe()

    def publish_info(self) -> None:
        """The ``info`` topic."""
        loaded = self._models.first.loaded
        configuration = as_tree(in_force(self._started_with, self._settings))
        self._incidents = self._incidents_now()
        offered = None
        if self._offered:
            # The very file may have another name here.
            version = f"{self._offered.name}@{self._offered.sha256[:8]}"
            running = self._models.first.id if self._runs_offered() else version
            offered = {**self._offered.as_json(), "version": running}
        self._publisher.put_info(
            info_payload(
                version=__version__,
                model=self._models.first.id,
                models=[
                    RunningModel(model.id, model.loaded.delegate_choice.note, cameras)
                    for model, cameras in self._cameras_by_model()
                ],
                runtime=f"{loaded.runtime.name} {loaded.runtime.version}",
                delegate=loaded.delegate_choice.note,
                notes=[
                    *self._models.troubles,
                    *self._model_notes(),
                    *self._resting_notes(),
                    *self._incidents,
                ],
                resting_rules=self._resting_rules[:MOST_TOLD],
                labels=list(
                    dict.fromkeys(
                        name
                        for pipeline in self._cameras.pipelines.values()
                        for name in pipeline.rules.label_map.labels
                    )
                ),
                model_change=self._fetcher.change,
                model_offered=offered,
                settings={name: self.settings_of(name) for name in self._settings.cameras},
                configuration=presentable((), configuration),
            )
        )

    def settings_of(self, camera: str) -> dict[str, Any]:
        """What may be set over MQTT of ``camera``: as it is in force, and whether it was."""
        values = values_in_force(self._settings.cameras[camera])
        return camera_settings_payload(values, self._overrides.get(camera, NO_OVERRIDES))

    def _describe(self) -> None:
        language = self._settings.device.language
        names = {id(model): model.names(language) for model in self._models.models}
        translations = {
            id(model): {one: model.names(one) for one in model.languages}
            for model in self._models.models
        }
        self._publisher.describe_device(
            {
                name: CameraLabels(
                    pipeline.rules.label_map.labels,
                    partial(_named, names[id(pipeline.model)]),
                    translations[id(pipeline.model)],
                )
                for name, pipeline in self._cameras.pipelines.items()
            },
            ", ".join(model.id for model in self._models.models),
            self._names,
            stats_s=self._settings.mqtt.stats_s,
            offer="" if self._runs_offered() else json.dumps(self._offered.as_json()),
        )

    def offer(self, offered: RequestedModel) -> None:
        """What the page says is the latest model for this device; nothing changes by that."""
        self._offered = offered
        self.publish_info()
        self._describe()

    def _runs_offered(self) -> bool:
        """Whether there is nothing to install."""
        running = (model.loaded.sha256 for model in self._models.models)
        return not self._offered or self._offered.sha256 in running

    def _names_for_requests(self) -> tuple[str, ...]:
        """Models that may be asked for, and those that run."""
        self._names_due_s = self._clock() + _NAMES_S
        running = (model.loaded.name for model in self._models.models)
        # What the settings name is the way back, wherever its file lies.
        configured = [Path(use).stem for use in configured_uses(self._settings)]
        return tuple(dict.fromkeys((*self._loader.names_for_requests(), *running, *configured)))

    def _cameras_by_model(self) -> list[tuple[ActiveModel, list[str]]]:
        """Each model with the cameras that run it."""
        models, cameras = self._models, self._settings.cameras
        return [
            (model, [name for name in cameras if models.of(name).model is model])
            for model in models.models
        ]

    def _model_notes(self) -> list[str]:
        """What is to be known of the models; of several, each with its name."""
        models = self._models.models
        return [
            f"{model.loaded.name}: {note}" if len(models) > 1 else note
            for model in models
            for note in model.loaded.notes
        ]

    def _resting_notes(self) -> list[str]:
        told = [f"this rule rests: {rule}" for rule in self._resting_rules[:MOST_TOLD]]
        more = len(self._resting_rules) - len(told)
        return [*told, f"{more} more rules rest"] if more else told

    def _incidents_now(self) -> tuple[str, ...]:
        store = self._store.status.incident
        return (*self._publisher.status.incidents, *([f"store: {store}"] if store else []))


def _named(names: Mapping[str, str], label: str) -> str:
    return names.get(label, label)


def camera_titles(settings: Settings) -> Mapping[str, str]:
    """What people call each camera."""
    return {name: camera.title or name for name, camera in settings.cameras.items()}
