"""Carries out requests over MQTT, and answers them."""

import logging
from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import inf
from typing import Any

from edge_classifier.core.text import is_printable
from edge_classifier.daemon.active_configuration import ActiveConfiguration
from edge_classifier.daemon.background import Done
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_overrides import OverrideError
from edge_classifier.daemon.cameras.camera_pipeline import DaemonOutputs
from edge_classifier.daemon.command_requests import (
    Request,
    RequestError,
    parse_request,
    response_to,
)
from edge_classifier.daemon.models.active_model import RequestedModel
from edge_classifier.daemon.models.models_in_force import COMMON
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.mqtt.codec.burst_frames import BurstRequest
from edge_classifier.mqtt.codec.camera_settings import SETTABLE

_log = logging.getLogger(__name__)

# Characters of a command that is answered.
_LONGEST_COMMAND = 64
# Of a model that is offered, which is told everywhere.
_LONGEST_NAME = 200


def _level(command: str, usual: int) -> int:
    """Whoever looks at a camera asks for it every few seconds, for hours."""
    return logging.DEBUG if command == "burst" else usual


class CommandHandler:
    """Carries out requests. All but ``receive`` belongs to the main loop's thread."""

    def __init__(
        self,
        post: Callable[[Callable[[], None]], bool],
        configuration: ActiveConfiguration,
        cameras: Cameras,
        outputs: DaemonOutputs,
    ) -> None:
        """``post`` has something done in the main loop; False when too much is waiting there."""
        self._post = post
        self._configuration = configuration
        self._cameras = cameras
        self._publisher, self._store = outputs.publisher, outputs.store
        self._handlers: Mapping[str, Callable[[Request, Done], None]] = {
            "enable": self._enable,
            "camera": self._set_camera,
            "threshold": self._set_threshold,
            "snapshot": self._snapshot,
            "burst": self._ask_burst,
            "reload": lambda _, done: configuration.reload(done),
            "model": self._switch_model,
            "offer": self._offer,
            "clear": self._clear,
        }

    def receive(self, command: str, payload: bytes) -> None:
        """A request has come. Any thread."""
        if not self._post(partial(self._handle, command, payload)):
            _log.warning("request %s dropped: too many are waiting", command)

    def _handle(self, command: str, payload: bytes) -> None:
        try:
            request = parse_request(command, payload, tuple(self._cameras.pipelines))
            self._handlers[command](request, partial(self._respond, request))
        except RequestError as error:
            _log.log(_level(command, logging.WARNING), "request %s refused: %s", command, error)
            # The answer's topic has the command in it, and topics have a bound.
            if len(command) > _LONGEST_COMMAND:
                return
            self._publisher.put_response(command, response_to(error, {}))
        except Exception:  # noqa: BLE001 (whoever may publish must not be able to end the daemon)
            _log.exception("request %s failed", command)

    def _respond(self, request: Request, outcome: Mapping[str, Any] | Exception) -> None:
        """Publish and log the outcome; any thread."""
        if isinstance(outcome, Exception):
            _log.warning("request %s failed: %s", request.command, outcome)
            error = RequestError(str(outcome), request.transaction)
            self._publisher.put_response(request.command, response_to(error, {}))
        else:
            level = _level(request.command, logging.INFO)
            told = dict(outcome)
            if request.command == "camera":
                # The answer has all settings.
                told = {"camera": request.camera, "set": request.set, "reset": request.reset}
            _log.log(level, "request %s done: %s", request.command, told)
            self._publisher.put_response(request.command, response_to(request, outcome))

    def _enable(self, request: Request, done: Done) -> None:
        self._override(request, {"enabled": request.enabled})
        done({"cameras": list(request.cameras), "enabled": request.enabled})

    def _set_threshold(self, request: Request, done: Done) -> None:
        if request.threshold is None:
            self._override(request, {}, ("enter",))
        else:
            self._override(request, {"enter": request.threshold})
        pipelines = self._cameras.pipelines
        done({"thresholds": {name: pipelines[name].threshold for name in request.cameras}})

    def _set_camera(self, request: Request, done: Done) -> None:
        self._override(request, request.set, request.reset)
        told = {
            name: self._configuration.announcement.settings_of(name) for name in request.cameras
        }
        done({"settings": told})

    def _override(
        self, request: Request, values: Mapping[str, Any], reset: Collection[str] = ()
    ) -> None:
        try:
            self._configuration.set_cameras(request.cameras, dict(values), reset)
        except (OverrideError, EdgeClassifierError) as error:
            raise RequestError(str(error), request.transaction) from error
        except RecursionError as error:
            problem = "the values are nested too deeply"
            raise RequestError(problem, request.transaction) from error

    def _snapshot(self, request: Request, done: Done) -> None:
        for name in request.cameras:
            self._cameras.pipelines[name].request_snapshot()
        done({"cameras": list(request.cameras)})

    def _ask_burst(self, request: Request, done: Done) -> None:
        (name,) = request.cameras
        pipeline = self._cameras.pipelines[name]
        wanted = BurstRequest(
            request.seconds, request.rate, int(request.longest_px), int(request.max_bytes)
        )
        status = pipeline.capture.status
        # Whoever switches a camera off wants nobody to look through it.
        reason = pipeline.idle.meaning if pipeline.idle else ""
        if not reason and not status.online:
            reason = f"the camera is offline: {status.reason}"
        if reason and wanted.seconds:
            raise RequestError(f"{name} gives no pictures now: {reason}", request.transaction)
        together = pipeline.burst.ask(wanted)
        done(
            {
                "camera": name,
                "seconds": round(together.seconds, 1),
                "rate": min(together.rate_fps, pipeline.settings.rate_fps or inf),
                "longest_px": together.longest_px,
                "max_bytes": together.max_bytes,
            }
        )

    def _switch_model(self, request: Request, done: Done) -> None:
        wanted = RequestedModel(request.model, request.sha256 if request.model else "")
        owner = request.camera or COMMON
        self._configuration.switch_model(owner, wanted, done, reason=request.reason)

    def _offer(self, request: Request, done: Done) -> None:
        if request.model and not request.sha256:
            problem = "offer needs the sha256 of the model's file"
            raise RequestError(problem, request.transaction)
        if len(request.model) > _LONGEST_NAME or not is_printable(request.model):
            raise RequestError("model is not the name of a model", request.transaction)
        offered = RequestedModel(request.model, request.sha256 if request.model else "")
        self._configuration.announcement.offer(offered)
        done({"offered": offered.name})

    def _clear(self, request: Request, done: Done) -> None:
        if request.what == "outbox":
            self._publisher.clear_outbox()
        elif request.what == "store":
            self._store.clear()
        elif request.what == "incidents":
            self._publisher.forget_incidents()
            self._store.forget_incident()
        elif request.what == "overrides":
            self._override(request, {}, SETTABLE)
        else:
            for name in request.cameras:
                pipeline = self._cameras.pipelines[name]
                pipeline.reset_label()
                pipeline.publish_state()
        done({"cleared": request.what, "cameras": list(request.cameras)})
