"""The report of a lesson: that of ``edge-classify evaluate``, on pictures that were not seen."""

import hashlib
from pathlib import Path

import numpy as np

from edge_classifier.core.sentence import Sentence
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.evaluation.report_data import ReportData
from edge_classifier.evaluation.score import ScoredSamples, subject_of_engine
from edge_classifier.teach.teacher import Taught


def report_data(taught: Taught, model: Path, made: str) -> ReportData:
    """What is known of the file at ``model``, that was written ``made`` (ISO 8601).

    Scores are those of cross-validation: of each picture by a head that had not seen it.
    """
    dataset, paths = taught.dataset, tuple(sample.path for sample in taught.samples)
    content = model.read_bytes()
    note = Sentence(
        "scores are those of cross-validation: of each picture by what the others taught"
    )
    subject = subject_of_engine(
        TfliteEngine(model, load_runtime()),
        model.stem,
        model,
        hashlib.sha256(content).hexdigest(),
        (note,),
    )
    unreadable = tuple(
        (dataset.place(path), facts.problem)
        for path, facts in taught.facts.items()
        if facts.problem
    )
    scored = ScoredSamples(
        labels=taught.contract.labels,
        names=taught.contract.names,
        folder=dataset.root,
        paths=paths,
        places=tuple(map(dataset.place, paths)),
        truth=taught.truth,
        probabilities=taught.learned.probabilities.astype(np.float32),
        model=subject,
        unreadable=unreadable,
        not_pictures=dataset.left_out,
    )
    return ReportData(
        title=Sentence("{title}, taught on {base}", title=taught.title, base=taught.base.name),
        made=made,
        scored=scored,
        chosen_on=True,
        temperature=taught.learned.temperature,
        findings=(*taught.sentences, *taught.check.lines()),
        fingerprint=taught.fingerprint,
    )
