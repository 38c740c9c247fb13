"""What the broker takes: as it has said (MQTT 5), or as what it did has shown. Pure.

A broker that does not take a message says so with MQTT 5; one of 3.1.1 can only end the
connection, and would do so again after the same message, for ever. So what was unacknowledged when
a connection ended is sent one by one on the next. A message after which the connection ends each
time is not sent as it is any more: smaller, if that can be, else not at all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Connections in a row that must end behind the same message. Events have to arrive: more for them.
_STRIKES, _EVENT_STRIKES = 2, 3
# What is left of the size of a message that was refused: each try costs a connection.
_SHRINK = 4
# So many different events of one topic, and none of it taken: the topic itself is refused.
_EVENTS_OF_A_TOPIC = 2
# After this many seconds what was only concluded is tried again: the limit may have been raised.
_FORGET_S = 3600.0
# Most bytes of a packet beside its topic and its payload: header, lengths, number, properties.
_OVERHEAD = 10
# Topics that a note names.
_LISTED = 5


@dataclass(frozen=True, slots=True)
class StatedLimits:
    """What a broker says of itself when it accepts a connection (MQTT 5)."""

    # Largest packet; None: not said.
    packet_bytes: int | None = None
    # Highest quality of service.
    qos: int = 1
    # Whether it retains messages.
    retain: bool = True


NOTHING_STATED = StatedLimits()


@dataclass(frozen=True, slots=True)
class SentPacket:
    """A message as the broker sees it; ``event_id`` is empty for one that is not an event."""

    topic: str
    size: int
    event_id: str = ""
    # Whether it goes again, as it is or newer, as soon as there is a connection.
    is_sent_again: bool = True

    @property
    def key(self) -> str:
        """What would be sent again: this event, or the newest message of this topic."""
        return self.event_id or self.topic


def packet_bytes(topic: str, payload: bytes) -> int:
    """Largest size of the packet that carries ``payload``."""
    return len(payload) + payload_overhead(topic)


def payload_overhead(topic: str) -> int:
    """What a packet on ``topic`` has beside its payload, at most."""
    return len(topic.encode()) + _OVERHEAD


class BrokerLimits:
    """What may be sent to this broker, as far as is known."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.stated = NOTHING_STATED
        # Packets from this size on were refused for their size.
        self._too_large: int | None = None
        # Of each topic of which something was refused, the size that may be tried now.
        self._bounds: dict[str, int] = {}
        # Events after which the connection ended each time, or that were refused each time.
        self._events: set[str] = set()
        # How many of these each topic has, since one of it was taken.
        self._events_of: dict[str, int] = {}
        self._largest_taken = 0
        # What was under way when the last connection ended, and has not been taken since.
        self._suspects: set[str] = set()
        # Topics under way when a connection ended: their next message goes at QoS 1, even later.
        self._unproven: set[str] = set()
        # Of what is not sent again, the connections that ended while it was under way.
        self._ends: dict[str, int] = {}
        # The message behind which connections ended, and how many in a row.
        self._struck, self._strikes = "", 0
        self._forget_at = float("inf")

    @property
    def packet_bytes(self) -> int | None:
        """The largest packet that the broker takes; None: not known."""
        shown = None if self._too_large is None else self._too_large - 1
        known = [size for size in (self.stated.packet_bytes, shown) if size is not None]
        return min(known, default=None)

    @property
    def is_repeated(self) -> bool:
        """Whether the last connections ended behind one message, not taken in between."""
        return self._strikes > 1

    @property
    def is_careful(self) -> bool:
        """Whether one message at a time is to be sent, to see which one ends the connection."""
        return bool(self._suspects)

    def suspects(self, key: str) -> bool:
        """Whether this event or topic is one of those that are to be sent one at a time."""
        return key in self._suspects

    def wants_proof(self, packet: SentPacket) -> bool:
        """Whether ``packet`` is to be acknowledged, as a connection may have ended for it."""
        return self.is_careful or packet.key in self._unproven

    def max_bytes(self, topic: str) -> int | None:
        """The largest packet that may be sent on ``topic``; None: any."""
        known = [size for size in (self.packet_bytes, self._bounds.get(topic)) if size is not None]
        return min(known, default=None)

    def max_payload(self, topic: str) -> int | None:
        """The longest payload that may be sent on ``topic``, 0: none; None: any."""
        most = self.max_bytes(topic)
        return None if most is None else max(0, most - payload_overhead(topic))

    def refuses(self, packet: SentPacket) -> bool:
        """Whether the broker is known not to take ``packet``."""
        most = self.max_bytes(packet.topic)
        return packet.event_id in self._events or (most is not None and packet.size > most)

    def take(self, packet: SentPacket) -> None:
        """The broker has taken it."""
        self._suspects.discard(packet.key)
        self._unproven.discard(packet.key)
        self._ends.pop(packet.key, None)
        if packet.key == self._struck:
            self._struck, self._strikes = "", 0
        self._largest_taken = max(self._largest_taken, packet.size)
        self._events_of.pop(packet.topic, None)
        bound = self._bounds.get(packet.topic)
        # Of one topic the small one is taken and the large one is not: so it is the size.
        if bound is not None and not packet.event_id:
            self._too_large = min(self._too_large or bound + 1, bound + 1)
        if self._too_large is not None and packet.size >= self._too_large:
            self._too_large = packet.size + 1

    def refuse(self, packet: SentPacket, *, for_size: bool) -> None:
        """The broker does not take it, surely ``for_size``, or for a reason that is not known."""
        self._suspects.discard(packet.key)
        self._forget_at = min(self._forget_at, self._clock() + _FORGET_S)
        if for_size:
            self._too_large = min(self._too_large or packet.size, packet.size)
        if not packet.event_id:
            # Not below what it has taken, but for what is itself no larger than that.
            taken = self._largest_taken if self._largest_taken < packet.size else 0
            self._bounds[packet.topic] = max(packet.size // _SHRINK, taken)
        elif not for_size:
            self.refuse_event(packet.event_id)
            refused = self._events_of.get(packet.topic, 0) + 1
            self._events_of[packet.topic] = refused
            if refused >= _EVENTS_OF_A_TOPIC:
                self._bounds[packet.topic] = 0

    def refuse_event(self, event_id: str) -> None:
        """The broker takes others of its topic, but not this one."""
        self._events.add(event_id)
        self._forget_at = min(self._forget_at, self._clock() + _FORGET_S)

    def end(self, unproven: Sequence[SentPacket]) -> SentPacket | None:
        """A connection has ended, and the broker may not have taken these.

        Returns the one that has ended it each time, if that is known now.
        """
        # For the others careful sending would wait in vain.
        self._suspects |= {packet.key for packet in unproven if packet.is_sent_again}
        # Events have QoS 1 anyway; of topics there are few.
        self._unproven |= {packet.key for packet in unproven if not packet.event_id}
        for packet in unproven:
            # Those that no careful sending can find.
            if not packet.is_sent_again:
                self._ends[packet.key] = self._ends.get(packet.key, 0) + 1
                if self._ends[packet.key] >= _STRIKES and packet.size > self._largest_taken:
                    # It is too large, it seems.
                    self._ends.pop(packet.key)
                    self.refuse(packet, for_size=False)
                    return packet
        if len(unproven) != 1:
            self._struck, self._strikes = "", 0
            return None
        (packet,) = unproven
        self._strikes = self._strikes + 1 if packet.key == self._struck else 1
        self._struck = packet.key
        enough = _EVENT_STRIKES if packet.event_id else _STRIKES
        is_size_known = self._too_large is not None and packet.size > self._largest_taken
        if is_size_known or packet.key in self._bounds:
            enough = 1
        if self._strikes < enough:
            return None
        self._struck, self._strikes = "", 0
        self.refuse(packet, for_size=False)
        return packet

    def settle(self) -> None:
        """All that was to be sent has been: no need to be careful any more."""
        self._suspects.clear()

    def forget(self) -> None:
        """The broker was away: that explains what was concluded, or its settings are others now."""
        self._struck, self._strikes = "", 0
        self._too_large, self._forget_at = None, float("inf")
        self._unproven.clear()
        self._ends.clear()
        self._bounds.clear()
        self._events.clear()
        self._events_of.clear()

    def forget_old(self) -> bool:
        """Whether what was concluded is old enough to be tried again; then it is forgotten."""
        is_old = self._clock() >= self._forget_at
        if is_old:
            self.forget()
        return is_old


class SetAside:
    """What was not sent, or not as it is, since the broker does not take it."""

    def __init__(self) -> None:
        self._topics: set[str] = set()
        self._smaller: set[str] = set()
        # Id to topic.
        self._events: dict[str, str] = {}

    @property
    def events(self) -> int:
        """How many events are kept until the broker takes them."""
        return len(self._events)

    def put_message(self, topic: str) -> None:
        """The newest message of ``topic`` is not sent."""
        self._smaller.discard(topic)
        self._topics.add(topic)

    def put_event(self, event_id: str, topic: str) -> None:
        """This event is not sent."""
        self._events[event_id] = topic

    def sent(self, topic: str, *, smaller: bool = False, event_id: str = "") -> None:
        """It is sent after all, as it is or ``smaller``."""
        self._topics.discard(topic)
        self._events.pop(event_id, None)
        (self._smaller.add if smaller else self._smaller.discard)(topic)

    def recount_events(self) -> None:
        """All events are looked at once more."""
        self._events.clear()

    def note(self, limits: BrokerLimits) -> str:
        """What is missing at the broker, and why; empty if nothing is."""
        aside = sorted(self._topics | set(self._events.values()))
        if not aside and not self._smaller:
            return ""
        if limits.stated.packet_bytes is not None:
            why = f"the broker takes packets of at most {limits.stated.packet_bytes} bytes"
        elif limits.packet_bytes is not None:
            why = f"the broker seems to take packets of at most {limits.packet_bytes} bytes"
        else:
            why = "the broker ended the connection after each try, or refused it"
        parts = [f"made smaller: {_listed(sorted(self._smaller))}"] if self._smaller else []
        parts += [f"set aside: {_listed(aside)}"] if aside else []
        return f"{why}; {'; '.join(parts)}"


def _listed(topics: Sequence[str]) -> str:
    more = f" and {len(topics) - _LISTED} more" if len(topics) > _LISTED else ""
    return ", ".join(topics[:_LISTED]) + more
