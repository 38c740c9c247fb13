"""What a report is made of: values that training and ``edge-classify evaluate`` fill in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_classifier.evaluation.calibration import Reliability
from edge_classifier.evaluation.latency import Latency
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.score import Scored


@dataclass(frozen=True, slots=True)
class Stage:
    """How often one form of the network was right, e.g. ``float`` or ``int8``."""

    name: str
    share: Share
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """How one pass over the training pictures went. Losses are mean cross-entropies, in nats."""

    stage: str
    number: int
    """From 1."""
    seconds: float
    rate: float
    """Learning rate of the last step."""
    train_loss: float
    """While the weights changed; with smoothing, weights of classes, augmentation."""
    train_accuracy: float
    """In [0, 1]."""
    held_loss: float
    """Of the held-out pictures, plain."""
    held_accuracy: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Accuracy after training with a part of the pictures."""

    part: float
    """In (0, 1]."""
    pictures: int
    share: Share


@dataclass(frozen=True, slots=True)
class EdgeTpu:
    """What is known of the model on an Edge TPU."""

    compiled: bool
    """Whether edgetpu_compiler made ``lines``; else they are what would keep it from doing so."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All that a report shows. What is None or empty has no section."""

    title: str
    made: str
    """When, ISO 8601."""
    scored: Scored
    """Of the file that is reported on."""
    wanted_precision: float = 0.95
    chosen_on: bool = False
    """Whether these very pictures chose among epochs, thresholds or temperatures in training."""
    stages: tuple[Stage, ...] = ()
    """Forms of the network, e.g. float, QAT, int8 and PTQ, on the same pictures."""
    agreement: Share | None = None
    """Pictures to which the exported file and the QAT network give the same label."""
    before: Reliability | None = None
    """Before the temperature was fitted."""
    temperature: float | None = None
    history: tuple[Epoch, ...] = ()
    latency: Latency | None = None
    edgetpu: EdgeTpu | None = None
    learning_curve: tuple[CurvePoint, ...] = ()
    augmentation: Path | None = None
    """A JPEG file that shows how training pictures are varied."""
    findings: tuple[str, ...] = ()
    """What the data check says, a line each."""
    settings: str = ""
    """TOML."""
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    fingerprint: str = ""
    """Of the data."""
