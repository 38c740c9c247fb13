"""What the publisher's thread does.

Each turn of it: take what came in; write events and what is to be remembered in one transaction;
only then hand events to the broker, then states, then pictures.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from edge_classifier.config.settings import MqttSettings
from edge_classifier.mqtt import inbox as mail
from edge_classifier.mqtt.connection import BrokerConnection, ClientIdentity
from edge_classifier.mqtt.message_writer import MessageWriter
from edge_classifier.mqtt.outbox import Outbox
from edge_classifier.mqtt.reconnect import Reconnector
from edge_classifier.mqtt.retained import RetainedTopics
from edge_classifier.mqtt.sender import Sender
from edge_classifier.mqtt.status import PublisherStatus
from edge_classifier.mqtt.topics import ONLINE, Topics
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

Mail = TypeVar("Mail")

# Longest wait for something to come in.
_TURN_S = 1.0
_MAX_REQUEST_BYTES = 16_384
# Home Assistant is told everything within so many seconds of its start: not by all at once.
_HOME_ASSISTANT_S = 5.0
# For the last packet to leave.
_HANG_UP_S = 1.0
_BUG = "internal error"


@dataclass(frozen=True, slots=True)
class PublisherClocks:
    """What is different in a test."""

    clock: Clock
    utc: Callable[[], float]
    random: Callable[[], float]
    # Which boot ``clock`` counts from.
    boot: str


class PublisherThread:
    """All but ``status``, ``end`` and ``is_clean`` is for one thread."""

    def __init__(
        self,
        mqtt: MqttSettings,
        topics: Topics,
        cameras: Mapping[str, str],
        account: ClientIdentity,
        mailbox: mail.PublisherInbox,
        outbox: Outbox,
        on_request: Callable[[str, bytes], None],
        on_published: Callable[[float], None],
        around: PublisherClocks,
    ) -> None:
        boot = around.boot
        clock = around.clock
        self._mqtt = mqtt
        self._topics = topics
        self._account = account
        self._mailbox = mailbox
        self._outbox = outbox
        self._on_request = on_request
        self._around = around
        self._board = RetainedTopics()
        self._desk = MessageWriter(outbox, self._board, topics, cameras, mqtt, boot)
        self._sender = Sender(
            outbox,
            self._board,
            topics,
            boot,
            clock=clock,
            utc=around.utc,
            on_published=on_published,
        )
        self._line = Reconnector(self._dial, clock=clock, random=around.random)
        self._renew_at: float | None = None
        # Events of which no message could be made.
        self._unusable = 0
        self._ending = threading.Event()
        self._deadline = 0.0
        # Whether it ended as it should.
        self.is_clean = False
        self.status = PublisherStatus()

    def restore(self, remembered: Mapping[str, str]) -> None:
        """Begin with what was published in earlier lives."""
        self._desk.restore(remembered)

    def end(self, deadline: float) -> None:
        """Let ``run`` return, by ``deadline`` of the clock."""
        self._deadline = deadline
        self._ending.set()
        self._mailbox.wake()

    def run(self) -> None:
        """The thread."""
        while not self._ending.is_set():
            try:
                self._turn(self._mailbox.take(self._wait_s()))
            except Exception:  # noqa: BLE001 (the last line of defence: without it nothing gets out)
                _log.exception("the publisher failed and goes on")
                self._drop(_BUG)
                self._ending.wait(_TURN_S)
            self.status = self._present_status()
        self.is_clean = self._finish()

    def _wait_s(self) -> float:
        if not self._mqtt.enabled:
            return _TURN_S
        renew_s = _TURN_S if self._renew_at is None else self._renew_at - self._around.clock()
        return max(0.0, min(_TURN_S, self._line.wait_s, renew_s))

    def _turn(self, batch: mail.Batch) -> None:
        self._take_in(batch)
        try:
            self._outbox.save()
            self._sender.pump()
        finally:
            # Making a picture takes a while; the event behind it is on its way by now.
            for latest in batch.latest.values():
                if isinstance(latest, mail.SnapshotTaken):
                    self._attempt(self._desk.take, latest)
        self._sender.pump()
        self._supervise()

    def _take_in(self, batch: mail.Batch) -> None:
        """All but the pictures; what cannot be taken does not cost the rest of its batch."""
        for event in batch.events:
            if not self._attempt(self._desk.change, event):
                self._unusable += 1
        self._heed(batch.signals)
        for latest in batch.latest.values():
            self._attempt(self._take, latest)
        for letter in batch.letters:
            self._attempt(self._answer, letter)
        self._desk.forget_cleared()

    def _attempt(self, take: Callable[[Mail], None], one: Mail) -> bool:
        """Whether ``take`` has taken ``one``; a bug is logged."""
        try:
            take(one)
        except Exception:  # noqa: BLE001 (one bad message must not cost those behind it)
            _log.exception("the publisher could not take %s, and goes on", type(one).__name__)
            return False
        return True

    def _take(self, latest: mail.Update) -> None:
        if isinstance(latest, mail.HomeAssistantStarted):
            self._renew_at = self._around.clock() + _HOME_ASSISTANT_S * self._around.random()
        elif not isinstance(latest, mail.SnapshotTaken):
            self._desk.take(latest)

    def _heed(self, signals: Iterable[mail.ConnectionEvent]) -> None:
        for signal in signals:
            # Half taken, it leaves a connection of which nobody knows what it has carried.
            if not self._attempt(self._obey, signal):
                self._drop(_BUG)

    def _obey(self, signal: mail.ConnectionEvent) -> None:
        if not self._line.is_present(signal.link):
            return
        match signal:
            case mail.Connected():
                self._connected(signal.window)
            case mail.Acknowledged():
                self._sender.confirm(signal.mid, signal.problem)
            case mail.SubscriptionRefused():
                self._sender.problem = f"the broker lets no requests through: {signal.problem}"
                _log.warning(self._sender.problem)
            case mail.ConnectionLost():
                self._drop(signal.problem)

    def _connected(self, window: int) -> None:
        self._line.accept()
        link = self._line.link
        if link is None:
            return
        status = [self._topics.home_assistant] if self._mqtt.discovery else []
        link.subscribe(self._topics.requests, *status)
        self._sender.begin(link, window)

    def _drop(self, reason: str) -> None:
        self._line.drop(reason)
        self._sender.end()

    def _answer(self, letter: mail.Instruction) -> None:
        match letter:
            case mail.RequestReceived():
                self._on_request(letter.command, letter.payload)
            case mail.ResponseReady():
                self._sender.respond(self._topics.response(letter.command), letter.payload)
            case mail.ClearOutbox():
                _log.warning("forgot %d waiting events, as asked", self._outbox.clear())

    def _supervise(self) -> None:
        if not self._mqtt.enabled:
            return
        if self._renew_at is not None and self._around.clock() >= self._renew_at:
            self._renew_at = None
            self._board.renew()
        if self._sender.is_stuck():
            self._drop("the broker acknowledges nothing")
        self._line.check()

    def _dial(self, number: int) -> BrokerConnection:
        link = BrokerConnection(
            number, self._mqtt, self._account, self._mailbox.signal, self._receive
        )
        link.dial()
        return link

    def _receive(self, topic: str, payload: bytes, retained: bool) -> None:
        """In paho's thread."""
        if topic == self._topics.home_assistant:
            # A retained one is old: everything goes out on connecting anyway.
            if payload == ONLINE.encode() and not retained:
                self._mailbox.put(mail.HomeAssistantStarted())
            return
        command = self._topics.command_of(topic)
        if retained or command is None or len(payload) > _MAX_REQUEST_BYTES:
            self._mailbox.ignore()
            _log.warning("ignored: %d bytes on %s, retained: %s", len(payload), topic, retained)
        else:
            self._mailbox.post(mail.RequestReceived(command, payload))

    def _finish(self) -> bool:
        try:
            self._turn(self._mailbox.take(0))
            told = self._say_offline() if self._line.link else True
            self._line.close()
            self._await_end()
        except Exception:  # noqa: BLE001 (whatever happens, the outbox is to be closed)
            _log.exception("the publisher did not end well")
            told = False
        return self._outbox.close() and told

    def _say_offline(self) -> bool:
        topics = self._desk.farewell()
        while self._line.link and not self._board.is_settled(topics):
            self._sender.pump()
            left_s = self._deadline - self._around.clock()
            if left_s <= 0:
                break
            self._take_in(self._mailbox.take(left_s))
        return self._board.is_settled(topics)

    def _await_end(self) -> None:
        """A process that ended at once would cut the connection, and the will would be sent."""
        until = min(self._deadline, self._around.clock() + _HANG_UP_S)
        while self._line.link and self._around.clock() < until:
            batch = self._mailbox.take(until - self._around.clock())
            for event in batch.events:
                self._attempt(self._desk.change, event)
            if any(isinstance(signal, mail.ConnectionLost) for signal in batch.signals):
                return

    def _present_status(self) -> PublisherStatus:
        outbox, sender = self._outbox, self._sender
        reason = self._line.reason if self._mqtt.enabled else "switched off"
        return PublisherStatus(
            connected=self._line.link is not None,
            reason=reason or sender.problem,
            waiting=outbox.waiting,
            published=sender.published,
            dropped=outbox.dropped + self._mailbox.dropped_events + self._unusable,
            refused=sender.refused,
            ignored=self._mailbox.dropped_letters + sender.unanswered,
            durable=not outbox.trouble,
            trouble=outbox.trouble,
            damaged=outbox.damaged,
            delay_ms=sender.delay_ms,
        )
