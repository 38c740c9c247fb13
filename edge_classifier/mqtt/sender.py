"""What goes out over the present connection, in order, and what comes of it."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from edge_classifier.core.events import Moment
from edge_classifier.mqtt.codec.event_payloads import delay_ms, with_delay
from edge_classifier.mqtt.connection.broker_connection import (
    Acknowledged,
    BrokerConnection,
    Connected,
)
from edge_classifier.mqtt.connection.broker_limits import (
    BrokerLimits,
    SentPacket,
    SetAside,
    packet_bytes,
)
from edge_classifier.mqtt.connection.diagnosis import ConnectionDiagnosis, EndCause
from edge_classifier.mqtt.in_flight import InFlight
from edge_classifier.mqtt.latest_messages import LatestMessages, MessageKind, Smaller, TopicMessage
from edge_classifier.mqtt.outbox.outbox import Outbox
from edge_classifier.mqtt.outbox.outbox_database import QueuedEvent
from edge_classifier.mqtt.outbox.waiting_snapshots import WaitingSnapshot, WaitingSnapshots
from edge_classifier.mqtt.refused_events import REFUSED_S, RefusedEvents
from edge_classifier.mqtt.topics import Topics
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

# Messages of the window that events leave free, so that a long backlog lets states through.
_RESERVED = 4
# Seconds after which a connection that ends has not ended for a message of QoS 0.
_PROVEN_S = 10.0
_MAX_RESPONSES = 100


# A frame of a burst in at most so many bytes, None: any; None where there is none.
MakeFrame = Callable[[int | None], bytes | None]


class Sender:
    """Sends events from the outbox, and the newest message of every other topic.

    Of each topic's messages one is under way at a time; together no more than the broker takes.
    What it does not take is sent smaller or set aside, so that all the rest goes on.
    """

    def __init__(
        self,
        outbox: Outbox,
        latest: LatestMessages,
        topics: Topics,
        boot: str,
        *,
        clock: Clock,
        utc: Callable[[], float],
        on_published: Callable[[float], None],
        snapshots: WaitingSnapshots | None = None,
        smaller_jpeg: Callable[[bytes, int], bytes | None] = lambda _jpeg, _max_bytes: None,
    ) -> None:
        """``on_published`` gets milliseconds from each event's capture to its acknowledgement."""
        self._outbox = outbox
        self._latest = latest
        self._topics = topics
        self._boot = boot
        self._clock = clock
        self._utc = utc
        self._on_published = on_published
        # Pictures that follow their events; None: they are not kept.
        self.snapshots = snapshots
        self._smaller_jpeg = smaller_jpeg
        self._snapshots_again_at = 0.0
        self._connection: BrokerConnection | None = None
        self._window = 0
        self._sent_number = 0
        self._in_flight: dict[int, InFlight] = {}
        # Of QoS 0, on its way: nothing that was sent after it is acknowledged yet.
        self._unproven: list[InFlight] = []
        self._responses: deque[tuple[str, bytes]] = deque(maxlen=_MAX_RESPONSES)
        self._refused_events = RefusedEvents(clock)
        # Events that are not on disk, and that the broker does not take.
        self._unsaved_aside: list[QueuedEvent] = []
        # What this broker takes, as far as is known.
        self.limits = BrokerLimits(clock)
        self.diagnosis = ConnectionDiagnosis(clock)
        self.set_aside = SetAside()
        self._logged_note = ""
        # Events that the broker has acknowledged.
        self.published = 0
        # Messages that it has refused.
        self.refused = 0
        # Responses that were dropped: too many were waiting, or the broker does not take them.
        self.unanswered = 0
        # What it refused last, and why; empty when all is well again.
        self.problem = ""
        # Capture to acknowledgement, of the last event.
        self.delay_ms: float | None = None

    @property
    def note(self) -> str:
        """What the broker does not get, as it does not take it; empty if there is nothing."""
        return self.set_aside.note(self.limits)

    @property
    def reason(self) -> str:
        """What is wrong at the broker; empty while nothing is."""
        weak = ""
        if self._connection and not self.limits.stated.qos:
            weak = "the broker takes QoS 0 only: events that it loses are not sent again"
        return self.diagnosis.reason or self.problem or self.note or weak

    def begin(self, connection: BrokerConnection, connected: Connected) -> None:
        """A new connection: who is there comes first, before the events that wait."""
        self._connection, self._window, self.problem = connection, connected.window, ""
        self.diagnosis.begin()
        self.limits.stated = connected.limits
        self.set_aside.recount_events()
        self._send_topics(connection, lambda message: message.kind <= MessageKind.CAMERA)

    def explain_end(self, cause: EndCause) -> None:
        """Before ``end`` of a connection: what that tells of messages, and of the broker."""
        now_s = self._clock()
        unproven = [one for one in self._unproven if now_s - one.sent_at_s < _PROVEN_S]
        under_way = (*unproven, *self._in_flight.values())
        suspects = list({one.packet.key: one.packet for one in under_way}.values())
        guilty = self.limits.end(suspects) if cause == EndCause.UNKNOWN else None
        self.diagnosis.end(cause, is_explained=self.limits.is_repeated)
        if guilty:
            self.diagnosis.forget_ends()
            _log.warning(
                "the connection ends whenever %s is sent (%d bytes): too large for the broker,"
                " or not allowed there",
                *(guilty.topic, guilty.size),
            )

    def end(self) -> None:
        """The connection is gone, or was none: what was under way is to go again."""
        if self._connection is None:
            self.limits.forget()
            self.diagnosis.forget_ends()
        self._connection = None
        self._in_flight.clear()
        self._unproven.clear()
        self._refused_events.let_go()
        self._unsaved_aside.clear()
        self._latest.lost()
        self._outbox.forget_in_flight()

    def confirm(self, acknowledged: Acknowledged) -> None:
        """A message has arrived, or was refused."""
        sent, problem = self._in_flight.pop(acknowledged.mid, None), acknowledged.problem
        if sent is None:
            return
        self.diagnosis.acknowledge(sent.qos)
        if problem and not (sent.message and sent.message.kind == MessageKind.FORMER):
            self.refused += 1
            self._note_refusal(sent.packet.topic, acknowledged)
        if acknowledged.too_large:
            self.limits.refuse(sent.packet, for_size=True)
        elif sent.qos or sent.event:
            self._prove(sent)
        else:
            # Of a burst there are many: the last one of each topic tells enough.
            others = [one for one in self._unproven if one.packet.key != sent.packet.key]
            self._unproven = [*others, sent]
        if sent.message:
            self._latest.confirmed(sent.packet.topic, accepted=not problem)
            if acknowledged.too_large:
                self._latest.try_again(sent.packet.topic)
        if sent.event and problem:
            self._take_refused(sent.event, too_large=acknowledged.too_large)
        elif sent.event:
            self._take_published(sent.event)
        if self.snapshots and sent.snapshot and not acknowledged.too_large:
            self._take_snapshot(self.snapshots, sent.snapshot, accepted=not problem)

    def _note_refusal(self, topic: str, acknowledged: Acknowledged) -> None:
        # Where one topic is refused, others are: the first says it all.
        if not self.problem and not acknowledged.too_large:
            self.problem = f"the broker refuses {topic}: {acknowledged.problem}"
            _log.warning("%s", self.problem)

    def _take_snapshot(
        self, snapshots: WaitingSnapshots, waiting: WaitingSnapshot, *, accepted: bool
    ) -> None:
        if accepted:
            snapshots.sent(waiting)
        else:
            snapshots.refuse(waiting)
            self._snapshots_again_at = self._clock() + REFUSED_S

    def send_due(self) -> None:
        """Send what may be sent now."""
        if self._connection is None:
            return
        if self.limits.forget_old():
            self._latest.renew()
            self._try_events_again()
        if self._refused_events.are_due:
            self._refused_events.let_go()
            self._try_events_again()
            self.problem = ""
        if self.limits.is_careful:
            # Else events that wait would have the one place for themselves, until the last of them.
            self._send_topics(self._connection, lambda message: self.limits.suspects(message.topic))
        self._send_events(self._connection)
        while self._responses and self._room() > 0:
            topic, payload = self._responses.popleft()
            if self._fits(topic, payload):
                self._publish(self._connection, topic, payload, qos=1)
            else:
                self.unanswered += 1
                _log.warning("no answer on %s: %d bytes are too many", topic, len(payload))
        if self.snapshots:
            self._send_snapshot(self._connection, self.snapshots)
        self._send_topics(self._connection)
        if not self._in_flight:
            self.limits.settle()
        # A picture of QoS 0 is acknowledged by nobody and may take its time on a slow line.
        sent_at_s = [sent.sent_at_s for sent in self._in_flight.values() if sent.qos]
        self.diagnosis.watch(min(sent_at_s, default=None))
        if self.note != self._logged_note:
            self._logged_note = self.note
            _log.warning("%s", self.note or "the broker takes every message again")

    def put_response(self, topic: str, payload: bytes) -> None:
        """Answer a request; of too many answers the oldest is dropped."""
        self.unanswered += len(self._responses) == _MAX_RESPONSES
        self._responses.append((topic, payload))

    def send_frame(self, topic: str, make: MakeFrame) -> int:
        """Make a frame and send it at QoS 0; its bytes, 0 if that cannot be now."""
        is_busy = any(sent.packet.topic == topic for sent in self._in_flight.values())
        is_busy = is_busy or self.limits.is_careful or self._room() <= 0
        most = self.limits.max_payload(topic)
        if self._connection is None or is_busy or most == 0:
            return 0
        payload = make(most)
        if not payload or not self._fits(topic, payload):
            return 0
        self._publish(self._connection, topic, payload, qos=0)
        return len(payload)

    def _prove(self, sent: InFlight) -> None:
        """The broker has it, and what was sent before at QoS 0."""
        self.limits.take(sent.packet)
        for earlier in self._unproven:
            if earlier.number < sent.number:
                self.limits.take(earlier.packet)
        self._unproven = [one for one in self._unproven if one.number > sent.number]

    def _take_published(self, event: QueuedEvent) -> None:
        self._outbox.acknowledge(event)
        if self.snapshots:
            self.snapshots.event_arrived(event.event_id)
        self.published += 1
        self.delay_ms = self._delay_ms(event)
        self._on_published(self.delay_ms)
        if refused := self._refused_events.take(event):
            for one in refused:
                self.limits.refuse_event(one.event_id)
            self._try_events_again()

    def _take_refused(self, event: QueuedEvent, *, too_large: bool) -> None:
        """Keep a camera's events in order: none of them goes before the refused one."""
        if too_large:
            self._keep_aside(event)
            return
        self._refused_events.refuse(event)
        self._outbox.put_back(event)

    def _keep_aside(self, event: QueuedEvent) -> None:
        """It stays in the outbox, and others go before it."""
        self.set_aside.put_event(event.event_id, self._topics.event(event.camera))
        if event.row is None:
            # From memory all that is not in flight would be given out again, and again.
            self._unsaved_aside.append(event)
        else:
            self._outbox.put_back(event)

    def _try_events_again(self) -> None:
        self.set_aside.recount_events()
        while self._unsaved_aside:
            self._outbox.put_back(self._unsaved_aside.pop())
        self._outbox.retry_refused()

    def _delay_ms(self, event: QueuedEvent) -> float:
        """From its capture until now."""
        now = Moment(self._utc(), self._clock())
        return delay_ms(event.captured, now, same_boot=event.boot == self._boot != "")

    def _room(self, reserved: int = 0) -> int:
        """How many messages may be sent before one is acknowledged."""
        window = 1 if self.limits.is_careful else max(1, self._window - reserved)
        return window - sum(1 for sent in self._in_flight.values() if sent.qos or sent.event)

    def _fits(self, topic: str, payload: bytes, event_id: str = "") -> bool:
        return not self.limits.refuses(SentPacket(topic, packet_bytes(topic, payload), event_id))

    def _publish(
        self,
        connection: BrokerConnection,
        topic: str,
        payload: bytes,
        *,
        qos: int,
        retain: bool = False,
        event: QueuedEvent | None = None,
        message: TopicMessage | None = None,
        snapshot: WaitingSnapshot | None = None,
    ) -> None:
        stated = self.limits.stated
        is_sent_again = bool(event or snapshot or (message and message.retain))
        event_id = event.event_id if event else ""
        packet = SentPacket(topic, packet_bytes(topic, payload), event_id, is_sent_again)
        # Only an acknowledgement tells whether it was this message that ended the connection.
        qos = min(1 if self.limits.wants_proof(packet) else qos, stated.qos)
        mid = connection.publish(topic, payload, qos=qos, retain=retain and stated.retain)
        self._sent_number += 1
        self._in_flight[mid] = InFlight(
            packet, qos, self._sent_number, self._clock(), event, message, snapshot
        )

    def _send_events(self, connection: BrokerConnection) -> None:
        while (room := self._room(_RESERVED)) > 0:
            events = self._outbox.next(room, self._refused_events.held)
            if not events:
                return
            for event in events:
                topic = self._topics.event(event.camera)
                try:
                    payload = with_delay(event.payload, self._delay_ms(event))
                except ValueError:
                    _log.error("event %s cannot be read any more, and is dropped", event.event_id)
                    self._outbox.give_up(event)
                    continue
                if self._fits(topic, payload, event.event_id):
                    self._publish(connection, topic, payload, qos=1, event=event)
                    self.set_aside.sent(topic, event_id=event.event_id)
                else:
                    self._keep_aside(event)

    def _send_snapshot(self, connection: BrokerConnection, snapshots: WaitingSnapshots) -> None:
        """The next picture whose event has arrived; one at a time, as they are large."""
        is_under_way = any(sent.snapshot for sent in self._in_flight.values())
        if is_under_way or self._room() <= 0 or self._clock() < self._snapshots_again_at:
            return
        while found := snapshots.next():
            waiting, jpeg = found
            topic = self._topics.snapshot(waiting.camera)
            smaller = partial(self._smaller_jpeg, jpeg)
            payload = self._fitting(topic, jpeg, smaller)
            if payload is not None:
                self._publish(connection, topic, payload, qos=1, retain=True, snapshot=waiting)
                self.set_aside.sent(topic, smaller=payload is not jpeg)
                self._latest.put_sent(MessageKind.SNAPSHOT, topic, jpeg, smaller)
                return
            snapshots.drop(waiting)
            self.set_aside.put_message(topic)

    def _send_topics(
        self,
        connection: BrokerConnection,
        is_wanted: Callable[[TopicMessage], bool] = lambda _: True,
    ) -> None:
        """The newest messages, or some of them."""
        for message in filter(is_wanted, self._latest.due()):
            topic, qos = message.topic, message.qos
            if (qos or self.limits.is_careful) and self._room() <= 0:
                continue
            # Home Assistant refuses a label that is not among those of the description.
            if message.kind == MessageKind.STATE and self._latest.is_under_way(
                MessageKind.DISCOVERY
            ):
                continue
            payload = self._fitting(topic, message.payload, message.smaller)
            if payload is None:
                self._latest.set_aside(topic)
                self.set_aside.put_message(topic)
                continue
            self._publish(
                connection, topic, payload, qos=qos, retain=message.retain, message=message
            )
            self._latest.sent(topic)
            self.set_aside.sent(topic, smaller=payload is not message.payload)

    def _fitting(self, topic: str, payload: bytes, smaller: Smaller | None) -> bytes | None:
        """What may be sent of it; None: nothing that the broker takes."""
        if self._fits(topic, payload):
            return payload
        room = self.limits.max_payload(topic) or 0
        return smaller(room) if smaller and room > 0 else None
