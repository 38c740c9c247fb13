"""What the publisher's thread does.

Each turn of it: take what came in; write events and what is to be remembered in one transaction;
only then hand events to the broker, then states, then pictures.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.mqtt.burst_sender import BurstSender
from edge_classifier.mqtt.connection.broker_connection import (
    Acknowledged,
    BrokerConnection,
    Connected,
    ConnectionEvent,
    ConnectionLost,
    ConnectionOptions,
    ReceivedMessage,
    SubscriptionRefused,
)
from edge_classifier.mqtt.connection.broker_limits import NOTHING_STATED, StatedLimits
from edge_classifier.mqtt.connection.diagnosis import SILENT
from edge_classifier.mqtt.connection.reconnect import Reconnector
from edge_classifier.mqtt.former_topics import FormerTopics
from edge_classifier.mqtt.inbox import PICTURES, Action, Batch, PublisherInbox, UpdateKind
from edge_classifier.mqtt.latest_messages import LatestMessages
from edge_classifier.mqtt.message_writer import MessageWriter
from edge_classifier.mqtt.outbox.outbox import Outbox
from edge_classifier.mqtt.sender import Sender
from edge_classifier.mqtt.topics import ONLINE, Topics
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

# Longest wait for something to come in.
_TURN_S = 1.0
# When Home Assistant starts, everything goes out again within this time, by chance: not all daemons
# at once.
_HOME_ASSISTANT_S = 5.0
# For the last packet to leave.
_DISCONNECT_S = 1.0
_BUG = "internal error"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherStatus:
    """How publishing goes, for statistics and health. Counts are since the start."""

    connected: bool = False
    # Why there is no connection, or what the broker refuses; empty when all is well.
    reason: str = "not started"
    # Events that the broker has not acknowledged.
    waiting: int = 0
    # Events that it has.
    published: int = 0
    # Events that were given up.
    dropped: int = 0
    # Messages that the broker refused (MQTT 5 only: 3.1.1 cannot say).
    refused: int = 0
    # Events that wait until the broker takes them: too large, or refused each time.
    set_aside: int = 0
    # The largest packet that the broker takes, as it has said or shown; None: not known.
    packet_limit: int | None = None
    # Requests that were retained, too large or too many, and responses that were too many.
    ignored: int = 0
    # Whether events are on disk.
    durable: bool = True
    # Why they are not, or why their pictures are not.
    trouble: str = ""
    # Pictures that wait behind their events.
    snapshots_waiting: int = 0
    # Pictures of events that were given up.
    snapshots_dropped: int = 0
    # Frames of bursts since the start: handed to the connection, and dropped.
    burst_frames: int = 0
    burst_frames_dropped: int = 0
    # Files of the outbox that had to be set aside.
    damaged: int = 0
    # What was lost, damaged or deleted since the start, and what the last daemon had to leave; but
    # what somebody has acknowledged.
    incidents: tuple[str, ...] = ()
    # Capture to acknowledgement by the broker, of the last event.
    delay_ms: float | None = None


class PublisherThread:
    """Owns outbox, messages and connection: all but ``status``, ``end`` and ``is_clean``."""

    def __init__(
        self,
        mqtt: MqttSettings,
        topics: Topics,
        options: ConnectionOptions,
        inbox: PublisherInbox,
        outbox: Outbox,
        latest: LatestMessages,
        writer: MessageWriter,
        sender: Sender,
        bursts: BurstSender,
        former: FormerTopics,
        on_request: Callable[[str, bytes], None],
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._mqtt = mqtt
        self._topics = topics
        self._options = options
        self._inbox = inbox
        self._outbox = outbox
        self._latest = latest
        self._writer = writer
        self._sender = sender
        self._bursts = bursts
        self._former = former
        # The subscription to what is said under former names.
        self._former_mid: int | None = None
        self._on_request = on_request
        self._clock = clock
        self._random = random
        self._reconnector = Reconnector(
            self._connect, clock=clock, random=random, on_drop=sender.end
        )
        # When all that is retained goes out again, because Home Assistant has started.
        self._renew_at: float | None = None
        self._ignored = 0
        # Events of which no message could be made.
        self._unusable = 0
        # What ``info`` says of messages that the broker does not take.
        self._noted = ""
        self._ending = threading.Event()
        self._deadline = 0.0
        # Whether it ended as it should.
        self.is_clean = False
        self.status = PublisherStatus()

    def end(self, deadline: float) -> None:
        """Let ``run`` return, by ``deadline`` of the clock."""
        self._deadline = deadline
        self._ending.set()
        self._inbox.wake()

    def clear_outbox(self) -> None:
        """Forget the events that wait. For the thread, as a task."""
        _log.warning("forgot %d waiting events, as asked", self._outbox.clear())
        if self._sender.snapshots:
            self._sender.snapshots.forget()

    def run(self) -> None:
        """Take turns until ``end``."""
        while not self._ending.is_set():
            try:
                self._turn(self._inbox.take(self._wait_s()))
            except Exception:  # noqa: BLE001 (the last line of defence: without it nothing gets out)
                _log.exception("the publisher failed and goes on")
                self._reconnector.drop(_BUG)
                self._ending.wait(_TURN_S)
            self.status = self._present_status()
        try:
            self._turn(self._inbox.take(0))
            offline_acknowledged = self._say_offline() if self._reconnector.connection else True
            left_s = self._deadline - self._clock()
            # A process that ended at once would cut the connection, and the will would be sent.
            self._reconnector.close(max(0.0, min(_DISCONNECT_S, left_s)))
            self._take_events(self._inbox.take(0))
        except Exception:  # noqa: BLE001 (whatever happens, the outbox is to be closed)
            _log.exception("the publisher did not end well")
            offline_acknowledged = False
        self.is_clean = self._outbox.close() and offline_acknowledged

    def _wait_s(self) -> float:
        if not self._mqtt.enabled:
            return _TURN_S
        renew_s = _TURN_S if self._renew_at is None else self._renew_at - self._clock()
        return max(0.0, min(_TURN_S, self._reconnector.wait_s, renew_s))

    def _turn(self, batch: Batch) -> None:
        self._take_in(batch)
        try:
            self._outbox.save()
            if self._sender.snapshots:
                self._sender.snapshots.check()
            self._sender.send_due()
        finally:
            # Making a picture takes a while; the event behind it is on its way by now.
            for (kind, camera), update in batch.updates.items():
                if kind in PICTURES:
                    self._attempt(f"{kind} of {camera}", update)
        self._sender.send_due()
        if self._sender.note != self._noted:
            self._noted = self._sender.note
            self._writer.note_broker(self._noted)
            self._sender.send_due()
        if not self._mqtt.enabled:
            return
        if self._renew_at is not None and self._clock() >= self._renew_at:
            self._renew_at = None
            self._latest.renew()
        if self._reconnector.connection and self._sender.diagnosis.is_stuck:
            self._reconnector.drop(SILENT)
        self._reconnector.check()

    def _take_in(self, batch: Batch) -> None:
        """All but the pictures; what cannot be taken does not cost the rest of its batch."""
        self._take_events(batch)
        for event in batch.connection_events:
            # Half taken, it leaves a connection of which nobody knows what it has carried.
            if not self._attempt(type(event).__name__, partial(self._on_connection_event, event)):
                self._reconnector.drop(_BUG)
        for (kind, name), update in batch.updates.items():
            if kind not in PICTURES:
                self._attempt(f"{kind} {name}", update)
        for name, task in batch.tasks:
            self._attempt(name, task)
        self._writer.forget_cleared()
        if self._reconnector.connection:
            self._former.check()

    def _take_events(self, batch: Batch) -> None:
        for event in batch.events:
            if not self._attempt("an event", partial(self._writer.put_event, event)):
                self._unusable += 1

    def _attempt(self, name: str, action: Action) -> bool:
        """Whether ``action`` was done; a bug is logged."""
        try:
            action()
        except Exception:  # noqa: BLE001 (one bad message must not cost those behind it)
            _log.exception("the publisher could not take %s, and goes on", name)
            return False
        return True

    # --- the connection -----------------------------------------------------------------------

    def _connect(self, number: int) -> BrokerConnection:
        connection = BrokerConnection(
            number,
            self._mqtt,
            self._options,
            self._inbox.put_connection_event,
            self._on_message,
        )
        connection.connect()
        return connection

    def _on_connection_event(self, event: ConnectionEvent) -> None:
        if not self._reconnector.is_current(event.connection):
            return
        match event:
            case Connected():
                self._reconnector.accept()
                if connection := self._reconnector.connection:
                    wanted = [self._topics.requests]
                    wanted += [self._topics.home_assistant] if self._mqtt.discovery else []
                    connection.subscribe((topic, 1) for topic in wanted)
                    self._former.begin(partial(self._subscribe_former, connection))
                    self._sender.begin(connection, event)
                self._make_will_fit(event.limits)
            case Acknowledged():
                self._sender.confirm(event)
            case SubscriptionRefused() if event.mid == self._former_mid:
                _log.warning("the broker does not tell who has the former name: %s", event.problem)
            case SubscriptionRefused():
                self._sender.problem = (
                    f"the broker refuses the subscription to requests: {event.problem}"
                )
                _log.warning(self._sender.problem)
            case ConnectionLost():
                if event.limits != NOTHING_STATED:
                    self._make_will_fit(event.limits)
                problem = event.problem
                if self._reconnector.connection:
                    self._sender.explain_end(event.cause)
                    problem = self._sender.diagnosis.reason or problem
                self._reconnector.drop(problem)

    def _subscribe_former(self, connection: BrokerConnection, topics: Iterable[str]) -> None:
        self._former_mid = connection.subscribe((topic, 1) for topic in topics)

    def _make_will_fit(self, limits: StatedLimits) -> None:
        """A broker that retains nothing, or takes QoS 0 only, takes no other will either."""
        self._options = replace(self._options, will_retain=limits.retain, will_qos=limits.qos)

    def _on_message(self, message: ReceivedMessage) -> None:
        """In paho's thread."""
        topic, payload, retained = message.topic, message.payload, message.retained
        if topic == self._topics.home_assistant:
            # A retained one is old: everything goes out on connecting anyway.
            if payload == ONLINE.encode() and not retained:
                self._inbox.put_updates({(UpdateKind.HOME_ASSISTANT, ""): self._renew_soon})
            return
        if topic in self._former.watched:
            take = partial(self._former.receive, topic, payload, retained=retained)
            self._inbox.put_updates({(UpdateKind.FORMER, topic): take})
            return
        command = self._topics.command_of(topic)
        if retained or command is None:
            self._ignored += 1
            _log.warning("ignored: %d bytes on %s, retained: %s", len(payload), topic, retained)
        else:
            self._inbox.put_task(f"request {command}", lambda: self._on_request(command, payload))

    def _renew_soon(self) -> None:
        self._renew_at = self._clock() + _HOME_ASSISTANT_S * self._random()

    # --- the end ------------------------------------------------------------------------------

    def _say_offline(self) -> bool:
        """Whether the broker has acknowledged it, within the limit."""
        topics = self._writer.say_offline()
        while self._reconnector.connection and not self._latest.is_settled(topics):
            self._sender.send_due()
            left_s = self._deadline - self._clock()
            if left_s <= 0:
                break
            self._take_in(self._inbox.take(left_s))
        return self._latest.is_settled(topics)

    def _present_status(self) -> PublisherStatus:
        outbox, sender, snapshots = self._outbox, self._sender, self._sender.snapshots
        reason = self._reconnector.reason if self._mqtt.enabled else "switched off"
        return PublisherStatus(
            connected=self._reconnector.connection is not None,
            reason=reason or sender.reason,
            waiting=outbox.waiting,
            published=sender.published,
            dropped=outbox.dropped + self._inbox.dropped_events + self._unusable,
            refused=sender.refused,
            set_aside=min(sender.set_aside.events, outbox.waiting),
            packet_limit=sender.limits.packet_bytes,
            ignored=self._ignored + self._inbox.dropped_tasks + sender.unanswered,
            durable=not outbox.trouble,
            trouble=outbox.trouble
            or outbox.numbers.trouble
            or (snapshots.trouble if snapshots else ""),
            snapshots_waiting=snapshots.count if snapshots else 0,
            snapshots_dropped=self._inbox.dropped_snapshots
            + (snapshots.dropped if snapshots else 0),
            burst_frames=self._bursts.sent,
            burst_frames_dropped=self._bursts.dropped + self._inbox.dropped_burst_frames,
            damaged=outbox.damaged,
            incidents=outbox.incidents.texts,
            delay_ms=sender.delay_ms,
        )
