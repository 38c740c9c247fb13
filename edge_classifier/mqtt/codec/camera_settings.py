"""The settings of a camera that may be set over MQTT: asked for, and told in ``info``. Pure."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any

from edge_classifier.config.toml import Key
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.mqtt.codec.camera_payloads import MAX_LABEL
from edge_classifier.mqtt.codec.json_fields import inner, line, number
from edge_classifier.mqtt.topics import is_name

# The command whose topic a request goes to.
COMMAND = "camera"
# By its name in requests, where each stands in the camera's table of the settings file. Whoever may
# publish may set these: none of them names a file, an address or a model.
SETTABLE: Mapping[str, Key] = MappingProxyType(
    {
        "enabled": ("enabled",),
        "title": ("title",),
        "enter": ("decision", "enter"),
        "leave": ("decision", "leave"),
        "ignore": ("decision", "ignore"),
        "rate_fps": ("rate_fps",),
        "look": ("look",),
        "region": ("region",),
        "quiet_hours": ("quiet_hours",),
    }
)
# Cameras of one device whose settings are read.
_MAX_CAMERAS = 64
_MAX_RATE_FPS, _MAX_ENTRIES = 1000.0, 1000


@dataclass(frozen=True, slots=True)
class SettingMessage:
    """One setting of a camera."""

    # As in JSON: true, a number, a text, a list of texts, or a table of numbers (``region``). None:
    # too long to be told.
    value: Any
    # False: it is what the settings file says.
    is_set_over_mqtt: bool


# Of one camera, by the names in SETTABLE. A daemon that is too old tells none.
CameraSettingsMessage = Mapping[str, SettingMessage]


def camera_settings_request(
    camera: str, set_values: Mapping[str, Any] = MappingProxyType({}), reset: Iterable[str] = ()
) -> dict[str, Any]:
    """The body of a request to COMMAND, for ``request_payload``.

    ``set_values``: by the names in SETTABLE, as in JSON. ``reset``: what is to be again as the
    settings file says. The daemon judges both, and does all of it or nothing. Raises ValueError for
    names that cannot be set.
    """
    names = (*set_values, *reset)
    if unknown := [name for name in names if name not in SETTABLE]:
        raise ValueError(f"{', '.join(unknown)}: cannot be set over MQTT")
    return {"camera": camera, "set": dict(set_values), "reset": list(reset)}


def camera_settings_payload(
    values: Mapping[str, Any], set_over_mqtt: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """What ``info`` and the answer to a request say of one camera; ``values``: those in force."""
    names = frozenset(set_over_mqtt)
    return {
        name: {"value": value, "set_over_mqtt": name in names} for name, value in values.items()
    }


def read_camera_settings(found: Mapping[str, Any]) -> dict[str, CameraSettingsMessage]:
    """By camera, what ``found``, an ``info`` or the ``data`` of an answer, has in ``settings``.

    What makes no sense is left out. Texts are printable lines.
    """
    return {
        camera: _read_camera(table)
        for camera, table in islice(inner(found, "settings").items(), _MAX_CAMERAS)
        if is_name(camera) and isinstance(table, dict)
    }


def _read_camera(table: Mapping[str, Any]) -> CameraSettingsMessage:
    read: dict[str, SettingMessage] = {}
    for name in SETTABLE:
        told = inner(table, name)
        if "value" in told:
            with suppress(ValueError):
                is_set = told.get("set_over_mqtt") is True
                read[name] = SettingMessage(_read_value(name, told), is_set)
    return read


def _read_value(name: str, told: Mapping[str, Any]) -> Any:
    """The ``value`` in ``told``, of the kind that its name says. Raises ValueError for others."""
    value = told["value"]
    if value is None:
        return None
    match name:
        case "enabled" if isinstance(value, bool):
            return value
        case "enter" | "leave" | "rate_fps":
            return number(told, "value", 0, _MAX_RATE_FPS if name == "rate_fps" else 1)
        case "title" | "look" if isinstance(value, str):
            return line(value, MAX_LABEL)
        case "region" if isinstance(value, dict):
            return {edge: number(value, edge, 0, 1) for edge in RelativeBox._fields}
        case "ignore" | "quiet_hours" if isinstance(value, list):
            # A part of a list would be taken for all of it.
            return None if len(value) > _MAX_ENTRIES else [line(one, MAX_LABEL) for one in value]
    raise ValueError(f"{name} is of another kind")
