"""Settings of a camera over MQTT are judged as the settings file is, by the same words."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_classifier.config.load import examine
from edge_classifier.config.settings import CameraSettings, DecisionSettings, Region
from edge_classifier.config.sources import SettingsSources
from edge_classifier.config.toml import document
from edge_classifier.daemon.cameras.camera_overrides import (
    MAX_BYTES,
    override,
    still_valid,
    values_in_force,
)
from edge_classifier.mqtt.codec.camera_settings import SETTABLE

CAMERA = CameraSettings(source="0")
# What may stand in TOML as well as in JSON.
SCALARS = (
    st.booleans()
    | st.integers(-3, 300)
    | st.floats(-1, 300)
    | st.sampled_from(["", "whole", "motion", "22:00-06:00", "24:00-25:00", "06:00-06:00", "cat"])
)
REGIONS = st.dictionaries(
    st.sampled_from(["left", "top", "width", "height"]), st.floats(-0.2, 1.2) | SCALARS
)
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | REGIONS


def of_file(values: Mapping[str, Any]) -> tuple[CameraSettings | None, set[tuple[str, str, str]]]:
    """The camera that a settings file with ``values`` makes, or what is said to be wrong."""
    table: dict[str, Any] = {"source": "0"}
    for name, value in values.items():
        *above, last = map(str, SETTABLE[name])
        place = table.setdefault(above[0], {}) if above else table
        place[last] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.toml")
        path.write_text(document({"cameras": {"front": table}}), "utf-8")
        report = examine(SettingsSources(path))
    camera = report.settings.cameras["front"] if report.settings else None
    return camera, {(one.key, one.value, one.text) for one in report.problems}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([*SETTABLE]), VALUES, max_size=3))
@example({"enabled": 1})
@example({"rate_fps": 241})
@example({"rate_fps": True})
@example({"look": "nowhere"})
@example({"region": {"left": 0.6, "width": 0.5}})
@example({"region": {"width": 0}})
@example({"quiet_hours": ["22:00-06:00", "25:00-26:00"]})
@example({"quiet_hours": "22:00-06:00"})
@example({"ignore": [1]})
@example({"enter": 0.5, "leave": 0.6})
@example({"leave": 0.7})
@example({"enter": 1.5, "title": 3})
def test_override_is_taken_and_refused_as_the_settings_file_would_do(
    values: dict[str, Any],
) -> None:
    wanted, said = of_file(values)
    judged = override("front", CAMERA, values, asked={*values, "leave"})
    assert {(one.key, one.value, one.text) for one in judged.problems} == said
    if wanted:
        assert judged.camera == wanted


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"title": "x" * 101}, "cameras.front.title: may have 100 characters"),
        ({"title": "a\nb"}, "cameras.front.title: must be one line"),
        ({"title": "\ud800"}, "cameras.front.title: must be one line"),
        ({"ignore": ["x"] * 201}, "cameras.front.decision.ignore: may have 200 entries"),
        ({"quiet_hours": ["22:00-06:00"] * 25}, "quiet_hours: may have 24 entries"),
        ({"ignore": ["x" * MAX_BYTES]}, "may take 8192 bytes"),
        ({"region": {"left": 0.1, "right": 0.5}}, "cameras.front.region.right: no such key"),
        ({"region": None}, "cameras.front.region: must be a table"),
        ({"enabled": None}, "cameras.front.enabled: must be true or false"),
        ({"enter": [[[]]]}, "must be a number from 0 to 1"),
    ],
)
def test_override_over_mqtt_is_bounded(values: dict[str, Any], words: str) -> None:
    judged = override("front", CAMERA, values)
    assert words in "; ".join(map(str, judged.problems))
    assert judged.camera is CAMERA


def test_override_of_enter_takes_leave_along_and_gives_it_back() -> None:
    lower = override("front", CAMERA, {"enter": 0.3}).camera.decision
    assert (lower.enter, lower.leave) == (0.3, 0.3)
    higher = override("front", CAMERA, {"enter": 0.8}).camera.decision
    assert (higher.enter, higher.leave) == (0.8, 0.4)
    both = override("front", CAMERA, {"enter": 0.3, "leave": 0.35}, asked={"enter", "leave"})
    assert [str(one) for one in both.problems] == [
        "cameras.front.decision: leave 0.35 is above enter 0.3"
    ]


def test_override_that_does_not_go_with_the_file_any_more_is_dropped_by_itself() -> None:
    low = replace(CAMERA, decision=DecisionSettings(enter=0.3, leave=0.2))
    kept = {"leave": 0.5, "look": "nowhere", "rate_fps": 3, "other": 1}
    valid, problems = still_valid("front", low, kept)
    assert valid == {"rate_fps": 3}
    assert [one.key for one in problems] == ["cameras.front.decision", "cameras.front.look"]


def test_values_in_force_are_told_as_they_are_set() -> None:
    region = Region(left=0.25, width=0.5)
    camera = replace(CAMERA, region=region, quiet_hours=("22:00-06:00",))
    told = values_in_force(camera)
    assert list(told) == list(SETTABLE)
    assert told["region"] == {"left": 0.25, "top": 0.0, "width": 0.5, "height": 1.0}
    assert override("front", CAMERA, json.loads(json.dumps(told))).camera == camera
    many = replace(CAMERA, decision=DecisionSettings(ignore=("x" * 100,) * 200))
    assert values_in_force(many)["ignore"] is None
