"""The device as Home Assistant is to see it. Pure.

Field names: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from edge_classifier import __version__
from edge_classifier.mqtt.codec.camera_settings import COMMAND, SETTABLE
from edge_classifier.mqtt.codec.event_payloads import EVENT_TYPES
from edge_classifier.mqtt.topics import OFFLINE, ONLINE, Topics

Component = dict[str, Any]

_MAKER = "edge-classifier"
# Home Assistant keeps the options of an enum in each of the entity's states: a thousand labels
# would be some 20 KB in every one of them. Beyond this the sensor is one of plain text.
_MAX_OPTIONS = 250
_MISSED_STATS = 3


@dataclass(frozen=True, slots=True)
class DiscoveredDevice:
    """What the discovery message is made of."""

    topics: Topics
    # Name to title.
    cameras: Mapping[str, str]
    model: str
    # The displayed names of each camera's labels, ``unknown`` among them; without: not to be
    # listed.
    options: Mapping[str, Sequence[str]]
    # Seconds between two messages with statistics.
    stats_s: float
    # Cameras that were here once.
    gone: Iterable[str] = ()
    # Names of models that may be asked for.
    models: Sequence[str] = ()
    # The request for the model that is offered; empty: none is, or it runs already.
    offer: str = ""


class _Entity(NamedTuple):
    """One thing that Home Assistant shows. In texts ``{camera}`` stands for the camera's name."""

    platform: str
    # Fields whose values are topics of the camera, or of the device.
    topics: Mapping[str, Callable[[Topics, str], str]]
    fields: Mapping[str, Any]
    # Whether it tells nothing while the camera is lost.
    needs_camera: bool = False


# Home Assistant takes "None" for nothing, strips blanks, and has room for so many characters.
_NONE, _MAX_STATE = "None (label)", 255
_NAME_TEMPLATE = (
    "{% set name = value_json.name | trim %}"
    "{{ '" + _NONE + "' if name == 'None' else name[:" + str(_MAX_STATE) + "] }}"
)
_CONFIG = {"qos": 1, "entity_category": "config"}
_DIAGNOSTIC = {"state_class": "measurement", "entity_category": "diagnostic"}


def _setting(name: str) -> str:
    """What ``info`` says of one of a camera's settings; None where a broker takes only a part."""
    return "value_json.get('settings', {}).get('{camera}', {}).get('" + name + "', {}).get('value')"


def _request(name: str, value: str) -> str:
    """What sets it to ``value``, a template that gives JSON."""
    return '{"camera": "{camera}", "set": {"' + name + '": {{ ' + value + " }}}}"


def _info(topics: Topics, _camera: str) -> str:
    return topics.info


