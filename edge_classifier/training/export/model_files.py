"""From a trained network to model files: exported, calibrated, with labels and card inside."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edge_classifier.core.intervals import wilson
from edge_classifier.evaluation.calibration import (
    Reliability,
    fit_temperature,
    reliability,
    tempered,
)
from edge_classifier.evaluation.measures import Share
from edge_classifier.model_writing import pack
from edge_classifier.training import networks
from edge_classifier.training.data.examples import PictureExamples
from edge_classifier.training.export import convert
from edge_classifier.training.export.ranges import ranges_by_name
from edge_classifier.training.qat import fold, learned_ranges, strip
from edge_classifier.training.run_folder import MODEL_FILE, PTQ_FILE
from edge_classifier.training.train.loop import compute
from edge_classifier.training.train.stages import Job, Trained

_BATCH = 32
# Choosing pictures from which on scores are adjusted: of ten, two errors more or less would halve a
# temperature or double it.
ENOUGH = 50


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
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


class HeldOutPredictions(NamedTuple):
    """Of the networks that the files come from, on the pictures that are measured on."""

    as_float: Predictions
    # As int8 rounds; None: not trained for that.
    rounded: Predictions | None
    # Of the last of them on the pictures that choose.
    choosing: Predictions

    @property
    def last(self) -> Predictions:
        """Of the network that the model is made from."""
        return self.rounded or self.as_float


@dataclass(frozen=True, slots=True)
class ExportedFiles:
    """The files."""

    model: Path
    # The float network, quantized after training: shows what training for int8 is worth.
    ptq: Path
    # By which the logits are divided in both.
    temperature: float


def predict_held_out(job: Job, trained: Trained) -> HeldOutPredictions:
    """What the networks say of pictures not learned from; all processes together."""
    as_float = _predict(job, trained.network, job.held_out)
    rounded = _predict(job, trained.prepared, job.held_out) if trained.prepared else None
    last = rounded or as_float
    if not job.data.chosen_on:
        last = predict_choosing(job, trained)
    return HeldOutPredictions(as_float, rounded, last)


def predict_choosing(job: Job, trained: Trained) -> Predictions:
    """What the network that the model is made from says of the pictures that choose; likewise."""
    return _predict(job, trained.prepared or trained.network, job.choosing)


def _predict(job: Job, network: nn.Module, pictures: PictureExamples) -> Predictions:
    return Predictions(*compute(network, pictures, _BATCH, job.options))


def write_model_files(
    job: Job, trained: Trained, predictions: HeldOutPredictions, folder: Path
) -> ExportedFiles:
    """Write ``model.tflite`` and ``ptq.tflite`` into ``folder``, each whole or not at all.

    Raises ModelError, OutputError, PictureError.
    """
    choosing, temperature = predictions.choosing, 1.0
    if job.settings.scores.calibrate and len(choosing.truth) >= ENOUGH:
        temperature = fit_temperature(choosing.logits, choosing.truth)
    elif job.settings.scores.calibrate:
        few = len(choosing.truth)
        job.log(f"scores stay as they are: {few} pictures are too few to tell better")
    text = card(job, predictions.last.share, temperature)
    model, ptq = folder / MODEL_FILE, folder / PTQ_FILE
    original = convert.convert(
        convert.apply_temperature(fold(trained.network), temperature), job.contract
    )
    ranges = convert.calibrate(original, _calibration_inputs(job))
    quantized = convert.quantize(original, ranges)
    pack(quantized, ptq, job.contract, text)
    if trained.prepared:
        # It was trained to be rounded, and learned its ranges then.
        prepared = convert.apply_temperature(trained.prepared, temperature)
        original = convert.convert(strip(prepared), job.contract)
        ranges = ranges_by_name(original, learned_ranges(prepared))
        quantized = convert.quantize(original, ranges)
    pack(quantized, model, job.contract, text)
    return ExportedFiles(model, ptq, temperature)


def _calibration_inputs(job: Job) -> Iterator[convert.Reals]:
    """Some of the pictures to learn from, as the network sees them: (1, height, width, 3) each."""
    pictures = job.train_plain
    order = np.random.default_rng(job.settings.seed).permutation(len(pictures))
    for index in order[: job.settings.quantize.calibration].tolist():
        pixels, _ = pictures.plain(index)
        yield np.asarray((pixels[None].astype(np.float32) - 128) / 128, np.float32)


def card(job: Job, share: Share, temperature: float) -> str:
    """Markdown. ``share`` is how often the rounded network is right on held-out pictures."""
    network, data = job.settings.network, job.data
    learned = Counter(sample.label for sample in data.learn.samples)
    held = Counter(sample.label for sample in data.held.samples)
    low, high = wilson(share.hits, share.count)
    interval = f"{100 * low:.1f} to {100 * high:.1f} %, 95 % interval"
    counts = [
        f"  - {label}: {learned[number]} and {held[number]}"
        for number, label in enumerate(data.labels)
    ]
    choice = (
        "They also chose the best epoch: other pictures of the same kind may be a little harder."
        if data.chosen_on
        else f"They chose nothing: {len(data.choose.samples)} others chose epoch and temperature."
    )
    how = "as the network gives them" if temperature == 1.0 else "calibrated"
    text = f"""\
# {data.learn.root.resolve().name}, {network.name}, int8

Says which of {len(data.labels)} labels a picture shows. Input {network.size} x {network.size}
RGB, int8 (pixel - 128); output probabilities, int8. contract.json says how to crop and resize.

- Right on {share.hits} of {share.count} held-out pictures ({interval}).
  {choice}
- Scores are {how}: a temperature of {temperature:.3f}.
- Data: SHA-256 {data.fingerprint}; seed {job.settings.seed}.
- Licence of the pictures: ask where they come from.
- Pictures learned from and held out, by label:
"""
    return text + "\n".join(counts) + "\n" + networks.provenance(network)
