"""What stands in fields of settings: kinds of text, and what a change of a field takes."""

import ast
import re
import sys
from enum import StrEnum
from functools import cache
from inspect import cleandoc, getsource
from itertools import pairwise
from typing import Annotated, Any
from urllib.parse import urlsplit

from edge_classifier.config.constraints import Interval, Len, Predicate
from edge_classifier.core.contract import range_from_text
from edge_classifier.core.network.network_address import is_host, is_loopback
from edge_classifier.core.quiet_hours import quiet_minutes


class Effect(StrEnum):
    """When a changed setting is in force; it stands in the field's annotation."""

    LIVE = "live"
    REOPEN = "live, reopens"
    RESTART = "restart"


# What a change takes, for a setting or, on a table, for all of its keys that say nothing else.
LIVE, REOPEN, RESTART = Effect


def _describe(schema: dict[str, Any], kind: type) -> None:
    """Put a class's docstring into its schema, which pydantic 2.11 leaves out, and its fields'.

    pydantic can take those from below fields, too, but reads a whole file anew for each class in
    it, which would be a tenth of the page's start.
    """
    schema.setdefault("description", cleandoc(kind.__doc__ or ""))
    for base in reversed(kind.__mro__):
        for name, text in _field_texts(base.__module__).get(base.__name__, {}).items():
            schema["properties"][name]["description"] = text


@cache
def _field_texts(module: str) -> dict[str, dict[str, str]]:
    """The strings below the fields of each class of ``module``."""
    try:
        classes = ast.parse(getsource(sys.modules[module])).body
    except (OSError, TypeError):
        # A built-in one, or one that came without its source: settings are read all the same.
        return {}
    return {
        one.name: {
            field.target.id: cleandoc(text.value.value)
            for field, text in pairwise(one.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for one in classes
        if isinstance(one, ast.ClassDef)
    }


# How pydantic, which wants a dict, is to read the classes: unknown keys refused.
STRICT: dict[str, Any] = {"extra": "forbid", "json_schema_extra": _describe}
# What may stand in a topic: names of devices and cameras.
NAME = "^[A-Za-z0-9_-]{1,64}$"
# Topics below BASE/NAME whose next level is not a camera's.
_TAKEN = ("request", "response")


def _is_hours(text: str) -> bool:
    begin, end = quiet_minutes(text)
    if begin == end:
        raise ValueError(f"{text!r} is empty: it ends when it begins")
    return True


def _is_name(text: str) -> bool:
    if not re.fullmatch(NAME, text):
        raise ValueError("a name has 1 to 64 letters (a to z), digits, - and _")
    return True


def _is_device_name(text: str) -> bool:
    return not text or _is_name(text)


def _is_camera_name(text: str) -> bool:
    if text in _TAKEN:
        raise ValueError(f"{' and '.join(_TAKEN)} are topics already, and no camera's name")
    return _is_name(text)


def _is_topic(text: str) -> bool:
    if any(sign in text for sign in "+#\0") or text.startswith("$") or "" in text.split("/"):
        raise ValueError("may not begin with $, nor have +, #, // or a / at its ends")
    return True


def _is_host(text: str) -> bool:
    if not is_host(text):
        raise ValueError("must be a name or an address alone: the port has a key of its own, port")
    return True


def _is_input_range(text: str) -> bool:
    return not text or bool(range_from_text(text))


def _is_model_source(text: str) -> bool:
    parts = urlsplit(text)
    try:
        is_place = parts.port != 0 and bool(parts.hostname) and is_host(parts.hostname or "")
    except ValueError:
        is_place = False
    if text and (parts.scheme not in ("http", "https") or not is_place):
        raise ValueError("must be https://HOST or https://HOST:PORT")
    if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be https://HOST:PORT and nothing else: no path, and no login")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https://; http:// is for this machine alone")
    return True


Fraction = Annotated[float, Interval(ge=0.0, le=1.0)]
# A predicate raises ValueError: its text is what is said about the value.
InputRange = Annotated[str, Predicate(_is_input_range)]
Hours = Annotated[str, Predicate(_is_hours)]
DeviceName = Annotated[str, Predicate(_is_device_name)]
CameraName = Annotated[str, Predicate(_is_camera_name)]
Topic = Annotated[str, Len(1, 200), Predicate(_is_topic)]
ModelSource = Annotated[str, Predicate(_is_model_source)]
Host = Annotated[str, Len(1, 253), Predicate(_is_host)]
