"""The page's own connection to the broker: a clean session, tried for again and again.

A paho client is used for one connection only, as in ``mqtt.connection``: paho cannot say why it
failed, and waits without jitter.
"""

import contextlib
import logging
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_classifier.config.secrets import read_secret
from edge_classifier.core.backoff import pause_s
from edge_classifier.errors import EdgeClassifierError
from edge_classifier.mqtt.connection import CONNECT_LIMIT_S, explained
from edge_classifier.mqtt.tls import tls_context
from edge_classifier.web.live.parsing import MOST_JPEG
from edge_classifier.web.settings import WebMqttSettings

_log = logging.getLogger(__name__)
LONGEST_PAUSE_S = 30.0
# A connection that broke sooner counts as a failure.
_STEADY_S = 10.0
# Bytes of the largest packet that a broker may send us (MQTT 5).
_MOST_PACKET = MOST_JPEG + 100_000

# Takes topic and payload.
Heard = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """Whether there is a connection."""

    connected: bool
    # Why not, or what is wrong with it.
    reason: str


Told = Callable[[ConnectionState], None]


class LiveConnection:
    """Subscribes to ``topics``, each with its QoS, on every connection, and reconnects for ever.

    ``heard`` and ``told`` are called in threads of its own, one at a time. ``chance`` gives
    numbers from [0, 1).
    """

    def __init__(
        self,
        mqtt: WebMqttSettings,
        topics: Sequence[tuple[str, int]],
        heard: Heard,
        told: Told,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._mqtt = mqtt
        self._topics = list(topics)
        self._heard = heard
        self._told = told
        self._chance = chance
        self._stopped = threading.Event()
        self._lost = threading.Event()
        self._reason = ""
        self._client: paho.Client | None = None
        self._thread = threading.Thread(target=self._run, name="live-mqtt", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, within_s: float = 3.0) -> None:
        """End. A name that is being looked up is not waited for longer than ``within_s``."""
        self._stopped.set()
        self._lost.set()
        self._thread.join(within_s)

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        """Whether it was handed to a connection."""
        client = self._client
        return bool(client and client.publish(topic, payload, qos).rc == paho.MQTT_ERR_SUCCESS)

    def _run(self) -> None:
        setbacks = 0
        while not self._stopped.wait(pause_s(setbacks, self._chance(), max_s=LONGEST_PAUSE_S)):
            self._lost.clear()
            self._reason, began = "", time.monotonic()
            self._attempt()
            setbacks = 1 if time.monotonic() - began > _STEADY_S else setbacks + 1
            if not self._stopped.is_set():
                self._told(ConnectionState(False, self._reason))

    def _attempt(self) -> None:
        """One connection, from beginning to end."""
        client = self._client = self._made()
        try:
            self._dial(client)
        except (OSError, ValueError, RuntimeError, EdgeClassifierError) as error:
            # RuntimeError: the system gives no thread.
            self._reason = explained(error, self._where).removeprefix(f"{self._where}: ")
            return
        while not (self._lost.wait(60.0) or self._stopped.is_set()):
            pass
        self._client = None
        _hang_up(client)

    def _dial(self, client: paho.Client) -> None:
        mqtt = self._mqtt
        if mqtt.username:
            password = read_secret(mqtt.password_file, "mqtt-password")
            client.username_pw_set(mqtt.username, password.reveal() if password else None)
        if mqtt.tls.enabled:
            client.tls_set_context(tls_context(mqtt.tls))
        client.connect(mqtt.host, mqtt.port, mqtt.keepalive_s, properties=_limits(mqtt))
        client.loop_start()

    def _made(self) -> paho.Client:
        mqtt, five = self._mqtt, self._mqtt.protocol == "5"
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{mqtt.client_id or 'edge-classifier-web'}-live-{secrets.token_hex(4)}",
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            clean_session=None if five else True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_LIMIT_S
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    @property
    def _where(self) -> str:
        return f"{self._mqtt.host}:{self._mqtt.port}"

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _with: Any
    ) -> None:
        if reason.is_failure:
            self._reason = f"the broker refuses: {reason}"
            return
        client.subscribe(self._topics)
        self._told(ConnectionState(True, ""))

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _with: Any
    ) -> None:
        if refused := [str(reason) for reason in reasons if reason.is_failure]:
            self._told(ConnectionState(True, f"the broker refuses the subscription: {refused[0]}"))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            self._heard(message.topic, bytes(message.payload))
        except UnicodeDecodeError:
            pass  # No topic of ours.
        except Exception:  # noqa: BLE001 (a bug would end paho's thread, unnoticed)
            _log.exception("live: a message could not be taken")

    def _on_disconnect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _with: Any
    ) -> None:
        if client is self._client:  # Those before it have nothing to say any more.
            self._reason = self._reason or f"the connection ended ({reason})"
            self._lost.set()


def _limits(mqtt: WebMqttSettings) -> Properties | None:
    """MQTT 5: the broker leaves out what is too large. 3.1.1 has no word for it."""
    if mqtt.protocol != "5":
        return None
    limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    limits.MaximumPacketSize = _MOST_PACKET
    return limits


def _hang_up(client: paho.Client) -> None:
    """Cut the connection, so that paho's thread ends in any case: the session leaves nothing."""
    client.disconnect()
    opened = client.socket()
    if isinstance(opened, socket.socket):
        with contextlib.suppress(OSError):
            opened.shutdown(socket.SHUT_RDWR)
