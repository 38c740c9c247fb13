"""The recorder: a connection that listens, and a thread that writes."""

import logging
import random as random_module
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

from edge_classifier.mqtt.reconnect import Reconnector
from edge_classifier.web.recorder import messages
from edge_classifier.web.recorder.queue import DeliveryQueue
from edge_classifier.web.recorder.session import (
    BrokerSession,
    QueueFull,
    RecorderConnection,
    SessionAccepted,
    SessionEvent,
    SessionLost,
    SessionRefused,
)
from edge_classifier.web.recorder.writer import RecordWriter
from edge_classifier.web.settings import WebSettings

_log = logging.getLogger(__name__)

_TURN_S = 1.0
# For the last acknowledgement to leave.
_HANG_UP_S = 1.0
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
    # Messages that are no events, or no pictures.
    ignored: int
    # Messages that wait to be written.
    waiting: int
    # Why nothing can be written now: nothing is acknowledged then; else empty.
    trouble: str


class Recorder:
    """Records until it is stopped. Everything happens in its own threads."""

    def __init__(
        self, settings: WebSettings, *, random: Callable[[], float] = random_module.random
    ) -> None:
        base, most = settings.mqtt.base_topic, settings.record.snapshot_max_kb * _KILO
        read = partial(messages.read, base=base, snapshot_bytes=most)
        self._mqtt = settings.mqtt
        self._session = session(settings)
        self._inbox = DeliveryQueue()
        self._writer = RecordWriter(self._inbox, read, settings.record.batch, random=random)
        self._signals: SimpleQueue[SessionEvent | None] = SimpleQueue()
        self._line = Reconnector(self._dial, clock=time.monotonic, random=random)
        self._deaf = ""
        self._is_behind = False
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._writer.run, name="recorder", daemon=True),
            threading.Thread(target=self._listen, name="recorder-line", daemon=True),
        ]

    @property
    def status(self) -> RecorderStatus:
        """As of now."""
        writer = self._writer
        return RecorderStatus(
            connected=self._line.link is not None,
            reason=self._line.reason or self._deaf,
            recorded=writer.recorded,
            repeated=writer.repeated,
            ignored=writer.ignored,
            waiting=len(self._inbox) + writer.in_hand,
            trouble=writer.trouble,
        )

    def start(self) -> None:
        """Begin."""
        where, filters = f"{self._mqtt.host}:{self._mqtt.port}", ", ".join(self._session.filters)
        _log.info("recording %s from %s, as %s", filters, where, self._session.client_id)
        for thread in self._threads:
            thread.start()

    def stop(self, within_s: float = 5.0) -> None:
        """Write what waits, acknowledge it, disconnect; the session stays at the broker."""
        until = time.monotonic() + within_s - _HANG_UP_S
        self._writer.end()
        writing, listening = self._threads
        writing.join(max(0.0, until - time.monotonic()))
        self._ending.set()
        self._signals.put(None)
        listening.join(_HANG_UP_S)
        _log.info("recording has ended: %d new events", self._writer.recorded)

    def _listen(self) -> None:
        """The thread of the connection."""
        while not self._ending.is_set():
            self._renew()
            self._line.check()
            try:
                signal = self._signals.get(timeout=min(_TURN_S, self._line.wait_s))
            except Empty:
                continue
            if signal and self._line.is_present(signal.link):
                self._heed(signal)
        link = self._line.link
        self._line.close()
        if link:
            link.wait(_HANG_UP_S)

    def _heed(self, signal: SessionEvent) -> None:
        match signal:
            case SessionAccepted():
                self._line.accept()
                self._deaf, self._is_behind = "", False
                _log.info("the broker has %s session", "kept our" if signal.resumed else "a new")
            case SessionRefused():
                self._deaf = f"the broker lets no messages through: {signal.problem}"
                _log.warning("%s", self._deaf)
            case QueueFull():
                self._is_behind = True
            case SessionLost():
                self._line.drop(signal.problem)

    def _renew(self) -> None:
        """What had no room the broker brings again on a new connection, when there is room."""
        if self._is_behind and not len(self._inbox) and not self._writer.in_hand:
            self._is_behind = False
            self._line.drop("there were more messages than could be written, and they come again")

    def _dial(self, number: int) -> RecorderConnection:
        link = RecorderConnection(
            number, self._mqtt, self._session, self._signals.put, self._inbox.put
        )
        link.dial()
        return link


def session(settings: WebSettings) -> BrokerSession:
    """How the recorder is known to the broker, and what it asks for.

    Members of a group come back under their own names: what was under way to one of them is
    theirs, and the broker keeps it for nobody else.
    """
    mqtt, record = settings.mqtt, settings.record
    group = f"-{record.group}" if record.group else ""
    return BrokerSession(
        client_id=mqtt.client_id or f"edge-classifier-recorder-{socket.gethostname()}{group}",
        filters=tuple(messages.filters(mqtt.base_topic, record.group)),
        stale=tuple(messages.filters(mqtt.base_topic)) if record.group else (),
        expiry_s=int(record.session_hours * _HOUR_S),
        window=2 * record.batch,
        payload_bytes=max(record.snapshot_max_kb * _KILO, messages.EVENT_BYTES),
    )
