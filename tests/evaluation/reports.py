"""Scored pictures that are made up, for tests of what is made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_classifier.evaluation.report_data import ReportData
from edge_classifier.evaluation.score import ScoredSamples, Subject

SUBJECT = Subject(
    name="tiny",
    file=Path("tiny.tflite"),
    bytes=1234,
    sha256="ab" * 32,
    input="8 x 8 pixels, int8",
    operators={"MEAN": 1, "SOFTMAX": 1},
    dtypes={"int8": 2},
)
MADE = "2026-11-22T12:00:00+00:00"


def scored(
    labels: Sequence[str],
    pictures: Sequence[tuple[int, int, float]],
    names: Mapping[str, tuple[str, ...]] | None = None,
) -> ScoredSamples:
    """One picture for each truth, predicted label and its score; the rest is spread evenly."""
    probabilities = np.empty((len(pictures), len(labels)), np.float32)
    for row, (_, predicted, score) in enumerate(pictures):
        probabilities[row] = (1 - score) / (len(labels) - 1)
        probabilities[row, predicted] = score
    places = tuple(f"folder/{number}.jpg" for number in range(len(pictures)))
    return ScoredSamples(
        labels=tuple(labels),
        names=names or {},
        folder=Path("data"),
        paths=tuple(Path("data") / place for place in places),
        places=places,
        truth=np.array([truth for truth, _, _ in pictures], np.int64),
        probabilities=probabilities,
        model=SUBJECT,
    )


def report(found: ScoredSamples, **parts: Any) -> ReportData:
    """A report of it with these parts."""
    return replace(ReportData(title="flowers", made=MADE, scored=found), **parts)
