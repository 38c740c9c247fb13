"""File, variables and options put on top of each other, each value with its origin."""

import tomllib
from pathlib import Path
from typing import Any

from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.secrets import presentable
from edge_classifier.config.sources import SettingProblem, SettingsSources
from edge_classifier.config.toml import Key, complaint, dotted, inline, key_lines, leaves, parse_key
from edge_classifier.errors import MissingFileError, UsageError
from edge_classifier.files import open_regular

_LARGEST_FILE = 1_000_000
_LONGEST_SHOWN = 80


class Draft:
    """The tree of everything that was set, right or wrong, and where it was set."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.origins: dict[Key, str] = {}

    def set_value(self, key: Key, value: Any, origin: str) -> None:
        """Set a value; a table is merged with what is there."""
        if isinstance(value, dict) and value:
            for below, leaf in leaves(value, key):
                self.set_value(below, leaf, origin)
            return
        table = self._table(key[:-1])
        if key[-1] in table:
            if value == {} and isinstance(table[key[-1]], dict):
                return
            kept = self.origins.items()
            self.origins = {old: said for old, said in kept if old[: len(key)] != key}
        table[key[-1]] = value
        self.origins[key] = origin

    def forget(self, key: Key) -> None:
        """Take out a value that is there."""
        del self._table(key[:-1])[key[-1]]
        del self.origins[key]

    def get(self, key: Key) -> Any:
        """The value at ``key``, or None."""
        value: Any = self.tree
        for name in key:
            if isinstance(name, int):
                value = value[name] if isinstance(value, list) and name < len(value) else None
            else:
                value = value.get(name) if isinstance(value, dict) else None
        return value

    def problem(self, key: Key, text: str) -> SettingProblem:
        """Something wrong with the value at ``key``."""
        return SettingProblem(text, dotted(key), self.shown(key), self.origin(key))

    def shown(self, key: Key) -> str:
        """The value at ``key`` as a person may see it; nothing for a table."""
        value = self.get(key)
        if value is None or isinstance(value, dict):
            return ""
        text = inline(presentable(key, value))
        return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."

    def origin(self, key: Key) -> str:
        """Where ``key``, or else the first thing in it, or else the table around it, was set."""
        below = (said for found, said in self.origins.items() if found[: len(key)] == key)
        above = (self.origins.get(key[:end], "") for end in range(len(key), 0, -1))
        return self.origins.get(key) or next(below, "") or next(filter(None, above), "")

    def _table(self, key: Key) -> dict[Any, Any]:
        table: dict[Any, Any] = self.tree
        for name in key:
            # The stronger source wins, even where the weaker one has no table.
            if not isinstance(table.get(name), dict):
                table[name] = {}
            table = table[name]
        return table


def add_file(draft: Draft, path: Path, remedy: str) -> SettingProblem | None:
    """Add a file; what is wrong with it as a whole. Raises MissingFileError with ``remedy``."""
    text = ""
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST_FILE + 1)
        if len(content) > _LARGEST_FILE:
            return SettingProblem(f"is larger than {_LARGEST_FILE} bytes", origin=str(path))
        # Windows' editors begin a file with a byte order mark.
        text = content.decode("utf-8-sig")
        tree = tomllib.loads(text)
    except FileNotFoundError as error:
        raise MissingFileError(str(path), "there is no such file of settings", remedy) from error
    except OSError as error:
        return SettingProblem(f"cannot be read ({error.strerror})", origin=str(path))
    except UnicodeDecodeError as error:
        return SettingProblem(f"is not UTF-8 text (byte {error.start + 1})", origin=str(path))
    except (ValueError, RecursionError) as error:
        return SettingProblem(f"is not valid TOML: {complaint(text, error)}", origin=str(path))
    lines = key_lines(text)
    for key, value in leaves(tree):
        # Of an item in a list or an inline table, the line of what is around it.
        around = (lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines)
        draft.set_value(key, value, _place(path, next(around, 0)))
    for key, line in lines.items():
        draft.origins.setdefault(key, _place(path, line))
    return None


def _place(path: Path, line: int) -> str:
    return f"line {line} of {path}" if line else str(path)


def add_environment(
    draft: Draft, sources: SettingsSources, root: SchemaNode
) -> list[SettingProblem]:
    """Add the variables that begin with the prefix; what is wrong with them."""
    problems, prefix = [], sources.prefix
    for variable, text in sorted(sources.environment.items()):
        # With one underscore for two behind the program's name.
        before, _, rest = variable.partition(prefix.removesuffix("_"))
        table, separator, _ = rest.partition("__")
        if not before and separator and table.lower() in root.children:
            meant = f"did you mean {prefix}{rest}?"
            problems.append(SettingProblem(meant, origin=f"${variable}"))
        elif variable.startswith(prefix):
            key = _key_of(variable.removeprefix(prefix), draft, root)
            problems += _add_text(draft, root, key, text, f"${variable}")
    return problems


def add_assignments(
    draft: Draft, sources: SettingsSources, root: SchemaNode
) -> list[SettingProblem]:
    """Add ``KEY=VALUE`` options; what is wrong with them. Raises UsageError."""
    problems = []
    for assignment in sources.assignments:
        name, equals, text = assignment.partition("=")
        try:
            key = parse_key(name)
        except ValueError:
            equals = ""
        if not equals:
            # What was given is not repeated: it may have been meant to be a secret.
            raise UsageError("--set", "takes KEY=VALUE, such as mqtt.host=broker")
        problems += _add_text(draft, root, key, text, "--set")
    return problems


def add_options(draft: Draft, sources: SettingsSources) -> None:
    """Add values that options of their own have."""
    for name, value in sources.options.items():
        draft.set_value(parse_key(name), value, "option")


def _add_text(
    draft: Draft, root: SchemaNode, key: Key, text: str, origin: str
) -> list[SettingProblem]:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return [SettingProblem("is not UTF-8 text", dotted(key), origin=origin)]
    node = root.at(key)
    # What it means as TOML; text need not stand in quotes.
    try:
        parsed = tomllib.loads(f"value = {text}")
        value = parsed.pop("value")
    except (ValueError, RecursionError):
        parsed, value = {}, text
    # ``5`` is text where text is wanted: a camera's source may be 0, MQTT's version 5.
    is_text = node and node.is_text and not isinstance(value, str)
    draft.set_value(key, text if parsed or is_text else value, origin)
    return []


def _key_of(variable: str, draft: Draft, root: SchemaNode) -> Key:
    """The key that a variable, without its prefix, means; the user's names in whatever case."""
    key: Key = ()
    for part in variable.split("__"):
        name, node = part.lower(), root.at(key)
        if node and node.each:
            # A variable has neither small letters nor hyphens.
            table = draft.get(key)
            there = table if isinstance(table, dict) else {}
            alike = {other.lower().replace("-", "_"): other for other in reversed(there)}
            name = alike.get(name.replace("-", "_"), name)
        key = (*key, name)
    return key
