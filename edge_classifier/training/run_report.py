"""The report of a run: what was delivered, measured as the device runs it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from edge_classifier.assembly import LoadedModel, ModelChoice, load_model
from edge_classifier.dataset.folder import Dataset
from edge_classifier.errors import ModelError, UnavailableError
from edge_classifier.evaluation.contents import CurvePoint, EdgeTpu, ReportData, Stage
from edge_classifier.evaluation.latency import Latency, interleaved
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.score import ScoredSamples, score_samples
from edge_classifier.training import edgetpu, edgetpu_compiler
from edge_classifier.training import load_settings as configuration
from edge_classifier.training import run_folder as run
from edge_classifier.training.deliver import Delivered, Judged, Verdicts
from edge_classifier.training.plan import History
from edge_classifier.training.showcase import augmentation_picture
from edge_classifier.training.stages import Job
from edge_classifier.vision.draw import save

AUGMENTATION_FILE = "augmentation.jpg"


def summarize(
    job: Job,
    history: History,
    verdicts: Verdicts,
    delivered: Delivered,
    curve: Sequence[CurvePoint],
    folder: Path,
) -> ReportData:
    """Measure the files on the held-out pictures. Raises OutputError, as ``score_samples`` does."""
    settings, material = job.settings, job.material
    model = _load(delivered.model)
    scored = score_samples(model, material.held)
    rounded = verdicts.rounded
    picture = folder / AUGMENTATION_FILE
    save(augmentation_picture(job.varied), picture)
    return ReportData(
        title=f"{settings.network.name} on {material.learn.root.resolve().name}",
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        scored=scored,
        wanted_precision=settings.scores.precision,
        chosen_on=True,
        stages=_stages(verdicts, delivered, scored, material.held),
        agreement=_agreement(scored, rounded, material.held) if rounded else None,
        before=verdicts.last.reliability,
        temperature=delivered.temperature,
        history=history,
        latency=_latency(model),
        edgetpu=_edge_tpu(delivered.model, folder),
        learning_curve=tuple(curve),
        augmentation=picture,
        findings=tuple(material.findings.lines()),
        settings=configuration.as_toml(settings),
        versions=run.versions(),
        seed=settings.seed,
        fingerprint=material.fingerprint,
    )


def _load(path: Path) -> LoadedModel:
    return load_model(ModelChoice(str(path), "cpu"))


def _stages(
    verdicts: Verdicts, delivered: Delivered, scored: ScoredSamples, held: Dataset
) -> tuple[Stage, ...]:
    as_float, file = Stage("float", verdicts.as_float.share), Stage("int8", _share(scored))
    if verdicts.rounded is None:
        return as_float, file
    rounded = Stage("QAT", verdicts.rounded.share, "in torch, rounded as int8 rounds")
    after = score_samples(_load(delivered.ptq), held)
    ptq = Stage("PTQ", _share(after), "the float network, quantized after training")
    return as_float, rounded, file, ptq


def _share(scored: ScoredSamples) -> Share:
    return Share(int((scored.predicted == scored.truth).sum()), len(scored.truth))


def _agreement(scored: ScoredSamples, rounded: Judged, held: Dataset) -> Share:
    """To how many pictures the file and the network that it comes from give the same label."""
    paths = (sample.path for sample in held.samples)
    said = dict(zip(paths, rounded.predicted.tolist(), strict=True))
    pairs = zip(scored.paths, scored.predicted.tolist(), strict=True)
    return Share(sum(said[path] == label for path, label in pairs), len(scored.paths))


def _latency(model: LoadedModel) -> Latency:
    reference = load_model(ModelChoice(delegate="cpu"))
    return interleaved(model.engine, reference.engine, reference.name)


def _edge_tpu(model: Path, folder: Path) -> EdgeTpu:
    try:
        compiled = edgetpu_compiler.compile_model(model, folder)
    except (ModelError, UnavailableError) as error:
        return EdgeTpu(False, (str(error),))
    if compiled is None:
        return EdgeTpu(False, tuple(edgetpu.qualifies(model)))
    rows = (f"{row.count} {row.operator}: {row.status}" for row in compiled.rows)
    return EdgeTpu(True, (f"{compiled.path.name}, by version {compiled.version}", *rows))
