"""What a report is made of: values that training and ``edge-classify evaluate`` fill in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_classifier.evaluation.calibration import Reliability
from edge_classifier.evaluation.latency import Latency
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.score import ScoredSamples


@dataclass(frozen=True, slots=True)
class NetworkForm:
    """How often one form of the network was right, e.g. ``float`` or ``int8``."""

    name: str
    share: Share
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """How one pass over the training pictures went. Losses are mean cross-entropies, in nats."""

    stage: str
    # From 1.
    number: int
    seconds: float
    # Learning rate of the last step.
    rate: float
    # While the weights changed; with smoothing, weights of classes, augmentation.
    train_loss: float
    # In [0, 1].
    train_accuracy: float
    # Of the held-out pictures, plain.
    held_loss: float
    held_accuracy: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Accuracy after training with a part of the pictures."""

    # In (0, 1].
    part: float
    pictures: int
    share: Share


@dataclass(frozen=True, slots=True)
class EdgeTpu:
    """What is known of the model on an Edge TPU."""

    # Whether edgetpu_compiler made ``lines``; else they are what would keep it from doing so.
    compiled: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All that a report shows. What is None or empty has no section.

    Texts that are a ``Sentence`` are told in the language of each page.
    """

    title: str
    # When, ISO 8601.
    made: str
    # Of the file that is reported on.
    scored: ScoredSamples
    wanted_precision: float = 0.95
    # Whether these very pictures chose among epochs, thresholds or temperatures in training.
    chosen_on: bool = False
    # Forms of the network, e.g. float, QAT, int8 and PTQ, on the same pictures.
    forms: tuple[NetworkForm, ...] = ()
    # Pictures to which the exported file and the QAT network give the same label.
    agreement: Share | None = None
    # Before the temperature was fitted.
    before: Reliability | None = None
    temperature: float | None = None
    history: tuple[Epoch, ...] = ()
    latency: Latency | None = None
    edgetpu: EdgeTpu | None = None
    learning_curve: tuple[CurvePoint, ...] = ()
    # A JPEG file that shows how training pictures are varied.
    augmentation: Path | None = None
    # What teaching and the data check say, a line each.
    findings: tuple[str, ...] = ()
    # TOML.
    settings: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    # Of the data.
    fingerprint: str = ""
