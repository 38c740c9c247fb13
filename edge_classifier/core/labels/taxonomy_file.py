"""The text of a taxonomy: one line a node or class, with the name of the node above it.

name    parent  zh
animal          动物
cat     animal  猫
tabby   cat
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from edge_classifier.core.labels.label_files import LONGEST_LABEL
from edge_classifier.core.labels.labels import BACKGROUND, UNKNOWN_NAMES
from edge_classifier.core.labels.taxonomy import Taxonomy, TaxonomyNode
from edge_classifier.core.text import folded, is_printable

# Far above any vocabulary that people choose by hand.
MOST_NODES = 1000
DEEPEST = 12
_COLUMNS = ("name", "parent", "id", "spoken")
_SPOKEN = {"": True, "yes": True, "no": False}
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")  # the shape of BCP 47
_RESERVED = frozenset(folded(name) for name in (BACKGROUND, *UNKNOWN_NAMES.values()))
# So many problems are told at once.
_MOST_TOLD = 20


class TaxonomyFormatError(ValueError):
    """A taxonomy's text is wrong; ``problems`` lists what is, each with its line."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems[:_MOST_TOLD]
        super().__init__("; ".join(self.problems))


class _Row(NamedTuple):
    """One line as it is written."""

    line: int
    name: str
    parent: str
    id: str
    spoken: str
    # Language tag to display name.
    names: Mapping[str, str]


def parse_taxonomy(text: str, labels: Sequence[str]) -> Taxonomy:
    """The taxonomy of a model with these ``labels``, one a class.

    A line whose name is a label is that class, or every class of this name, in any case;
    any other line is a node. Classes without a line are in no node. Raises TaxonomyFormatError with
    all that cannot be right.
    """
    rows = _read_rows(text)
    find_label = _LabelFinder(labels)
    nodes: dict[str, _Row] = {}
    members: dict[str, _Row] = {}
    wrong: list[str] = []
    for row in rows:
        label = find_label(row.name)
        known, name = (nodes, row.name) if label is None else (members, label)
        if name in known:
            wrong.append(f"line {row.line}: {name} is on line {known[name].line} already")
        known.setdefault(name, row)
    for row in rows:
        if row.parent and row.parent not in nodes:
            known_as = find_label(row.parent)
            reason = "not the name of a node" if known_as is None else "a label, and no node"
            wrong.append(f"line {row.line}: {row.parent}, above {row.name}, is {reason}")
    wrong += [
        f"line {row.line}: {label} is a label, whose names are in the model's contract"
        for label, row in members.items()
        if row.names or row.spoken
    ]
    wrong += _node_problems(nodes, {row.parent for row in rows})
    if wrong:
        raise TaxonomyFormatError(wrong)
    position = {name: at for at, name in enumerate(_parents_first(nodes))}
    return Taxonomy(
        tuple(
            TaxonomyNode(
                name,
                position.get(nodes[name].parent),
                MappingProxyType(dict(nodes[name].names)),
                _SPOKEN[nodes[name].spoken],
                nodes[name].id,
            )
            for name in position
        ),
        tuple(position.get(members[n].parent) if n in members else None for n in labels),
        tuple(members[n].id if n in members else "" for n in labels),
    )


def taxonomy_text(taxonomy: Taxonomy, labels: Sequence[str]) -> str:
    """The text that ``parse_taxonomy`` reads: nodes first, then classes in their order."""
    languages = sorted({tag for node in taxonomy.nodes for tag in node.names})
    parents: dict[int | None, str] = {None: ""}
    parents |= {at: node.name for at, node in enumerate(taxonomy.nodes)}
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow([*_COLUMNS, *languages])
    for node in taxonomy.nodes:
        names = [node.names.get(tag, "") for tag in languages]
        spoken = "" if node.spoken else "no"
        writer.writerow([node.name, parents[node.parent], node.id, spoken, *names])
    members = zip(labels, taxonomy.class_nodes, taxonomy.ids, strict=True)
    # A line is for every class of its name.
    for label, (_, node_at, id_) in {member[0]: member for member in members}.items():
        if node_at is not None or id_:
            writer.writerow([label, parents[node_at], id_])
    return text.getvalue()


