"""One connection to the broker, and all that this program knows of paho-mqtt.

paho can reconnect by itself, but keeps unacknowledged messages for that, sends them in a race with
new ones, waits without jitter and cannot say why it failed. So a ``BrokerConnection`` is used for
one connection only; ``reconnect`` makes the next one, and what is to be sent again comes from its
owner, in order.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, LogLevel
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_classifier.config.mqtt_settings import TlsSettings
from edge_classifier.config.secrets import read_secret
from edge_classifier.core.network.network_address import bare_host, host_and_port
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.mqtt.connection.broker_limits import NOTHING_STATED, StatedLimits
from edge_classifier.mqtt.connection.diagnosis import EndCause, end_cause
from edge_classifier.mqtt.connection.reconnect import explained
from edge_classifier.mqtt.connection.tls import tls_context
from edge_classifier.mqtt.topics import OFFLINE

# Messages of ours that may be unacknowledged; what mosquitto takes by default.
_WINDOW = 20
# Seconds for the TCP connection, and again for the TLS handshake.
_CONNECT_LIMIT_S = 10.0
# Reason codes of MQTT 5 (2.4).
_PACKET_TOO_LARGE, _RETAIN_NOT_SUPPORTED, _QOS_NOT_SUPPORTED = 0x95, 0x9A, 0x9B


class BrokerSettings(Protocol):
    """Where the broker is, and how it is spoken to: those of the daemon, or of the page."""

    @property
    def host(self) -> str:
        """Name or address."""

    @property
    def port(self) -> int:
        """1883, or with TLS as a rule 8883."""

    @property
    def protocol(self) -> str:
        """Version of MQTT: 3.1.1 or 5."""

    @property
    def keepalive_s(self) -> int:
        """Seconds after which a dead connection is noticed."""

    @property
    def username(self) -> str:
        """Empty: none."""

    @property
    def tls(self) -> TlsSettings:
        """Encryption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """Who connects, and what the broker is asked for."""

    client_id: str
    # Asked at each connection, so that a new password is found without a restart.
    password: Callable[[], str | None]
    # Where the broker says ``offline`` for us when the connection breaks; empty: nowhere.
    will_topic: str = ""
    # Some brokers accept nobody whose will is retained, or has a higher quality of service.
    will_retain: bool = True
    will_qos: int = 1
    # How long the broker keeps the session, and what it could not deliver, while we are away (with
    # MQTT 3.1.1 the broker decides). None: a clean session, of which it keeps nothing.
    session_expiry_s: int | None = None
    # Whether a message counts as delivered only when ``ReceivedMessage.acknowledge`` is called.
    manual_acknowledgement: bool = False
    # MQTT 5: how many unacknowledged messages the broker may send us.
    receive_maximum: int | None = None
    # MQTT 5: the broker leaves out larger packets. mosquitto 2.0 takes each one that it holds back
    # at QoS 1 from the window above, for good.
    maximum_packet_bytes: int | None = None
    # Longer payloads are cut behind these, and one more: whoever reads them refuses them then.
    payload_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker has accepted connection number ``connection``."""

    connection: int
    # How many unacknowledged messages it takes.
    window: int
    # Whether it still had our session.
    session_present: bool = False
    # What it says of itself (MQTT 5).
    limits: StatedLimits = NOTHING_STATED


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Message ``mid`` of that connection has arrived; or was refused, for ``problem``."""

    connection: int
    mid: int
    problem: str
    # Whether it was refused for its size.
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The broker refuses that connection a subscription."""

    connection: int
    problem: str
    # What ``subscribe`` has returned.
    mid: int


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """That connection has ended, or never began. May come twice."""

    connection: int
    problem: str
    # What the broker's refusal says of it (MQTT 5).
    limits: StatedLimits = NOTHING_STATED
    cause: EndCause = EndCause.OTHER


ConnectionEvent = Connected | Acknowledged | SubscriptionRefused | ConnectionLost


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """One message, as the broker sent it."""

    # Empty if it is not UTF-8: no topic of ours then.
    topic: str
    payload: bytes
    # Tells the broker that it need not send it again. Does nothing once the connection has ended:
    # then the broker sends it on the next one, under another number.
    acknowledge: Callable[[], None]
    retained: bool = False
    # The number of the connection that it came over.
    connection: int = 0


class BrokerConnection:
    """One attempt to connect, and the connection if it succeeds.

    ``on_event`` and ``on_message`` are called in other threads. Events carry ``number``;
    ``ConnectionLost`` is the last one.
    """

    def __init__(
        self,
        number: int,
        broker: BrokerSettings,
        options: ConnectionOptions,
        on_event: Callable[[ConnectionEvent], None],
        on_message: Callable[[ReceivedMessage], None],
    ) -> None:
        self.number = number
        self._broker = broker
        self._options = options
        five = broker.protocol == "5"
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            # MQTT 5 has ``clean_start`` instead, which is an argument of ``connect``.
            clean_session=None if five else options.session_expiry_s is None,
            reconnect_on_failure=False,
            manual_ack=options.manual_acknowledgement,
        )
        self._client.connect_timeout = _CONNECT_LIMIT_S
        self._client.max_inflight_messages_set(_WINDOW)
        if options.will_topic:
            qos, retain = options.will_qos, options.will_retain
            self._client.will_set(options.will_topic, OFFLINE, qos=qos, retain=retain)
        where = host_and_port(broker.host, broker.port)
        self._callbacks = _Callbacks(number, where, five, options, on_event, on_message)
        self._callbacks.listen_to(self._client)
        self._connecting_thread = threading.Thread(
            target=self._connect, name="mqtt-connect", daemon=True
        )

    @property
    def is_connecting(self) -> bool:
        """Whether it has neither connected nor failed."""
        return self._connecting_thread.is_alive()

    @property
    def has_failed(self) -> bool:
        """Whether paho's thread has ended by an error, of which no event tells."""
        return self._callbacks.has_failed

    def connect(self) -> None:
        """Begin to connect: name resolution alone may take many seconds, so in a thread."""
        self._connecting_thread.start()

    def publish(self, topic: str, payload: bytes, *, qos: int, retain: bool = False) -> int:
        """The message's id; ``Acknowledged`` names it on its ack, or for QoS 0 when it was sent."""
        return self._client.publish(topic, payload, qos=qos, retain=retain).mid

    def subscribe(self, topics: Iterable[tuple[str, int]]) -> int | None:
        """Have messages on ``topics``, each with its QoS, sent here; the request's number."""
        return self._client.subscribe(list(topics))[1]

    def unsubscribe(self, topics: Iterable[str]) -> None:
        """Take back subscriptions that this session made before the restart."""
        self._client.unsubscribe(list(topics))

    def disconnect(self) -> None:
        """End it when all acknowledgements have left. The broker drops the will."""
        self._callbacks.is_over.set()
        self._client.disconnect()

    def wait_closed(self, within_s: float) -> None:
        """Return when it has ended, or after ``within_s``."""
        self._callbacks.is_closed.wait(within_s)

    def abort(self) -> None:
        """End it as a cut cable would. paho's thread sees the dead socket and ends."""
        self._callbacks.is_over.set()
        opened = self._client.socket()
        if isinstance(opened, socket.socket):
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> None:
        broker, client = self._broker, self._client
        try:
            if broker.username:
                client.username_pw_set(broker.username, self._options.password())
            if broker.tls.enabled:
                client.tls_set_context(tls_context(broker.tls))
            host = bare_host(broker.host)
            client.connect(host, broker.port, broker.keepalive_s, **self._mqtt_5_options())
            if self._callbacks.is_over.is_set():
                self.abort()
            # Even then: this thread of paho's closes the socket, and tells.
            client.loop_start()
        except (OSError, ValueError, RuntimeError, EdgeClassifierError) as error:
            # RuntimeError: the system gives no thread.
            where = host_and_port(broker.host, broker.port)
            self._callbacks.tell_lost(explained(error, where, _CONNECT_LIMIT_S))

    def _mqtt_5_options(self) -> dict[str, Any]:
        if self._broker.protocol != "5":
            return {}
        options, wanted = self._options, Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        if options.session_expiry_s is not None:
            wanted.SessionExpiryInterval = options.session_expiry_s
        if options.receive_maximum is not None:
            wanted.ReceiveMaximum = options.receive_maximum
        if options.maximum_packet_bytes is not None:
            wanted.MaximumPacketSize = options.maximum_packet_bytes
        return {"clean_start": options.session_expiry_s is None, "properties": wanted}


