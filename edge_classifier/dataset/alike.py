"""Which pictures are the same, or nearly: shots of a burst, copies in another size."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.sentence import Sentence
from edge_classifier.dataset.facts import PictureFacts, readable
from edge_classifier.dataset.folder import Dataset, Sample

# Pictures whose perceptual hashes differ in so many bits, or fewer, pass for the same, as in the
# daemon's capture store. Of the 21 such pairs among 3,468 photographs of flowers 20 are one
# photograph twice (cut, in grey, recompressed) or two of a burst; from 8 bits on most are not.
ALIKE_BITS = 6
# A hash with fewer bits set shows next to nothing: fog, a lens cap, a plain gradient. Among 1,156
# photographs blurred beyond recognition three pairs in four would be alike without it.
_TELLING_BITS = 12
_HASH_BITS = 64
# Pictures of a group that are named.
_SHOWN_OF_GROUP = 4

Hashes = NDArray[np.uint64]
Numbers = NDArray[np.int64]
Group = tuple[Path, ...]


def duplicate_groups(
    samples: Sequence[Sample], facts: Mapping[Path, PictureFacts], distance_bits: int = ALIKE_BITS
) -> dict[Path, str]:
    """Each sample's group: pictures that must not be on both sides of a split have the same.

    Where one group would hold more than half of a class, as with a camera that never moves, the
    hash cannot tell its pictures apart: they are compared again, more strictly, and at last by
    their bytes alone. All samples must be readable.
    """
    groups: dict[Path, str] = {}
    rest: Collection[Path] = [sample.path for sample in samples]
    bits = distance_bits
    while rest:
        groups |= alike(rest, facts, bits)
        dominating = {key for key, _ in dominating_groups(samples, groups)} if bits >= 0 else ()
        rest = [path for path, key in groups.items() if key in dominating]
        bits = bits // 2 if bits else -1
    return groups


def alike(paths: Iterable[Path], facts: Mapping[Path, PictureFacts], bits: int) -> dict[Path, str]:
    """Each picture's group: the same bytes, or hashes at most ``bits`` apart, or linked by such.

    Below 0, the same bytes only. A group is called by the least SHA-256 in it.
    """
    every = list(paths)
    hashes = {facts[path].sha256: facts[path].hash for path in every}
    group = {content: content for content in hashes}
    if bits >= 0:
        telling = sorted(key for key, value in hashes.items() if value.bit_count() >= _TELLING_BITS)
        first = _linked(np.array([hashes[key] for key in telling], np.uint64), bits)
        group |= {key: telling[number] for key, number in zip(telling, first, strict=True)}
    return {path: group[facts[path].sha256] for path in every}


def dominating_groups(
    samples: Iterable[Sample], groups: Mapping[Path, str]
) -> frozenset[tuple[str, int]]:
    """Groups that hold more than half of a class's pictures, and more than one; with the class."""
    sizes: Counter[int] = Counter()
    parts: Counter[tuple[str, int]] = Counter()
    for sample in samples:
        sizes[sample.label] += 1
        parts[groups[sample.path], sample.label] += 1
    return frozenset(
        part for part, count in parts.items() if count > 1 and 2 * count > sizes[part[1]]
    )


