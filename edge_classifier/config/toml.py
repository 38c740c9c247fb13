"""TOML as text: values written, and the lines on which keys stand; ``tomllib`` reads it."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

# The way to a value: names of tables, and numbers of items in lists.
Key = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED = rf"[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*"
_KEY = re.compile(_DOTTED)
_ASSIGNMENT = re.compile(_DOTTED + "=")
_HEADER = re.compile(rf"[ \t]*\[{_DOTTED}\]")
_ITEM_HEADER = re.compile(rf"[ \t]*\[\[{_DOTTED}\]\]")
_LINE = re.compile(r"\(at line (\d+)")
_NAMES = "names have a to z, A to Z, digits, - and _; a title may have anything"


def parse_key(text: str) -> Key:
    """``cameras."front door".source`` in its parts. Raises ValueError for what is not a key."""
    if not _KEY.fullmatch(text):
        raise ValueError("not a dotted key")
    rest: Any = tomllib.loads(f"{text} = 0")
    key: Key = ()
    while isinstance(rest, dict):
        ((name, rest),) = rest.items()
        key = (*key, name)
    return key


def dotted(key: Key) -> str:
    """The reverse of ``parse_key``; items of lists as ``[0]``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{_name(part)}"
    return text.removeprefix(".")


def key_lines(text: str) -> dict[Key, int]:
    """On which lines, counted from 1, keys and tables first stand. ``text`` must be valid TOML.

    What only looks like a key, inside of a text of several lines, is found as well.
    """
    found: dict[Key, int] = {}
    table: Key = ()
    items: Counter[Key] = Counter()
    for number, line in enumerate(text.split("\n"), 1):
        header, assignment = _HEADER.match(line), _ASSIGNMENT.match(line)
        with suppress(ValueError):  # It only looked like one.
            if item := _ITEM_HEADER.match(line):
                above = parse_key(item[1])
                table = (*above, items[above])
                items[above] += 1
                found[table] = number
            elif header:
                table = parse_key(header[1])
                found.setdefault(table, number)
            elif assignment:
                found.setdefault(table + parse_key(assignment[1]), number)
    return found


def complaint(text: str, error: Exception) -> str:
    """What ``tomllib`` says of ``text``, and of a table's name what it does not say."""
    place = _LINE.search(str(error))
    line = text.split("\n")[int(place[1]) - 1] if place else ""
    is_broken_header = line.lstrip().startswith("[") and not _HEADER.match(line)
    return f"{error}; {_NAMES}" if is_broken_header else str(error)


def leaves(tree: Mapping[str, Any], above: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Every value that is not a table, and every empty table."""
    for name, value in tree.items():
        key = (*above, name)
        if isinstance(value, Mapping) and value:
            yield from leaves(value, key)
        else:
            yield key, value


def as_tree(settings: object) -> dict[str, Any]:
    """Settings as tables within tables, without what is not set: TOML has no null."""
    tree: dict[str, Any] = _as_plain(settings)
    return tree


def _as_plain(value: Any) -> Any:
    if is_dataclass(value):
        value = {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, Mapping):
        return {name: _as_plain(item) for name, item in value.items() if item is not None}
    return str(value) if isinstance(value, Path) else value


def document(tree: Mapping[str, Any], note: Callable[[Key], str] = lambda _: "") -> str:
    """A whole TOML text; ``note`` may say something behind a value, on its line."""
    return "\n".join(_lines(tree, (), note)).strip("\n") + "\n"


def _lines(table: Mapping[str, Any], key: Key, note: Callable[[Key], str]) -> Iterator[str]:
    values = {name: item for name, item in table.items() if not _is_full_table(item)}
    if values and key:
        yield from ("", f"[{dotted(key)}]")
    for name, item in values.items():
        said = note((*key, name))
        yield f"{_name(name)} = {inline(item)}" + (f"  # {said}" if said else "")
    for name, item in table.items():
        if _is_full_table(item):
            yield from _lines(item, (*key, name), note)


def _is_full_table(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value)


def inline(value: object) -> str:
    """A value as TOML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        return _text(str(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{_name(name)} = {inline(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, date | time):
        return value.isoformat()
    return repr(value)


def _name(text: str) -> str:
    return text if _BARE.fullmatch(text) else _text(text)


def _text(text: str) -> str:
    # JSON escapes as TOML does, but for the one control character that it lets through.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
