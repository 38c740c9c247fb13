"""A real MQTT broker on a loopback port, and someone who listens to it."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import termios
import threading
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.ports import HOST, free_port
from tests.waiting import eventually

_SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))


def mosquitto() -> str:
    """The broker's program; skips the test where there is none."""
    found = shutil.which("mosquitto", path=_SEARCH)
    if not found:
        pytest.skip("mosquitto is not installed (apt install mosquitto)")
    return found


@dataclass
class Broker:
    """One mosquitto, which can be killed and started again on the same port and with its data."""

    folder: Path
    # More of its configuration.
    lines: Sequence[str] = ("allow_anonymous true",)
    port: int = field(default_factory=free_port)
    address: str = HOST
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Broker":
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        path = self.folder / "mosquitto.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> None:
        """Returns when it accepts connections."""
        configuration = self.folder / "mosquitto.conf"
        configuration.write_text("\n".join((*self._base(), *self.lines, "")))
        with (self.folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(
                [mosquitto(), "-c", str(configuration)], stdout=log, stderr=log
            )
        eventually(self._answers)

    def kill(self) -> None:
        """As a power cut would."""
        if self.process:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        """It looks at nothing any more."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def save(self) -> None:
        """Have it write sessions and retained messages to its disk now."""
        assert self.process
        saved = self.folder / "mosquitto.db"
        saved.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        eventually(saved.exists)

    def _base(self) -> list[str]:
        return [
            # Started as root it would become user mosquitto, who may not read our files.
            *(["user root"] if os.geteuid() == 0 else []),
            "log_type all",
            f"listener {self.port} {self.address}",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_interval 1",
            "autosave_on_changes true",
            # Whoever listens gets each message before its sender gets the ack.
            "max_inflight_messages 0",
            "max_queued_messages 100000",
            "set_tcp_nodelay true",
        ]

    def _answers(self) -> bool:
        assert self.process
        assert self.process.poll() is None, f"mosquitto ended: {self.log}"
        with socket.socket() as probe:
            return probe.connect_ex((self.address, self.port)) == 0


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    retain: bool
    qos: int


class Listener:
    """Subscribes, and keeps what comes, through restarts of the broker."""

    def __init__(
        self,
        port: int,
        *topics: str,
        name: str = "listener",
        prepare: Callable[[paho.Client], None] = lambda _: None,
    ) -> None:
        self.messages: list[Message] = []
        self._topics = topics
        self._subscribed = threading.Event()
        # A session that lasts: what comes while it is away waits at the broker.
        self.client = paho.Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        prepare(self.client)
        self.client.connect(HOST, port)

    def __enter__(self) -> Self:
        self.client.loop_start()
        self.await_subscribed()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def await_subscribed(self) -> None:
        assert self._subscribed.wait(30), "the broker did not take the subscription"

    def catch_up(self) -> None:
        """Returns when it has read what the broker has sent; the broker stands still.

        An answer to a broker that is gone fails, and with it goes what was not read yet.
        """
        unread = array("i", [0])

        def is_read() -> bool:
            connection = self.client.socket()
            assert connection
            fcntl.ioctl(connection, termios.FIONREAD, unread)
            return not unread[0]

        eventually(is_read)

    def of(self, ending: str) -> list[Message]:
        """Messages on topics that end so, in order of arrival."""
        return [message for message in list(self.messages) if message.topic.endswith(ending)]

    def publish(self, topic: str, payload: bytes | str, *, retain: bool = False) -> None:
        """Returns when the broker has it."""
        sent = self.client.publish(topic, payload, qos=1, retain=retain)
        sent.wait_for_publish(30)
        # It returns at that time, too, as where nothing sends yet.
        assert sent.is_published(), f"the broker did not take {topic}"

    def _on_connect(
        self,
        client: paho.Client,
        _data: object,
        _flags: object,
        reason: ReasonCode,
        _with: Properties | None,
    ) -> None:
        if not reason.is_failure:
            client.subscribe([(topic, 1) for topic in self._topics])

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: object,
        _reason: ReasonCode,
        _with: Properties | None,
    ) -> None:
        self._subscribed.clear()

    def _on_subscribe(
        self,
        _client: paho.Client,
        _data: object,
        _mid: int,
        _reasons: list[ReasonCode],
        _with: Properties | None,
    ) -> None:
        self._subscribed.set()

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.messages.append(
            Message(message.topic, bytes(message.payload), message.retain, message.qos)
        )


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own, and what it has signed."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    def sign(self, name: str, alternatives: str) -> tuple[Path, Path]:
        """A certificate and its key."""
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n")
        subject = ("-subj", f"/CN={name}", "-out", str(request))
        _openssl("req", *_NEW_KEY, "-keyout", str(key), *subject)
        signing = ("-CA", str(self.certificate), "-CAkey", str(self.folder / "ca.key"))
        _openssl(
            *("x509", "-req", "-in", str(request), *signing, "-CAcreateserial", "-days", "2"),
            *("-extfile", str(extensions), "-out", str(certificate)),
        )
        return certificate, key


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def authority(folder: Path) -> Authority:
    folder.mkdir(parents=True, exist_ok=True)
    made = Authority(folder)
    key, out = str(folder / "ca.key"), str(made.certificate)
    _openssl("req", "-x509", *_NEW_KEY, "-keyout", key, "-subj", "/CN=test", "-out", out)
    return made


def _openssl(*arguments: str) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: no certificates can be made")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def password_file(folder: Path, **passwords: str) -> Path:
    """A file that mosquitto checks user names and passwords with."""
    program = shutil.which("mosquitto_passwd", path=_SEARCH)
    if not program:
        pytest.skip("mosquitto_passwd is not installed (apt install mosquitto)")
    path = folder / "passwords"
    path.touch(mode=0o600)
    for name, password in passwords.items():
        command = [program, "-b", str(path), name, password]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return path