# The entities of a camera, by the last part of their keys.
_OF_CAMERA: Mapping[str, _Entity] = {
    "label": _Entity(
        "sensor",
        {"state_topic": Topics.state, "json_attributes_topic": Topics.state},
        {"value_template": _NAME_TEMPLATE},
        needs_camera=True,
    ),
    "score": _Entity(
        "sensor",
        {"state_topic": Topics.state},
        {
            "value_template": "{{ (value_json.score * 100) | round(1) }}",
            "unit_of_measurement": "%",
            "state_class": "measurement",
        },
        needs_camera=True,
    ),
    "change": _Entity(
        "event",
        {"state_topic": Topics.event},
        {"event_types": list(EVENT_TYPES), "qos": 1},
        needs_camera=True,
    ),
    "snapshot": _Entity(
        "image",
        {"image_topic": Topics.snapshot},
        {"content_type": "image/jpeg"},
        needs_camera=True,
    ),
    # Says that the camera is lost, where the others are just unavailable.
    "connection": _Entity(
        "binary_sensor",
        {"state_topic": Topics.camera_availability},
        {
            "payload_on": ONLINE,
            "payload_off": OFFLINE,
            "device_class": "connectivity",
            "entity_category": "diagnostic",
        },
    ),
    "enabled": _Entity(
        "switch",
        {"state_topic": Topics.state},
        {
            "value_template": "{{ 'ON' if value_json.enabled else 'OFF' }}",
            "state_on": "ON",
            "state_off": "OFF",
            "payload_on": '{"camera": "{camera}", "enabled": true}',
            "payload_off": '{"camera": "{camera}", "enabled": false}',
            **_CONFIG,
        },
    ),
    "threshold": _Entity(
        "number",
        {"state_topic": Topics.state},
        {
            "value_template": "{{ value_json.threshold }}",
            "command_template": '{"camera": "{camera}", "threshold": {{ value }}}',
            "min": 0,
            "max": 1,
            "step": 0.01,
            **_CONFIG,
        },
    ),
    "leave": _Entity(
        "number",
        {"state_topic": _info},
        {
            "value_template": "{{ " + _setting("leave") + " }}",
            "command_template": _request("leave", "value"),
            "min": 0,
            "max": 1,
            "step": 0.01,
            **_CONFIG,
        },
    ),
    "rate": _Entity(
        "number",
        {"state_topic": _info},
        {
            "value_template": "{{ " + _setting("rate_fps") + " }}",
            "command_template": _request("rate_fps", "value"),
            "min": 0,
            "max": 240,
            "step": 0.1,
            "mode": "box",
            "unit_of_measurement": "fps",
            **_CONFIG,
        },
    ),
    "look": _Entity(
        "select",
        {"state_topic": _info},
        {
            "value_template": "{{ " + _setting("look") + " }}",
            "command_template": _request("look", "value | tojson"),
            "options": ["whole", "motion", "both"],
            **_CONFIG,
        },
    ),
    "quiet_hours": _Entity(
        "text",
        {"state_topic": _info},
        {
            "value_template": "{{ ("
            + _setting("quiet_hours")
            + " or []) | join(', ') | truncate(255, True, '', 0) }}",
            "command_template": _request(
                "quiet_hours", "value.split(',') | map('trim') | select | list | tojson"
            ),
            **_CONFIG,
        },
    ),
    # But for whether it is switched on: that has a switch, and nobody expects to be filmed again.
    "reset_settings": _Entity(
        "button",
        {},
        {
            "payload_press": '{"camera": "{camera}", "reset": '
            + json.dumps([name for name in SETTABLE if name != "enabled"])
            + "}",
            **_CONFIG,
        },
    ),
    "model": _Entity(
        "select",
        {"state_topic": Topics.state},
        {
            "value_template": "{{ value_json.model.rpartition('@')[0] }}",
            "command_template": '{"camera": "{camera}", "model": {{ value | tojson }}}',
            **_CONFIG,
        },
    ),
}
# Entity to the command that sets it.
_COMMANDS = {
    "enabled": "enable",
    "threshold": "threshold",
    "model": "model",
    **dict.fromkeys(("leave", "rate", "look", "quiet_hours", "reset_settings"), COMMAND),
}
# Sensors of the device: where in the statistics each is found, and its fields.
_OF_DEVICE: Mapping[str, tuple[str, Component]] = {
    "fps": ("fps", {"unit_of_measurement": "fps"}),
    "temperature": (
        "host.temperature_c",
        {"unit_of_measurement": "°C", "device_class": "temperature"},
    ),
    "memory": ("host.memory_mb", {"unit_of_measurement": "MB", "device_class": "data_size"}),
    "outbox": ("publisher.waiting", {}),
}


# What ``info`` says of the common model, as Home Assistant's update entity takes it. Without an
# offer the latest model is the one that runs.
_UPDATE_TEMPLATE = (
    "{% set offered, change = value_json.model_offered, value_json.model_change %}"
    "{% set busy = change is not none and not change.camera and change.state in"
    " ('waiting', 'fetching', 'trying', 'loading') %}"
    "{{ {'installed_version': value_json.model,"
    " 'latest_version': offered.version if offered else value_json.model,"
    " 'in_progress': busy,"
    " 'update_percentage': (100 * change.bytes / change.size) | round"
    " if busy and change.state == 'fetching' and change.size else none} | to_json }}"
)


