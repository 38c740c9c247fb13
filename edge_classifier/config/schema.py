"""What pydantic makes of the settings: their JSON schema, and each place in it in words.

Only this module and ``config.validate`` import pydantic, whose 9 MB the daemon does without.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from pydantic import TypeAdapter

from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import Kind, allowed_words
from edge_classifier.config.toml import Key

# Tables that each camera has, too, and takes what it does not set from.
INHERITED = ("decision", "motion")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def adapter(kind: type[Kind]) -> TypeAdapter[Kind]:
    """Turns JSON into settings of ``kind``."""
    hashable: Any = kind  # mypy does not see that classes are.
    made: TypeAdapter[Kind] = _adapter(hashable)
    return made


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def json_schema() -> dict[str, Any]:
    """The JSON schema of the file."""
    schema = adapter(Settings).json_schema()
    return {"$schema": _DIALECT, **schema, "title": "Settings of edge-classifier"}


@dataclass(frozen=True, slots=True)
class SchemaNode:
    """One place in the settings: a table with its keys, or a value."""

    # Its JSON schema, without references and null.
    facts: Mapping[str, Any]
    definitions: Mapping[str, Any]

    @classmethod
    def root(cls, kind: type[Any]) -> Self:
        """The file as a whole."""
        schema = adapter(kind).json_schema()
        return cls(schema, schema["$defs"])

    @property
    def text(self) -> str:
        """What it is, for people."""
        return " ".join(self.facts["description"].split())

    @property
    def default(self) -> Any:
        """As in JSON; None is nothing."""
        return {} if self.each else self.facts.get("default")

    @property
    def required(self) -> frozenset[str]:
        """The keys of this table that must be set."""
        return frozenset(self.facts.get("required", ()))

    @property
    def is_path(self) -> bool:
        """Whether it names a file or a folder."""
        return self.facts.get("format") == "path"

    @property
    def is_text(self) -> bool:
        """Whether it is text, of whatever kind."""
        return self.facts.get("type") == "string"

    @property
    def is_number(self) -> bool:
        """Whether it is a number of a range."""
        return self.facts.get("type") in {"integer", "number"} and not self.is_choice

    @property
    def is_choice(self) -> bool:
        """Whether it is one of a few values."""
        return "enum" in self.facts

    @property
    def children(self) -> dict[str, "SchemaNode"]:
        """The keys of a table that has its own."""
        keys = self.facts.get("properties", {})
        return {name: self._resolved(facts) for name, facts in keys.items()}

    @property
    def each(self) -> "SchemaNode | None":
        """What stands under each key of a table whose keys the user chooses."""
        facts = self.facts.get("additionalProperties")
        return self._resolved(facts) if isinstance(facts, dict) else None

    @property
    def item(self) -> "SchemaNode | None":
        """What stands in a list."""
        facts = self.facts.get("items")
        return self._resolved(facts) if facts else None

    @property
    def allowed(self) -> str:
        """What may stand here, in words."""
        if self.item:
            return f"a list, each {self.item.allowed}"
        if self.each:
            return f"a table, each {self.each.allowed}"
        return allowed_words(self.facts)

    def at(self, key: Key) -> "SchemaNode | None":
        """What stands at ``key``, from here; None: nothing may."""
        if not key:
            return self
        first, rest = key[0], key[1:]
        below = self.item if isinstance(first, int) else self.children.get(first) or self.each
        return below.at(rest) if below else None

    def tables(self, key: Key = ()) -> Iterator[tuple[Key, "SchemaNode"]]:
        """This table and those below, each kind once: a camera's as NAME, of a list the first."""
        yield key, self
        for name, node in self.children.items():
            if name == "cameras" and node.each:
                yield from node.each.tables((name, "NAME"))
            elif node.item and node.item.children:
                yield from node.item.tables((*key, name, 0))
            elif node.children and not (key and name in INHERITED):
                yield from node.tables((*key, name))

    def values(self) -> dict[str, "SchemaNode"]:
        """The keys of this table that are not tables of their own, nor lists of tables."""
        found = self.children.items()
        return {
            name: node
            for name, node in found
            if not (node.children or (node.item and node.item.children))
            and not (node.each and name == "cameras")
        }

    def _resolved(self, facts: Mapping[str, Any]) -> "SchemaNode":
        merged = dict(facts)
        for choice in merged.pop("anyOf", ()):
            if choice != {"type": "null"}:
                merged = {**choice, **merged}
        name = merged.pop("$ref", "").removeprefix("#/$defs/")
        return SchemaNode({**self.definitions.get(name, {}), **merged}, self.definitions)
