"""The recorder: a connection that receives, and a thread that writes."""

import logging
import random as random_module
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue

from django.utils import timezone

from edge_classifier.core.network.network_address import host_and_port
from edge_classifier.mqtt.codec.event_messages import MAX_EVENT_BYTES
from edge_classifier.mqtt.connection.broker_connection import (
    BrokerConnection,
    Connected,
    ConnectionEvent,
    ConnectionLost,
    ConnectionOptions,
    ReceivedMessage,
    SubscriptionRefused,
    broker_password,
)
from edge_classifier.mqtt.connection.reconnect import Reconnector
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.guarded_thread import GuardedThread
from edge_classifier.web.recorder import received
from edge_classifier.web.recorder.queue import DeliveryQueue
from edge_classifier.web.recorder.writer import RecordWriter

_log = logging.getLogger(__name__)

_TURN_S = 1.0
# For the last acknowledgement to leave.
_DISCONNECT_S = 1.0
_HOUR_S = 3600
_KILO = 1000


@dataclass(frozen=True, slots=True)
class RecorderStatus:
    """How recording goes."""

    connected: bool
    # Why not.
    reason: str
    # Events that were written since the start.
    recorded: int
    # Deliveries of events that were there already.
    repeated: int
    # Messages that are neither events nor pictures.
    ignored: int
    # Messages that wait to be written.
    waiting: int
    # Why nothing can be written now: nothing is acknowledged then; else empty.
    trouble: str


class Recorder:
    """Records until it is stopped. Everything happens in its own threads."""

    def __init__(
        self,
        settings: WebSettings,
        *,
        random: Callable[[], float] = random_module.random,
        now: Callable[[], datetime] = timezone.now,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        mqtt, record = settings.mqtt, settings.record
        kept = received.longest_kept(settings)
        read = partial(
            received.read,
            base=mqtt.base_topic,
            snapshot_bytes=record.snapshot_max_kb * _KILO,
            kept=kept,
            now=now,
        )
        self._mqtt = mqtt
        self._options = connection_options(settings)
        self._topic_filters = received.topic_filters(mqtt.base_topic, record.group)
        # Those of an earlier configuration, which the session may still have.
        self._stale_topic_filters = received.topic_filters(mqtt.base_topic) if record.group else []
        self._queue = DeliveryQueue()
        self._writer = RecordWriter(
            self._queue, read, record.batch, kept=kept, random=random, clock=clock
        )
        self._events: SimpleQueue[ConnectionEvent | None] = SimpleQueue()
        self._reconnector = Reconnector(
            self._connect, clock=time.monotonic, random=random, name="recorder"
        )
        # Why the broker refuses the subscription.
        self._refusal = ""
        # The connection of which a message has found no room.
        self._full_connection = 0
        self._ending = threading.Event()
        self._writing = GuardedThread("recorder", self._writer.run, random=random)
        self._receiving = GuardedThread("recorder-connection", self._receive, random=random)

    @property
    def status(self) -> RecorderStatus:
        """As of now."""
        writer = self._writer
        return RecorderStatus(
            connected=self._reconnector.connection is not None,
            reason=self._reconnector.reason or self._refusal,
            recorded=writer.recorded,
            repeated=writer.repeated,
            ignored=writer.ignored,
            waiting=len(self._queue) + writer.in_hand,
            trouble=writer.trouble or self._writing.problem or self._receiving.problem,
        )

    def start(self) -> None:
        """Start to record."""
        where = host_and_port(self._mqtt.host, self._mqtt.port)
        filters = ", ".join(self._topic_filters)
        _log.info("recording %s from %s, as %s", filters, where, self._options.client_id)
        self._writing.start()
        self._receiving.start()

    def stop(self, within_s: float = 5.0) -> None:
        """Write what waits, acknowledge it, disconnect; the session stays at the broker."""
        until = time.monotonic() + within_s - _DISCONNECT_S
        self._writing.end()
        self._writer.end()
        self._writing.join(max(0.0, until - time.monotonic()))
        self._receiving.end()
        self._ending.set()
        self._events.put(None)
        self._receiving.join(_DISCONNECT_S)
        self._reconnector.close(_DISCONNECT_S)
        _log.info("recording has ended: %d new events", self._writer.recorded)

    def _receive(self) -> None:
        """The thread of the connection; messages come in paho's."""
        while not self._ending.is_set():
            # On a new connection the broker sends again what was lost by an error, and, when there
            # is room, what had none.
            if self._writer.has_lost:
                self._writer.has_lost = False
                self._reconnector.drop("messages were not written, and come again")
            elif (
                self._reconnector.is_current(self._full_connection)
                and not len(self._queue)
                and not self._writer.in_hand
            ):
                problem = "there were more messages than could be written, and they come again"
                self._reconnector.drop(problem)
            self._reconnector.check()
            try:
                event = self._events.get(timeout=min(_TURN_S, self._reconnector.wait_s))
            except Empty:
                continue
            if event and self._reconnector.is_current(event.connection):
                self._on_event(event)

    def _connect(self, number: int) -> BrokerConnection:
        connection = BrokerConnection(
            number, self._mqtt, self._options, self._events.put, self._on_message
        )
        connection.connect()
        return connection

    def _on_event(self, event: ConnectionEvent) -> None:
        match event:
            case Connected():
                self._reconnector.accept()
                self._refusal = ""
                if connection := self._reconnector.connection:
                    if self._stale_topic_filters:
                        connection.unsubscribe(self._stale_topic_filters)
                    connection.subscribe((name, 1) for name in self._topic_filters)
                kept = "kept our" if event.session_present else "a new"
                _log.info("the broker has %s session", kept)
            case SubscriptionRefused():
                self._refusal = f"the broker lets no messages through: {event.problem}"
                _log.warning("%s", self._refusal)
            case ConnectionLost():
                self._reconnector.drop(event.problem)

    def _on_message(self, message: ReceivedMessage) -> None:
        """In paho's thread. Behind one without room none is taken: they keep their order."""
        if message.connection != self._full_connection and not self._queue.put(message):
            self._full_connection = message.connection


def connection_options(settings: WebSettings) -> ConnectionOptions:
    """How the recorder is known to the broker.

    Members of a group come back under their own names: what was under way to one of them is
    theirs, and the broker keeps it for nobody else.
    """
    mqtt, record = settings.mqtt, settings.record
    group = f"-{record.group}" if record.group else ""
    return ConnectionOptions(
        client_id=mqtt.client_id or f"edge-classifier-recorder-{socket.gethostname()}{group}",
        password=partial(broker_password, mqtt.password_file),
        session_expiry_s=int(record.session_hours * _HOUR_S),
        manual_acknowledgement=True,
        receive_maximum=2 * record.batch,
        payload_bytes=max(record.snapshot_max_kb * _KILO, MAX_EVENT_BYTES),
    )
