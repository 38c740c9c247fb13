"""Settings of a camera that were set over MQTT, above what the settings file says. Pure.

They are judged as the settings file is: by the types in ``config.settings``, with the same words.
pydantic, which reads the file, takes seconds to load on a small device, and whoever switches a
camera off does not wait for that; so the few kinds of these settings are read here.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from edge_classifier.config.constraints import Interval, Predicate
from edge_classifier.config.settings import CameraSettings, DecisionSettings
from edge_classifier.config.sources import SettingProblem, allowed_words
from edge_classifier.config.toml import Key, as_tree, dotted, inline
from edge_classifier.core.text import is_printable
from edge_classifier.mqtt.codec.camera_settings import SETTABLE
from edge_classifier.mqtt.codec.json_fields import inner

# Of one camera: JSON values, by the names in SETTABLE.
Overrides = Mapping[str, Any]
NO_OVERRIDES: Overrides = MappingProxyType({})
# What says where such a value comes from.
ORIGIN = "set over MQTT"
# Bytes of what is set of one camera, as JSON: ``info`` tells it, and the outbox's file keeps it.
MAX_BYTES = 8_192
# Characters of a title and entries of lists.
_LONGEST: Mapping[str, int] = MappingProxyType({"title": 100, "quiet_hours": 24, "ignore": 200})
# Bytes of a value that ``info`` tells.
_MAX_TOLD_BYTES = 16_384
# Characters of a value in an error.
_LONGEST_SHOWN = 80
_TYPES: Mapping[type, str] = MappingProxyType(
    {bool: "boolean", int: "integer", float: "number", str: "string"}
)


class OverrideError(ValueError):
    """What was asked for cannot be set; the text says all that is wrong."""


@dataclass(frozen=True, slots=True)
class JudgedOverrides:
    """A camera as it is to be, or why that cannot be."""

    camera: CameraSettings
    problems: tuple[SettingProblem, ...] = ()


def override(
    name: str, camera: CameraSettings, overrides: Overrides, *, asked: Collection[str] = ()
) -> JudgedOverrides:
    """``camera``, which the file calls ``name``, with what was set over MQTT.

    ``leave`` moves down with an ``enter`` that is below it, unless it is ``asked`` for now.
    """
    above = ("cameras", name)
    problems = list(_too_large(above, overrides))
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        found: list[SettingProblem] = []
        *outer, last = map(str, SETTABLE[key])
        hints = get_type_hints(DecisionSettings if outer else CameraSettings, include_extras=True)
        read = _read(hints[last], value, (*above, *SETTABLE[key]), found)
        problems += found
        if not found:
            values[key] = read
    of_decision = {key: values[key] for key in ("enter", "leave", "ignore") if key in values}
    if "enter" in values and "leave" not in asked:
        of_decision["leave"] = min(values.get("leave", camera.decision.leave), values["enter"])
    decision = camera.decision
    try:
        # What is wrong itself contradicts nothing.
        if {"enter", "leave"} & overrides.keys() <= values.keys():
            decision = replace(decision, **of_decision)
    except ValueError as error:
        problems.append(SettingProblem(str(error), dotted((*above, "decision"))))
    if problems:
        return JudgedOverrides(camera, tuple(problems))
    own = {key: value for key, value in values.items() if SETTABLE[key] == (key,)}
    return JudgedOverrides(replace(camera, decision=decision, **own))


def kept_overrides(remembered: Mapping[str, Any]) -> dict[str, Overrides]:
    """By camera, what the daemon kept before its restart; ``still_valid`` judges it."""
    kept: dict[str, Overrides] = {}
    for name, table in inner(inner(remembered, "overrides"), "cameras").items():
        if isinstance(table, dict):
            # So versions before December 2026 kept it.
            values = {"enter" if key == "threshold" else key: one for key, one in table.items()}
            kept[name] = {key: value for key, value in values.items() if value is not None}
    return kept


def still_valid(
    name: str, camera: CameraSettings, kept: Mapping[str, Any]
) -> tuple[dict[str, Any], list[SettingProblem]]:
    """What of ``kept`` goes with the file as it is now, and what is wrong with the rest.

    Another version may have kept it, or a failing card have changed it.
    """
    valid: dict[str, Any] = {}
    problems: list[SettingProblem] = []
    for key in SETTABLE:
        if key in kept:
            found = override(name, camera, {**valid, key: kept[key]}).problems
            problems += found
            if not found:
                valid[key] = kept[key]
    return valid, problems


def changed_keys(before: CameraSettings, after: CameraSettings, overrides: Overrides) -> list[Key]:
    """Where in a camera's table stands what was set, and what has moved with it."""
    trees = as_tree(before), as_tree(after)
    own = [SETTABLE[name] for name in overrides]
    if trees[0]["decision"]["leave"] != trees[1]["decision"]["leave"]:
        own.append(SETTABLE["leave"])
    tables = [(*key, edge) for key in own if key == ("region",) for edge in trees[1]["region"]]
    return [*own, *tables]