def members(groups: Mapping[Path, str]) -> list[tuple[Path, ...]]:
    """The groups of two and more pictures."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path, key in groups.items():
        found[key].append(path)
    return [tuple(paths) for paths in found.values() if len(paths) > 1]


def _linked(hashes: Hashes, bits: int) -> list[int]:
    """For each hash the number of the first one that it is linked to, directly or by others.

    Two hashes that differ in ``bits`` bits are equal in one of ``bits`` + 1 words at least: only
    those that share a word are compared, some 20 million pairs of 50,000 pictures.
    """
    distinct, inverse = np.unique(hashes, return_inverse=True)
    roots = np.arange(len(distinct))
    edges = [_HASH_BITS * part // (bits + 1) for part in range(bits + 2)]
    for low, high in pairwise(edges):
        word = (distinct >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        for pairs in _pairs_of_equals(word):
            apart = pairs[:, roots[pairs[0]] != roots[pairs[1]]]
            differing = distinct[apart[0]] ^ distinct[apart[1]]
            # At most ``bits`` are set if clearing the lowest so many times leaves none (Kernighan);
            # numpy.bitwise_count came with numpy 2, and not every Pi has that.
            for _ in range(bits):
                differing &= differing - np.uint64(1)
            for pair in apart[:, differing == 0].T:
                first, second = sorted(roots[pair].tolist())
                if first != second:
                    roots[roots == second] = first
    linked: dict[int, int] = {}
    return [linked.setdefault(root, number) for number, root in enumerate(roots[inverse].tolist())]


def _pairs_of_equals(word: Hashes) -> Iterator[Numbers]:
    """Numbers of all pairs with the same value, each once, shape (2, P) at a time."""
    order = np.argsort(word, kind="stable")
    ordered = word[order]
    first = np.arange(len(word))
    for step in range(1, len(word)):
        first = first[: np.searchsorted(first, len(word) - step)]
        first = first[ordered[first] == ordered[first + step]]
        if not len(first):
            return
        yield np.stack((order[first], order[first + step]))


@dataclass(frozen=True, slots=True)
class ComparedPictures:
    """What every check looks at."""

    dataset: Dataset
    validation: Dataset | None
    facts: Mapping[Path, PictureFacts]
    # Of both folders.
    samples: tuple[Sample, ...]
    labels: Mapping[Path, int]
    # Groups of the same bytes.
    copies: tuple[Group, ...]
    # Groups in which not all are copies of one another.
    alike: tuple[Group, ...]
    # Classes most of whose pictures look alike.
    dominated_classes: frozenset[int]

    def is_measured(self, path: Path) -> bool:
        """Whether a picture lies in the validation folder."""
        return self.validation is not None and path.is_relative_to(self.validation.root)

    def place(self, path: Path) -> str:
        """What a picture is called."""
        if self.validation and self.is_measured(path):
            return f"{self.validation.root.name}/{self.validation.place(path)}"
        return self.dataset.place(path)

    def sides(self, paths: Group) -> set[bool]:
        """Whether there are pictures of either folder."""
        return {self.is_measured(path) for path in paths}

    def classes(self, paths: Group) -> set[int]:
        """The labels of pictures."""
        return {self.labels[path] for path in paths}

    def group(self, paths: Group) -> str:
        """Pictures that belong together, those to learn from first."""
        ordered = sorted(paths, key=lambda path: (self.is_measured(path), self.place(path)))
        shown = " = ".join(map(self.place, ordered[:_SHOWN_OF_GROUP]))
        more = len(paths) - _SHOWN_OF_GROUP
        return Sentence("{shown} and {more} more", shown=shown, more=more) if more > 0 else shown


def compare_pictures(
    dataset: Dataset, facts: Mapping[Path, PictureFacts], validation: Dataset | None
) -> ComparedPictures:
    """Compare all pictures of both folders."""
    samples = dataset.samples + (validation.samples if validation else ())
    paths = [sample.path for sample in readable(samples, facts)]
    groups = alike(paths, facts, ALIKE_BITS)
    near = [g for g in members(groups) if len({facts[path].sha256 for path in g}) > 1]
    to_learn = readable(dataset.samples, facts)
    dominated = frozenset(label for _, label in dominating_groups(to_learn, groups))
    return ComparedPictures(
        dataset=dataset,
        validation=validation,
        facts=facts,
        samples=samples,
        labels={sample.path: sample.label for sample in samples},
        copies=tuple(members(alike(paths, facts, -1))),
        alike=tuple(near),
        dominated_classes=dominated,
    )
