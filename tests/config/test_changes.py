"""What a reload may change while the daemon runs."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from edge_classifier.config.changes import compare, effect_of, in_force
from edge_classifier.config.field_types import Effect
from edge_classifier.config.mqtt_settings import MqttSettings, TlsSettings
from edge_classifier.config.settings import (
    CameraSettings,
    DecisionSettings,
    DeviceSettings,
    HttpSettings,
    LogSettings,
    Settings,
)
from edge_classifier.config.toml import Key, dotted
from edge_classifier.daemon.cameras.active_cameras import must_reopen

FRONT = CameraSettings(source="0")
BEFORE = Settings(cameras={"front": FRONT, "back": CameraSettings(source="1")})


def every_key(kind: Any, above: Key = ()) -> Iterator[Key]:
    """All settings that there are; a camera's are those of ``front``."""
    for item in fields(kind):
        hint = get_type_hints(kind)[item.name]
        if item.name == "cameras":
            yield from every_key(CameraSettings, ("cameras", "front"))
        elif is_dataclass(hint):
            yield from every_key(hint, (*above, item.name))
        else:
            yield (*above, item.name)


KEYS = tuple(every_key(Settings))


@pytest.mark.parametrize("name", [item.name for item in fields(CameraSettings)])
def test_every_setting_of_a_camera_states_its_own_effect(name: str) -> None:
    hint = get_type_hints(CameraSettings, include_extras=True)[name]
    assert any(isinstance(fact, Effect) for fact in get_args(hint))


def test_every_key_is_seen() -> None:
    assert len(KEYS) > 80
    assert {("mqtt", "tls", "enabled"), ("cameras", "front", "region", "left")} < set(KEYS)


@pytest.mark.parametrize("key", KEYS, ids=dotted)
def test_every_setting_has_a_stated_effect(key: Key) -> None:
    assert effect_of(key) in Effect


@pytest.mark.parametrize(
    ("key", "effect"),
    [
        (("device", "name"), Effect.RESTART),
        (("device", "language"), Effect.LIVE),
        (("mqtt", "host"), Effect.RESTART),
        (("mqtt", "stats_s"), Effect.LIVE),
        (("mqtt", "tls", "ca_file"), Effect.RESTART),
        (("cameras", "front"), Effect.LIVE),
        (("cameras", "front", "source"), Effect.REOPEN),
        (("cameras", "front", "region", "left"), Effect.LIVE),
        (("cameras", "front", "decision", "enter"), Effect.LIVE),
        (("decision", "labels"), Effect.LIVE),
    ],
    ids=str,
)
def test_effect_is_that_of_the_field_or_else_of_its_table(key: Key, effect: Effect) -> None:
    assert effect_of(key) is effect


@pytest.mark.parametrize("key", [("mqtt", "new"), ("cameras", "front", "new"), ("new",)])
def test_effect_of_a_setting_that_nobody_thought_of_is_an_error(key: Key) -> None:
    with pytest.raises(KeyError):
        effect_of(key)


@pytest.mark.parametrize("key", [key[2] for key in KEYS if key[0] == "cameras" and len(key) == 3])
def test_effect_reopen_is_what_the_daemon_reopens_a_camera_for(key: str) -> None:
    changed: dict[str, Any] = {key: object()}
    other = replace(FRONT, **changed)
    reopens = effect_of(("cameras", "front", key)) is Effect.REOPEN
    assert must_reopen(FRONT, other) == reopens


def test_compare_of_equal_settings_finds_nothing() -> None:
    changes = compare(BEFORE, replace(BEFORE, cameras=dict(BEFORE.cameras)))
    assert (changes.live, changes.restart_required) == ((), ())


@pytest.mark.parametrize(
    ("after", "live", "restart"),
    [
        (replace(BEFORE, log=LogSettings(level="debug")), ["log.level"], []),
        (replace(BEFORE, http=HttpSettings(port=1)), [], ["http.port"]),
        (
            replace(BEFORE, device=DeviceSettings(state_folder=Path("/x"))),
            [],
            ["device.state_folder"],
        ),
        (
            replace(BEFORE, mqtt=MqttSettings(host="b", stats_s=9, tls=TlsSettings(enabled=True))),
            ["mqtt.stats_s"],
            ["mqtt.host", "mqtt.tls.enabled"],
        ),
        (
            replace(BEFORE, cameras={**BEFORE.cameras, "front": replace(FRONT, rate_fps=1)}),
            ["cameras.front.rate_fps"],
            [],
        ),
        (
            replace(BEFORE, cameras={"front": FRONT, "side door": FRONT}),
            ["cameras.back", 'cameras."side door"'],
            [],
        ),
    ],
)
def test_compare_tells_what_waits_for_a_restart(
    after: Settings, live: list[str], restart: list[str]
) -> None:
    changes = compare(BEFORE, after)
    assert (list(changes.live), list(changes.restart_required)) == (live, restart)


def with_decision(common: DecisionSettings, **cameras: DecisionSettings) -> Settings:
    return Settings(
        decision=common,
        cameras={name: CameraSettings(source="0", decision=own) for name, own in cameras.items()},
    )


def test_compare_decision_of_all_cameras_is_told_once() -> None:
    low, high = DecisionSettings(enter=0.6), DecisionSettings(enter=0.9)
    before, after = with_decision(low, a=low, b=low), with_decision(high, a=high, b=high)
    assert compare(before, after).live == ("decision.enter",)


def test_compare_decision_of_one_camera_is_told_as_that_camera_s() -> None:
    low, high = DecisionSettings(enter=0.6), DecisionSettings(enter=0.9)
    before, after = with_decision(low, a=low, b=low), with_decision(low, a=low, b=high)
    assert compare(before, after).live == ("cameras.b.decision.enter",)


def test_compare_camera_that_ceases_to_inherit_is_told() -> None:
    low, high = DecisionSettings(enter=0.6), DecisionSettings(enter=0.9)
    before, after = with_decision(low, a=low), with_decision(low, a=high)
    assert compare(after, before).live == ("cameras.a.decision.enter",)


def test_settings_in_force_after_a_reload_have_what_waits_as_it_was() -> None:
    mqtt = MqttSettings(host="b", stats_s=9, tls=TlsSettings(enabled=True))
    new = replace(BEFORE, mqtt=mqtt, device=DeviceSettings(name="other", language="zh"))
    now = in_force(BEFORE, new)
    assert now.mqtt == replace(BEFORE.mqtt, stats_s=9)
    assert now.device == replace(BEFORE.device, language="zh")
    assert compare(BEFORE, now).restart_required == ()
    assert set(compare(BEFORE, new).live) == set(compare(BEFORE, now).live)
