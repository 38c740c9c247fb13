"""Every setting of the web page and the recorder: frozen values, as in ``config.settings``.

A field's text is its documentation everywhere, docs/web-settings.md included.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval

from edge_classifier.config.field_types import STRICT, Host, Topic
from edge_classifier.config.settings import TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the page is, and how it is reached."""

    __pydantic_config__: ClassVar = STRICT

    host: Host = "127.0.0.1"
    """Address to listen on. 0.0.0.0: all of this machine; then use TLS, as docs/web.md says."""
    port: Annotated[int, Interval(ge=1, le=65535)] = 8090
    """Port to listen on."""
    behind_tls: bool = False
    """A reverse proxy on this machine speaks TLS: cookies travel over HTTPS only, browsers are
    told to come back by HTTPS only, and the proxy's X-Forwarded-For and -Proto are believed."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which browsers reach the page, e.g. ["pi.local"]. Empty: this machine's own names
    and addresses."""
    threads: Annotated[int, Interval(ge=2, le=64)] = 8
    """Requests that are answered at the same time. One client has half of them, others wait."""
    connections: Annotated[int, Interval(ge=20, le=800)] = 250
    """Open connections. With more, the client that has the most of them loses one."""
    streams: Annotated[int, Interval(ge=1, le=256)] = 16
    """Live pages that are kept up to date at the same time; each takes a thread of its own."""
    streams_per_account: Annotated[int, Interval(ge=1, le=256)] = 4
    """Of these, live pages of one account."""
    downloads: Annotated[int, Interval(ge=1, le=64)] = 4
    """Exports and datasets that are downloaded at the same time. One account has half of them."""
    download_minutes: Annotated[float, Interval(ge=1, le=1440)] = 60
    """A download that takes longer is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """Who may do what without an account, and how long a login lasts."""

    __pydantic_config__: ClassVar = STRICT

    allow_anonymous_uploads: bool = False
    """Visitors without an account may classify pictures. They see their own only."""
    anonymous_uploads_per_hour: Annotated[int, Interval(ge=1, le=100_000)] = 30
    """Pictures from one address in an hour, of visitors without an account."""
    uploads_per_hour: Annotated[int, Interval(ge=1, le=1_000_000)] = 2000
    """Pictures of one account or token in an hour."""
    session_days: Annotated[float, Interval(gt=0, le=365)] = 14
    """Days without a visit after which one has to log in again."""
    login_attempts: Annotated[int, Interval(ge=1, le=1000)] = 5
    """Wrong passwords for one account from one address until it has to wait."""
    login_wait_minutes: Annotated[float, Interval(gt=0, le=1440)] = 15
    """How long it then has to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSettings:
    """What is taken, before any of it is decoded."""

    __pydantic_config__: ClassVar = STRICT

    max_mb: Annotated[float, Interval(gt=0, le=1000)] = 20
    """Largest file, in MB (10^6 bytes)."""
    max_megapixels: Annotated[float, Interval(gt=0, le=400)] = 50
    """Largest picture, in millions of pixels."""
    at_once: Annotated[int, Interval(ge=1, le=1000)] = 20
    """Pictures in one request."""
    request_max_mb: Annotated[float, Interval(gt=0, le=2000)] = 100
    """All pictures of one request together, in MB."""
    keep_px: Annotated[int, Interval(ge=224, le=8192)] = 1600
    """Pictures are kept with at most so many pixels on the long side."""
    model_max_mb: Annotated[float, Interval(gt=0, le=2000)] = 100
    """Largest .tflite file that an administrator may upload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifySettings:
    """How uploaded pictures are classified: in a child process that ends when it is idle."""

    __pydantic_config__: ClassVar = STRICT

    model: str = ""
    """A name that `edge-classify models list` shows, a file in the folder of models, or a path.
    Empty: the embedded model. The page's administrator can choose another one."""
    models_folder: Path | None = None
    """Where uploaded models are put. Not set: models/ in the state folder. With the daemon's, on
    the same machine, the daemon can change to what was uploaded."""
    top_k: Annotated[int, Interval(ge=1, le=20)] = 5
    """Labels that are shown."""
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.3
    """A picture whose best score is lower is `unknown`."""
    idle_s: Annotated[float, Interval(ge=0, le=86400)] = 60
    """Seconds without work after which the child process ends and gives its memory back."""
    timeout_s: Annotated[float, Interval(ge=1, le=600)] = 30
    """A picture that takes longer is refused, and the child process ended."""
    memory_mb: Annotated[int, Interval(ge=400, le=65536)] = 1500
    """Address space of the child process; a picture that needs more is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebMqttSettings:
    """The broker of the daemons."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = True
    """Listen to daemons. Without it the page is for uploads only."""
    host: Host = "localhost"
    """Name or address of the broker."""
    port: Annotated[int, Interval(ge=1, le=65535)] = 1883
    """1883, or as a rule 8883 with TLS."""
    protocol: Literal["3.1.1", "5"] = "5"
    """Version of MQTT. Every broker of today knows both; the demo's speaks 3.1.1 only."""
    username: str = ""
    """Name of the account at the broker. Empty: none."""
    password_file: Path | None = None
    """A file whose first line is its password. Not set: the systemd credential `mqtt-password`."""
    client_id: str = ""
    """Name of the session at the broker, which must be unique there. Empty: made from the host's
    name."""
    base_topic: Topic = "edge-classifier"
    """What the daemons' topics begin with."""
    keepalive_s: Annotated[int, Interval(ge=5, le=3600)] = 30
    """Seconds after which a dead connection is noticed."""
    tls: TlsSettings = field(default_factory=TlsSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingSettings:
    """How what the daemons publish gets into the database."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = True
    """Record inside `edge-classify web`. A fleet sets false, and runs `edge-classify record`."""
    group: str = ""
    """Several recorders that share the load have the same group (an MQTT shared subscription),
    and each its own mqtt.client_id. Empty: this recorder gets everything."""
    batch: Annotated[int, Interval(ge=1, le=5000)] = 200
    """At most so many messages are written in one transaction."""
    session_hours: Annotated[float, Interval(gt=0, le=8760)] = 168
    """How long the broker keeps messages for a recorder that is away (MQTT 5; with 3.1.1 the
    broker decides)."""
    snapshot_max_kb: Annotated[int, Interval(ge=1, le=20_000)] = 2000
    """Larger snapshots are not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """What is deleted, the oldest first.

    Reviewed records stay and are not counted, unless `reviewed` is set.
    """

    __pydantic_config__: ClassVar = STRICT

    days: Annotated[float, Interval(ge=0, le=36500)] = 90
    """Records that were recorded longer ago than this go. 0: never."""
    unconfirmed_percent: Annotated[float, Interval(ge=0, le=100)] = 1.0
    """While nothing confirms this machine's clock, no more of all records go in an hour for their
    age; none on the day after it was set. 0: none. docs/web.md says more."""
    max_records: Annotated[int, Interval(ge=0, le=1_000_000_000)] = 200_000
    """More records than this, and the oldest go. 0: any number."""
    max_gb: Annotated[float, Interval(ge=0, le=1_000_000)] = 4.0
    """More bytes of their pictures than this (10^9), and the oldest records go. 0: any number."""
    reviewed: bool = False
    """Reviewed records, which are what a model can learn from, go like others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """Backups of SQLite's database and its pictures, made by the page itself."""

    __pydantic_config__: ClassVar = STRICT

    every_hours: Annotated[float, Interval(ge=0, le=8760)] = 0
    """One after so many hours. 0: none but those that `edge-classify web backup` makes."""
    keep: Annotated[int, Interval(ge=1, le=1000)] = 7
    """So many of the newest are kept. Each has all pictures in it."""
    folder: Path | None = None
    """Where they go, best on another disk. Not set: backups/ in the state folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """Where pictures are: a folder, which several machines may share, or S3-compatible storage."""

    __pydantic_config__: ClassVar = STRICT

    folder: Path | None = None
    """Not set: pictures/ in the state folder."""
    bucket: str = ""
    """Bucket of an S3-compatible storage, instead of the folder (extra [fleet]). Its keys are in
    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."""
    endpoint: str = ""
    """Address of that storage, e.g. https://s3.example.org. Empty: Amazon's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """All settings of `edge-classify web` and `edge-classify record`."""

    __pydantic_config__: ClassVar = STRICT

    title: str = "edge-classifier"
    """Name of the page."""
    state_folder: Path | None = None
    """Where the database, pictures, models and keys are. Not set: $STATE_DIRECTORY (systemd sets
    it), else ~/.local/state/edge-classifier-web."""
    server: ServerSettings = field(default_factory=ServerSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    uploads: UploadSettings = field(default_factory=UploadSettings)
    classify: ClassifySettings = field(default_factory=ClassifySettings)
    mqtt: WebMqttSettings = field(default_factory=WebMqttSettings)
    record: RecordingSettings = field(default_factory=RecordingSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
