"""The device as Home Assistant is to see it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from jinja2 import Environment

from edge_classifier.daemon.command_requests import parse_request
from edge_classifier.mqtt.codec.camera_settings import (
    SETTABLE,
    camera_settings_payload,
)
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.discovery import DiscoveredDevice, discovery_payload
from edge_classifier.mqtt.topics import Topics

DEVICE = DiscoveredDevice(
    topics=Topics("edge-classifier", "porch-pi", "homeassistant"),
    cameras={"front": "Front door", "back_2": ""},
    model="model-1",
    options={"front": ("cat", "dog", "unknown"), "back_2": ("open", "shut", "unknown")},
    stats_s=30,
)


def components(device: DiscoveredDevice = DEVICE) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = discovery_payload(device)["cmps"]
    return found


def test_discovery_names_device_and_origin() -> None:
    payload = discovery_payload(DEVICE)
    assert payload["dev"]["ids"] == ["edge-classifier-porch-pi"]
    assert payload["dev"]["name"] == "porch-pi"
    assert payload["dev"]["mdl"] == "model-1"
    assert payload["o"]["name"] == "edge-classifier"
    assert payload["avty"] == [{"topic": "edge-classifier/porch-pi/availability"}]
    assert payload["avty_mode"] == "all"


def test_discovery_has_twelve_entities_a_camera_and_five_of_the_device() -> None:
    platforms = {key: component["p"] for key, component in components().items()}
    assert platforms == {
        "fps": "sensor",
        "temperature": "sensor",
        "memory": "sensor",
        "outbox": "sensor",
        "model": "update",
        **{
            f"{camera}.{what}": platform
            for camera in ("front", "back_2")
            for what, platform in {
                "label": "sensor",
                "score": "sensor",
                "change": "event",
                "snapshot": "image",
                "connection": "binary_sensor",
                "enabled": "switch",
                "threshold": "number",
                "leave": "number",
                "rate": "number",
                "look": "select",
                "quiet_hours": "text",
                "reset_settings": "button",
            }.items()
        },
    }


def test_discovery_gives_each_entity_a_stable_id_of_its_own() -> None:
    renamed = replace(DEVICE, cameras={"front": "Another title", "back_2": "Yard"}, model="other")
    before, after = components(), components(renamed)
    ids = [component["unique_id"] for component in before.values()]
    assert len(set(ids)) == len(ids)
    assert ids == [component["unique_id"] for component in after.values()]
    assert before["front.label"]["unique_id"] == "edge-classifier.porch-pi.front.label"
    assert before["front.label"]["default_entity_id"] == "sensor.porch_pi_front_label"
    assert before["back_2.change"]["default_entity_id"] == "event.porch_pi_back_2_change"
    assert before["fps"]["default_entity_id"] == "sensor.porch_pi_fps"


def test_discovery_ids_of_names_that_look_alike_differ() -> None:
    one = replace(DEVICE, topics=Topics("b", "a", "p"), cameras={"b_c": ""})
    other = replace(DEVICE, topics=Topics("b", "a_b", "p"), cameras={"c": ""})
    ids = {
        component["unique_id"]
        for device in (one, other)
        for component in components(device).values()
    }
    assert len(ids) == 2 * len(components(one))


def test_discovery_names_entities_by_title_or_else_by_name() -> None:
    assert components()["front.label"]["name"] == "Front door label"
    assert components()["back_2.label"]["name"] == "back_2 label"
    assert components()["fps"]["name"] == "fps"


def test_discovery_shows_label_as_an_enum_with_all_names_once() -> None:
    device = replace(DEVICE, options={"front": ("cat", "dog", "cat", "unknown")})
    label = components(device)["front.label"]
    assert label["device_class"] == "enum"
    assert label["options"] == ["cat", "dog", "unknown"]
    assert label["state_topic"] == "edge-classifier/porch-pi/front/state"
    assert label["json_attributes_topic"] == label["state_topic"]


@pytest.mark.parametrize("name", ["cat", "None", " cat ", "it's", '"', "x" * 300, "{{ 1 }}", "猫"])
def test_discovery_options_are_what_home_assistant_makes_of_the_states(name: str) -> None:
    """ "None" would be no state for it, and it has room for 255 characters."""
    label = components(replace(DEVICE, options={"front": (name, "unknown")}))["front.label"]
    # Home Assistant escapes nothing either.
    environment = Environment(autoescape=False)  # noqa: S701
    template = environment.from_string(label["value_template"])
    shown = template.render(value_json={"name": name}).strip()
    assert shown in label["options"]
    assert shown != "None"
    assert len(shown) <= 255


def test_discovery_lists_of_each_camera_what_its_own_model_can_say() -> None:
    made = components()
    assert made["front.label"]["options"] == ["cat", "dog", "unknown"]
    assert made["back_2.label"]["options"] == ["open", "shut", "unknown"]


def test_discovery_lets_each_camera_choose_among_the_models_that_may_be_asked_for() -> None:
    assert "front.model" not in components()
    made = components(replace(DEVICE, models=("garden 3", 'a "gate"')))["back_2.model"]
    assert (made["p"], made["options"]) == ("select", ["garden 3", 'a "gate"'])
    assert made["command_topic"] == "edge-classifier/porch-pi/request/model"
    environment = Environment(autoescape=False)  # noqa: S701
    shown = environment.from_string(made["value_template"])
    assert shown.render(value_json={"model": "garden 3@1234abcd"}) == "garden 3"
    for name in made["options"]:
        asked = environment.from_string(made["command_template"]).render(value=name)
        assert json.loads(asked) == {"camera": "back_2", "model": name}


@pytest.mark.parametrize(
    ("offered", "change", "shown"),
    [
        (None, None, ("rgb@1", "rgb@1", False, None)),
        ({"version": "new@2"}, None, ("rgb@1", "new@2", False, None)),
        (
            {"version": "new@2"},
            {"state": "fetching", "bytes": 50, "size": 200},
            ("rgb@1", "new@2", True, 25),
        ),
        (None, {"state": "fetching", "bytes": 0, "size": 0}, ("rgb@1", "rgb@1", True, None)),
        (None, {"state": "failed", "bytes": 0, "size": 0}, ("rgb@1", "rgb@1", False, None)),
        # That of one camera alone is not the device's.
        (
            {"version": "new@2"},
            {"state": "fetching", "bytes": 50, "size": 200, "camera": "front"},
            ("rgb@1", "new@2", False, None),
        ),
    ],
)
def test_discovery_shows_the_model_that_is_offered_as_an_update(
    offered: Any, change: Any, shown: tuple[Any, ...]
) -> None:
    made = components()["model"]
    assert (made["p"], made["state_topic"]) == ("update", "edge-classifier/porch-pi/info")
    assert "command_topic" not in made
    environment = Environment(autoescape=False)  # noqa: S701
    environment.filters["to_json"] = json.dumps
    told_change = {"camera": "", **change} if change else None
    info = {"model": "rgb@1", "model_offered": offered, "model_change": told_change}
    told = environment.from_string(made["value_template"]).render(value_json=info)
    assert tuple(json.loads(told).values()) == shown
    with_offer = components(replace(DEVICE, offer='{"model": "new"}'))["model"]
    assert with_offer["command_topic"] == "edge-classifier/porch-pi/request/model"
    assert with_offer["payload_install"] == '{"model": "new"}'


@pytest.mark.parametrize(("labels", "is_enum"), [(250, True), (251, False), (1001, False)])
def test_discovery_of_very_many_labels_has_no_enum(labels: int, is_enum: bool) -> None:
    options = tuple(f"label number {number}" for number in range(labels))
    device = replace(DEVICE, options={"front": options})
    label = components(device)["front.label"]
    assert ("device_class" in label) is is_enum
    assert ("options" in label) is is_enum
    assert len(encoded(discovery_payload(device))) < 32_000


def test_discovery_makes_what_a_camera_shows_depend_on_the_camera() -> None:
    both = [
        {"topic": "edge-classifier/porch-pi/availability"},
        {"topic": "edge-classifier/porch-pi/front/availability"},
    ]
    made = components()
    for what in ("label", "score", "change", "snapshot"):
        assert made[f"front.{what}"]["avty"] == both
    # These work, or say something, without it.
    for what in ("connection", "enabled", "threshold"):
        assert "avty" not in made[f"front.{what}"]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ("payload_on", {"camera": "front", "enabled": True}),
        ("payload_off", {"camera": "front", "enabled": False}),
    ],
)
def test_discovery_switch_asks_for_enabling_its_own_camera(
    payload: str, expected: dict[str, object]
) -> None:
    switch = components()["front.enabled"]
    assert switch["command_topic"] == "edge-classifier/porch-pi/request/enable"
    assert json.loads(switch[payload]) == expected
    assert {switch["state_on"], switch["state_off"]} == {"ON", "OFF"}


def test_discovery_number_asks_for_a_threshold_of_its_own_camera() -> None:
    number = components()["front.threshold"]
    assert number["command_topic"] == "edge-classifier/porch-pi/request/threshold"
    asked = number["command_template"].replace("{{ value }}", "0.75")
    assert json.loads(asked) == {"camera": "front", "threshold": 0.75}
    assert (number["min"], number["max"]) == (0, 1)


@pytest.mark.parametrize(
    ("entity", "setting", "value", "shown", "typed"),
    [
        ("leave", "leave", 0.35, "0.35", 0.35),
        ("rate", "rate_fps", 2.5, "2.5", 2.5),
        ("look", "look", "motion", "motion", "motion"),
        (
            "quiet_hours",
            "quiet_hours",
            ["22:00-06:00", "12:00-13:00"],
            "22:00-06:00, 12:00-13:00",
            "22:00-06:00,  12:00-13:00,",
        ),
        ("quiet_hours", "quiet_hours", [], "", ""),
    ],
)
def test_discovery_shows_and_sets_settings_of_its_own_camera(
    entity: str, setting: str, value: object, shown: str, typed: object
) -> None:
    made = components()[f"back_2.{entity}"]
    assert made["entity_category"] == "config"
    assert made["command_topic"] == "edge-classifier/porch-pi/request/camera"
    assert made["state_topic"] == "edge-classifier/porch-pi/info"
    environment = Environment(autoescape=False)  # noqa: S701
    template = environment.from_string(made["value_template"])
    settings = {"back_2": camera_settings_payload({setting: value}, [])}
    assert template.render(value_json={"settings": settings}) == shown
    # A broker that takes short messages only gets none.
    assert template.render(value_json={"settings": {}}) in ("None", "")
    asked = environment.from_string(made["command_template"]).render(value=typed)
    assert json.loads(asked) == {"camera": "back_2", "set": {setting: value}}


def test_discovery_button_takes_back_all_but_the_switch() -> None:
    button = components()["front.reset_settings"]
    assert (button["name"], button["p"]) == ("Front door reset settings", "button")
    request = parse_request("camera", button["payload_press"].encode(), ("front", "back_2"))
    assert request.cameras == ("front",)
    assert {*request.reset, "enabled"} == SETTABLE.keys()


@pytest.mark.parametrize(("stats_s", "expected"), [(1, 60), (30, 90), (600, 1800)])
def test_discovery_figures_expire_when_statistics_stay_away(stats_s: float, expected: int) -> None:
    made = components(replace(DEVICE, stats_s=stats_s))
    for what in ("fps", "temperature", "memory", "outbox"):
        assert made[what]["expire_after"] == expected
        assert made[what]["state_topic"] == "edge-classifier/porch-pi/stats"


def test_discovery_removes_the_entities_of_a_camera_that_is_gone() -> None:
    device = replace(DEVICE, models=("garden",))
    made = components(replace(device, cameras={"front": ""}, gone=["back_2"]))
    assert made["back_2.label"] == {"p": "sensor"}
    assert made["back_2.enabled"] == {"p": "switch"}
    assert made.keys() == components(device).keys()
