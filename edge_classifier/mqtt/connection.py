"""One connection to the broker: a thin layer over paho-mqtt.

paho can reconnect by itself, but keeps unacknowledged messages for that, sends them in a race with
new ones, waits without jitter and cannot say why it failed. So a ``BrokerConnection`` is used
for one connection only, and what is to be sent again comes from the outbox, in order. Therefore
the session is a clean one: nothing that the broker could keep for us is wanted, least of all
commands from hours ago.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, LogLevel
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_classifier.config.settings import MqttSettings
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.mqtt.inbox import (
    Acknowledged,
    Connected,
    ConnectionEvent,
    ConnectionLost,
    SubscriptionRefused,
)
from edge_classifier.mqtt.tls import tls_context
from edge_classifier.mqtt.topics import OFFLINE

# Messages that may be unacknowledged; what mosquitto takes by default.
WINDOW = 20
# Seconds for the TCP connection, and again for the TLS handshake.
CONNECT_LIMIT_S = 10.0

# Asked for at each connection, so that a new one is found without a restart.
Password = Callable[[], str | None]
Tell = Callable[[ConnectionEvent], None]
# Takes topic, payload, and whether the message was retained.
Receive = Callable[[str, bytes, bool], None]


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """Who connects."""

    client_id: str
    password: Password
    # Where the broker says ``offline`` for us when the connection breaks.
    will_topic: str


class BrokerConnection:
    """One attempt to connect, and the connection if it succeeds.

    Signals come from other threads, each with ``number``; ``ConnectionLost`` is the last and may
    come twice.
    """

    def __init__(
        self, number: int, mqtt: MqttSettings, account: ClientIdentity, tell: Tell, receive: Receive
    ) -> None:
        self.number = number
        self._mqtt = mqtt
        self._password = account.password
        self._tell = tell
        self._over = threading.Event()
        self._client = _client(mqtt, account.client_id)
        _Ears(number, f"{mqtt.host}:{mqtt.port}", tell, receive).put_on(self._client)
        self._client.will_set(account.will_topic, OFFLINE, qos=1, retain=True)
        self._dialler = threading.Thread(target=self._dial, name="mqtt-dial", daemon=True)

    @property
    def is_dialling(self) -> bool:
        """Whether it has neither connected nor failed."""
        return self._dialler.is_alive()

    def dial(self) -> None:
        """Begin to connect: name resolution alone may take many seconds, so in a thread."""
        self._dialler.start()

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> int:
        """The message's id; ``Acknowledged`` names it on its ack, or for QoS 0 when it was sent."""
        return self._client.publish(topic, payload, qos=qos, retain=retain).mid

    def subscribe(self, *topics: str) -> None:
        """Have messages on ``topics`` sent here."""
        self._client.subscribe([(topic, 1) for topic in topics])

    def hang_up(self) -> None:
        """End the connection in good order: the broker drops the will."""
        self._over.set()
        self._client.disconnect()

    def abort(self) -> None:
        """End it as a cut cable would. paho's thread sees the dead socket and ends."""
        self._over.set()
        opened = self._client.socket()
        if isinstance(opened, socket.socket):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _dial(self) -> None:
        mqtt = self._mqtt
        try:
            if mqtt.username:
                self._client.username_pw_set(mqtt.username, self._password())
            if mqtt.tls.enabled:
                self._client.tls_set_context(tls_context(mqtt.tls))
            self._client.connect(mqtt.host, mqtt.port, mqtt.keepalive_s)
            if self._over.is_set():
                self.abort()
            # Even then: this thread of paho's closes the socket, and tells.
            self._client.loop_start()
        except (OSError, ValueError, RuntimeError, EdgeClassifierError) as error:
            # RuntimeError: the system gives no thread.
            self._tell(ConnectionLost(self.number, explained(error, f"{mqtt.host}:{mqtt.port}")))


def explained(error: Exception, where: str) -> str:
    """Why there is no connection to the broker at ``where``, in words."""
    if isinstance(error, EdgeClassifierError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return f"{where}: {_cause(error)}"


def _cause(error: Exception) -> str:
    match error:
        case socket.gaierror():
            cause = f"the name is not known ({error.strerror})"
        case ssl.SSLCertVerificationError():
            cause = f"the broker's certificate is refused: {error.verify_message}"
        case ssl.SSLError():
            cause = f"no TLS: {error.reason or error}"
        case ConnectionRefusedError():
            cause = "nothing listens there"
        case TimeoutError():
            cause = f"no answer within {CONNECT_LIMIT_S:g} s"
        case UnicodeError():
            cause = "no valid host name"
        case _:
            cause = str(error)
    return cause


def _client(mqtt: MqttSettings, client_id: str) -> paho.Client:
    five = mqtt.protocol == "5"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        # MQTT 5 has no such flag: paho asks for a clean start on a first connection.
        clean_session=None if five else True,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_LIMIT_S
    client.max_inflight_messages_set(WINDOW)
    return client


class _Ears:
    """paho's callbacks, which come in its own thread, become signals.

    They hold no ``BrokerConnection``, so that a lost one is freed at once with its sockets.
    """

    def __init__(self, number: int, where: str, tell: Tell, receive: Receive) -> None:
        self._number = number
        self._where = where
        self._tell = tell
        self._receive = receive
        self._accepted = False
        self._error = ""

    def put_on(self, client: paho.Client) -> None:
        """Listen to ``client``."""
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_log = self._on_log

    def _on_connect(
        self,
        _client: paho.Client,
        _data: Any,
        _flags: Any,
        reason: ReasonCode,
        with_: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._tell(ConnectionLost(self._number, f"{self._where}: the broker refuses: {reason}"))
            return
        self._accepted = True
        window = min(WINDOW, getattr(with_, "ReceiveMaximum", WINDOW))
        self._tell(Connected(self._number, window))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: Any,
        _flags: Any,
        reason: ReasonCode,
        _with: Properties | None,
    ) -> None:
        why = self._error or f"the connection ended ({reason})"
        if not self._accepted:
            why = f"closed before the broker answered ({why}); does the port speak TLS, or not?"
        self._tell(ConnectionLost(self._number, f"{self._where}: {why}"))

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, reason: ReasonCode, _with: Properties
    ) -> None:
        # MQTT 5 acknowledges what it throws away, too, and says so here only.
        self._tell(Acknowledged(self._number, mid, str(reason) if reason.is_failure else ""))

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
                self._tell(SubscriptionRefused(self._number, str(reason)))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        with contextlib.suppress(UnicodeDecodeError):
            self._receive(message.topic, bytes(message.payload), message.retain)

    def _on_log(self, _client: paho.Client, _data: Any, level: int, text: str) -> None:
        """What paho knows of a failed socket it only logs."""
        if level == LogLevel.MQTT_LOG_ERR:
            self._error = text
