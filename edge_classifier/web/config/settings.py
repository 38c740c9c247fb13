"""Every setting of the web page and the recorder: frozen values, as in ``config.settings``.

A field's text is its documentation everywhere, docs/web-settings.md included.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from edge_classifier.config.constraints import Interval, Len, Predicate
from edge_classifier.config.field_types import STRICT, Fraction, Host, Hours, Topic
from edge_classifier.config.mqtt_settings import TlsSettings


def _is_page_address(text: str) -> bool:
    if text and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", text):
        raise ValueError('must begin with http:// or https://, e.g. "https://birds.example.org"')
    return True


def _are_origins(texts: tuple[str, ...]) -> bool:
    for text in texts:
        # A semicolon or a blank would begin another rule of the policy that this becomes a part of.
        if not re.fullmatch(r"https?://(\[[0-9a-fA-F:]+\]|[\w.-]+)(:\d{1,5})?", text):
            raise ValueError('must be like "http://homeassistant.local:8123", without a path')
    return True


def _is_ip_address(text: str) -> bool:
    if text:
        try:
            usual = str(ipaddress.ip_address(text))
        except ValueError:
            raise ValueError('must be an IP address, e.g. "172.30.32.2"') from None
        # As connections tell it, with which it is compared.
        if text != usual:
            raise ValueError(f'must be an IP address as it is usually written, here "{usual}"')
    return True


def _is_no_address(path: Path) -> bool:
    # A path has one slash where an address has two; of mail it may have none.
    text = str(path)
    if re.match(r"\w+:/", text) or ("/" not in text and not re.fullmatch(r"[\w.-]+", text)):
        raise ValueError("is an address: write it into a file, and name the file here")
    return True


def _is_time_of_day(text: str) -> bool:
    if text and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError('must be a time of day such as "20:00"')
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressSettings:
    """Home Assistant's ingress: its sidebar shows the page, and it says who asks.

    For the add-on, which sets this itself.
    """

    __pydantic_config__: ClassVar = STRICT

    proxy: Annotated[str, Predicate(_is_ip_address)] = ""
    """Address of the proxy that is believed, and no other: "172.30.32.2" is Home Assistant's
    Supervisor. Whoever it names needs no password. Empty: nobody is believed."""
    administrators: tuple[str, ...] = ()
    """Who comes from there as an administrator: user names of Home Assistant, or their ids."""
    role: Literal["none", "viewer", "reviewer", "administrator"] = "viewer"
    """What everybody else gets who comes from there for the first time. An administrator may
    change it later. `none`: they are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where the page is, and how it is reached."""

    __pydantic_config__: ClassVar = STRICT

    host: Host = "127.0.0.1"
    """Address to listen on. 0.0.0.0: all of this machine; then use TLS, as docs/web.md says."""
    port: Annotated[int, Interval(ge=1, le=65535)] = 8090
    """Port to listen on."""
    behind_tls: bool = False
    """A reverse proxy on this machine speaks TLS: cookies travel over HTTPS only, and the proxy's
    X-Forwarded-For and -Proto are believed."""
    allowed_hosts: tuple[str, ...] = ()
    """Names by which browsers reach the page, e.g. ["pi.local"]. Empty: this machine's own names
    and addresses."""
    public_address: Annotated[str, Predicate(_is_page_address)] = ""
    """Where browsers find the page, e.g. "https://birds.example.org": what notifications link to.
    Empty: they have no link."""
    frame_ancestors: Annotated[tuple[str, ...], Predicate(_are_origins)] = ()
    """Pages that may show this one in a frame, e.g. ["http://homeassistant.local:8123"]. Without
    behind_tls the login works there only where both have the same name."""
    threads: Annotated[int, Interval(ge=2, le=64)] = 4
    """Requests that are answered at the same time. One client has half of them, others wait."""
    connections: Annotated[int, Interval(ge=20, le=800)] = 250
    """Open connections. With more, the client that has the most of them loses one."""
    streams: Annotated[int, Interval(ge=1, le=256)] = 16
    """Live pages that are kept up to date at the same time."""
    streams_per_account: Annotated[int, Interval(ge=1, le=256)] = 4
    """Of these, live pages of one account."""
    downloads: Annotated[int, Interval(ge=1, le=64)] = 4
    """Exports and datasets that are downloaded at the same time; one account has half of them."""
    download_minutes: Annotated[float, Interval(ge=1, le=1440)] = 60
    """A download that takes longer is ended."""
    ingress: IngressSettings = field(default_factory=IngressSettings)

    def __post_init__(self) -> None:
        """Raises ValueError for settings that contradict each other."""
        if self.ingress.proxy and self.behind_tls:
            raise ValueError("behind_tls and ingress.proxy each name another proxy: set one")


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
    Empty: the embedded model."""
    models_folder: Path | None = None
    """Where uploaded models are put. Not set: models/ in the state folder."""
    top_k: Annotated[int, Interval(ge=1, le=20)] = 5
    """Labels that are shown."""
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.3
    """Where no label scores as much: the most specific name above labels that does, else
    `unknown`."""
    idle_s: Annotated[float, Interval(ge=0, le=86400)] = 60
    """Seconds without work after which the child process ends."""
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
    """Version of MQTT."""
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
    """Recorders that share the load have the same group, and each its own mqtt.client_id. Empty:
    this recorder gets everything."""
    batch: Annotated[int, Interval(ge=1, le=5000)] = 200
    """At most so many messages are written in one transaction."""
    session_hours: Annotated[float, Interval(gt=0, le=8760)] = 168
    """How long the broker keeps messages for a recorder that is away (MQTT 5 only)."""
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
    age. 0: none."""
    max_records: Annotated[int, Interval(ge=0, le=1_000_000_000)] = 200_000
    """More records than this, and the oldest go. 0: any number."""
    max_gb: Annotated[float, Interval(ge=0, le=1_000_000)] = 4.0
    """More bytes of their pictures than this (10^9), and the oldest records go. 0: any number."""
    reviewed: bool = False
    """Reviewed records, which are what a model can learn from, go like others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookalikeSettings:
    """Which recorded pictures look alike, and which look like nothing that was there before."""

    __pydantic_config__: ClassVar = STRICT

    enabled: Literal["auto", "on", "off"] = "auto"
    """Compare what recorded pictures look like. `auto`: on a machine with 900 MB of memory."""
    most: Annotated[int, Interval(ge=100, le=200_000)] = 20_000
    """So many of the newest pictures are known by their look; 300 bytes each."""
    new_days: Annotated[float, Interval(ge=1, le=365)] = 28
    """What a camera has shown within so many days is not new there."""
    publish_new: bool = False
    """Publish a message when something new is there, as docs/mqtt.md has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonSettings:
    """Pictures that models are taught with. They are kept until somebody deletes them."""

    __pydantic_config__: ClassVar = STRICT

    max_pictures: Annotated[int, Interval(ge=1, le=50_000)] = 5000
    """Pictures of one lesson."""
    max_gb: Annotated[float, Interval(gt=0, le=1_000_000)] = 2.0
    """Bytes of the pictures of all lessons (10^9). With more, none can be added."""
    capture_store: Path | None = None
    """The capture store of a daemon on this machine, pictures/ in its state folder, which the page
    must be allowed to read. Not set: none."""


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
class NotificationRule:
    """What people are told about, and where. There may be several of these tables.

    docs/notifications.md has examples. The page's *Notifications* tries a rule on what was
    recorded. An event is told once to a file of addresses: by the first rule that fits.
    """

    __pydantic_config__: ClassVar = STRICT

    name: Annotated[str, Len(1, 60)]
    """What the rule is called, on the page and in its messages."""
    addresses_file: Annotated[Path, Predicate(_is_no_address)] | None = None
    """A file with addresses as Apprise writes them, one a line; or the name of a systemd
    credential. Not set: the credential `notify-addresses`."""
    cameras: Annotated[tuple[str, ...], Len(0, 200)] = ()
    """Names of cameras, as `front` or `garden/front` (device and camera). Empty: all."""
    labels: Annotated[tuple[str, ...], Len(0, 1000)] = ()
    """Labels, in either language, or what stands above them in the model's tree, as `bird`. Empty:
    all but `unknown`, which is told only where it is named."""
    kind: Literal["seen", "glimpsed", "all"] = "seen"
    """Events; what was there too shortly to be one; or both."""
    least_score: Fraction = 0.0
    """The least score with which the label came."""
    hours: Annotated[tuple[Hours, ...], Len(0, 20)] = ()
    """Spans of local time, as "06:00-22:00". Empty: always."""
    when: tuple[Literal["first_ever", "first_of_day", "rare"], ...] = ("first_of_day",)
    """One of these is enough. `first_ever`: no camera has had the label before. `first_of_day`: it
    is the first one with its label that day that fits. `rare`: the same, of a label that was there
    on fewer than `rare_days` of the 28 days before. Empty: each one is told."""
    rare_days: Annotated[int, Interval(ge=1, le=28)] = 3
    """For `rare`."""
    at_most_every_minutes: Annotated[float, Interval(ge=0, le=1440)] = 0
    """No more than one message in so many minutes; what comes between comes together. 0: any
    number."""
    digest_at: Annotated[str, Predicate(_is_time_of_day)] = ""
    """One message a day at this local time, e.g. "20:00", with all of 24 hours. Empty: at once."""
    picture_wait_s: Annotated[float, Interval(ge=0, le=120)] = 8
    """Seconds that a message waits for a better picture (of `snapshots.best_every_s`)."""
    language: Literal["en", "zh-hans"] = "en"
    """Of the messages."""


def _have_own_names(rules: tuple[NotificationRule, ...]) -> bool:
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"two rules have the name {twice[0]!r}")
    return True


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
    lookalikes: LookalikeSettings = field(default_factory=LookalikeSettings)
    lessons: LessonSettings = field(default_factory=LessonSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    notify: Annotated[tuple[NotificationRule, ...], Len(0, 50), Predicate(_have_own_names)] = ()
