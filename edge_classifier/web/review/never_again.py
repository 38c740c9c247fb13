"""A label that a camera is not to show any more: ``ignore`` of that camera, set over MQTT."""

from typing import Any, TypedDict

from django.utils.translation import gettext as _

from edge_classifier.errors import UnavailableError, UsageError
from edge_classifier.mqtt.codec.camera_settings import COMMAND, camera_settings_request
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Camera
from edge_classifier.web.wording import quoted

# A daemon does it at once.
_ANSWER_S = 10.0
_TURNS, _TURN_S = 20, 0.1


class Ignored(TypedDict):
    """What a camera ignores, as it tells."""

    value: list[str]
    set_over_mqtt: bool


class AddedLabel(TypedDict):
    """A label that was added, and what was ignored before: as a session keeps it."""

    label: str
    before: Ignored


def ignore_label(live: LiveClient | None, camera: Camera, label: str) -> AddedLabel:
    """Have ``camera`` ignore ``label``. Returns what ``take_back`` wants.

    Raises UnavailableError and UsageError, with what the daemon says.
    """
    live = _followed(live)
    before = _ignored(live, camera)
    if label not in before["value"]:
        _set(live, camera, [*before["value"], label])
    return {"label": label, "before": before}


def take_back(live: LiveClient | None, camera: Camera, added: AddedLabel) -> None:
    """Have ``camera`` show the label again, if it did before. Raises as above."""
    live, label, before = _followed(live), added["label"], added["before"]
    if label in before["value"]:
        return
    left = [name for name in _ignored(live, camera)["value"] if name != label]
    # As the settings file says, where nothing else was set meanwhile.
    is_as_before = left == before["value"] and not before["set_over_mqtt"]
    _set(live, camera, left, reset=is_as_before)


def _followed(live: LiveClient | None) -> LiveClient:
    if live is None:
        raise UsageError("mqtt", _("This page does not listen to daemons: mqtt.enabled is false."))
    return live


def _ignored(live: LiveClient, camera: Camera) -> Ignored:
    told = (live.device(camera.device) or {}).get("settings", {}).get(camera.name, {})
    ignored = told.get("ignore", {})
    if not isinstance(ignored.get("value"), list):
        problem = _("%s does not tell what it ignores. Is it there, and not too old?")
        raise UnavailableError(camera.device, problem % camera.device)
    return {"value": ignored["value"], "set_over_mqtt": bool(ignored.get("set_over_mqtt"))}


def _set(live: LiveClient, camera: Camera, names: list[str], *, reset: bool = False) -> None:
    """``names`` are what it ignores then; ``reset``: because the settings file says so."""
    values: dict[str, Any]
    values, keys = ({}, ["ignore"]) if reset else ({"ignore": names}, [])
    body = camera_settings_request(camera.name, values, keys)
    answer = live.request(camera.device, COMMAND, body, _ANSWER_S)
    if answer.get("status") != "ok":
        raise UsageError(str(camera), quoted(answer.get("error")))
    # The next one builds upon what the daemon tells, which comes on another topic.
    for _turn in range(_TURNS):
        if _ignored(live, camera)["value"] == names:
            return
        live.pause(_TURN_S)
