"""The report of a run: what was delivered, measured as the device runs it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from torch import Tensor

from edge_classifier.core.frame import Frame
from edge_classifier.core.sentence import Sentence
from edge_classifier.dataset.folder import Dataset
from edge_classifier.evaluation.latency import interleaved
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.report_data import CurvePoint, NetworkForm, ReportData
from edge_classifier.evaluation.score import ScoredSamples, score_samples
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.training import load_settings, run_folder
from edge_classifier.training.data.examples import PictureExamples
from edge_classifier.training.export import edgetpu
from edge_classifier.training.export.model_files import (
    ExportedFiles,
    HeldOutPredictions,
)
from edge_classifier.training.train.plan import History
from edge_classifier.training.train.stages import Job
from edge_classifier.vision.draw import ContactSheet, save
from edge_classifier.vision.preprocess import Pixels

AUGMENTATION_FILE = "augmentation.jpg"
# From so many pictures on a contact sheet has small tiles, which do here.
_MANY = 101


def collect_report_data(
    job: Job,
    history: History,
    predictions: HeldOutPredictions,
    files: ExportedFiles,
    curve: Sequence[CurvePoint],
    folder: Path,
) -> ReportData:
    """Measure the files on the held-out pictures. Raises OutputError, as ``score_samples`` does."""
    settings, data = job.settings, job.data
    model = _load(files.model)
    default = load_model(ModelChoice(delegate="cpu"))
    scored = score_samples(model, data.held)
    rounded = predictions.rounded
    agreement = None
    if rounded:
        # To how many pictures the file and the network that it comes from give the same label.
        paths = (sample.path for sample in data.held.samples)
        said = dict(zip(paths, rounded.predicted.tolist(), strict=True))
        pairs = zip(scored.paths, scored.predicted.tolist(), strict=True)
        agreement = Share(sum(said[path] == label for path, label in pairs), len(scored.paths))
    picture = folder / AUGMENTATION_FILE
    save(augmentation_picture(job.train_augmented), picture)
    return ReportData(
        title=Sentence(
            "{model} on {folder}",
            model=settings.network.name,
            folder=data.learn.root.resolve().name,
        ),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        scored=scored,
        wanted_precision=settings.scores.precision,
        chosen_on=data.chosen_on,
        forms=_forms(predictions, files, scored, data.held),
        agreement=agreement,
        before=predictions.last.reliability,
        temperature=files.temperature,
        history=history,
        latency=interleaved(model.engine, default.engine, default.name),
        edgetpu=edgetpu.compiled_or_checked(files.model, folder),
        learning_curve=tuple(curve),
        augmentation=picture,
        findings=tuple(data.check.lines()),
        settings=load_settings.as_toml(settings),
        versions=run_folder.versions(),
        seed=settings.seed,
        fingerprint=data.fingerprint,
    )


def _load(path: Path) -> LoadedModel:
    return load_model(ModelChoice(str(path), "cpu"))


def _forms(
    predictions: HeldOutPredictions, files: ExportedFiles, scored: ScoredSamples, held: Dataset
) -> tuple[NetworkForm, ...]:
    as_float, file = (
        NetworkForm("float", predictions.as_float.share),
        NetworkForm("int8", _share(scored)),
    )
    if predictions.rounded is None:
        return as_float, file
    note = Sentence("in torch, rounded as int8 rounds")
    rounded = NetworkForm("QAT", predictions.rounded.share, note)
    after = score_samples(_load(files.ptq), held)
    note = Sentence("the float network, quantized after training")
    ptq = NetworkForm("PTQ", _share(after), note)
    return as_float, rounded, file, ptq


def _share(scored: ScoredSamples) -> Share:
    return Share(int((scored.predicted == scored.truth).sum()), len(scored.truth))


def augmentation_picture(examples: PictureExamples, rows: int = 10, variants: int = 7) -> Pixels:
    """A sheet, BGR: each row a picture as the device sees it, then as training's first epochs do.

    The pictures are spread evenly over ``examples``. Raises PictureError.
    """
    rows = min(rows, len(examples))
    labels = examples.contract.labels
    sheet = []
    for index in np.linspace(0, len(examples) - 1, rows, dtype=int).tolist():
        sample = examples.samples[index]
        tiles = [_tile(examples.plain(index)[0], labels[sample.label], sample.path.name)]
        for epoch in range(variants):
            varied, truth = examples[epoch, index]
            # Of mixed pictures the share of each class.
            shares = enumerate(truth.tolist()) if isinstance(truth, Tensor) else ()
            names = [f"{labels[number]} {share:.0%}" for number, share in shares if share >= 0.005]
            name = ", ".join(names) if isinstance(truth, Tensor) else labels[truth]
            tiles.append(_tile(varied.numpy(), f"epoch {epoch + 1}", name))
        sheet.append(np.hstack(tiles))
    return np.vstack(sheet)


def _tile(pixels: Pixels, caption: str, name: str) -> Pixels:
    sheet = ContactSheet(_MANY)
    sheet.add(Frame(pixels), name, caption)
    return sheet.render()
