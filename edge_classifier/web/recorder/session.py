"""One connection to the broker, with a session that outlives it.

As in ``mqtt.connection`` a ``RecorderConnection`` is used for one connection only. What was not
acknowledged on it the broker brings again on the next one, under other numbers: so nothing is
acknowledged late.
"""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, LogLevel
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_classifier.config.secrets import read_secret
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.mqtt.connection import CONNECT_LIMIT_S, explained
from edge_classifier.mqtt.tls import tls_context
from edge_classifier.web.recorder.queue import Delivery
from edge_classifier.web.settings import WebMqttSettings

_CREDENTIAL = "mqtt-password"
_QOS = 1


@dataclass(frozen=True, slots=True)
class BrokerSession:
    """What the broker keeps for us while we are away."""

    client_id: str
    filters: tuple[str, ...]
    # Filters of an earlier configuration, which it is to forget.
    stale: tuple[str, ...]
    expiry_s: int
    # Messages that may be unacknowledged.
    window: int
    # Longer payloads are cut behind these, and one more: whoever reads them refuses them then. MQTT
    # 5's Maximum Packet Size would keep them away, but each one that mosquitto 2.0 holds back takes
    # one from the window for good.
    payload_bytes: int


@dataclass(frozen=True, slots=True)
class SessionAccepted:
    """The broker has accepted connection ``link``."""

    link: int
    # Whether it still had our session.
    resumed: bool


@dataclass(frozen=True, slots=True)
class SessionRefused:
    """It refuses the subscription."""

    link: int
    problem: str


@dataclass(frozen=True, slots=True)
class QueueFull:
    """A message has not been taken; it comes again on the next connection."""

    link: int


@dataclass(frozen=True, slots=True)
class SessionLost:
    """There is no connection, or no longer."""

    link: int
    problem: str


SessionEvent = SessionAccepted | SessionRefused | QueueFull | SessionLost
Tell = Callable[[SessionEvent], None]
# Whether it has taken the message.
Receive = Callable[[Delivery], bool]


class RecorderConnection:
    """One attempt to connect, and the connection if it succeeds.

    Signals come from other threads, each with ``number``; ``SessionLost`` is the last and may come
    twice.
    """

    def __init__(
        self,
        number: int,
        mqtt: WebMqttSettings,
        session: BrokerSession,
        tell: Tell,
        receive: Receive,
    ) -> None:
        self.number = number
        self._mqtt = mqtt
        self._session = session
        self._where = f"{mqtt.host}:{mqtt.port}"
        self._tell = tell
        self._receive = receive
        self._over = threading.Event()
        self._ended = threading.Event()
        self._is_accepted = self._is_full = False
        self._error = ""
        self._client = self._new_client()
        self._dialler = threading.Thread(target=self._dial, name="recorder-dial", daemon=True)

    @property
    def is_dialling(self) -> bool:
        """Whether it has neither connected nor failed."""
        return self._dialler.is_alive()

    def dial(self) -> None:
        """Begin to connect: name resolution alone may take many seconds, so in a thread."""
        self._dialler.start()

    def hang_up(self) -> None:
        """End the connection when what was acknowledged has been told; the session stays."""
        self._over.set()
        self._client.disconnect()

    def wait(self, within_s: float) -> None:
        """Return when the connection has ended."""
        self._ended.wait(within_s)

    def abort(self) -> None:
        """End it as a cut cable would. paho's thread sees the dead socket and ends."""
        self._over.set()
        opened = self._client.socket()
        if isinstance(opened, socket.socket):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _dial(self) -> None:
        mqtt, client = self._mqtt, self._client
        try:
            if mqtt.username:
                secret = read_secret(mqtt.password_file, _CREDENTIAL)
                client.username_pw_set(mqtt.username, secret.reveal() if secret else None)
            if mqtt.tls.enabled:
                client.tls_set_context(tls_context(mqtt.tls))
            client.connect(mqtt.host, mqtt.port, mqtt.keepalive_s, **self._wishes())
            if self._over.is_set():
                self.abort()
            # Even then: this thread of paho's closes the socket, and tells.
            client.loop_start()
        except (OSError, ValueError, RuntimeError, EdgeClassifierError) as error:
            # RuntimeError: the system gives no thread.
            self._ended.set()
            self._tell(SessionLost(self.number, explained(error, self._where)))

    def _new_client(self) -> paho.Client:
        five = self._mqtt.protocol == "5"
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._session.client_id,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            clean_session=None if five else False,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = CONNECT_LIMIT_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_log = self._on_log
        return client

    def _wishes(self) -> dict[str, Any]:
        """What MQTT 5 can ask of a broker."""
        if self._mqtt.protocol != "5":
            return {}
        wishes = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        wishes.SessionExpiryInterval = self._session.expiry_s
        wishes.ReceiveMaximum = self._session.window
        return {"clean_start": False, "properties": wishes}

    def _on_connect(
        self,
        client: paho.Client,
        _data: Any,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        _with: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._tell(SessionLost(self.number, f"{self._where}: the broker refuses: {reason}"))
            return
        self._is_accepted = True
        if self._session.stale:
            client.unsubscribe(list(self._session.stale))
        client.subscribe([(name, _QOS) for name in self._session.filters])
        self._tell(SessionAccepted(self.number, flags.session_present))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: Any,
        _flags: Any,
        reason: ReasonCode,
        _with: Properties | None,
    ) -> None:
        self._over.set()
        self._ended.set()
        why = self._error or f"the connection ended ({reason})"
        if not self._is_accepted:
            why = f"closed before the broker answered ({why}); does the port speak TLS, or not?"
        self._tell(SessionLost(self.number, f"{self._where}: {why}"))

    def _on_subscribe(
        self,
        _client: paho.Client,
        _data: Any,
        _mid: int,
        reasons: list[ReasonCode],
        _with: Properties | None,
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._tell(SessionRefused(self.number, str(reason)))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if self._is_full:
            return
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        payload = bytes(message.payload[: self._session.payload_bytes + 1])
        acknowledge = partial(self._acknowledge, message.mid, message.qos)
        if not self._receive(Delivery(topic, payload, acknowledge)):
            self._is_full = True
            self._tell(QueueFull(self.number))

    def _acknowledge(self, number: int, qos: int) -> None:
        if qos and not self._over.is_set():
            self._client.ack(number, qos)

    def _on_log(self, _client: paho.Client, _data: Any, level: int, text: str) -> None:
        """What paho knows of a failed socket it only logs."""
        if level == LogLevel.MQTT_LOG_ERR:
            self._error = text
