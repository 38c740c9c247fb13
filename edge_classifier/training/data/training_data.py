"""What a run learns from and is measured on: found, checked and split."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from edge_classifier.core.contract import Contract
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.dataset.alike import duplicate_groups
from edge_classifier.dataset.check import CheckResult, check_dataset
from edge_classifier.dataset.facts import examine, fingerprint, readable
from edge_classifier.dataset.folder import Dataset, scan, scan_like
from edge_classifier.dataset.split import Side, split
from edge_classifier.errors import ConfigurationError, DatasetError
from edge_classifier.training.settings import Data, NetworkSettings, TrainingSettings

# Fewer pictures than these do not choose apart from those that are measured on: they could not tell
# one epoch from the next, nor a temperature.
ENOUGH_TO_CHOOSE = 50


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The pictures of a run."""

    # Only what is learned from.
    learn: Dataset
    # What chooses among epochs, and sets the temperature; ``held`` where there are few pictures.
    choose: Dataset
    # What is measured on.
    held: Dataset
    check: CheckResult
    # Of all of it.
    fingerprint: str

    @property
    def chosen_on(self) -> bool:
        """Whether the pictures that are measured on also chose."""
        return self.choose.samples == self.held.samples

    @property
    def labels(self) -> tuple[str, ...]:
        """One a class, in the order of the outputs."""
        return self.learn.labels

    def contract(self, network: NetworkSettings) -> Contract:
        """How pictures enter a network that is trained on this, with labels and names."""
        plain = Contract(network.size, network.size, crop_fraction=network.crop_fraction)
        return plain.with_labels(self.labels, self.learn.names)

    def class_weights(self) -> tuple[float, ...]:
        """One a class, so that each counts as much in total; of all pictures the mean is 1."""
        counts = [0] * len(self.labels)
        for sample in self.learn.samples:
            counts[sample.label] += 1
        mean = len(self.learn.samples) / len(counts)
        return tuple(mean / count for count in counts)


class UncheckedPictures(NamedTuple):
    """Pictures that nobody has looked into yet."""

    dataset: Dataset
    validation: Dataset | None

    @property
    def paths(self) -> list[Path]:
        """Of all of them."""
        samples = self.dataset.samples + (self.validation.samples if self.validation else ())
        return [sample.path for sample in samples]


def scan_folders(data: Data) -> UncheckedPictures:
    """The pictures in the folders of ``data``.

    Raises MissingFileError, ConfigurationError, DatasetError.
    """
    if data.folder is None:
        raise ConfigurationError("data.folder", "is not set", "Name the folder: train DATA")
    dataset = scan(data.folder, other=data.other)
    own = scan_like(data.validation, dataset.labels) if data.validation else None
    return UncheckedPictures(dataset, own)


def check_and_split(
    found: UncheckedPictures, settings: TrainingSettings, progress: Callable[[int], None]
) -> TrainingData:
    """Look into all pictures, and split them; ``progress`` gets how many have been read.

    Raises DatasetError when the check ends fatally, or a class has too few.
    """
    dataset, own = found
    facts = examine(found.paths, workers=os.cpu_count() or 1, progress=progress)
    checked = check_dataset(dataset, facts, own)
    if checked.fatal:
        raise DatasetError(str(dataset.root), "\n".join(checked.lines()))
    good = readable(dataset.samples, facts)
    groups = duplicate_groups(good, facts)
    share, seed = settings.data.held_out, settings.seed
    if own:
        measured = readable(own.samples, facts)
        # A validation folder rarely has pictures of anything else: some of ``other`` are held out
        # then.
        last = len(dataset.labels) - 1
        is_measured = dataset.labels[last] != UNKNOWN or any(one.label == last for one in measured)
        others = () if is_measured else tuple(one for one in good if one.label == last)
        more, held_others = split(others, groups, share, seed) if others else ((), ())
        apart = set(others)
        learn = (*(one for one in good if one not in apart), *more)
        held = (*measured, *held_others)
        learn, choose = _set_apart(learn, groups, share / 2, seed)
    else:
        learn, kept = split(good, groups, share, seed)
        held, choose = _set_apart(kept, groups, 0.5, seed)
    # Stands for the pictures and for how they are split.
    parts = [fingerprint(dataset, facts), fingerprint(own, facts) if own else str(share)]
    measured_on = replace(own or dataset, samples=held)
    return TrainingData(
        replace(dataset, samples=learn),
        replace(dataset, samples=choose) if choose else measured_on,
        measured_on,
        checked,
        hashlib.sha256(" ".join(parts).encode()).hexdigest(),
    )


def _set_apart(
    samples: Side, groups: Mapping[Path, str], share: float, seed: int
) -> tuple[Side, Side]:
    """``samples`` but for those that are to choose, and these: about ``share`` of each class.

    None of them where that would be few. A class with one picture, or with nothing but one and its
    likes, stays as it is.
    """
    if share * len(samples) < ENOUGH_TO_CHOOSE:
        return samples, ()
    looks: dict[int, set[str]] = {}
    for sample in samples:
        looks.setdefault(sample.label, set()).add(groups[sample.path])
    several = tuple(sample for sample in samples if len(looks[sample.label]) > 1)
    chosen = set(split(several, groups, share, seed)[1]) if several else set()
    return (
        tuple(sample for sample in samples if sample not in chosen),
        tuple(sample for sample in samples if sample in chosen),
    )
