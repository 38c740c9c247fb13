"""Settings as text for people: the merged ones, a commented file, and the tables of documents.

``python -m edge_classifier.config.reference docs/configuration.md docs/training-settings.md
docs/web-settings.md`` writes the tables of these documents anew.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from typing import Any

from edge_classifier.config.changes import effect_of
from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.secrets import presentable
from edge_classifier.config.settings import Settings
from edge_classifier.config.sources import SettingsReport
from edge_classifier.config.toml import Key, as_tree, document, dotted, inline
from edge_classifier.core.text import escaped

# Of a commented file.
_WIDTH = 98
# What a document has before its tables: the class that they are made from.
_MARKER = re.compile(
    r"<!-- From here on made by .*?from the texts in ([\w.]+)\.(\w+) -->\n", re.DOTALL
)
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


def merged(report: SettingsReport[Settings], *, origins: bool = False) -> str:
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
    for key, node in SchemaNode.root(Settings).tables():
        if key:
            table = tuple(name if part == "NAME" else part for part in key)
            blocks.append("\n".join(_commented_table(table, node, chosen)) + "\n")
            if key == ("cameras", "NAME"):
                blocks.append(_DECISION_OF_ONE.format(name=name))
    return "\n".join(blocks)


def _commented_table(table: Key, node: SchemaNode, chosen: Mapping[Key, Any]) -> Iterator[str]:
    yield from _comment(node.text)
    yield f"[{dotted(table)}]"
    for name, value in node.values().items():
        key = (*table, name)
        yield ""
        # What may stand there, where the text does not tell anyway.
        allowed = f" ({value.allowed})" if value.is_choice or value.is_number else ""
        yield from _comment(value.text + allowed)
        if key in chosen:
            yield f"{name} = {inline(chosen[key])}"
        else:
            yield f"#{name} = {inline(value.default if value.default is not None else '')}"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH, break_on_hyphens=False)]


def with_tables(page: str) -> str:
    """A document, Markdown, with what stands below its marker made anew."""
    marker = _MARKER.search(page)
    if not marker:
        raise ValueError("there is no marker that names the class of settings")
    kind = getattr(import_module(marker[1]), marker[2])
    sections = [page[: marker.end()]]
    for table, node in SchemaNode.root(kind).tables():
        if not node.values():
            continue
        title = f"## [{dotted(table)}]" if table else "## Before the first table"
        # What a change takes is said of the daemon's settings alone.
        change = ("change",) if kind is Settings else ()
        head = ("key", "default", "allowed", *change, "meaning")
        rows = [_row(head), "|" + "---|" * len(head)]
        for name, value in node.values().items():
            default = "not set" if value.default is None else f"`{inline(value.default)}`"
            default = "required" if name in node.required else default
            effect = (effect_of((*table, name)).value,) if kind is Settings else ()
            rows.append(_row((f"`{name}`", default, value.allowed, *effect, value.text)))
        sections.append("\n".join([title, "", node.text, "", *rows, ""]))
    return "\n".join(sections)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_tables(path.read_text("utf-8")), "utf-8")
