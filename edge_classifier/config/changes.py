"""What a reload changes, and which of that has to wait for a restart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from edge_classifier.config.field_types import Effect
from edge_classifier.config.settings import Settings
from edge_classifier.config.toml import Key, dotted


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
    # A camera that only takes over what has changed in [decision] or [motion] has no change of its
    # own.
    own = [
        key
        for key in keys
        if key[0] != "cameras"
        or not all(
            key[2:] in values and values.get(key) == values[key[2:]] for values in (before, after)
        )
    ]
    restart_required = [key for key in own if effect_of(key) is Effect.RESTART]
    come_or_gone = old.cameras.keys() ^ new.cameras.keys()
    whole = [key[:2] if key[0] == "cameras" and key[1] in come_or_gone else key for key in own]
    live = [key for key in dict.fromkeys(whole) if key not in restart_required]
    return Changes(tuple(map(dotted, live)), tuple(map(dotted, restart_required)))


def in_force(started: Settings, new: Settings) -> Settings:
    """``new``, but for what has to wait for a restart: that is as it was at the start."""
    sections: dict[str, Any] = {}
    for name in ("device", "mqtt", "outbox", "http"):
        before, after = getattr(started, name), getattr(new, name)
        restart_required = {
            item.name: getattr(before, item.name)
            for item in fields(after)
            if effect_of((name, item.name)) is Effect.RESTART
        }
        sections[name] = replace(after, **restart_required)
    return replace(new, **sections)


@cache
def effect_of(key: Key) -> Effect:
    """What a change of ``key`` takes. Raises KeyError for what is not a setting, or says nothing.

    The innermost annotation counts: that of the field, or else of the table that it is in.
    """
    kind, effect = Settings, None
    for part in key:
        # A table whose keys are the user's, such as a camera's name.
        if issubclass(get_origin(kind) or kind, Mapping):
            kind = get_args(kind)[1]
        else:
            hint = get_type_hints(kind, include_extras=True)[str(part)]
            own = get_args(hint) if get_origin(hint) is Annotated else (hint,)
            kind, *facts = own
            effect = next((fact for fact in facts if isinstance(fact, Effect)), effect)
    if effect is None:
        raise KeyError(dotted(key))
    return effect


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