class _Callbacks:
    """paho's callbacks, which come in its own thread, become events.

    They hold no ``BrokerConnection``, so that a lost one is freed at once with its sockets.
    """

    def __init__(
        self,
        number: int,
        where: str,
        is_five: bool,
        options: ConnectionOptions,
        on_event: Callable[[ConnectionEvent], None],
        on_message: Callable[[ReceivedMessage], None],
    ) -> None:
        self._number = number
        self._where = where
        self._is_five = is_five
        self._options = options
        self._tell = on_event
        self._receive = on_message
        # Whether the connection has ended, or is to.
        self.is_over = threading.Event()
        self.is_closed = threading.Event()
        self._loop: threading.Thread | None = None
        self._error = ""

    @property
    def has_failed(self) -> bool:
        """See ``BrokerConnection``."""
        has_ended = self._loop is not None and not self._loop.is_alive()
        return has_ended and not self.is_closed.is_set()

    def listen_to(self, client: paho.Client) -> None:
        """Be called by ``client``."""
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_log = self._on_log

    def tell_lost(
        self,
        problem: str,
        limits: StatedLimits = NOTHING_STATED,
        cause: EndCause = EndCause.OTHER,
    ) -> None:
        """The connection has ended, or never began."""
        self.is_over.set()
        self.is_closed.set()
        self._tell(ConnectionLost(self._number, problem, limits, cause))

    def _on_connect(
        self, _client: Any, _data: Any, flags: paho.ConnectFlags, reason: ReasonCode, found: Any
    ) -> None:
        if reason.is_failure:
            qos = 0 if reason.value == _QOS_NOT_SUPPORTED else 1
            limits = StatedLimits(qos=qos, retain=reason.value != _RETAIN_NOT_SUPPORTED)
            self.tell_lost(f"{self._where}: the broker refuses: {reason}", limits)
            return
        self._loop = threading.current_thread()
        window = min(_WINDOW, getattr(found, "ReceiveMaximum", _WINDOW))
        limits = StatedLimits(
            getattr(found, "MaximumPacketSize", None),
            min(1, getattr(found, "MaximumQoS", 1)),
            bool(getattr(found, "RetainAvailable", 1)),
        )
        self._tell(Connected(self._number, window, flags.session_present, limits))

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: ReasonCode, _found: Any
    ) -> None:
        why = self._error or f"the connection ended ({reason})"
        if self._loop is None:
            why = f"closed before the broker answered ({why}); does the port speak TLS, or not?"
            if self._options.will_topic and not self._is_five:
                why += ' A broker that retains nothing does so, too: mqtt.protocol = "5" helps'
        is_ours = self._loop is None or self.is_over.is_set()
        cause = EndCause.OTHER if is_ours else end_cause(reason.value)
        self.tell_lost(f"{self._where}: {why}", cause=cause)

    def _on_publish(
        self, _client: Any, _data: Any, mid: int, reason: ReasonCode, _found: Any
    ) -> None:
        # MQTT 5 acknowledges what it throws away, too, and says so here only.
        problem = str(reason) if reason.is_failure else ""
        too_large = reason.value == _PACKET_TOO_LARGE
        self._tell(Acknowledged(self._number, mid, problem, too_large))

    def _on_subscribe(
        self, _client: Any, _data: Any, mid: int, reasons: list[ReasonCode], _found: Any
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._tell(SubscriptionRefused(self._number, str(reason), mid))

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        most = self._options.payload_bytes
        payload = bytes(message.payload if most is None else message.payload[: most + 1])
        acknowledge = partial(self._acknowledge, client, message.mid, message.qos)
        self._receive(ReceivedMessage(topic, payload, acknowledge, message.retain, self._number))

    def _acknowledge(self, client: paho.Client, mid: int, qos: int) -> None:
        if qos and self._options.manual_acknowledgement and not self.is_over.is_set():
            client.ack(mid, qos)

    def _on_log(self, _client: Any, _data: Any, level: int, text: str) -> None:
        """What paho knows of a failed socket it only logs."""
        if level == LogLevel.MQTT_LOG_ERR:
            self._error = text


def broker_password(file: Path | None) -> str | None:
    """The password in ``file``, else in the systemd credential; None if there is neither.

    Raises ConfigurationError for a file that cannot be read.
    """
    secret = read_secret(file, "mqtt-password")
    return secret.reveal() if secret else None
