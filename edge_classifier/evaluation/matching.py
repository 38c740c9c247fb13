"""Which of a model's labels a class folder means."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from edge_classifier.core.labels.labels import BACKGROUND, UNKNOWN_NAMES
from edge_classifier.core.text import folded

# In place of a class number: the picture shows none of the model's labels.
NONE = -1
# Language tag to one display name a label.
Names = Mapping[str, tuple[str, ...]]

_UNKNOWNS = frozenset(UNKNOWN_NAMES.values())
_NOTHING = _UNKNOWNS | {BACKGROUND, "背景"}


def says_nothing(label: str) -> bool:
    """Whether a label of this name means that nothing is seen: it is never decided on."""
    return label.casefold() in _NOTHING


def says_unknown(label: str) -> bool:
    """Whether a label of this name is a reject class: trained on pictures of other things."""
    return label.casefold() in _UNKNOWNS


def match(
    labels: Sequence[str], names: Names, known: Sequence[str], known_names: Names
) -> tuple[int | None, ...]:
    """For each of ``labels`` its number in ``known``, NONE or, where it is a stranger, None.

    A label matches the very same one; else one that differs in case, or in ``_`` and ``-`` for
    blanks; else a display name of either side; else one of the words that ImageNet's labels list
    (``tench, Tinca tinca``). ``unknown`` in a model that does not have it is NONE: a picture that
    shows something else is useful for any model.
    """
    synonyms = ((number, word) for number, label in enumerate(known) for word in label.split(","))
    exact = {label: number for number, label in reversed(list(enumerate(known)))}
    folded = _folded(synonyms) | _folded(_numbered(known, *known_names.values()))
    places: list[int | None] = []
    for number, label in enumerate(labels):
        candidates = [label, *(of_language[number] for of_language in names.values())]
        found = [folded[_key(name)] for name in candidates if _key(name) in folded]
        if label in exact:
            places.append(exact[label])
        elif found:
            places.append(found[0])
        else:
            places.append(NONE if says_unknown(label) else None)
    return tuple(places)


def _numbered(*lists: Sequence[str]) -> Iterator[tuple[int, str]]:
    return chain.from_iterable(map(enumerate, lists))


def _folded(numbered: Iterable[tuple[int, str]]) -> dict[str, int]:
    """Folded name to number; of equal names the first counts."""
    found: dict[str, int] = {}
    for number, name in numbered:
        found.setdefault(_key(name), number)
    return found


def _key(name: str) -> str:
    return " ".join(folded(name).replace("_", " ").replace("-", " ").split())


def similar(label: str, known: Sequence[str], known_names: Names) -> tuple[str, ...]:
    """The labels or display names that are nearest to ``label``, at most three."""
    every = {_key(name): name for _, name in _numbered(*known_names.values(), known)}
    return tuple(every[key] for key in difflib.get_close_matches(_key(label), every))
