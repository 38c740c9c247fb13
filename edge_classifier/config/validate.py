"""Judges the merged tree with pydantic, and puts what it finds wrong in words for people."""

import difflib
import json
import math
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import replace
from itertools import takewhile
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from edge_classifier.config.layers import Draft
from edge_classifier.config.schema import INHERITED, SchemaNode, adapter
from edge_classifier.config.secrets import SECRET_FILES
from edge_classifier.config.sources import Kind, SettingProblem
from edge_classifier.config.toml import Key, dotted, leaves

# Ends pydantic's location of a name, rather than of what stands under it.
_ITSELF = "[key]"
# Kinds of error whose value is none, or may be a secret at a wrong place.
_VALUELESS = ("missing", "unexpected_keyword_argument")


def validate(
    tree: dict[str, Any], draft: Draft, root: SchemaNode, kind: type[Kind]
) -> tuple[Kind | None, list[SettingProblem]]:
    """The settings that ``tree`` makes, or all problems of what was set in ``draft``.

    ``tree`` is the draft's, with what cameras inherit; ``root`` is that of ``kind``.
    """
    settings, errors = _judge(tree, kind)
    if errors:
        errors += _contradictions(tree, errors, kind)
    problems = []
    for error in errors:
        if not _is_inherited(error, errors, draft):
            problem = draft.problem(_key(error), _text(error, root))
            shown = problem.value if error["type"] not in _VALUELESS else ""
            problems.append(replace(problem, value=shown))
    return settings, problems


def too_many_cameras(draft: Draft, root: SchemaNode) -> SettingProblem | None:
    """What is wrong where there are more cameras than are allowed."""
    node, cameras = root.at(("cameras",)), draft.tree.get("cameras")
    if node is None or not isinstance(cameras, dict):
        return None
    if len(cameras) <= node.facts["maxProperties"]:
        return None
    return draft.problem(("cameras",), _camera_count(node))


def nul_problems(draft: Draft) -> list[SettingProblem]:
    """Texts with the one character that ends them for the system: no path or address has it."""
    found = (key for key, value in leaves(draft.tree) if _has_nul(key) or _has_nul(value))
    return [draft.problem(key, "must be without the character NUL") for key in found]


def _has_nul(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_nul, value.items()))
    if isinstance(value, list | tuple):
        return any(map(_has_nul, value))
    return isinstance(value, str) and "\0" in value


def _camera_count(node: SchemaNode) -> str:
    return f"there must be 1 to {node.facts['maxProperties']} tables [cameras.NAME]"


def _judge(tree: dict[str, Any], kind: type[Kind]) -> tuple[Kind | None, list[ErrorDetails]]:
    # As JSON, because pydantic is strict about numbers and text there, and knows paths and lists.
    # TOML's dates, which no setting takes, become a number that none takes either.
    text = json.dumps(tree, default=lambda _: math.nan)
    try:
        return adapter(kind).validate_json(text, strict=True), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    if errors[0]["type"] == "json_invalid":
        raise RecursionError  # It is JSON; its parser only has another limit than Python.
    return None, errors


def _contradictions(
    tree: dict[str, Any], errors: list[ErrorDetails], kind: type[Any]
) -> list[ErrorDetails]:
    """Keys that do not go together, in tables where ``errors`` kept them from being compared."""
    # Put what is right in the place of what is wrong, and look again.
    mended = deepcopy(tree)
    for error in errors:
        if error["loc"][-1] == _ITSELF:
            continue
        *above, last = takewhile(lambda part: isinstance(part, str), error["loc"])
        table: Any = mended
        for name in above:
            table = table.get(name, {})
        table.pop(last, None)
        if last == "source" and above[:1] == ["cameras"]:
            table[last] = "0"
    found = []
    for error in _judge(mended, kind)[1]:
        # Not a contradiction with the default of a key that is wrong itself.
        siblings = (key[-1] for key in map(_key, errors) if key[:-1] == error["loc"])
        about_defaults = any(str(name) in error["msg"] for name in siblings)
        if error["type"] == "value_error" and not about_defaults:
            found.append(error)
    return found


def _is_inherited(error: ErrorDetails, errors: Collection[ErrorDetails], draft: Draft) -> bool:
    """Whether a camera has it from [decision] or [motion], where it is reported once for all."""
    key = error["loc"]
    if key[0] != "cameras" or len(key) < 3 or key[2] not in INHERITED:
        return False
    own = draft.get(key)
    if own is None:
        return True
    above = [(other["loc"], other["msg"]) for other in errors]
    return isinstance(own, dict) and (key[2:], error["msg"]) in above


def _text(error: ErrorDetails, root: SchemaNode) -> str:
    key, kind = _key(error), error["type"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "unexpected_keyword_argument":
        return "no such key" + _suggestion(key, root)
    node = root.at(key)
    if node is None:
        return error["msg"]
    if key == ("cameras",):
        return _camera_count(node)
    if kind == "missing":
        return f"is missing: {node.text}"
    return f"must be {node.allowed}"


def _suggestion(key: Key, root: SchemaNode) -> str:
    """The key that was meant: one of its table that looks alike, or the same one elsewhere."""
    *above, last = key
    table = root.at(tuple(above))
    children = table.children if table else {}
    longer = [name for name in children if name.startswith(f"{last}_")]
    if close := longer or difflib.get_close_matches(str(last), children, 1):
        hint = f" ({SECRET_FILES[close[0]]})" if close[0] in SECRET_FILES else ""
        return f"; did you mean {dotted((*above, close[0]))}{hint}?"
    below = [(*above, name) for name, node in children.items() if last in node.children]
    places = below or [where for where, node in root.tables() if last in node.children]
    names = [dotted((*where, last)) for where in places[:3]]
    return f"; did you mean {' or '.join(names)}?" if names else ""


def _key(error: ErrorDetails) -> Key:
    return tuple(part for part in error["loc"] if part != _ITSELF)
