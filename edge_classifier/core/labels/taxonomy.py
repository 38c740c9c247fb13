"""A tree of names above a model's classes: ``animal`` above ``cat`` above ``tabby``.

It travels beside the labels (docs/contract.md); ``core.labels.taxonomy_file``
reads and writes its text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_NO_NAMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class TaxonomyNode:
    """One name that several classes, or other nodes, have in common."""

    # English, and no class's name.
    name: str
    # Position of the node above; None at the top.
    parent: int | None = None
    # Language tag to display name.
    names: Mapping[str, str] = field(default_factory=lambda: _NO_NAMES)
    # Whether it says enough to be an answer: ``animal`` alone may not.
    spoken: bool = True
    # Of a vocabulary outside, such as WordNet's synsets; empty: none.
    id: str = ""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The tree above one model's classes; an empty one for a model that has none."""

    # Each after the node above it.
    nodes: tuple[TaxonomyNode, ...] = ()
    # One a class: the position of the node that it is in, or None.
    class_nodes: tuple[int | None, ...] = ()
    # One a class: its id in a vocabulary outside; empty texts where there is none.
    ids: tuple[str, ...] = ()

    def line(self, position: int | None) -> tuple[int, ...]:
        """Positions from the top down to the node at ``position`` itself; of None there are none.

        The line of a class is that of ``class_nodes[index]``.
        """
        found: list[int] = []
        while position is not None:
            found.append(position)
            position = self.nodes[position].parent
        return tuple(reversed(found))

    def classes_below(self) -> tuple[int, ...]:
        """How many classes each node has, in its branches as well."""
        counts = [0] * len(self.nodes)
        for position in self.class_nodes:
            for above in self.line(position):
                counts[above] += 1
        return tuple(counts)


NO_TAXONOMY = Taxonomy()
