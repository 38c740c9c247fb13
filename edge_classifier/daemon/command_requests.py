"""What may be asked over MQTT: requests are read, and their answers written. Pure."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from edge_classifier.core.text import one_line
from edge_classifier.mqtt.codec.burst_frames import (
    MAX_FRAME_BYTES,
    MAX_LONGEST_PX,
    MAX_RATE_FPS,
    MAX_SECONDS,
    MIN_FRAME_BYTES,
    MIN_LONGEST_PX,
    MIN_RATE_FPS,
    BurstRequest,
)
from edge_classifier.mqtt.codec.camera_settings import SETTABLE
from edge_classifier.mqtt.codec.device_payloads import MAX_REQUEST_BYTES, response_payload

# What each command takes beside ``transaction``. ``camera`` names one; without it, all are meant.
COMMANDS: Mapping[str, frozenset[str]] = {
    # Whether cameras are classified: true or false.
    "enable": frozenset({"camera", "enabled"}),
    # Some of its settings, above the file; and what is to be again as the file says. Of one camera.
    "camera": frozenset({"camera", "set", "reset"}),
    # The enter threshold from 0 to 1; null for the configured one.
    "threshold": frozenset({"camera", "threshold"}),
    # Publish a picture now, and keep it if the store is on.
    "snapshot": frozenset({"camera"}),
    # Publish some frames of one camera, small, for a few seconds. 0 seconds: no more.
    "burst": frozenset({"camera", "seconds", "rate", "longest_px", "max_bytes"}),
    # Read the configuration file again.
    "reload": frozenset(),
    # A model's name; "" for the configured one. With the SHA-256 of its file, that very one. Of a
    # camera, or of all that have none of their own. Why the one before is given up.
    "model": frozenset({"camera", "model", "sha256", "reason"}),
    # A model that is recommended for this device, to be told and not to be run; "" for none.
    "offer": frozenset({"model", "sha256"}),
    # Forget one of CLEARABLE.
    "clear": frozenset({"camera", "what"}),
}
# What a burst is where a request does not say.
_BURST = BurstRequest()
_LONGEST_REASON = 500
_HASH = re.compile("[0-9a-f]{64}")
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
    # The one that was named; empty: none was.
    camera: str = ""
    enabled: bool = True
    threshold: float | None = None
    model: str = ""
    sha256: str = ""
    reason: str = ""
    what: str = ""
    seconds: float = _BURST.seconds
    rate: float = _BURST.rate_fps
    longest_px: float = _BURST.longest_px
    max_bytes: float = _BURST.max_bytes
    # Settings by the names in SETTABLE, not judged yet; and those that are to be as in the file.
    set: Mapping[str, Any] = field(default_factory=dict)
    reset: tuple[str, ...] = ()
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
        elif command in ("burst", "camera"):
            raise RequestError(f"{command} needs a camera; there are {', '.join(cameras)}")
        values = {
            key: _READERS[key](body.get(key, _MISSING)) for key in COMMANDS[command] - {"camera"}
        }
        if both := [name for name in values.get("reset", ()) if name in values["set"]]:
            raise RequestError(f"{', '.join(both)}: either set or reset")
    except RequestError as error:
        raise RequestError(str(error), transaction) from None
    return Request(command, cameras, body.get("camera", ""), transaction=transaction, **values)


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


def _sha256(value: object) -> str:
    if value is _MISSING:
        return ""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise RequestError("sha256 must be 64 digits from 0 to f")
    return value


def _reason(value: object) -> str:
    if value is _MISSING:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST_REASON:
        raise RequestError(f"reason must be a text of at most {_LONGEST_REASON} characters")
    return one_line(value)


def _what(value: object) -> str:
    if value not in CLEARABLE:
        raise RequestError(f"what must be one of {', '.join(CLEARABLE)}")
    return str(value)


def _set(value: object) -> dict[str, Any]:
    if value is _MISSING:
        return {}
    if not isinstance(value, dict):
        raise RequestError('set must be an object, such as {"look": "motion"}')
    _require_settable(value)
    return value


def _reset(value: object) -> tuple[str, ...]:
    if value is _MISSING:
        return ()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise RequestError('reset must be a list of names, such as ["look"]')
    _require_settable(value)
    return tuple(value)


def _require_settable(names: Iterable[str]) -> None:
    if others := [name for name in names if name not in SETTABLE]:
        can = ", ".join(SETTABLE)
        raise RequestError(f"{', '.join(others)} cannot be set over MQTT; these can: {can}")


def _number(name: str, low: float, high: float, otherwise: float) -> Callable[[object], float]:
    """Reads a number from ``low`` to ``high``; ``otherwise`` where none was given."""

    def read(value: object) -> float:
        if value is _MISSING:
            return otherwise
        number = None if isinstance(value, bool) else value
        if not isinstance(number, int | float) or not low <= number <= high:
            raise RequestError(f"{name} must be a number from {low:g} to {high:g}")
        return number

    return read


_MISSING = object()
# What reads the value of each key, ``_MISSING`` where it was not given. They raise RequestError.
_READERS: Mapping[str, Callable[[object], Any]] = {
    "enabled": _enabled,
    "threshold": _threshold,
    "model": _model,
    "sha256": _sha256,
    "reason": _reason,
    "what": _what,
    "set": _set,
    "reset": _reset,
    "seconds": _number("seconds", 0, MAX_SECONDS, _BURST.seconds),
    "rate": _number("rate", MIN_RATE_FPS, MAX_RATE_FPS, _BURST.rate_fps),
    "longest_px": _number("longest_px", MIN_LONGEST_PX, MAX_LONGEST_PX, _BURST.longest_px),
    "max_bytes": _number("max_bytes", MIN_FRAME_BYTES, MAX_FRAME_BYTES, _BURST.max_bytes),
}
