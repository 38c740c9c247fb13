"""What a network learns from: pictures or features, varied by nothing but seed, epoch and place."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_classifier.core.contract import Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.geometry import least_size
from edge_classifier.core.quantization import Quantization, TensorSpec
from edge_classifier.dataset.folder import Sample
from edge_classifier.errors import EdgeClassifierError, MissingFileError, PictureError
from edge_classifier.training.data.augment import augment, blend
from edge_classifier.training.settings import Augment
from edge_classifier.vision.pictures import load_picture
from edge_classifier.vision.preprocess import Pixels, Preprocessor

# Epoch, index.
Key = tuple[int, int]
# What goes into the network, and the class: its number, or (classes,) float32, its shares.
Example = tuple[Tensor, int | Tensor]

_INPUT = Quantization(1 / 128, 128)
# So many pictures in a row that cannot be read are not an accident.
_TRIES = 10


class Examples(Protocol):
    """What is learned from, or measured on."""

    # What could not be read and was replaced; whoever says it empties the list.
    problems: list[EdgeClassifierError]
    # They cost nothing to get, so that processes that read ahead would only be in the way.
    in_memory: bool

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, key: Key, /) -> Example:
        """One of them, varied by nothing but the epoch and the index."""


class FeatureExamples:
    """Features (N, F), float32, that were computed once, with their ``labels`` (N,)."""

    def __init__(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
        self._features, self._labels = torch.from_numpy(features), labels.tolist()
        self.problems: list[EdgeClassifierError] = []
        self.in_memory = True

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, key: Key, /) -> Example:
        return self._features[key[1]], self._labels[key[1]]


class PictureExamples:
    """Picture files as ``contract`` wants them: (height, width, 3), uint8, RGB.

    With ``settings`` for training: varied at random, which depends on seed, epoch and index only.
    Without, as the device will see them.

    A picture that went bad since the data were checked is replaced by the next one.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        contract: Contract,
        settings: Augment | None = None,
        seed: int = 0,
    ) -> None:
        # Without names, which cannot be sent to other processes and are not needed there.
        self.samples, self.contract = samples, replace(contract, names={})
        self._settings, self._seed = settings, seed
        self.problems: list[EdgeClassifierError] = []
        self.in_memory = False

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: Key, /) -> Example:
        epoch, index = key
        if self._settings is None:
            pixels, label = self.plain(index)
            return torch.from_numpy(pixels), label
        rng = rng_for(self._seed, epoch, index)
        if not self._settings.mixup:
            pixels, label = self._varied(index, rng, self._settings)
            return torch.from_numpy(pixels), label
        # Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, with any partner.
        share = rng.beta(self._settings.mixup, self._settings.mixup)
        partner = int(rng.integers(len(self)))
        pixels, label = self._varied(index, rng, self._settings)
        others, other = self._varied(partner, rng, self._settings)
        shares = torch.zeros(len(self.contract.labels))
        shares[label] += share
        shares[other] += 1 - share
        return torch.from_numpy(blend(pixels, others, share)), shares

    def plain(self, index: int) -> tuple[Pixels, int]:
        """A picture through the device's own preprocessing, and its label."""
        frame, label = self._read(index, least_size(self.contract))
        shape = (self.contract.height, self.contract.width, 3)
        pixels = np.empty(shape, np.uint8)
        spec = TensorSpec("", (1, *shape), np.dtype(np.uint8), _INPUT)
        Preprocessor(self.contract, spec, pixels).write(frame)
        return pixels, label

    def _varied(
        self, index: int, rng: np.random.Generator, settings: Augment
    ) -> tuple[Pixels, int]:
        size = self.contract.width
        least = math.ceil(size / (1 - settings.zoom))
        frame, label = self._read(index, (least, least))
        return augment(frame.pixels, rng, settings, size), label

    def _read(self, index: int, at_least: tuple[int, int]) -> tuple[Frame, int]:
        """A decoded picture and its label. Raises PictureError if the next ones are bad, too."""
        for number in range(index, index + _TRIES):
            sample = self.samples[number % len(self)]
            try:
                return load_picture(str(sample.path), at_least=at_least).frame, sample.label
            except (PictureError, MissingFileError) as error:
                self.problems.append(error)
        raise PictureError(
            str(sample.path.parent),
            f"{_TRIES} pictures in a row cannot be read any more",
            "Is the disk still there? --resume goes on from the last epoch.",
        )


def network_input(examples: Tensor) -> Tensor:
    """Pictures (N, H, W, 3), uint8, as (N, 3, H, W), float32, (pixel - 128) / 128.

    Channels come last in memory, which is what convolutions are fastest with. Features pass.
    """
    if examples.dtype != torch.uint8:
        return examples
    return examples.permute(0, 3, 1, 2).float().sub_(128).div_(128)


def rng_for(seed: int, *place: int) -> np.random.Generator:
    """One of its own for an epoch, and for each example in it."""
    # As a key: numpy's seeds [1, 2] and [1, 2, 0] are the same.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))
