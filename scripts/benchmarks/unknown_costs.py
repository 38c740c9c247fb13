#!/usr/bin/env python3
"""What `unknown` costs a lesson, and how many other things it keeps out, on pictures not taught.

    python scripts/benchmarks/unknown_costs.py CLASSES OTHERS [--base NAME --each N --draws N]

CLASSES: a folder a class. OTHERS: pictures of other things; those whose features come with the base
are left out. All classes together, and each two of them, are taught from N pictures each, drawn
anew each time, and measured on the other pictures.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np

from edge_classifier.dataset.folder import scan
from edge_classifier.evaluation.calibration import tempered
from edge_classifier.evaluation.thresholds import DEFAULT_ENTER
from edge_classifier.teach.base import Base, open_base
from edge_classifier.teach.feature_cache import FeatureCache
from edge_classifier.teach.features import embed
from edge_classifier.teach.folds import deal
from edge_classifier.teach.head import Head
from edge_classifier.teach.learning import Material, learn
from edge_classifier.teach.other_things import other_things
from edge_classifier.vision.pictures import find_pictures

CACHE = Path("/tmp/edge-classifier-unknown-costs")  # noqa: S108 (may be deleted at any time)
Features = np.ndarray


def main() -> None:
    """Print a line for all classes, and one for the mean of the pairs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("classes", type=Path)
    parser.add_argument("others", type=Path)
    parser.add_argument("--base", default="efficientnet-lite0")
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    base = open_base(options.base)
    samples = scan(options.classes).samples
    pictures = features(base, [sample.path for sample in samples])
    labels = np.array([sample.label for sample in samples])
    every = range(labels.max() + 1)
    strangers = features(base, [Path(one) for one in sorted(find_pictures([str(options.others)]))])
    known = {row.tobytes() for row in other_things(base)}
    strangers = np.stack([one[0] for one in strangers if one[0].tobytes() not in known])
    print("of 100 pictures right, without unknown and with it; of 100 other things taken for a")
    print(f"class, at any score and from {DEFAULT_ENTER} on ({len(strangers)} others)")
    for name, sets in (("all", [tuple(every)]), ("two", list(combinations(every, 2)))):
        found = [
            measure(base, pictures, labels, strangers, classes, options.each, seed)
            for classes in sets
            for seed in range(options.draws)
        ]
        told = "  ".join(f"{100 * one:5.1f}" for one in np.mean(found, axis=0))
        print(f"{name}, {options.each} a class: {told}")


def features(base: Base, paths: list[Path]) -> Features:
    """(N, views, features), int8. All must be readable."""
    # So few at a time are looked at twice each.
    parts = [paths[at : at + 500] for at in range(0, len(paths), 500)]
    cache = FeatureCache(CACHE, base)
    return np.concatenate([embed(part, base, cache, lambda _: None).features for part in parts])


def measure(
    base: Base,
    pictures: Features,
    labels: np.ndarray,
    strangers: Features,
    classes: tuple[int, ...],
    each: int,
    seed: int,
) -> list[float]:
    """Right without ``unknown``, right with it, and false accepts at any score and the default."""
    chance = np.random.default_rng(seed)
    drawn = [chance.permutation(np.flatnonzero(labels == one)) for one in classes]
    taught = np.concatenate([one[:each] for one in drawn])
    truth = np.repeat(np.arange(len(classes)), [len(one[:each]) for one in drawn])
    kept = np.concatenate([one[each:] for one in drawn])
    kept_truth = np.repeat(np.arange(len(classes)), [len(one[each:]) for one in drawn])
    views = 2 if len(taught) <= 500 else 1
    heads: list[Head] = []
    for is_known in (False, True):
        other = other_things(base) if is_known else np.empty((0, base.size), np.int8)
        material = Material(
            np.ascontiguousarray(pictures[taught, :views]),
            truth,
            deal(truth, [str(one) for one in taught]),
            len(classes) + is_known,
            other,
            len(classes) if is_known else None,
        )
        heads.append(learn(material).head)
    right = [(one.logits(pictures[kept, 0]).argmax(axis=1) == kept_truth).mean() for one in heads]
    scores = tempered(heads[1].logits(strangers), 1.0)
    passed = scores.argmax(axis=1) < len(classes)
    return [*right, passed.mean(), (passed & (scores.max(axis=1) >= DEFAULT_ENTER)).mean()]


if __name__ == "__main__":
    main()
