"""What each class counts as, and the names above it: the model's tree as the settings leave it."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.labels.labels import BACKGROUND, UNKNOWN_NAMES
from edge_classifier.core.labels.taxonomy import Taxonomy
from edge_classifier.core.text import folded

# Ignored unless ``aliases`` or ``groups`` name it.
BACKGROUNDS = frozenset({BACKGROUND, "背景"})

# A class of this name says that nothing is seen, so it is never a label that is seen.
UNKNOWNS = frozenset(UNKNOWN_NAMES.values())

# Names from the top of the tree down to a class's label, each once; empty: the class is ignored.
NameLine = tuple[str, ...]


class UnknownLabelsError(ValueError):
    """Settings name labels that the model does not have, or name them twice.

    ``problems`` has all of them, one line each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class NamedClasses:
    """A model's labels and nodes under the names that ``ignore``, ``aliases`` and ``groups`` give.

    A name in the settings means every class and node of that very name, or else every one that
    differs in upper and lower case alone. A node stands for all classes below it; where several
    settings fit a class, the one whose name is nearest to it counts.
    """

    def __init__(
        self, labels: Sequence[str], taxonomy: Taxonomy, decision: DecisionSettings
    ) -> None:
        self._taxonomy = taxonomy
        self._classes = len(labels)
        # What can be named, by position: the classes, and behind them the nodes.
        self.names = (*labels, *(node.name for node in taxonomy.nodes))
        # What is wrong, a line each.
        self.problems: list[str] = []
        # Other names of single positions; of a node, of the node alone.
        self._renamed: dict[int, str] = {}
        # Names under which all counts that is at a position or below it; None: it is ignored.
        self._absorbed: dict[int, str | None] = {}
        for name in decision.ignore:
            self._claim("ignore", name, None)
        for name, other in decision.aliases.items():
            self._claim("aliases", name, other)
        for group, members in decision.groups.items():
            for name in members:
                self._claim(f"groups.{group}", name, group)

    def _claim(self, key: str, name: str, other: str | None) -> None:
        """Let the setting ``key`` make ``other`` of all that is called ``name``."""
        found = positions_of(name, self.names)
        if not found:
            near = similar(name, self.names)
            self.problems.append(f"{key}: {name!r} is no label of this model{near}")
        claims = self._renamed | self._absorbed
        for earlier in {claims[at] for at in found if at in claims} - {other}:
            treatment = "is ignored" if earlier is None else f"counts as {earlier!r}"
            self.problems.append(f"{key}: {name!r} {treatment} already")
        if key == "aliases" and other is not None and other.casefold() not in UNKNOWNS:
            self._renamed |= dict.fromkeys(found, other)
        else:
            self._absorbed |= dict.fromkeys(found, other)

    def lines(self) -> list[NameLine]:
        """One a class."""
        return [self._line(index) for index in range(self._classes)]

    def _line(self, index: int) -> NameLine:
        nodes = self._taxonomy.class_nodes
        above = self._taxonomy.line(nodes[index]) if nodes else ()
        positions = [*(self._classes + node for node in above), index]
        names = [self._renamed.get(at, self.names[at]) for at in positions]
        absorbed = [at for at in positions if at in self._absorbed]
        if absorbed:
            label = self._absorbed[absorbed[-1]]
            # From there down the names of nodes are ignored, or a group's.
            names = names[: positions.index(absorbed[0])]
        elif index not in self._renamed and names[-1].casefold() in BACKGROUNDS:
            label = None
        else:
            label = names.pop()
        if label is None or label.casefold() in UNKNOWNS:
            return ()
        # A class that counts as a node above it ends there.
        names = names[: names.index(label)] if label in names else names
        return (*dict.fromkeys(names), label)

    def unspoken(self) -> set[str]:
        """Names of nodes that say too little to be an answer, unless the settings rename them."""
        nodes = enumerate(self._taxonomy.nodes, self._classes)
        return {node.name for at, node in nodes if not node.spoken and at not in self._renamed}


def names_above(lines: Iterable[NameLine]) -> Mapping[str, NameLine]:
    """Each name of ``lines`` with those above it that all of its lines have in common.

    So each name has one place: a group of members from here and there stands below what they share.
    """
    found: dict[str, NameLine] = {}
    for line in dict.fromkeys(lines):
        for depth, name in enumerate(line):
            above = line[:depth]
            known = found.get(name, above)
            same = (one == other for one, other in zip(known, above, strict=False))
            found[name] = above[: len(list(takewhile(bool, same)))]
    return found


def positions_of(wanted: str, labels: Sequence[str]) -> list[int]:
    """Every position of ``wanted`` in ``labels``: exactly, or else in whatever case and form.

    Editors and file systems disagree on how to write an é.
    """
    exact = [index for index, label in enumerate(labels) if label == wanted]
    if exact:
        return exact
    key = folded(wanted)
    return [index for index, label in enumerate(labels) if folded(label) == key]


def similar(label: str, labels: Sequence[str]) -> str:
    """The nearest of ``labels``, if any is near."""
    # Only ever needed for a mistake.
    from difflib import get_close_matches

    known = {folded(name): name for name in labels}
    close = [known[match] for match in get_close_matches(folded(label), known)]
    return f"; similar: {', '.join(map(repr, close))}" if close else ""
