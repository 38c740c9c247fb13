"""From class folders to a model that knows them: the way of a lesson, from beginning to end."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.contract import Contract
from edge_classifier.core.intervals import wilson
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.sentence import Sentence, joined
from edge_classifier.dataset.alike import duplicate_groups
from edge_classifier.dataset.check import CheckResult, Severity, check_dataset
from edge_classifier.dataset.facts import PictureFacts, fingerprint, readable
from edge_classifier.dataset.folder import NAMES_FILE, Dataset, Sample, read_names
from edge_classifier.errors import DatasetError
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.thresholds import DEFAULT_ENTER, rejection
from edge_classifier.teach.advice import Advice, advise, sentences
from edge_classifier.teach.base import Base
from edge_classifier.teach.feature_cache import FeatureCache
from edge_classifier.teach.features import embed
from edge_classifier.teach.folds import FEW_PICTURES, deal
from edge_classifier.teach.head import model_with_head
from edge_classifier.teach.learning import Learned, Material, learn
from edge_classifier.teach.other_things import other_things

# Stage (``pictures``, then ``learning``, in fits), how much of it is done, and of how much.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Taught:
    """What a lesson came to."""

    # What people call it.
    title: str
    base: Base
    # What is written, and how pictures enter it.
    model: bytes
    contract: Contract
    card: str
    dataset: Dataset
    check: CheckResult
    facts: Mapping[Path, PictureFacts]
    fingerprint: str
    # The N pictures that could be read, as ``learned.probabilities`` has them.
    samples: tuple[Sample, ...]
    learned: Learned
    advice: Advice

    @property
    def truth(self) -> NDArray[np.int64]:
        """(N,)."""
        return np.array([sample.label for sample in self.samples], np.int64)

    @property
    def right(self) -> Share:
        """How often a picture is named rightly by what the others taught."""
        hits = self.learned.probabilities.argmax(axis=1) == self.truth
        return Share(int(hits.sum()), len(self.samples))

    @property
    def left_one_out(self) -> bool:
        """Whether each picture was measured by all others."""
        return len(self.samples) < FEW_PICTURES

    @property
    def sentences(self) -> list[Sentence]:
        """What came of it, for people."""
        return sentences(self.advice, self.right, left_one_out=self.left_one_out)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, beside the report's figures."""
        return {
            "base": self.base.name,
            "base_weights": self.base.weights,
            "strength": self.learned.strength,
            "left_one_out": self.left_one_out,
            "found": self.sentences,
            "unknown": self.unknown_facts(),
            **self.advice.as_dict(),
        }

    def unknown_facts(self) -> dict[str, Any] | None:
        """What becomes of other things, and of pictures taken for them; None: no such class."""
        labels = self.contract.labels
        if UNKNOWN not in labels:
            return None
        number = labels.index(UNKNOWN)
        own = np.flatnonzero(self.truth == number)
        known = np.flatnonzero(self.truth != number)
        learned = self.learned
        shipped = np.full(len(learned.of_other), number)
        missed = learned.probabilities[known].argmax(axis=1) == number
        return {
            "came_with_the_base": self._accepted(learned.of_other, shipped),
            "own": self._accepted(learned.probabilities[own], self.truth[own]),
            "missed": Share(int(missed.sum()), len(known)).as_dict(),
        }

    def _accepted(
        self, probabilities: NDArray[np.float64], truth: NDArray[np.int64]
    ) -> dict[str, Any]:
        """How often other things are taken for a label: at any score, and from the default on."""
        single = probabilities.astype(np.float32)
        facts = {}
        for name, enter in (("any_score", 0.0), ("default", DEFAULT_ENTER)):
            thresholds = np.full(len(self.contract.labels), enter)
            found = rejection(single, truth, self.contract.labels, thresholds)
            facts[name] = found.false_accepts.as_dict()
        return {"default_enter": DEFAULT_ENTER, **facts}


