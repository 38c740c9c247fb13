"""The scores of a model for labelled pictures, through the device's own preprocessing."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_classifier.batch import classify_all
from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.contract import Contract
from edge_classifier.core.geometry import least_size
from edge_classifier.core.sentence import Sentence
from edge_classifier.dataset.folder import Dataset
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ContractError, ModelError, PictureError
from edge_classifier.evaluation.matching import NONE, Names, match, similar
from edge_classifier.evaluation.measures import Classes
from edge_classifier.model_loading import LoadedModel
from edge_classifier.vision.pictures import load_picture

_NO_COUNTS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Subject:
    """What is evaluated."""

    name: str
    file: Path
    bytes: int
    sha256: str
    # Size and storage, for people.
    input: str
    # Name to how many.
    operators: Mapping[str, int]
    # Storage to how many operators have a tensor of it.
    dtypes: Mapping[str, int]
    # Assumptions that the scores rest on.
    notes: tuple[str, ...] = ()


class LeftOut(NamedTuple):
    """A class folder that is not one of the model's labels."""

    label: str
    pictures: int
    # Labels that might have been meant.
    similar: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSamples:
    """What a model makes of labelled pictures; N were read."""

    # The model's, each once, C of them.
    labels: tuple[str, ...]
    names: Names
    # Of the pictures.
    folder: Path
    paths: tuple[Path, ...]
    # The same below ``folder``: these name the pictures wherever the folder lies.
    places: tuple[str, ...]
    # (N,) numbers in ``labels``; NONE where a picture shows none of them.
    truth: Classes
    # (N, C).
    probabilities: NDArray[np.float32]
    model: Subject
    # Places of pictures that are not among the N, and why.
    unreadable: tuple[tuple[str, str], ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    # Suffix of files that no decoder here reads to their number.
    not_pictures: Mapping[str, int] = field(default_factory=lambda: _NO_COUNTS)

    @property
    def predicted(self) -> Classes:
        """(N,); of equal scores the lower class wins, as on the device."""
        return np.asarray(self.probabilities.argmax(axis=1), np.int64)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(N,): whether a picture shows one of the labels."""
        return np.asarray(self.truth != NONE)


def score_samples(
    model: LoadedModel,
    dataset: Dataset,
    *,
    threads: int = 1,
    progress: Callable[[], None] = lambda: None,
) -> ScoredSamples:
    """Scores of all samples whose class the model knows; ``progress`` is called once a picture.

    Decoded pictures are not kept: 10,000 of them with 1000 labels take 40 MB. Labels that a model
    has twice count as one, their scores added. Raises ContractError when no class folder is one of
    the model's labels, PictureError when no picture can be read, and ModelError for scores that
    are not numbers.
    """
    merged = _with_each_label_once(model.resolved.contract)
    place = match(dataset.labels, dataset.names, merged.labels, merged.names)
    if all(number in (None, NONE) for number in place):
        labels, names = merged.labels, merged.names
        near = [label for one in dataset.labels for label in similar(one, labels, names)]
        shown = ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
        hint = Sentence("Its labels are {labels}. Rename the folders.", labels=shown)
        if near:
            close = ", ".join(near[:6])
            hint = Sentence("Similar labels: {labels}. Rename the folders.", labels=close)
        what = Sentence(
            "none of its {count} class folders is a label of {model}",
            count=len(dataset.labels),
            model=model.name,
        )
        raise ContractError(str(dataset.root), what, hint)
    samples = [
        (one.path, known) for one in dataset.samples if (known := place[one.label]) is not None
    ]
    paths = [path for path, _ in samples]
    scores, rows, unreadable = _scores(model, merged, paths, threads, progress)
    counts = Counter(sample.label for sample in dataset.samples)
    return ScoredSamples(
        labels=merged.labels,
        names=merged.names,
        folder=dataset.root,
        paths=tuple(samples[row][0] for row in rows),
        places=tuple(dataset.place(samples[row][0]) for row in rows),
        truth=np.array([samples[row][1] for row in rows], np.int64),
        probabilities=scores[rows],
        model=subject(model),
        unreadable=tuple((dataset.place(Path(name)), why) for name, why in unreadable),
        left_out=tuple(
            LeftOut(label, counts[number], similar(label, merged.labels, merged.names))
            for number, label in enumerate(dataset.labels)
            if place[number] is None
        ),
        not_pictures=dataset.left_out,
    )


def _scores(
    model: LoadedModel,
    merged: Contract,
    paths: Sequence[Path],
    threads: int,
    progress: Callable[[], None],
) -> tuple[NDArray[np.float32], list[int], list[tuple[str, str]]]:
    """Run the model on every picture; the next ones are decoded meanwhile.

    Scores (pictures, labels), the rows of pictures that were read, the others' files and why.
    """
    contract = model.resolved.contract
    answer = AnswerOptions(top_k=len(contract.labels))
    classifiers = model.classifiers(answer, threads)
    load = partial(load_picture, at_least=least_size(contract))
    position = {label: number for number, label in enumerate(merged.labels)}
    labels_of_outputs = np.array([position[label] for label in contract.labels], np.int64)
    scores = np.zeros((len(paths), len(merged.labels)), np.float32)
    rows: list[int] = []
    unreadable: list[tuple[str, str]] = []
    for row, outcome in enumerate(classify_all([str(p) for p in paths], load, classifiers)):
        if outcome.error or outcome.classification is None:
            unreadable.append((outcome.reference, outcome.error.problem if outcome.error else ""))
        else:
            ranked = outcome.classification.predictions
            outputs = np.array([one.index for one in ranked], np.int64)
            given = np.array([one.score for one in ranked])
            scores[row] = np.bincount(labels_of_outputs[outputs], given, len(merged.labels))
            if not np.isfinite(scores[row]).all():
                problem = Sentence("the model's scores for it are not numbers")
                raise ModelError(outcome.reference, problem)
            rows.append(row)
        progress()
    if not rows:
        path, why = unreadable[0]
        problem = Sentence("{problem}; no other picture here can be read either", problem=why)
        raise PictureError(path, problem)
    return scores, rows, unreadable


def _with_each_label_once(contract: Contract) -> Contract:
    """The contract with every label once: ImageNet has two cranes."""
    first = {label: number for number, label in reversed(list(enumerate(contract.labels)))}
    numbers = sorted(first.values())
    names = {
        language: tuple(known[number] for number in numbers)
        for language, known in contract.names.items()
    }
    return contract.with_labels(tuple(contract.labels[n] for n in numbers), names)


def subject(model: LoadedModel) -> Subject:
    """What a report says of a model file."""
    file = model.delegate_choice.model
    return subject_of_engine(model.engine, model.name, file, model.sha256, model.notes)


def subject_of_engine(
    engine: TfliteEngine, name: str, file: Path, sha256: str, notes: tuple[str, ...] = ()
) -> Subject:
    """The same of a file that ``engine`` runs."""
    operators = engine.operators()
    spec = engine.input
    return Subject(
        name=name,
        file=file,
        bytes=file.stat().st_size,
        sha256=sha256,
        input=Sentence(
            "{width} x {height} pixels, {dtype}",
            width=spec.shape[2],
            height=spec.shape[1],
            dtype=spec.dtype.name,
        ),
        operators=dict(Counter(one.name for one in operators).most_common()),
        dtypes=dict(Counter(d for one in operators for d in set(one.dtypes)).most_common()),
        notes=notes,
    )