def _read_rows(text: str) -> list[_Row]:
    """The lines below the heading.

    Raises TaxonomyFormatError for what is wrong with single ones, so that a message about others
    repeats no cell that is endless or cannot be printed.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    filled = [
        (number, line) for number, line in enumerate(lines, 1) if line.strip() and line[0] != "#"
    ]
    numbers = [number for number, _ in filled]
    delimiter = "\t" if any("\t" in line for _, line in filled) else ","
    try:
        table = list(csv.reader((line for _, line in filled), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise TaxonomyFormatError([f"is not a table ({error})"]) from error
    cells = [[cell if cell.isalnum() else " ".join(cell.split()) for cell in row] for row in table]
    heading = cells[0] if cells else []
    languages = [column for column in heading if column not in _COLUMNS]
    if len(cells) != len(filled):
        raise TaxonomyFormatError(["has a quotation mark that is not closed on its line"])
    if heading[:2] != ["name", "parent"]:
        raise TaxonomyFormatError(
            ["its first line is not `name`, `parent` and further columns, between tabs or commas"]
        )
    if len({*heading}) < len(heading) or not all(map(_LANGUAGE_TAG.fullmatch, languages)):
        known = f"{', '.join(_COLUMNS)} and language tags such as zh, each once"
        raise TaxonomyFormatError(
            [f"line {numbers[0]}: columns are {known}, not {', '.join(heading)[:200]}"]
        )
    # What a short line lacks, and a column that is not there, is empty.
    at = {column: place for place, column in enumerate(heading)}
    columns = [at.get(column, -1) for column in _COLUMNS]
    shown = [(tag, at[tag]) for tag in languages]
    rows, wrong = [], []
    for number, row in zip(numbers[1:], cells[1:], strict=True):
        if len(row) > len(heading):
            wrong.append(f"line {number} has {len(row)} cells for {len(heading)} columns")
        row.extend([""] * (len(heading) + 1 - len(row)))
        wrong += _cell_problems(number, row)
        name, parent, id_, spoken = [row[place] for place in columns]
        if not name:
            wrong.append(f"line {number} has no name")
        if spoken not in _SPOKEN:
            wrong.append(f"line {number}: spoken is {spoken[:30]}; yes or no is expected")
        names = {tag: row[place] for tag, place in shown if row[place]}
        rows.append(_Row(number, name, parent, id_, spoken, names))
    if wrong:
        raise TaxonomyFormatError(wrong)
    return rows


class _LabelFinder:
    """Finds the label that a name stands for: exactly, or else in another case."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = dict.fromkeys(labels)
        self._folded: dict[str, str] | None = None

    def __call__(self, name: str) -> str | None:
        if name in self._labels:
            return name
        if self._folded is None:
            self._folded = {folded(label): label for label in reversed(self._labels)}
        return self._folded.get(folded(name))


def _cell_problems(line: int, cells: Sequence[str]) -> list[str]:
    wrong = []
    if not is_printable("".join(cells)):
        wrong.append(f"line {line} has a name that cannot be printed")
    longest = max(cells, key=len)
    if len(longest) > LONGEST_LABEL:
        wrong.append(
            f"line {line} has a name of {len(longest)} characters ({longest[:30]}...); "
            f"up to {LONGEST_LABEL} are allowed"
        )
    return wrong


def _node_problems(nodes: Mapping[str, _Row], parents: set[str]) -> list[str]:
    """What is wrong with the tree, where ``parents`` are all names that something stands below."""
    wrong = []
    if len(nodes) > MOST_NODES:
        wrong.append(f"has {len(nodes)} nodes; up to {MOST_NODES} are allowed")
    taken: dict[tuple[str, str], str] = {}
    for name, row in nodes.items():
        if name not in parents:
            wrong.append(
                f"line {row.line}: {name} is no label of this model, and nothing stands below it"
            )
        for tag, shown in {"": name, **row.names}.items():
            if folded(shown) in _RESERVED:
                wrong.append(f"line {row.line}: no node can be called {shown}")
            other = taken.setdefault((tag, folded(shown)), name)
            if other != name:
                wrong.append(f"line {row.line}: {shown} is what {other} is called already")
        above = {name}
        parent = row.parent
        while parent in nodes and parent not in above and len(above) <= DEEPEST + 1:
            above.add(parent)
            parent = nodes[parent].parent
        if parent in above:
            wrong.append(f"line {row.line}: {name} stands above itself")
        elif len(above) > DEEPEST + 1:
            wrong.append(f"line {row.line}: {name} has more than {DEEPEST} nodes above it")
    return wrong


def _parents_first(nodes: Mapping[str, _Row]) -> list[str]:
    """All names, each after the one above it, else in the order of the lines."""
    placed: dict[str, None] = {}
    for lowest in nodes:
        line, name = [], lowest
        while name in nodes and name not in placed:
            line.append(name)
            name = nodes[name].parent
        placed |= dict.fromkeys(reversed(line))
    return list(placed)
