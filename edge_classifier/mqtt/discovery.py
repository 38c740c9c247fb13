"""The device as Home Assistant is to see it. Pure.

Field names: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_classifier import __version__
from edge_classifier.mqtt.codec import LABEL_CHANGED
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
    # The displayed names of all labels, ``unknown`` among them.
    options: Sequence[str]
    # Seconds between two messages with statistics.
    stats_s: float
    # Cameras that were here once.
    gone: Iterable[str] = ()


def discovery_payload(device: DiscoveredDevice) -> dict[str, Any]:
    """One message for the whole device: ``dev`` (who), ``o`` (from what), ``cmps`` (entities)."""
    components = _of_node(device)
    for camera in device.cameras:
        components |= _of_camera(device, camera)
    for camera in device.gone:
        # An entity is removed by naming its platform and nothing else.
        components |= {key: {"p": c["p"]} for key, c in _of_camera(device, camera).items()}
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


def _of_camera(device: DiscoveredDevice, camera: str) -> dict[str, Component]:
    """The entities of one camera, by their keys."""
    made = (
        _label(device, camera),
        _score(device, camera),
        _event(device, camera),
        _image(device, camera),
        _connection(device, camera),
        _switch(device, camera),
        _threshold(device, camera),
    )
    return dict(made)


def _entity(
    device: DiscoveredDevice, platform: str, camera: str, what: str, **fields: Any
) -> tuple[str, Component]:
    """A component with all that makes it one and the same entity for ever."""
    title = device.cameras.get(camera, camera) or camera
    about = _slug(f"{device.topics.node} {camera} {what}")
    # Dots, because names have none: no two cameras can share an id.
    key = f"{camera}.{what}" if camera else what
    component = {
        "p": platform,
        "unique_id": f"{_MAKER}.{device.topics.node}.{key}",
        "default_entity_id": f"{platform}.{about}",
        "name": f"{title} {what}" if camera else what,
        **fields,
    }
    return key, component


def _slug(text: str) -> str:
    return re.sub("[^a-z0-9]+", "_", text.lower()).strip("_")


def _seen(device: DiscoveredDevice, camera: str) -> list[dict[str, str]]:
    """Availability of what a lost camera cannot tell: device and camera must be there."""
    node, own = device.topics.availability, device.topics.camera_availability(camera)
    return [{"topic": node}, {"topic": own}]


def _label(device: DiscoveredDevice, camera: str) -> tuple[str, Component]:
    state = device.topics.state(camera)
    options = list(dict.fromkeys(device.options))
    fits = len(options) <= _MAX_OPTIONS
    return _entity(
        device,
        "sensor",
        camera,
        "label",
        state_topic=state,
        value_template="{{ value_json.name }}",
        json_attributes_topic=state,
        avty=_seen(device, camera),
        **({"device_class": "enum", "options": options} if fits else {}),
    )


def _score(device: DiscoveredDevice, camera: str) -> tuple[str, Component]:
    return _entity(
        device,
        "sensor",
        camera,
        "score",
        state_topic=device.topics.state(camera),
        value_template="{{ (value_json.score * 100) | round(1) }}",
        unit_of_measurement="%",
        state_class="measurement",
        avty=_seen(device, camera),
    )


def _event(device: DiscoveredDevice, camera: str) -> tuple[str, Component]:
    return _entity(
        device,
        "event",
        camera,
        "change",
        state_topic=device.topics.event(camera),
        event_types=[LABEL_CHANGED],
        qos=1,
        avty=_seen(device, camera),
    )


def _image(device: DiscoveredDevice, camera: str) -> tuple[str, Component]:
    return _entity(
        device,
        "image",
        camera,
        "snapshot",
        image_topic=device.topics.snapshot(camera),
        content_type="image/jpeg",
        avty=_seen(device, camera),
    )


def _connection(device: DiscoveredDevice, camera: str) -> tuple[str, Component]:
    """Says that the camera is lost, where the others are just unavailable."""
    return _entity(
        device,
        "binary_sensor",
        camera,
        "connection",
        state_topic=device.topics.camera_availability(camera),
        payload_on=ONLINE,
        payload_off=OFFLINE,
        device_class="connectivity",
        entity_category="diagnostic",
    )


def _switch(device: DiscoveredDevice, camera: str) -> tuple[str, Component]:
    return _entity(
        device,
        "switch",
        camera,
        "enabled",
        state_topic=device.topics.state(camera),
        value_template="{{ 'ON' if value_json.enabled else 'OFF' }}",
        state_on="ON",
        state_off="OFF",
        command_topic=device.topics.request("enable"),
        payload_on=f'{{"camera": "{camera}", "enabled": true}}',
        payload_off=f'{{"camera": "{camera}", "enabled": false}}',
        qos=1,
        entity_category="config",
    )


def _threshold(device: DiscoveredDevice, camera: str) -> tuple[str, Component]:
    return _entity(
        device,
        "number",
        camera,
        "threshold",
        state_topic=device.topics.state(camera),
        value_template="{{ value_json.threshold }}",
        command_topic=device.topics.request("threshold"),
        command_template=f'{{"camera": "{camera}", "threshold": {{{{ value }}}}}}',
        min=0,
        max=1,
        step=0.01,
        qos=1,
        entity_category="config",
    )


# Entity to the place in the ``stats`` message that it shows, and its fields.
_FIGURES: Mapping[str, tuple[str, Component]] = {
    "fps": ("fps", {"unit_of_measurement": "fps"}),
    "temperature": (
        "host.temperature_c",
        {"unit_of_measurement": "°C", "device_class": "temperature"},
    ),
    "memory": ("host.memory_mb", {"unit_of_measurement": "MB", "device_class": "data_size"}),
    "outbox": ("publisher.waiting", {}),
}


def _of_node(device: DiscoveredDevice) -> dict[str, Component]:
    made = (
        _entity(
            device,
            "sensor",
            "",
            what,
            state_topic=device.topics.stats,
            # What a machine cannot measure is not in the message; None is shown as unknown.
            value_template=f"{{{{ value_json.{key} | default('None') }}}}",
            state_class="measurement",
            expire_after=max(60, round(_MISSED_STATS * device.stats_s)),
            entity_category="diagnostic",
            **fields,
        )
        for what, (key, fields) in _FIGURES.items()
    )
    return dict(made)
