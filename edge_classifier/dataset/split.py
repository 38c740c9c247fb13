"""Pictures to learn from, and pictures to measure on."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edge_classifier.dataset.folder import Sample
from edge_classifier.errors import DatasetError

Side = tuple[Sample, ...]


def split(
    samples: Sequence[Sample], groups: Mapping[Path, str], held_out: float, seed: int
) -> tuple[Side, Side]:
    """Samples to learn from and samples that are held out, in the order they came.

    Of each class about the share ``held_out`` in (0, 1), at least one picture on either side, and
    a group (``alike.duplicate_groups``) never on both. Who is held out follows from the contents
    and ``seed`` alone, by the order of hashes: it hardly changes when pictures are added. Raises
    DatasetError for classes with fewer than two groups.
    """
    parts: dict[str, Counter[int]] = {}
    for sample in samples:
        parts.setdefault(groups[sample.path], Counter())[sample.label] += 1
    sizes = sum(parts.values(), Counter[int]())
    wanted = {label: max(1, round(held_out * size)) for label, size in sizes.items()}
    order = sorted(parts, key=lambda key: hashlib.sha256(f"{seed} {key}".encode()).digest())
    # Groups to hold out: in this order while they fit, then the smallest for who has none.
    all_but_one = {label: size - 1 for label, size in sizes.items()}
    most = {label: min(wanted[label], all_but_one[label]) for label in sizes}
    taken: Counter[int] = Counter()
    held = _fitting(order, parts, taken, most)
    for label in sizes:
        if not taken[label]:
            own = sorted((key for key in order if parts[key][label]), key=lambda k: parts[k][label])
            held |= _fitting(own, parts, taken, all_but_one, only_one=True)
    sides: dict[int, set[bool]] = {}
    paths: dict[int, list[Path]] = {}
    for sample in samples:
        sides.setdefault(sample.label, set()).add(groups[sample.path] in held)
        paths.setdefault(sample.label, []).append(sample.path)
    poor = [label for label, found in sides.items() if len(found) < 2]
    if poor:
        folders = [os.path.commonpath([path.parent for path in paths[label]]) for label in poor]
        problems = (
            f"{folder} has no two pictures that differ, one to learn from and one to measure on: "
            "add some, or name a validation folder"
            for folder in folders
        )
        raise DatasetError("dataset", "\n".join(problems))
    return (
        tuple(sample for sample in samples if groups[sample.path] not in held),
        tuple(sample for sample in samples if groups[sample.path] in held),
    )


def _fitting(
    keys: Iterable[str],
    parts: Mapping[str, Counter[int]],
    taken: Counter[int],
    most: Mapping[int, int],
    *,
    only_one: bool = False,
) -> set[str]:
    """Groups that no class gets more than ``most`` by; they are added to ``taken``."""
    found: set[str] = set()
    for key in keys:
        if all(taken[label] + count <= most[label] for label, count in parts[key].items()):
            taken.update(parts[key])
            found.add(key)
            if only_one:
                break
    return found
