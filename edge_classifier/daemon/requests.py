"""Requests over MQTT: what may be asked, and what comes back. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

# Name to one line of help. ``camera`` may be given where one is meant; without it, all are.
COMMANDS: Mapping[str, str] = {
    "enable": 'switch a camera: {"enabled": true or false}',
    "threshold": 'set the enter threshold: {"threshold": 0 to 1, or null for the configured one}',
    "snapshot": "publish a picture now, and keep it if the store is on",
    "reload": "read the configuration file again",
    "model": 'switch the model: {"model": name, or "" for the configured one}',
    "clear": 'forget: {"what": "label", "overrides", "outbox" or "store"}',
}

CLEARABLE = ("label", "overrides", "outbox", "store")
_KEYS = {
    "enable": {"camera", "enabled"},
    "threshold": {"camera", "threshold"},
    "snapshot": {"camera"},
    "reload": set[str](),
    "model": {"model"},
    "clear": {"camera", "what"},
}


class RequestError(ValueError):
    """A request that cannot be meant; its text goes back to whoever asked."""

    def __init__(self, problem: str, transaction: object = None) -> None:
        super().__init__(problem)
        self.transaction = transaction


@dataclass(frozen=True, slots=True)
class Request:
    """One valid request."""

    command: str
    # Those that are meant.
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
    body = _body(payload)
    transaction = body.pop("transaction", None)
    try:
        if command not in COMMANDS:
            raise RequestError(f"no such command: {command!r}; there are {', '.join(COMMANDS)}")
        return _request(command, body, cameras, transaction)
    except RequestError as error:
        raise RequestError(str(error), transaction) from None


def answer(request_or_error: Request | RequestError, data: Mapping[str, Any]) -> dict[str, Any]:
    """The response's payload: status ok with ``data``, or status error with the reason."""
    failed = isinstance(request_or_error, RequestError)
    return {
        "status": "error" if failed else "ok",
        "data": dict(data),
        "error": str(request_or_error) if failed else None,
        "transaction": request_or_error.transaction,
    }


def _body(payload: bytes) -> dict[str, Any]:
    if not payload.strip():
        return {}
    try:
        body = json.loads(payload, parse_constant=_number, parse_float=_number)
    except (ValueError, RecursionError):
        raise RequestError("the payload is not JSON") from None
    if not isinstance(body, dict):
        raise RequestError("the payload is not a JSON object")
    return body


def _number(text: str) -> float:
    """Raises ValueError for NaN and infinity: Python reads what no answer could give back."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def _request(
    command: str, body: dict[str, Any], cameras: tuple[str, ...], transaction: object
) -> Request:
    unknown = sorted(set(body) - _KEYS[command])
    if unknown:
        allowed = ", ".join(sorted(_KEYS[command] | {"transaction"}))
        raise RequestError(f"{command} takes no {', '.join(unknown)}; it takes {allowed}")
    return Request(
        command,
        _cameras(body, cameras),
        enabled=_enabled(body) if command == "enable" else True,
        threshold=_threshold(body) if command == "threshold" else None,
        model=_text(body, "model") if command == "model" else "",
        what=_what(body) if command == "clear" else "",
        transaction=transaction,
    )


def _cameras(body: Mapping[str, Any], cameras: tuple[str, ...]) -> tuple[str, ...]:
    if "camera" not in body:
        return cameras
    if body["camera"] not in cameras:
        raise RequestError(f"no camera {body['camera']!r}; there are {', '.join(cameras)}")
    return (body["camera"],)


def _enabled(body: Mapping[str, Any]) -> bool:
    wanted = body.get("enabled")
    if not isinstance(wanted, bool):
        raise RequestError("enabled must be true or false")
    return wanted


def _threshold(body: Mapping[str, Any]) -> float | None:
    wanted = body.get("threshold", "")
    if wanted is None:
        return None
    # bool is an int in Python, and NaN passes no comparison.
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or not 0 <= wanted <= 1:
        raise RequestError("threshold must be a number from 0 to 1, or null")
    return float(wanted)


def _text(body: Mapping[str, Any], key: str) -> str:
    wanted = body.get(key)
    if not isinstance(wanted, str):
        raise RequestError(f"{key} must be a text")
    return wanted


def _what(body: Mapping[str, Any]) -> str:
    wanted = body.get("what")
    if wanted not in CLEARABLE:
        raise RequestError(f"what must be one of {', '.join(CLEARABLE)}")
    return str(wanted)
