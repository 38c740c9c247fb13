"""What goes out over the present connection, in order, and what comes of it."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from edge_classifier.core.events import Moment
from edge_classifier.mqtt.codec import delay_ms, with_delay
from edge_classifier.mqtt.connection import BrokerConnection
from edge_classifier.mqtt.outbox import Outbox
from edge_classifier.mqtt.outbox_database import QueuedEvent
from edge_classifier.mqtt.retained import RetainedTopics, TopicMessage
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
class _Flight:
    """One message under way."""

    topic: str
    qos: int
    at_s: float
    event: QueuedEvent | None = None
    # Of which of the two it is; of neither: a response.
    post: TopicMessage | None = None


class Sender:
    """Events from the outbox, the rest from the board.

    Of each message exactly one is under way at a time, and no more than the broker takes.
    """

    def __init__(
        self,
        outbox: Outbox,
        board: RetainedTopics,
        topics: Topics,
        boot: str,
        *,
        clock: Clock,
        utc: Callable[[], float],
        on_published: Callable[[float], None],
    ) -> None:
        """``on_published`` gets milliseconds from each event's capture to its acknowledgement."""
        self._outbox = outbox
        self._board = board
        self._topics = topics
        self._boot = boot
        self._clock = clock
        self._utc = utc
        self._on_published = on_published
        self._link: BrokerConnection | None = None
        self._window = 0
        self._flights: dict[int, _Flight] = {}
        self._responses: deque[tuple[str, bytes]] = deque(maxlen=_MAX_RESPONSES)
        # Cameras whose events the broker refuses at present.
        self._held: set[str] = set()
        self._again_at = 0.0
        # Events that the broker has acknowledged.
        self.published = 0
        # Messages that it has refused.
        self.refused = 0
        # Responses that had to go.
        self.unanswered = 0
        # What it refused last, and why; empty when all is well again.
        self.problem = ""
        # Capture to acknowledgement, of the last event.
        self.delay_ms: float | None = None

    def begin(self, link: BrokerConnection, window: int) -> None:
        """A new connection: what is retained goes out first, whatever waits behind it."""
        self._link, self._window, self.problem = link, window, ""
        self._send_board()

    def end(self) -> None:
        """The connection is gone: what was under way is to go again."""
        self._link = None
        self._flights.clear()
        self._held.clear()
        self._board.lost()
        self._outbox.rewind()

    def confirm(self, mid: int, problem: str) -> None:
        """Message ``mid`` has arrived, or was refused for ``problem``."""
        flight = self._flights.pop(mid, None)
        if flight is None:
            return
        if problem:
            self._refuse(flight.topic, problem)
        if flight.post:
            self._board.confirmed(flight.topic, accepted=not problem)
        if flight.event:
            self._event_done(flight.event, problem)

    def _refuse(self, topic: str, problem: str) -> None:
        self.refused += 1
        if not self.problem:  # Where one topic is refused, others are: the first says it all.
            self.problem = f"the broker refuses {topic}: {problem}"
            _log.warning("%s", self.problem)

    def pump(self) -> None:
        """Send what may be sent now."""
        if self._link is None:
            return
        if self._held and self._clock() >= self._again_at:
            self._held.clear()
            self._outbox.again()
            self.problem = ""
        self._send_events(self._link)
        self._send_responses(self._link)
        self._send_board()

    def respond(self, topic: str, payload: bytes) -> None:
        """Answer a request; of too many answers the oldest goes."""
        self.unanswered += len(self._responses) == _MAX_RESPONSES
        self._responses.append((topic, payload))

    def is_stuck(self) -> bool:
        """Whether the broker has been silent about a message for too long."""
        now_s = self._clock()
        # A picture of QoS 0 is acknowledged by nobody and may take its time on a slow line.
        asked = (flight.at_s for flight in self._flights.values() if flight.qos)
        return now_s >= min(asked, default=now_s) + _ACK_LIMIT_S

    def _event_done(self, event: QueuedEvent, problem: str) -> None:
        if problem:
            self._hold(event)
        else:
            self._outbox.acknowledge(event)
            self.published += 1
            self.delay_ms = self._delay_ms(event)
            self._on_published(self.delay_ms)

    def _hold(self, event: QueuedEvent) -> None:
        """Keep a camera's events in order: none of them goes before the refused one."""
        if not self._held:
            self._again_at = self._clock() + _REFUSED_S
        self._held.add(event.camera)
        self._outbox.refuse(event)

    def _delay_ms(self, event: QueuedEvent) -> float:
        """From its capture until now."""
        now = Moment(self._utc(), self._clock())
        return delay_ms(event.captured, now, same_boot=event.boot == self._boot != "")

    @property
    def _under_way(self) -> int:
        return sum(1 for flight in self._flights.values() if flight.qos)

    def _send_events(self, link: BrokerConnection) -> None:
        room = max(1, self._window - _RESERVED) - self._under_way
        if room <= 0:
            return
        for event in self._outbox.next(room, self._held):
            topic = self._topics.event(event.camera)
            try:
                payload = with_delay(event.payload, self._delay_ms(event))
            except ValueError:
                _log.error("event %s cannot be read any more, and goes", event.event_id)
                self._outbox.give_up(event)
                continue
            mid = link.publish(topic, payload, qos=1, retain=False)
            self._flights[mid] = _Flight(topic, 1, self._clock(), event)

    def _send_responses(self, link: BrokerConnection) -> None:
        while self._responses and self._under_way < self._window:
            topic, payload = self._responses.popleft()
            mid = link.publish(topic, payload, qos=1, retain=False)
            self._flights[mid] = _Flight(topic, 1, self._clock())

    def _send_board(self) -> None:
        for post in self._board.due():
            if not post.qos or self._under_way < self._window:
                self._send(post)

    def _send(self, post: TopicMessage) -> None:
        if self._link is None:
            return
        mid = self._link.publish(post.topic, post.payload, qos=post.qos, retain=post.retain)
        self._flights[mid] = _Flight(post.topic, post.qos, self._clock(), post=post)
        self._board.sent(post.topic)
