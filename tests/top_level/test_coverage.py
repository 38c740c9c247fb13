"""How often something true is said of a picture, with the tree of names and without it."""

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_classifier.classifier import AnswerOptions
from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.frame import Frame
from edge_classifier.core.labels.taxonomy import NO_TAXONOMY
from edge_classifier.decision.rules import rules_for
from edge_classifier.decision.step import initial_state, step
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.vision.pictures import load_picture


@pytest.mark.parametrize("name", ["efficientnet-lite0", "mobilenet-v2-int8"])
def test_tree_answers_more_of_poor_pictures_and_no_less_rightly(shared: Path, name: str) -> None:
    """`scripts/benchmarks/label_coverage.py` prints the figures; this is its line of 112 px."""
    loaded = load_model(ModelChoice(name), threads=2)
    contract, classifier = loaded.resolved.contract, loaded.classifier(AnswerOptions())
    taxonomy, settings = contract.taxonomy, replace(DecisionSettings(), dwell_s=0.0)
    kinds = [rules_for(contract.labels, settings, one) for one in (NO_TAXONOMY, taxonomy)]
    folder = shared / "data" / "imagenet-samples"
    with (folder / "labels.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    hits: list[list[bool]] = [[], []]
    for row in rows:
        pixels = load_picture(str(folder / row["file"])).frame.pixels
        scale = 112 / min(pixels.shape[:2])
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        scores = classifier.score(Frame(np.asarray(small, np.uint8))).scores
        index = int(row["index"])
        line = taxonomy.line(taxonomy.class_nodes[index])
        names = {contract.labels[index], *(taxonomy.nodes[at].name for at in line)}
        for rules, found in zip(kinds, hits, strict=True):
            if path := step(rules, initial_state(), scores, 0.0)[1].path:
                found.append(path[-1] in names)
    alone, tree = hits
    assert len(tree) >= len(alone) + 0.15 * len(rows)
    assert np.mean(tree) >= np.mean(alone)
