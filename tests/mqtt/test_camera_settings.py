"""Settings of a camera over MQTT: what the page asks for, and how it reads what is told."""

import json
from typing import Any

import pytest

from edge_classifier.daemon.command_requests import parse_request
from edge_classifier.mqtt.codec.camera_settings import (
    COMMAND,
    SettingMessage,
    camera_settings_payload,
    camera_settings_request,
    read_camera_settings,
)
from edge_classifier.mqtt.codec.device_payloads import request_payload

REGION = {"left": 0.25, "top": 0.0, "width": 0.5, "height": 1.0}


def test_request_of_the_page_is_read_by_the_daemon() -> None:
    body = camera_settings_request("front", {"region": REGION, "ignore": ["猫"]}, ["look"])
    request = parse_request(COMMAND, request_payload(body, "0123"), ("front", "back"))
    assert (request.cameras, request.transaction) == (("front",), "0123")
    assert (request.set, request.reset) == ({"region": REGION, "ignore": ["猫"]}, ("look",))


@pytest.mark.parametrize("name", ["source", "model", "credentials_file", "decision", ""])
def test_request_for_what_cannot_be_set_is_not_even_made(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be set over MQTT"):
        camera_settings_request("front", {name: 1})
    with pytest.raises(ValueError, match="cannot be set over MQTT"):
        camera_settings_request("front", reset=[name])


def test_settings_that_are_told_are_read_as_they_were_written() -> None:
    values: dict[str, Any] = {
        "enabled": False,
        "title": "Front door",
        "enter": 0.6,
        "leave": 0,
        "ignore": None,
        "rate_fps": 5.0,
        "look": "both",
        "region": REGION,
        "quiet_hours": ["22:00-06:00"],
    }
    told = {"settings": {"front": camera_settings_payload(values, ["enter"])}}
    read = read_camera_settings(json.loads(json.dumps(told)))
    assert read == {
        "front": {name: SettingMessage(value, name == "enter") for name, value in values.items()}
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("enabled", 1, ...),
        ("enter", 1.5, ...),
        ("enter", True, ...),
        ("rate_fps", float("inf"), ...),
        ("look", ["both"], ...),
        ("title", "a\n\x1b" + 500 * "b", "a  " + 197 * "b"),
        ("region", {"left": 0}, ...),
        ("region", [0, 0, 1, 1], ...),
        ("ignore", "cat", ...),
        ("ignore", ["cat"] * 1001, None),
        ("quiet_hours", [5], [""]),
    ],
)
def test_settings_that_make_no_sense_are_left_out(name: str, value: Any, expected: Any) -> None:
    told = {"settings": {"front": {name: {"value": value}, "source": {"value": "x"}}}}
    found = {} if expected is ... else {name: SettingMessage(expected, False)}
    assert read_camera_settings(told) == {"front": found}


@pytest.mark.parametrize("told", [{}, {"settings": 5}, {"settings": {"a/b": {}, "c": 5}}])
def test_settings_of_no_camera_are_none(told: dict[str, Any]) -> None:
    assert read_camera_settings(told) == {}
