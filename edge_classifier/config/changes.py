"""What a reload changes, and which of that has to wait for a restart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from edge_classifier.config.settings import Settings
from edge_classifier.config.toml import Key, dotted


class Effect(StrEnum):
    """When a changed setting takes effect."""

    LIVE = "live"
    REOPEN = "live, reopens the camera"
    RESTART = "restart"


# Every setting; ``*`` is a camera's name, or at the end all keys of a table.
EFFECTS: Mapping[str, Effect] = MappingProxyType(
    {
        "device.*": Effect.RESTART,
        "device.language": Effect.LIVE,
        "model.*": Effect.LIVE,
        "cameras.*": Effect.LIVE,
        "cameras.*.source": Effect.REOPEN,
        "cameras.*.enabled": Effect.LIVE,
        "cameras.*.title": Effect.LIVE,
        "cameras.*.credentials_file": Effect.REOPEN,
        "cameras.*.rate_fps": Effect.LIVE,
        "cameras.*.width": Effect.REOPEN,
        "cameras.*.height": Effect.REOPEN,
        "cameras.*.rotate": Effect.REOPEN,
        "cameras.*.region.*": Effect.LIVE,
        "cameras.*.loop": Effect.REOPEN,
        "cameras.*.picture_s": Effect.REOPEN,
        "cameras.*.open_timeout_s": Effect.REOPEN,
        "cameras.*.read_timeout_s": Effect.REOPEN,
        "cameras.*.black_s": Effect.REOPEN,
        "cameras.*.retry_max_s": Effect.REOPEN,
        "cameras.*.quiet_hours": Effect.LIVE,
        "cameras.*.decision.*": Effect.LIVE,
        "cameras.*.motion.*": Effect.LIVE,
        "decision.*": Effect.LIVE,
        "motion.*": Effect.LIVE,
        "mqtt.enabled": Effect.RESTART,
        "mqtt.host": Effect.RESTART,
        "mqtt.port": Effect.RESTART,
        "mqtt.username": Effect.RESTART,
        "mqtt.password_file": Effect.RESTART,
        "mqtt.client_id": Effect.RESTART,
        "mqtt.protocol": Effect.RESTART,
        "mqtt.keepalive_s": Effect.RESTART,
        "mqtt.base_topic": Effect.RESTART,
        "mqtt.discovery": Effect.RESTART,
        "mqtt.discovery_prefix": Effect.RESTART,
        "mqtt.heartbeat_s": Effect.LIVE,
        "mqtt.stats_s": Effect.LIVE,
        "mqtt.tls.*": Effect.RESTART,
        "outbox.*": Effect.RESTART,
        "snapshots.*": Effect.LIVE,
        "store.*": Effect.LIVE,
        "http.*": Effect.RESTART,
        "log.*": Effect.LIVE,
    }
)


@dataclass(frozen=True, slots=True)
class Changes:
    """The keys whose values differ, dotted. A camera that comes or goes is one key."""

    # What takes effect at once.
    live: tuple[str, ...]
    # What stays as it is until the daemon is started again.
    restart_required: tuple[str, ...]


def compare(old: Settings, new: Settings) -> Changes:
    """How ``new`` differs from ``old``."""
    before, after = dict(_values(old)), dict(_values(new))
    keys = [key for key in before | after if before.get(key, ...) != after.get(key, ...)]
    own = [key for key in keys if not _follows(key, before, after)]
    waiting = [key for key in own if effect_of(key) is Effect.RESTART]
    live = [key for key in _whole_cameras(own, old, new) if key not in waiting]
    return Changes(tuple(map(dotted, live)), tuple(map(dotted, waiting)))


def in_force(started: Settings, new: Settings) -> Settings:
    """``new``, but for what has to wait for a restart: that is as it was at the start."""
    sections = {
        name: _in_force_section(name, getattr(started, name), getattr(new, name))
        for name in ("device", "mqtt", "outbox", "http")
    }
    return replace(new, **sections)


def _in_force_section(name: str, started: Any, new: Any) -> Any:
    waiting = {
        item.name: getattr(started, item.name)
        for item in fields(new)
        if _waits((name, item.name), getattr(new, item.name))
    }
    return replace(new, **waiting)


def _waits(key: Key, value: Any) -> bool:
    inner = (*key, fields(value)[0].name) if is_dataclass(value) else key
    return effect_of(inner) is Effect.RESTART


def effect_of(key: Key) -> Effect:
    """When a change of ``key`` takes effect. Raises KeyError for what is no setting."""
    names = ["*" if at == 1 and key[0] == "cameras" else str(name) for at, name in enumerate(key)]
    exact = ".".join(names)
    return EFFECTS[exact] if exact in EFFECTS else EFFECTS[".".join([*names[:-1], "*"])]


def _values(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """All settings with their values."""
    if key == ("cameras",):
        for name, camera in value.items():
            yield from _values(camera, (*key, name))
    elif is_dataclass(value):
        for item in fields(value):
            yield from _values(getattr(value, item.name), (*key, item.name))
    else:
        yield key, value


def _follows(key: Key, before: Mapping[Key, Any], after: Mapping[Key, Any]) -> bool:
    """Whether a camera only takes over what has changed in [decision] or [motion]."""
    return key[0] == "cameras" and all(
        key[2:] in values and values.get(key) == values[key[2:]] for values in (before, after)
    )


def _whole_cameras(keys: list[Key], old: Settings, new: Settings) -> list[Key]:
    changed = old.cameras.keys() ^ new.cameras.keys()
    whole = [key[:2] if key[0] == "cameras" and key[1] in changed else key for key in keys]
    return list(dict.fromkeys(whole))