def teach(
    dataset: Dataset,
    base: Base,
    cache_folder: Path,
    *,
    unknown: bool = True,
    title: str = "",
    progress: Progress = lambda _stage, _done, _all: None,
) -> Taught:
    """Learn the classes of ``dataset`` on ``base``; nothing is written but features kept for later.

    ``unknown``: add a class for other things, from the features that come with the base, where
    there are any. ``title``: what card and report call it; empty: the name of the folder. Raises
    DatasetError for pictures that nothing can be learned from.
    """
    paths = [sample.path for sample in dataset.samples]
    cache = FeatureCache(cache_folder, base)
    found = embed(paths, base, cache, lambda done: progress("pictures", done, len(paths)))
    check = check_dataset(dataset, found.facts)
    if check.fatal:
        wrong = [one.text for one in check.findings if one.severity is Severity.FATAL]
        raise DatasetError(str(dataset.root), joined("\n", wrong))
    # How few pictures a class has is said beside how many of them were recognized.
    check = replace(check, findings=tuple(one for one in check.findings if one.kind != "few"))
    samples = readable(dataset.samples, found.facts)
    groups = duplicate_groups(samples, found.facts)
    truth = np.array([sample.label for sample in samples], np.int64)
    other = other_things(base) if unknown else np.empty((0, base.size), np.int8)
    contract = _contract(base, dataset, unknown=bool(len(other)))
    labels = contract.labels
    material = Material(
        pictures=found.features,
        truth=truth,
        parts=deal(truth, [groups[sample.path] for sample in samples]),
        classes=len(labels),
        other=other,
        unknown=labels.index(UNKNOWN) if len(other) else None,
    )
    learned = learn(material, lambda done, of: progress("learning", done, of))
    places = [dataset.place(sample.path) for sample in samples]
    print_of_data = fingerprint(dataset, found.facts)
    title = title or dataset.root.resolve().name
    return Taught(
        title=title,
        base=base,
        model=model_with_head(base.trunk, base.quantization, learned.head, learned.logits),
        contract=contract,
        card=_card(title, base, contract, samples, learned, print_of_data),
        dataset=dataset,
        check=check,
        facts=found.facts,
        fingerprint=print_of_data,
        samples=samples,
        learned=learned,
        advice=advise(labels, places, truth, learned.probabilities),
    )


def _contract(base: Base, dataset: Dataset, *, unknown: bool) -> Contract:
    """The base's for the new labels, with names in other languages."""
    labels, names = dataset.labels, dataset.names
    if unknown and UNKNOWN not in labels:
        labels = (*labels, UNKNOWN)
        names = read_names(dataset.root / NAMES_FILE, labels)
    return base.contract.with_labels(labels, names)


def _card(
    title: str,
    base: Base,
    contract: Contract,
    samples: tuple[Sample, ...],
    learned: Learned,
    print_of_data: str,
) -> str:
    """Markdown."""
    truth = np.array([sample.label for sample in samples])
    hits = int((learned.probabilities.argmax(axis=1) == truth).sum())
    low, high = wilson(hits, len(samples))
    counts = Counter(truth.tolist())
    lines = [f"{label}: {counts[number]}" for number, label in enumerate(contract.labels)]
    if len(learned.of_other):
        shipped = len(learned.of_other)
        lines.append(f"other things that came with the base, as {UNKNOWN}: {shipped}")
    text = f"""\
# {title}, taught on {base.name}

Says which of {len(contract.labels)} labels a picture shows. Input {contract.width} x \
{contract.height} RGB, int8; output probabilities, int8. contract.json says how to crop and resize.

- Base: {base.name} (weights below its last layer: SHA-256
  {base.weights}). Its card and licence hold for them.
- The last layer was learned by `edge-classify teach`: L2 {learned.strength:g}, temperature
  {learned.temperature:.3f}, both chosen on these pictures.
- Right on {hits} of {len(samples)} pictures that it had not seen ({100 * low:.1f} to \
{100 * high:.1f} %, 95 % interval), by cross-validation.
- Edge TPU: compile the file with edgetpu_compiler, or it runs on the CPU.
- Data: SHA-256 {print_of_data}.
- Licence of the pictures: ask where they come from.
- Pictures, by label:
"""
    return text + "".join(f"  - {line}\n" for line in lines)
