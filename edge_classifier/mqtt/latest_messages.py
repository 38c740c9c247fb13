"""The newest message of each topic that is not an event's, until the broker has it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

# The best payload of at most so many bytes; None where there is none.
Smaller = Callable[[int], bytes | None]


class MessageKind(IntEnum):
    """In the order in which they go out on a new connection; events go behind CAMERA."""

    NODE = 0
    CAMERA = 1
    DISCOVERY = 2
    INFO = 3
    STATE = 4
    SNAPSHOT = 5
    STATS = 6
    # What the broker still keeps of another name of this device, and is to clear.
    FORMER = 7


@dataclass(slots=True)
class TopicMessage:
    """One topic's newest message."""

    topic: str
    kind: MessageKind
    payload: bytes
    # For a broker that does not take it as it is.
    smaller: Smaller | None = None
    due: bool = True
    # Whether it has not been sent yet.
    is_new: bool = True
    in_flight: bool = False

    @property
    def qos(self) -> int:
        """Large or soon outdated messages are not repeated. What clears a topic is neither."""
        return 0 if self.payload and self.kind in {MessageKind.SNAPSHOT, MessageKind.STATS} else 1

    @property
    def retain(self) -> bool:
        """Whether the broker keeps it for those who come later."""
        return self.kind != MessageKind.STATS


class LatestMessages:
    """Messages that a newer one of the same topic replaces. Pure.

    One message a topic is under way at a time, so that a broker that is slow to acknowledge gets
    the newest when it is ready, and never a queue.
    """

    def __init__(self) -> None:
        self._messages: dict[str, TopicMessage] = {}

    def put(
        self, kind: MessageKind, topic: str, payload: bytes, smaller: Smaller | None = None
    ) -> None:
        """``payload`` is what ``topic`` shall say from now on, or what ``smaller`` makes of it."""
        message = self._messages.setdefault(topic, TopicMessage(topic, kind, payload))
        message.payload, message.smaller = payload, smaller
        message.due = message.is_new = True

    def put_sent(self, kind: MessageKind, topic: str, payload: bytes, smaller: Smaller) -> None:
        """``payload`` is on its way already, and is repeated when all that is retained is.

        A newer message that has not been sent yet stays.
        """
        message = self._messages.setdefault(topic, TopicMessage(topic, kind, payload, is_new=False))
        if not (message.due and message.is_new):
            message.payload, message.smaller, message.due = payload, smaller, False

    def due(self) -> list[TopicMessage]:
        """What is to go out, in order."""
        waiting = (one for one in self._messages.values() if one.due and not one.in_flight)
        return sorted(waiting, key=lambda message: message.kind)

    def sent(self, topic: str) -> None:
        """The newest message of ``topic`` is under way."""
        message = self._messages[topic]
        message.due, message.is_new, message.in_flight = False, False, True

    def confirmed(self, topic: str, *, accepted: bool) -> None:
        """The message of ``topic`` that was under way has arrived, ``accepted`` or refused."""
        message = self._messages.get(topic)
        if message is None:
            return  # It was forgotten meanwhile.
        message.in_flight = False
        # The broker keeps nothing of this topic any more, so there is nothing to repeat.
        if accepted and not message.payload and not message.due:
            del self._messages[topic]

    def set_aside(self, topic: str) -> None:
        """The broker does not take it: wait for another one, or until all is renewed."""
        self._messages[topic].due = False

    def try_again(self, topic: str) -> None:
        """The broker did not take it as it was."""
        if topic in self._messages:
            self._messages[topic].due = True

    def forget(self, topics: Iterable[str]) -> None:
        """Say nothing on ``topics`` any more."""
        for topic in topics:
            self._messages.pop(topic, None)

    def has(self, topic: str) -> bool:
        """Whether there is a message that the broker has not got, or is to keep."""
        return topic in self._messages

    def is_under_way(self, kind: MessageKind) -> bool:
        """Whether a message of this kind was sent and not acknowledged yet."""
        return any(one.in_flight for one in self._messages.values() if one.kind == kind)

    def renew(self) -> None:
        """All that is retained goes out again."""
        for message in self._messages.values():
            message.due = message.due or message.retain

    def lost(self) -> None:
        """The connection is gone, and what was under way with it."""
        for message in self._messages.values():
            message.in_flight = False
        self.renew()

    def is_settled(self, topics: set[str]) -> bool:
        """Whether the broker has the newest message of each of ``topics``."""
        messages = (self._messages[topic] for topic in topics & self._messages.keys())
        return not any(message.due or message.in_flight for message in messages)
