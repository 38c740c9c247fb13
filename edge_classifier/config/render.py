"""Settings as TOML: the merged ones for people, and a commented file to begin with."""

from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any

from edge_classifier.config.problems import SettingsReport
from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.secrets import presentable
from edge_classifier.config.toml import Key, document, dotted, inline
from edge_classifier.config.tree import as_tree
from edge_classifier.core.text import escaped

_WIDTH = 98
_HEAD = """\
# Settings of edge-classifier.
# A line with # and no blank is a setting with its default: take the # away to change it.
# Then: `edge-classify config check`, and `systemctl reload edge-classifier`.
# docs/configuration.md tells the same in tables, with what is allowed.
"""
_DECISION_OF_ONE = """\
# [cameras.{name}.decision] and [cameras.{name}.motion] take the keys of [decision] and [motion]
# below, for this camera alone.
"""


def merged(report: SettingsReport, *, origins: bool = False) -> str:
    """All settings, defaults included, secrets masked; if wanted, each with where it was set.

    Raises ConfigurationError where there are no settings.
    """
    tree = presentable((), as_tree(report.require()))
    return document(tree, lambda key: _origin(key, report.origins) if origins else "")


def _origin(key: Key, origins: Mapping[Key, str]) -> str:
    if key in origins:
        return escaped(origins[key])
    return _origin(key[2:], origins) if key[0] == "cameras" else "default"


def commented_file(chosen: Mapping[Key, Any]) -> str:
    """A file with all keys and their texts, of which only the ``chosen`` are in force.

    One camera must be among them: ``{("cameras", "front", "source"): "0"}``.
    """
    name = next(str(key[1]) for key in chosen if key[0] == "cameras")
    blocks = [_HEAD]
    for key, node in SchemaNode.root().tables():
        if key:
            table = tuple(name if part == "NAME" else part for part in key)
            blocks.append("\n".join(_table(table, node, chosen)) + "\n")
            if key == ("cameras", "NAME"):
                blocks.append(_DECISION_OF_ONE.format(name=name))
    return "\n".join(blocks)


def _table(table: Key, node: SchemaNode, chosen: Mapping[Key, Any]) -> Iterator[str]:
    yield from _comment(node.text)
    yield f"[{dotted(table)}]"
    for name, value in node.values().items():
        key = (*table, name)
        yield ""
        yield from _comment(value.text + _range(value))
        if key in chosen:
            yield f"{name} = {inline(chosen[key])}"
        else:
            yield f"#{name} = {inline(value.default if value.default is not None else '')}"


def _range(node: SchemaNode) -> str:
    """What may stand there, where the text does not tell anyway."""
    return f" ({node.allowed})" if node.is_choice or node.is_number else ""


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH, break_on_hyphens=False)]
