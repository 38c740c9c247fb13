"""Requests over MQTT: what may be asked, what carries it out, and what comes back.

Reading a request and answering it is pure; ``CommandHandler`` is the rest.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Any

from edge_classifier.core.text import one_line
from edge_classifier.daemon.active_configuration import ActiveConfiguration, Done
from edge_classifier.daemon.camera_pipeline import DaemonOutputs
from edge_classifier.daemon.cameras import Cameras
from edge_classifier.mqtt.codec.device_payloads import MAX_REQUEST_BYTES, response_payload

_log = logging.getLogger(__name__)

# What each command takes beside ``transaction``. ``camera`` names one; without it, all are meant.
COMMANDS: Mapping[str, frozenset[str]] = {
    # Whether cameras are classified: true or false.
    "enable": frozenset({"camera", "enabled"}),
    # The enter threshold from 0 to 1; null for the configured one.
    "threshold": frozenset({"camera", "threshold"}),
    # Publish a picture now, and keep it if the store is on.
    "snapshot": frozenset({"camera"}),
    # Read the configuration file again.
    "reload": frozenset(),
    # A model's name; "" for the configured one.
    "model": frozenset({"model"}),
    # Forget one of CLEARABLE.
    "clear": frozenset({"camera", "what"}),
}
# Characters of a command that is answered.
_LONGEST_COMMAND = 64
CLEARABLE = ("label", "overrides", "outbox", "store", "incidents")


class RequestError(ValueError):
    """A request that is not valid; its text goes back to whoever asked."""

    def __init__(self, problem: str, transaction: object = None) -> None:
        # It may quote what was asked, and goes into the log and back.
        super().__init__(one_line(problem))
        self.transaction = transaction


@dataclass(frozen=True, slots=True)
class Request:
    """One valid request."""

    command: str
    # The one that was named, or all.
    cameras: tuple[str, ...]
    enabled: bool = True
    threshold: float | None = None
    model: str = ""
    what: str = ""
    # Given back with the answer, whatever it is.
    transaction: object = None


def parse_request(command: str, payload: bytes, cameras: tuple[str, ...]) -> Request:
    """A request from a topic's last level and its JSON payload; an empty payload is ``{}``.

    Raises RequestError, with the transaction if that much could be read.
    """
    body = _json_object(payload)
    transaction = body.pop("transaction", None)
    try:
        if command not in COMMANDS:
            raise RequestError(f"no such command: {command!r}; there are {', '.join(COMMANDS)}")
        unknown = sorted(set(body) - COMMANDS[command])
        if unknown:
            allowed = ", ".join(sorted(COMMANDS[command] | {"transaction"}))
            raise RequestError(f"{command} takes no {', '.join(unknown)}; it takes {allowed}")
        if "camera" in body:
            if body["camera"] not in cameras:
                raise RequestError(f"no camera {body['camera']!r}; there are {', '.join(cameras)}")
            cameras = (body["camera"],)
        values = {
            key: _READERS[key](body.get(key, _MISSING)) for key in COMMANDS[command] - {"camera"}
        }
    except RequestError as error:
        raise RequestError(str(error), transaction) from None
    return Request(command, cameras, transaction=transaction, **values)


def response_to(
    request_or_error: Request | RequestError, data: Mapping[str, Any]
) -> dict[str, Any]:
    """The response's payload: status ok with ``data``, or status error with the reason."""
    error = str(request_or_error) if isinstance(request_or_error, RequestError) else None
    return response_payload(data, error=error, transaction=request_or_error.transaction)


def _json_object(payload: bytes) -> dict[str, Any]:
    def finite(text: str) -> float:
        """NaN and infinity are refused: Python reads what no answer could give back."""
        number = float(text)
        if not isfinite(number):
            raise ValueError(text)
        return number

    if len(payload) > MAX_REQUEST_BYTES:
        raise RequestError(f"the payload is longer than {MAX_REQUEST_BYTES} bytes")
    if not payload.strip():
        return {}
    try:
        body = json.loads(payload, parse_constant=finite, parse_float=finite)
    except (ValueError, RecursionError):
        raise RequestError("the payload is not JSON") from None
    if not isinstance(body, dict):
        raise RequestError("the payload is not a JSON object")
    return body


def _enabled(value: object) -> bool:
    if not isinstance(value, bool):
        raise RequestError("enabled must be true or false")
    return value


def _threshold(value: object) -> float | None:
    if value is None:
        return None
    # bool is an int in Python, and NaN passes no comparison.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RequestError("threshold must be a number from 0 to 1, or null")
    return float(value)


def _model(value: object) -> str:
    if not isinstance(value, str):
        raise RequestError("model must be a text")
    return value


def _what(value: object) -> str:
    if value not in CLEARABLE:
        raise RequestError(f"what must be one of {', '.join(CLEARABLE)}")
    return str(value)


_MISSING = object()
# What reads the value of each key, ``_MISSING`` where it was not given. They raise RequestError.
_READERS: Mapping[str, Callable[[object], Any]] = {
    "enabled": _enabled,
    "threshold": _threshold,
    "model": _model,
    "what": _what,
}


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
            "threshold": self._set_threshold,
            "snapshot": self._snapshot,
            "reload": lambda _, done: configuration.reload(done),
            "model": lambda request, done: configuration.switch_model(request.model, done),
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
            _log.warning("request %s refused: %s", command, error)
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
            _log.info("request %s done: %s", request.command, dict(outcome))
            self._publisher.put_response(request.command, response_to(request, outcome))

    def _enable(self, request: Request, done: Done) -> None:
        self._override(request, enabled=request.enabled)
        done({"cameras": list(request.cameras), "enabled": request.enabled})

    def _set_threshold(self, request: Request, done: Done) -> None:
        self._override(request, threshold=request.threshold)
        pipelines = self._cameras.pipelines
        done({"thresholds": {name: pipelines[name].threshold for name in request.cameras}})

    def _override(self, request: Request, **changed: Any) -> None:
        for name in request.cameras:
            pipeline = self._cameras.pipelines[name]
            pipeline.set_override(replace(pipeline.override, **changed))
            pipeline.publish_state()
        self._configuration.remember_overrides()

    def _snapshot(self, request: Request, done: Done) -> None:
        for name in request.cameras:
            self._cameras.pipelines[name].request_snapshot()
        done({"cameras": list(request.cameras)})

    def _clear(self, request: Request, done: Done) -> None:
        if request.what == "outbox":
            self._publisher.clear_outbox()
        elif request.what == "store":
            self._store.clear()
        elif request.what == "incidents":
            self._publisher.forget_incidents()
            self._store.forget_incident()
        elif request.what == "overrides":
            self._override(request, enabled=None, threshold=None)
        else:
            for name in request.cameras:
                pipeline = self._cameras.pipelines[name]
                pipeline.reset_label()
                pipeline.publish_state()
        done({"cleared": request.what, "cameras": list(request.cameras)})