def values_in_force(camera: CameraSettings) -> dict[str, Any]:
    """All that can be set, as JSON values; None for what is too long to be told."""
    tree = as_tree(camera)
    told: dict[str, Any] = {}
    for name, key in SETTABLE.items():
        value: Any = tree
        for part in key:
            value = value[part]
        value = list(value) if isinstance(value, tuple) else value
        told[name] = value if len(json.dumps(value)) <= _MAX_TOLD_BYTES else None
    return told


def _read(hint: Any, value: object, key: Key, problems: list[SettingProblem]) -> Any:
    """``value``, which came as JSON, as a setting of type ``hint``.

    What is wrong is added to ``problems``, in the words of ``config.validate``.
    """
    kind, *about = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if is_dataclass(kind):
        return _read_table(kind, value, key, problems)
    if get_origin(kind) is tuple:
        item = get_args(kind)[0]
        if isinstance(value, list):
            return tuple(
                _read(item, one, (*key, number), problems) for number, one in enumerate(value)
            )
        problems.append(_problem(key, value, f"must be a list, each {_allowed(item)}"))
        return ()
    if not _is_allowed(kind, about, value):
        problems.append(_problem(key, value, f"must be {_allowed(hint)}"))
        return value
    try:
        for predicate in about:
            if isinstance(predicate, Predicate):
                predicate.is_allowed(value)
    except ValueError as error:
        problems.append(_problem(key, value, str(error)))
    return float(value) if kind is float and isinstance(value, int) else value


def _read_table(kind: Any, value: object, key: Key, problems: list[SettingProblem]) -> Any:
    if not isinstance(value, dict):
        problems.append(_problem(key, value, "must be a table"))
        return None
    hints = get_type_hints(kind, include_extras=True)
    hints = {name: hint for name, hint in hints.items() if not name.startswith("_")}
    found: list[SettingProblem] = [
        SettingProblem(f"no such key; there are {', '.join(hints)}", dotted((*key, name)))
        for name in value
        if name not in hints
    ]
    read = {
        name: _read(hint, value[name], (*key, name), found)
        for name, hint in hints.items()
        if name in value
    }
    problems += found
    if found:
        return None
    try:
        return kind(**read)
    except ValueError as error:
        problems.append(SettingProblem(str(error), dotted(key)))
        return None


def _is_allowed(kind: Any, about: Collection[object], value: object) -> bool:
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind is float:
        # bool is an int in Python.
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        ends: Any = [one for one in about if isinstance(one, Interval)]
        return all(
            (one.ge is None or value >= one.ge)
            and (one.gt is None or value > one.gt)
            and (one.le is None or value <= one.le)
            for one in ends
        )
    return isinstance(value, kind)


def _allowed(hint: Any) -> str:
    """What may stand there, in words."""
    kind, *about = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if get_origin(kind) is Literal:
        return allowed_words({"enum": get_args(kind)})
    facts: dict[str, Any] = {"type": _TYPES[kind]}
    for one in about:
        if isinstance(one, Interval):
            ends = {"minimum": one.ge, "exclusiveMinimum": one.gt, "maximum": one.le}
            facts |= {name: end for name, end in ends.items() if end is not None}
    return allowed_words(facts)


def _problem(key: Key, value: object, text: str) -> SettingProblem:
    is_shown = value is not None and not isinstance(value, dict)
    shown = inline(value) if is_shown else ""
    if len(shown) > _LONGEST_SHOWN:
        shown = f"{shown[:_LONGEST_SHOWN]}..."
    return SettingProblem(text, dotted(key), shown)


def _too_large(above: Key, overrides: Overrides) -> Iterator[SettingProblem]:
    for name, most in _LONGEST.items():
        value = overrides.get(name)
        if isinstance(value, str | list) and len(value) > most:
            what = "characters" if isinstance(value, str) else "entries"
            text = f"may have {most} {what} over MQTT, and has {len(value)}"
            yield SettingProblem(text, dotted((*above, *SETTABLE[name])))
    title = overrides.get("title")
    if isinstance(title, str) and not is_printable(title):
        yield SettingProblem("must be one line of printable text", dotted((*above, "title")))
    if len(json.dumps(dict(overrides))) > MAX_BYTES:
        text = f"what is set over MQTT may take {MAX_BYTES} bytes, and takes more"
        yield SettingProblem(text, dotted(above))
