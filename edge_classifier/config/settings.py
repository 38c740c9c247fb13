"""Every setting of the daemon: frozen values that each part takes its own section of.

These are plain dataclasses, because the daemon must not carry a validation library about for
months: pydantic reads the ranges and the texts below each field from here (``config.load``) in a
process that ends. A field's text is its documentation everywhere: in docs/configuration.md
and in the JSON schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from edge_classifier.config.constraints import Interval, Len
from edge_classifier.config.field_types import (
    LIVE,
    REOPEN,
    RESTART,
    STRICT,
    CameraName,
    DeviceName,
    Fraction,
    Host,
    Hours,
    InputRange,
    ModelSource,
)
from edge_classifier.config.mqtt_settings import MqttSettings, OutboxSettings, SnapshotSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """This machine, as others see it."""

    __pydantic_config__: ClassVar = STRICT

    name: DeviceName = ""
    """Name in topics and in Home Assistant: letters, digits, - and _. Empty: the host's name."""
    language: Annotated[Literal["en", "zh"], LIVE] = "en"
    """Language of the published label names."""
    state_folder: Path | None = None
    """Where the outbox and the capture store live. Not set: $STATE_DIRECTORY (systemd sets it),
    else ~/.local/state/edge-classifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """The network, as in `edge-classify --model`."""

    __pydantic_config__: ClassVar = STRICT

    use: str = ""
    """A name that `edge-classify models list` shows, or the path of a .tflite file, or of a zip
    with one. Empty: the embedded model."""
    labels: Path | None = None
    """A file of label names, one a line or JSON, instead of those in the model."""
    taxonomy: Path | None = None
    """A file with a tree of names above the labels, instead of the one in the model."""
    crop: Literal["", "center", "squash", "letterbox"] = ""
    """How a picture becomes the model's shape. Empty: as the model says."""
    input_range: InputRange = ""
    """The numbers that black and white enter the network as: "0..255", "0..1" or "-1..1". Empty:
    as the model says, or as `edge-classify models info` finds out."""
    delegate: str = "auto"
    """auto, cpu, edgetpu, or the path of a delegate's library."""
    threads: Annotated[int, Interval(ge=1, le=64)] = 1
    """Processor threads of the network. More make one frame faster and everything else slower."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSourceSettings:
    """The one place that models are fetched from which are asked for over MQTT and are not here."""

    __pydantic_config__: ClassVar = STRICT

    source: ModelSource = ""
    """Address of the web page, e.g. https://page.example.org:8443. Empty: nothing is fetched."""
    ca_file: Path | None = None
    """The certificate authority that signed the page's certificate. Not set: the system's."""
    token_file: Path | None = None
    """A file whose first line is a device's token. Not set: the systemd credential
    `models-token`."""
    max_mb: Annotated[int, Interval(ge=1, le=1000)] = 200
    """Larger models are not fetched."""
    keep: Annotated[int, Interval(ge=1, le=100)] = 5
    """How many fetched models stay, the newest; always the one in use and the one before it."""
    keep_mb: Annotated[int, Interval(ge=1, le=100_000)] = 500
    """How much they may take together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When one label comes and goes; what is not set is as for all labels."""

    __pydantic_config__: ClassVar = STRICT

    enter: Fraction | None = None
    """Smoothed score at which the label may appear."""
    leave: Fraction | None = None
    """Smoothed score below which it ends."""

    def __post_init__(self) -> None:
        if self.enter is not None and self.leave is not None and self.leave > self.enter:
            raise ValueError(f"leave {self.leave} is above enter {self.enter}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionSettings:
    """From scores over time to one stable label."""

    __pydantic_config__: ClassVar = STRICT

    smoothing: Literal["exponential", "vote", "none"] = "exponential"
    """exponential: scores fade with `time_constant_s`. vote: the share of the frames within
    `window_s` that a label won. none: each frame for itself."""
    time_constant_s: Annotated[float, Interval(gt=0, le=600)] = 1.0
    """Exponential smoothing: seconds after which an old score counts 37 % (1/e)."""
    window_s: Annotated[float, Interval(gt=0, le=600)] = 3.0
    """Vote: how many seconds it looks back."""
    enter: Fraction = 0.6
    """Smoothed score at which a label may appear."""
    leave: Fraction = 0.4
    """Smoothed score below which the present label ends. The gap to `enter` prevents flapping."""
    margin: Fraction = 0.1
    """How far a new label must be ahead of the runner-up."""
    dwell_s: Annotated[float, Interval(ge=0, le=3600)] = 0.5
    """Seconds that a new label must hold before it is published."""
    unknown_dwell_s: Annotated[float, Interval(ge=0, le=3600)] = 2.0
    """Seconds without any label before `unknown` is published, or the name above that is left."""
    specific_share: Fraction = 0.95
    """How much of the score of the topmost name a name below it needs, such as tabby below cat,
    beside `enter`. A name with an `enter` of its own needs that alone."""
    specific: bool = False
    """Send an event also when a name becomes more or less specific, such as tabby after cat."""
    only: tuple[str, ...] = ()
    """What may be said at all, e.g. ["bird", "cat", "dog"]; all else is one more competitor of
    these. Empty: everything."""
    labels: Mapping[str, Thresholds] = field(default_factory=dict)
    """Thresholds of single names, e.g. { cat = { enter = 0.7, leave = 0.5 } }."""
    ignore: tuple[str, ...] = ()
    """Names that are never published, with all below them; their scores do not count."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Another name for one, e.g. { "Egyptian cat" = "Cleo" }."""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """One name for several, whose scores are added, e.g. { pet = ["cat", "dog"] }."""
    top_k: Annotated[int, Interval(ge=1, le=20)] = 5
    """How many labels a state lists."""
    glimpses: bool = True
    """Send an event also when a label was there for too short a time to be published."""

    def __post_init__(self) -> None:
        if self.leave > self.enter:
            raise ValueError(f"leave {self.leave} is above enter {self.enter}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionSettings:
    """A gate before the network: a static scene costs almost no inference."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = False
    """Classify only frames that differ from the last classified one."""
    difference: Annotated[int, Interval(ge=1, le=255)] = 20
    """Grey levels by which a pixel must differ to count as changed (sensor noise is 5 to 10)."""
    area: Annotated[float, Interval(gt=0, le=1)] = 0.005
    """Share of the picture that must have changed."""
    max_interval_s: Annotated[float, Interval(ge=0.1, le=3600)] = 10.0
    """A frame is classified after this many seconds even if nothing moves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of the picture, in fractions of its width and height."""

    __pydantic_config__: ClassVar = STRICT

    left: Fraction = 0.0
    """Left edge."""
    top: Fraction = 0.0
    """Top edge."""
    width: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Width."""
    height: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Height."""

    def __post_init__(self) -> None:
        if self.left + self.width > 1 + 1e-9 or self.top + self.height > 1 + 1e-9:
            raise ValueError("the region reaches beyond the picture: left + width or top + height")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """One camera; its table's name is its name in topics."""

    __pydantic_config__: ClassVar = STRICT

    # There may be a password in it.
    source: Annotated[str, Len(1, 4096), REOPEN] = field(repr=False)
    """/dev/video0 or 0 (USB); picamera2 or picamera2:1 (Raspberry Pi camera); rtsp://... or
    http://... (a stream, or the address of a single picture); camera:NAME (the frames of that
    camera); a video file; pictures:FOLDER or pictures:GLOB (for trials)."""
    model: Annotated[str, LIVE] = ""
    """A network of its own, named as in `model.use`. Empty: that of [model]."""
    enabled: Annotated[bool, LIVE] = True
    """Classify this camera. Can be switched over MQTT."""
    title: Annotated[str, LIVE] = ""
    """Name for people, e.g. in Home Assistant. Empty: the table's name."""
    credentials_file: Annotated[Path | None, REOPEN] = None
    """A file whose first line is USER:PASSWORD for the stream. Not set: the systemd credential
    `camera-NAME`."""
    rate_fps: Annotated[float, Interval(ge=0, le=240), LIVE] = 5.0
    """Most frames that are classified in a second. 0: as many as possible."""
    width: Annotated[int, Interval(ge=0, le=8192), REOPEN] = 1280
    """Width in pixels to ask the camera for; it may give another. 0: its own."""
    height: Annotated[int, Interval(ge=0, le=8192), REOPEN] = 720
    """Height in pixels to ask the camera for. 0: its own."""
    look: Annotated[Literal["whole", "motion", "both"], REOPEN] = "both"
    """What the network sees: the whole picture; what moves in it, cut out of its full resolution;
    or both, of which the surer one counts. While nothing moves it is the whole."""
    rotate: Annotated[Literal[0, 90, 180, 270], REOPEN] = 0
    """Degrees to turn the picture clockwise, for a camera that hangs upside down."""
    region: Annotated[Region, LIVE] = field(default_factory=Region)
    """The part of the (turned) picture that is classified."""
    loop: Annotated[bool, REOPEN] = True
    """Video files and pictures: start again at the end. Otherwise the camera then stays offline."""
    picture_s: Annotated[float, Interval(ge=0, le=3600), REOPEN] = 3.0
    """Pictures: seconds that each one is shown. 0: as fast as they are taken. The address of a
    single picture: seconds until it is asked for again, at most read_timeout_s."""
    open_timeout_s: Annotated[float, Interval(ge=0.5, le=120), REOPEN] = 10.0
    """Seconds until opening the camera counts as failed."""
    read_timeout_s: Annotated[float, Interval(ge=0.5, le=120), REOPEN] = 5.0
    """Seconds without a frame until the camera counts as lost."""
    black_s: Annotated[float, Interval(ge=0, le=3600), REOPEN] = 30.0
    """Seconds of an entirely black picture until the camera counts as lost. 0: never."""
    frozen_s: Annotated[float, Interval(ge=0, le=86400), REOPEN] = 60.0
    """Seconds of the very same picture until a camera whose frames had noise counts as lost. 0:
    never. Pictures without noise, such as a test picture or a folder's, never count as frozen."""
    retry_max_s: Annotated[float, Interval(ge=1, le=3600), REOPEN] = 60.0
    """Longest pause between two attempts to open a lost camera."""
    quiet_hours: Annotated[tuple[Hours, ...], LIVE] = ()
    """Local times in which nothing is classified, e.g. ["22:00-06:00"]."""
    decision: Annotated[DecisionSettings, LIVE] = field(default_factory=DecisionSettings)
    """As [decision], for this camera; what is not set here is taken from there."""
    motion: Annotated[MotionSettings, LIVE] = field(default_factory=MotionSettings)
    """As [motion], for this camera; what is not set here is taken from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Pictures kept for retraining."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = False
    """Keep pictures. They stay on this machine."""
    uncertain: bool = True
    """Keep frames whose best score is between `uncertain_from` and `uncertain_to`."""
    uncertain_from: Fraction = 0.3
    """Lowest score of an uncertain frame."""
    uncertain_to: Fraction = 0.7
    """Highest score of an uncertain frame."""
    changed: bool = True
    """Keep the frame behind each event."""
    min_interval_s: Annotated[float, Interval(ge=0, le=86400)] = 5.0
    """Seconds between two uncertain pictures of one camera."""
    distance: Annotated[int, Interval(ge=0, le=64)] = 6
    """A picture is dropped as a near-duplicate when at most so many of the 64 bits of its
    perceptual hash differ from a kept one's."""
    max_pictures: Annotated[int, Interval(ge=1, le=1_000_000)] = 5_000
    """When there are more, the oldest goes."""
    max_bytes: Annotated[int, Interval(ge=1_000_000, le=1_000_000_000_000)] = 500_000_000
    """When they take more, the oldest goes."""

    def __post_init__(self) -> None:
        if self.uncertain_from > self.uncertain_to:
            raise ValueError(
                f"uncertain_from {self.uncertain_from} is above uncertain_to {self.uncertain_to}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Figures for Prometheus and a health check."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = True
    """Serve /metrics and /healthz."""
    host: Host = "127.0.0.1"
    """Address to listen on. There is no log-in: anything but loopback is open to the network."""
    port: Annotated[int, Interval(ge=0, le=65535)] = 9464
    """Port to listen on. 0: any free one, which the log tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """What is written to standard error, which systemd keeps in the journal."""

    __pydantic_config__: ClassVar = STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Messages below this level are not written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything."""

    __pydantic_config__: ClassVar = STRICT

    device: Annotated[DeviceSettings, RESTART] = field(default_factory=DeviceSettings)
    """This machine, as others see it."""
    model: Annotated[ModelSettings, LIVE] = field(default_factory=ModelSettings)
    """The network."""
    models: Annotated[ModelSourceSettings, LIVE] = field(default_factory=ModelSourceSettings)
    """Where models come from that are not on this machine."""
    # Of one that comes or goes; each of its keys says its own.
    cameras: Annotated[Mapping[CameraName, CameraSettings], Len(1, 16), LIVE]
    """One table a camera: [cameras.NAME]."""
    decision: Annotated[DecisionSettings, LIVE] = field(default_factory=DecisionSettings)
    """Thresholds and smoothing of every camera that does not say otherwise."""
    motion: Annotated[MotionSettings, LIVE] = field(default_factory=MotionSettings)
    """The motion gate of every camera that does not say otherwise."""
    mqtt: Annotated[MqttSettings, RESTART] = field(default_factory=MqttSettings)
    """The broker and the topics."""
    outbox: Annotated[OutboxSettings, RESTART] = field(default_factory=OutboxSettings)
    """Events that wait for the broker."""
    snapshots: Annotated[SnapshotSettings, LIVE] = field(default_factory=SnapshotSettings)
    """Pictures over MQTT."""
    store: Annotated[StoreSettings, LIVE] = field(default_factory=StoreSettings)
    """Pictures kept for retraining."""
    http: Annotated[HttpSettings, RESTART] = field(default_factory=HttpSettings)
    """Figures and health."""
    log: Annotated[LogSettings, LIVE] = field(default_factory=LogSettings)
    """The log."""
