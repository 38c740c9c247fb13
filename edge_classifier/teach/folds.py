"""Pictures are dealt into parts, each to be measured by what was learned from the others."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from edge_classifier.evaluation.measures import Classes

FOLDS = 5
# Below so many pictures each one is measured by what all others teach.
FEW_PICTURES = 50


def deal(truth: Classes, groups: Sequence[str]) -> Classes:
    """The part, (N,), of each picture with class ``truth`` (N,) and the group it belongs to.

    A group (``dataset.alike.duplicate_groups``) is in one part, and each part has about the same
    share of each class. The parts follow from the groups' names alone.
    """
    counts: dict[str, Counter[int]] = {}
    for label, group in zip(truth.tolist(), groups, strict=True):
        counts.setdefault(group, Counter())[label] += 1
    every = sorted(counts, key=lambda group: hashlib.sha256(group.encode()).digest())
    # The largest first: what is left fills the gaps.
    every.sort(key=lambda group: -counts[group].total())
    if len(truth) < FEW_PICTURES:
        part = {group: number for number, group in enumerate(every)}
    else:
        part = {}
        filled = [Counter[int]() for _ in range(FOLDS)]
        for group in every:

            def crowd(number: int, own: Counter[int] = counts[group]) -> tuple[int, int, int]:
                of_its_classes = sum(filled[number][label] for label in own)
                return of_its_classes, filled[number].total(), number

            part[group] = min(range(FOLDS), key=crowd)
            filled[part[group]].update(counts[group])
    return np.array([part[group] for group in groups], np.int64)
