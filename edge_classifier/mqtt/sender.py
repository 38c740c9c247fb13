"""What goes out over the present connection, in order, and what comes of it."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge_classifier.core.events import Moment
from edge_classifier.mqtt.codec.camera_payloads import delay_ms, with_delay
from edge_classifier.mqtt.connection import BrokerConnection
from edge_classifier.mqtt.latest_messages import LatestMessages, TopicMessage
from edge_classifier.mqtt.outbox import Outbox
from edge_classifier.mqtt.outbox_database import QueuedEvent
from edge_classifier.mqtt.topics import Topics
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

# Messages of the window that events leave free, so that a long backlog lets states through.
_RESERVED = 4
# Seconds after which a broker that acknowledges nothing is taken for dead.
_ACK_LIMIT_S = 60.0
# Seconds until events that the broker refused are tried again.
_REFUSED_S = 60.0
_MAX_RESPONSES = 100


@dataclass(frozen=True, slots=True)
class _InFlight:
    """One message that the broker has not acknowledged: an event, a topic's, or a response."""

    topic: str
    qos: int
    sent_at_s: float
    event: QueuedEvent | None = None
    message: TopicMessage | None = None


class Sender:
    """Sends events from the outbox, and the newest message of every other topic.

    Of each topic's messages one is under way at a time; together no more than the broker takes.
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
    ) -> None:
        """``on_published`` gets milliseconds from each event's capture to its acknowledgement."""
        self._outbox = outbox
        self._latest = latest
        self._topics = topics
        self._boot = boot
        self._clock = clock
        self._utc = utc
        self._on_published = on_published
        self._connection: BrokerConnection | None = None
        self._window = 0
        self._in_flight: dict[int, _InFlight] = {}
        self._responses: deque[tuple[str, bytes]] = deque(maxlen=_MAX_RESPONSES)
        # Cameras whose events the broker refuses at present.
        self._held: set[str] = set()
        self._again_at = 0.0
        # Events that the broker has acknowledged.
        self.published = 0
        # Messages that it has refused.
        self.refused = 0
        # Responses that were dropped: too many were waiting.
        self.unanswered = 0
        # What it refused last, and why; empty when all is well again.
        self.problem = ""
        # Capture to acknowledgement, of the last event.
        self.delay_ms: float | None = None

    def begin(self, connection: BrokerConnection, window: int) -> None:
        """A new connection: what is retained goes out first, whatever waits behind it."""
        self._connection, self._window, self.problem = connection, window, ""
        self._send_topics(connection)

    def end(self) -> None:
        """The connection is gone: what was under way is to go again."""
        self._connection = None
        self._in_flight.clear()
        self._held.clear()
        self._latest.lost()
        self._outbox.forget_in_flight()

    def confirm(self, mid: int, problem: str) -> None:
        """Message ``mid`` has arrived, or was refused for ``problem``."""
        sent = self._in_flight.pop(mid, None)
        if sent is None:
            return
        if problem:
            self.refused += 1
        # Where one topic is refused, others are: the first says it all.
        if problem and not self.problem:
            self.problem = f"the broker refuses {sent.topic}: {problem}"
            _log.warning("%s", self.problem)
        if sent.message:
            self._latest.confirmed(sent.topic, accepted=not problem)
        if sent.event and problem:
            self._hold(sent.event)
        elif sent.event:
            self._outbox.acknowledge(sent.event)
            self.published += 1
            self.delay_ms = self._delay_ms(sent.event)
            self._on_published(self.delay_ms)

    def send_due(self) -> None:
        """Send what may be sent now."""
        if self._connection is None:
            return
        if self._held and self._clock() >= self._again_at:
            self._held.clear()
            self._outbox.retry_refused()
            self.problem = ""
        self._send_events(self._connection)
        while self._responses and self._in_flight_count < self._window:
            topic, payload = self._responses.popleft()
            mid = self._connection.publish(topic, payload, qos=1)
            self._in_flight[mid] = _InFlight(topic, 1, self._clock())
        self._send_topics(self._connection)

    def put_response(self, topic: str, payload: bytes) -> None:
        """Answer a request; of too many answers the oldest is dropped."""
        self.unanswered += len(self._responses) == _MAX_RESPONSES
        self._responses.append((topic, payload))

    def is_stuck(self) -> bool:
        """Whether the broker has been silent about a message for too long."""
        now_s = self._clock()
        # A picture of QoS 0 is acknowledged by nobody and may take its time on a slow line.
        open_ = (sent.sent_at_s for sent in self._in_flight.values() if sent.qos)
        return now_s >= min(open_, default=now_s) + _ACK_LIMIT_S

    def _hold(self, event: QueuedEvent) -> None:
        """Keep a camera's events in order: none of them goes before the refused one."""
        if not self._held:
            self._again_at = self._clock() + _REFUSED_S
        self._held.add(event.camera)
        self._outbox.put_back(event)

    def _delay_ms(self, event: QueuedEvent) -> float:
        """From its capture until now."""
        now = Moment(self._utc(), self._clock())
        return delay_ms(event.captured, now, same_boot=event.boot == self._boot != "")

    @property
    def _in_flight_count(self) -> int:
        return sum(1 for sent in self._in_flight.values() if sent.qos)

    def _send_events(self, connection: BrokerConnection) -> None:
        room = max(1, self._window - _RESERVED) - self._in_flight_count
        if room <= 0:
            return
        for event in self._outbox.next(room, self._held):
            topic = self._topics.event(event.camera)
            try:
                payload = with_delay(event.payload, self._delay_ms(event))
            except ValueError:
                _log.error("event %s cannot be read any more, and is dropped", event.event_id)
                self._outbox.give_up(event)
                continue
            mid = connection.publish(topic, payload, qos=1)
            self._in_flight[mid] = _InFlight(topic, 1, self._clock(), event=event)

    def _send_topics(self, connection: BrokerConnection) -> None:
        for message in self._latest.due():
            topic, qos = message.topic, message.qos
            if qos and self._in_flight_count >= self._window:
                continue
            mid = connection.publish(topic, message.payload, qos=qos, retain=message.retain)
            self._in_flight[mid] = _InFlight(topic, qos, self._clock(), message=message)
            self._latest.sent(topic)
