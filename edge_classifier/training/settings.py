"""Every setting of a training run: frozen values, as the TOML file of ``--config`` has them.

A field's text is its documentation everywhere, its range is checked by pydantic when a file is
read (``training.load_settings``).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from edge_classifier.config.constraints import Interval
from edge_classifier.config.field_types import STRICT

Fraction = Annotated[float, Interval(ge=0, le=1)]
Epochs = Annotated[int, Interval(ge=0, le=10_000)]
Rate = Annotated[float, Interval(gt=0, le=10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The pictures: one folder a class."""

    __pydantic_config__: ClassVar = STRICT

    folder: Path | None = None
    """The class folders; on the command line it is the argument DATA."""
    validation: Path | None = None
    """Own class folders to measure on. Not set: a share of `folder` is held out."""
    held_out: Annotated[float, Interval(ge=0.02, le=0.9)] = 0.2
    """Share of every class that is kept from training: half of it chooses among epochs, the other
    half is measured on. All of it does both where a half has fewer than 50 pictures."""
    other: Path | None = None
    """Pictures of anything else: they become the class `unknown`, which is never published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """What is trained."""

    __pydantic_config__: ClassVar = STRICT

    name: Literal["mobilenet-v2", "efficientnet-lite0"] = "efficientnet-lite0"
    """The architecture; `edge-classify train --list-models` compares them."""
    width: Annotated[float, Interval(ge=0.35, le=1.4)] = 1.0
    """MobileNetV2's width multiplier, the share of channels: 0.35, 0.5, 0.75, 1.0, 1.3 or 1.4."""
    size: Literal[96, 128, 160, 192, 224] = 224
    """Side of the square picture that the network sees, in pixels."""
    crop_fraction: Annotated[float, Interval(gt=0, le=1)] = 0.875
    """Share of the central square's side that the network sees."""
    head: Literal["linear", "dense"] = "linear"
    """`linear`: one layer on the features. `dense`: layers of 1024 and 256 before it, with L2."""
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Share of features that the linear head does without at each step."""
    pretrained: str = "embedded"
    """First weights: `embedded` (comes with this program), `imagenet` (fetched from
    torchvision's public address), the path of a checkpoint, or `none`, which wants
    `finetune.batch_norm = "trained"`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """How training pictures are varied; 0 or false turns a variation off."""

    __pydantic_config__: ClassVar = STRICT

    flip: bool = True
    """Mirror every second picture, left to right."""
    rotation_deg: Annotated[float, Interval(ge=0, le=180)] = 15.0
    """Turn by up to this angle to either side."""
    zoom: Annotated[float, Interval(ge=0, le=0.9)] = 0.3
    """Cut out a square that is up to this share smaller, anywhere in the picture."""
    contrast: Fraction = 0.2
    """Stretch or flatten contrast by up to this share."""
    brightness: Fraction = 0.1
    """Brighter or darker by up to this share of the whole range."""
    colour: Fraction = 0.1
    """Strengthen or weaken each of red, green and blue by up to this share."""
    mixup: Fraction = 0.0
    """Blend pictures in pairs; the alpha of Zhang et al., "mixup", 2018."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadStage:
    """First stage: the head alone, on features that are computed once."""

    __pydantic_config__: ClassVar = STRICT

    epochs: Epochs = 30
    """At most so many."""
    batch: Annotated[int, Interval(ge=1, le=4096)] = 64
    """Pictures a step, over all processes together."""
    rate: Rate = 2e-3
    """Learning rate at its peak; it falls as a cosine."""
    weight_decay: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Pull towards zero (L2), of weights with more than one dimension."""
    patience: Epochs = 8
    """Epochs without progress after which the stage ends early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune:
    """Second stage: the network with its head."""

    __pydantic_config__: ClassVar = STRICT

    epochs: Epochs = 6
    """At most so many; 0 leaves the stage out."""
    batch: Annotated[int, Interval(ge=1, le=4096)] = 32
    """Pictures a step, over all processes together."""
    rate: Rate = 3e-4
    """Learning rate of the blocks at its peak."""
    head_factor: Annotated[float, Interval(ge=0.01, le=100)] = 3.0
    """The head's rate is so many times that."""
    unfreeze: Annotated[int, Interval(ge=-1, le=100)] = 6
    """Blocks that are trained, counted from the head; -1: all. The third stage trains the same."""
    batch_norm: Literal["frozen", "trained"] = "frozen"
    """Whether batch norm keeps the statistics of the first weights. Few pictures spoil them."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam with decoupled weight decay, or SGD with momentum 0.9."""
    weight_decay: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Pull towards zero, of weights with more than one dimension."""
    warm_up: Fraction = 0.05
    """Share of all steps in which the rate rises; then it falls as a cosine."""
    label_smoothing: Annotated[float, Interval(ge=0, lt=1)] = 0.05
    """Share of the truth that is spread over all classes."""
    patience: Epochs = 4
    """Epochs without progress after which the stage ends early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize:
    """Third stage: the network as int8 will compute it."""

    __pydantic_config__: ClassVar = STRICT

    epochs: Epochs = 1
    """0 leaves it out: the network is then quantized after training."""
    batch: Annotated[int, Interval(ge=1, le=4096)] = 32
    """Pictures a step, over all processes together."""
    rate: Rate = 3e-5
    """Learning rate at its peak; it falls as a cosine."""
    observe: Annotated[int, Interval(ge=1, le=100_000)] = 160
    """Pictures that set the first ranges, before anything is rounded."""
    freeze_at: Fraction = 0.6
    """Share of all steps after which the ranges stay."""
    calibration: Annotated[int, Interval(ge=1, le=100_000)] = 128
    """Pictures that set the ranges of post-training quantization, for the comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What the scores are to mean."""

    __pydantic_config__: ClassVar = STRICT

    calibrate: bool = True
    """Fit a temperature, so that a score of 0.8 is right in about 80 of 100 cases."""
    unknown_cost: Annotated[float, Interval(gt=0, le=1)] = 0.01
    """Share of the labels' pictures that `unknown` may take, to judge by those that choose."""
    precision: Annotated[float, Interval(gt=0, lt=1)] = 0.95
    """Of 100 pictures above a label's suggested threshold, so many are to be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where and how it runs."""

    __pydantic_config__: ClassVar = STRICT

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """The fastest that is there, or the one that is demanded."""
    precision: Literal["auto", "full", "mixed"] = "auto"
    """`mixed`: bfloat16 or float16 where it is safe; `auto`: that on CUDA only."""
    workers: Annotated[int, Interval(ge=-1, le=64)] = -1
    """Processes that read pictures; -1: as many as there are processors to spare."""
    tensorboard: bool = False
    """Write curves for TensorBoard into the run's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """A whole run."""

    __pydantic_config__: ClassVar = STRICT

    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0
    """Everything that is random follows from it."""
    class_weights: bool = True
    """Let rare classes count as much as frequent ones."""
    learning_curve: bool = False
    """Also measure the head with 10, 25, 50 and 100 % of the pictures."""
    data: Data = field(default_factory=Data)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    augment: Augment = field(default_factory=Augment)
    head: HeadStage = field(default_factory=HeadStage)
    finetune: Finetune = field(default_factory=Finetune)
    quantize: Quantize = field(default_factory=Quantize)
    scores: Scores = field(default_factory=Scores)
    machine: Machine = field(default_factory=Machine)