def discovery_payload(device: DiscoveredDevice) -> dict[str, Any]:
    """One message for the whole device: ``dev`` (who), ``o`` (from what), ``cmps`` (entities)."""
    components = {
        name: {
            **_identity(device, "sensor", name, name),
            "state_topic": device.topics.stats,
            # What a machine cannot measure is not in the message; None is shown as unknown.
            "value_template": f"{{{{ value_json.{place} | default('None') }}}}",
            "expire_after": max(60, round(_MISSED_STATS * device.stats_s)),
            **_DIAGNOSTIC,
            **fields,
        }
        for name, (place, fields) in _OF_DEVICE.items()
    }
    components["model"] = _update_component(device)
    for camera in device.cameras:
        for name in _OF_CAMERA:
            # A choice of nothing is none.
            if name != "model" or device.models:
                components[f"{camera}.{name}"] = _camera_component(device, camera, name)
    for camera in device.gone:
        for name, entity in _OF_CAMERA.items():
            # An entity is removed by naming its platform and nothing else.
            components[f"{camera}.{name}"] = {"p": entity.platform}
    return {
        "dev": {
            "ids": [device.topics.object_id],
            "name": device.topics.node,
            "mf": _MAKER,
            "mdl": device.model,
            "sw": __version__,
        },
        "o": {"name": _MAKER, "sw": __version__},
        "avty": [{"topic": device.topics.availability}],
        "avty_mode": "all",
        "cmps": components,
    }


def _camera_component(device: DiscoveredDevice, camera: str, name: str) -> Component:
    topics, entity = device.topics, _OF_CAMERA[name]
    title = device.cameras[camera] or camera
    words = name.replace("_", " ")
    # Dots in the key, because names have none: no two cameras can share an id.
    component = _identity(device, entity.platform, f"{camera}.{name}", f"{title} {words}")
    for field, topic in entity.topics.items():
        component[field] = topic(topics, camera)
    for field, value in entity.fields.items():
        is_text = isinstance(value, str)
        component[field] = value.replace("{camera}", camera) if is_text else value
    if name in _COMMANDS:
        component["command_topic"] = topics.request(_COMMANDS[name])
    if entity.needs_camera:
        both = topics.availability, topics.camera_availability(camera)
        component["avty"] = [{"topic": topic} for topic in both]
    if name == "model":
        component["options"] = list(device.models)
    options = list(dict.fromkeys(map(_as_state, device.options.get(camera, ()))))
    if name == "label" and 0 < len(options) <= _MAX_OPTIONS:
        component |= {"device_class": "enum", "options": options}
    return component


def _as_state(name: str) -> str:
    """What ``_NAME_TEMPLATE`` makes of a name."""
    name = name.strip()
    return _NONE if name == "None" else name[:_MAX_STATE].strip()


def _update_component(device: DiscoveredDevice) -> Component:
    component = {
        **_identity(device, "update", "model", "model"),
        "state_topic": device.topics.info,
        "value_template": _UPDATE_TEMPLATE,
        "title": "Model",
        "entity_category": "config",
    }
    if device.offer:
        # To install it is to ask for it, as everybody does.
        component |= {
            "command_topic": device.topics.request("model"),
            "payload_install": device.offer,
        }
    return component


def _identity(device: DiscoveredDevice, platform: str, key: str, title: str) -> Component:
    """All that makes a component one and the same entity for ever."""
    slug = re.sub("[^a-z0-9]+", "_", f"{device.topics.node} {key}".lower()).strip("_")
    return {
        "p": platform,
        "unique_id": f"{_MAKER}.{device.topics.node}.{key}",
        "default_entity_id": f"{platform}.{slug}",
        "name": title,
    }
