"""From a trained network to model files: exported, calibrated, with labels and card inside."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_classifier.evaluation.calibration import (
    Reliability,
    fit_temperature,
    reliability,
    tempered,
)
from edge_classifier.evaluation.measures import Share
from edge_classifier.training import export
from edge_classifier.training.card import card
from edge_classifier.training.flatbuffer import ranges_by_name
from edge_classifier.training.loop import compute
from edge_classifier.training.quantizers import fold, learned_ranges, strip
from edge_classifier.training.run_folder import MODEL_FILE, PTQ_FILE
from edge_classifier.training.stages import Job, Trained

_BATCH = 32
# Held-out pictures from which on a temperature is fitted: of ten, two errors more or less would
# halve it or double it.
_ENOUGH = 50


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What a network in torch says of the held-out pictures."""

    # (N, C).
    logits: NDArray[np.float32]
    truth: NDArray[np.int64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,)."""
        return np.asarray(self.logits.argmax(axis=1), np.int64)

    @property
    def share(self) -> Share:
        """How often it is right."""
        return Share(int((self.predicted == self.truth).sum()), len(self.truth))

    @property
    def reliability(self) -> Reliability:
        """What its scores are worth as they are."""
        confidence = tempered(self.logits, 1.0).max(axis=1)
        return reliability(confidence, self.predicted == self.truth)


class Verdicts(NamedTuple):
    """Of the networks that the files come from."""

    as_float: Judged
    # As int8 rounds; None: not trained for that.
    rounded: Judged | None

    @property
    def last(self) -> Judged:
        """Of the network that the model is made from."""
        return self.rounded or self.as_float


@dataclass(frozen=True, slots=True)
class Delivered:
    """The files."""

    model: Path
    # The float network, quantized after training: shows what training for int8 is worth.
    ptq: Path
    # By which the logits are divided in both.
    temperature: float


def judge(job: Job, trained: Trained) -> Verdicts:
    """What the networks say of the held-out pictures; all processes together."""
    as_float = Judged(*compute(trained.network, job.held, _BATCH, job.place))
    if trained.prepared is None:
        return Verdicts(as_float, None)
    return Verdicts(as_float, Judged(*compute(trained.prepared, job.held, _BATCH, job.place)))


def deliver(job: Job, trained: Trained, verdicts: Verdicts, folder: Path) -> Delivered:
    """Write ``model.tflite`` and ``ptq.tflite`` into ``folder``, each whole or not at all.

    Raises ModelError, OutputError, PictureError.
    """
    told, temperature = verdicts.last, 1.0
    if job.settings.scores.calibrate and len(told.truth) >= _ENOUGH:
        temperature = fit_temperature(told.logits, told.truth)
    elif job.settings.scores.calibrate:
        job.tell(f"scores stay as they are: {len(told.truth)} pictures are too few to tell better")
    text = card(job, told.share, temperature)
    model, ptq = folder / MODEL_FILE, folder / PTQ_FILE
    quantized = _quantized_after_training(job, trained.network, temperature)
    export.pack(quantized, ptq, job.contract, text)
    if trained.prepared:
        quantized = _quantized(job, export.sharpen(trained.prepared, temperature))
    export.pack(quantized, model, job.contract, text)
    return Delivered(model, ptq, temperature)


def _quantized(job: Job, prepared: nn.Module) -> bytes:
    """What was trained to be rounded, with the ranges that it learned."""
    original = export.convert(strip(prepared), job.contract)
    return export.quantize(original, ranges_by_name(original, learned_ranges(prepared)))


def _quantized_after_training(job: Job, network: nn.Module, temperature: float) -> bytes:
    original = export.convert(export.sharpen(fold(network), temperature), job.contract)
    return export.quantize(original, export.calibrate(original, _calibration_inputs(job)))


def _calibration_inputs(job: Job) -> Iterator[export.Reals]:
    """Some of the pictures to learn from, as the network sees them: (1, height, width, 3) each."""
    pictures = job.plain
    order = np.random.default_rng(job.settings.seed).permutation(len(pictures))
    for index in order[: job.settings.quantize.calibration].tolist():
        pixels, _ = pictures.plain(index)
        yield np.asarray((pixels[None].astype(np.float32) - 128) / 128, np.float32)
