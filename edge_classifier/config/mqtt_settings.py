"""The settings of what goes to the broker: the connection, the events that wait, the pictures.

Values as in ``config.settings``, which says why they are plain dataclasses.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from edge_classifier.config.constraints import Interval
from edge_classifier.config.field_types import LIVE, RESTART, STRICT, Host, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """Encryption of the connection to the broker."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = False
    """Connect with TLS. The port is then usually 8883."""
    ca_file: Path | None = None
    """The certificate authority that signed the broker's certificate. Not set: the system's."""
    certificate_file: Path | None = None
    """This client's certificate, where the broker wants one."""
    key_file: Path | None = None
    """The key of `certificate_file`."""
    check_hostname: bool = True
    """Refuse a certificate that was made out to another host."""

    def __post_init__(self) -> None:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together: give both or none")


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """The broker and the topics."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = True
    """Publish over MQTT. Off: the daemon still classifies, for `--explain` and /metrics."""
    host: Host = "localhost"
    """The broker's host name or address."""
    port: Annotated[int, Interval(ge=1, le=65535)] = 1883
    """The broker's port."""
    username: str = ""
    """User name at the broker. Empty: none."""
    password_file: Path | None = None
    """A file whose first line is the password. Not set: the systemd credential `mqtt-password`.
    Never write a password into this file."""
    client_id: str = ""
    """Empty: edge-classifier-NAME. Two clients with the same id disconnect each other."""
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    """Version of MQTT."""
    keepalive_s: Annotated[int, Interval(ge=5, le=3600)] = 30
    """Seconds of silence after which the broker is asked whether it is still there."""
    base_topic: Topic = "edge-classifier"
    """All topics start with BASE/NAME."""
    discovery: bool = True
    """Announce the device to Home Assistant."""
    discovery_prefix: Topic = "homeassistant"
    """Home Assistant's discovery prefix."""
    heartbeat_s: Annotated[float, Interval(ge=5, le=86400), LIVE] = 300
    """Seconds between repeated states while nothing changes."""
    score_s: Annotated[float, Interval(ge=1, le=86400), LIVE] = 2
    """Fewest seconds between two states of a camera of which only the score has moved."""
    stats_s: Annotated[float, Interval(ge=1, le=3600), LIVE] = 30
    """Seconds between statistics."""
    tls: TlsSettings = field(default_factory=TlsSettings)
    """Encryption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSettings:
    """Events wait here, on disk, until the broker has acknowledged them."""

    __pydantic_config__: ClassVar = STRICT

    max_events: Annotated[int, Interval(ge=10, le=1_000_000)] = 20_000
    """When more are waiting, the oldest goes and is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSettings:
    """The picture behind the last event, as a JPEG over MQTT."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = True
    """Publish a picture with each event."""
    max_bytes: Annotated[int, Interval(ge=2_000, le=5_000_000)] = 100_000
    """It is made smaller until it fits."""
    draw_box: bool = False
    """Draw a frame around what the network looked at, where that was not the whole picture. Such
    a picture is no good to learn from."""
    best_every_s: Annotated[float, Interval(ge=1, le=3600)] = 5.0
    """Fewest seconds until a better picture of the same label takes the place of the one before."""
    keep_waiting: Annotated[bool, RESTART] = False
    """Keep the picture of each event on disk until the broker has both: a recorder that is away
    misses no picture. `config init --recorded` sets it."""
    waiting_max: Annotated[int, Interval(ge=1, le=10_000), RESTART] = 200
    """When more pictures are waiting, the oldest goes and is counted."""
    waiting_max_bytes: Annotated[int, Interval(ge=10_000, le=10_000_000_000), RESTART] = 20_000_000
    """When they take more, the oldest goes."""
