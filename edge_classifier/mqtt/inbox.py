"""Where other threads leave work for the publisher's thread. They never wait."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edge_classifier.core.events import CameraEvent
from edge_classifier.mqtt.connection.broker_connection import ConnectionEvent, ConnectionLost

_MAX_TASKS = 100
# The broker acknowledges what was sent, at most a window of messages, and one picture and one
# report a topic. Only a broken or hostile broker signals more in one turn of the publisher.
_MAX_CONNECTION_EVENTS = 1_000

# Frames that may wait to become pictures: each is up to 6 MB.
_MAX_SNAPSHOTS = 4

# To be called in the publisher's thread.
Action = Callable[[], None]


class UpdateKind(StrEnum):
    """What an update is of."""

    CAMERAS = "cameras"
    # A frame of a burst; takes a while, as SNAPSHOT does.
    BURST = "burst"
    # The availability under a former name of the device.
    FORMER = "former"
    HEALTH = "health"
    HOME_ASSISTANT = "home assistant"
    INFO = "info"
    MODEL = "model"
    REMEMBER = "remember"
    # Takes a while: a JPEG is to be made.
    SNAPSHOT = "snapshot"
    STATE = "state"
    STATS = "stats"


# For what is made last in each turn of the publisher.
PICTURES = frozenset({UpdateKind.BURST, UpdateKind.SNAPSHOT})
# What a newer update must share to replace an older one: its kind, and a camera's or a key's name.
UpdateKey = tuple[UpdateKind, str]


@dataclass(slots=True)
class Batch:
    """All that came since the last time."""

    events: deque[CameraEvent] = field(default_factory=deque)
    # Only the newest of each key counts.
    updates: dict[UpdateKey, Action] = field(default_factory=dict)
    # Each counts, but there may be too many. With their names, for the log.
    tasks: deque[tuple[str, Action]] = field(default_factory=deque)
    connection_events: deque[ConnectionEvent] = field(default_factory=deque)

    def __bool__(self) -> bool:
        return bool(self.events or self.updates or self.tasks or self.connection_events)


class PublisherInbox:
    """Bounded in every part.

    Of events the oldest goes and is counted, of tasks the newest. Of updates there is one of each
    kind and camera, of pictures of events a few. A connection of which too many events come counts
    as lost.
    """

    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self._batch = Batch()
        self._filled = threading.Condition()
        self.dropped_events = 0
        self.dropped_tasks = 0
        self.dropped_snapshots = 0
        self.dropped_burst_frames = 0

    def put_updates(
        self, updates: Mapping[UpdateKey, Action], events: Iterable[CameraEvent] = ()
    ) -> None:
        """Queue updates, and perhaps events in their order, for one turn."""
        with self._filled:
            self._batch.events.extend(events)
            while len(self._batch.events) > self._max_events:
                self._batch.events.popleft()
                self.dropped_events += 1
            self.dropped_burst_frames += sum(
                key[0] == UpdateKind.BURST for key in updates.keys() & self._batch.updates.keys()
            )
            self._batch.updates |= updates
            for kind, name in updates:
                if kind == UpdateKind.SNAPSHOT:
                    camera = name.partition(" ")[0]
                    waiting = [
                        key
                        for key in self._batch.updates
                        if key[0] == UpdateKind.SNAPSHOT and key[1].partition(" ")[0] == camera
                    ]
                    for key in waiting[:-_MAX_SNAPSHOTS]:
                        del self._batch.updates[key]
                        self.dropped_snapshots += 1
            self._filled.notify()

    def put_task(self, name: str, action: Action) -> None:
        """Queue a task; the newest is dropped when too many wait."""
        with self._filled:
            if len(self._batch.tasks) < _MAX_TASKS:
                self._batch.tasks.append((name, action))
            else:
                self.dropped_tasks += 1
            self._filled.notify()

    def put_connection_event(self, event: ConnectionEvent) -> None:
        """Queue an event of the connection."""
        with self._filled:
            if len(self._batch.connection_events) >= _MAX_CONNECTION_EVENTS:
                # Keep what still counts: while a connection lives on, no acknowledgement may get
                # lost.
                events = self._batch.connection_events
                newest = max(event.connection for event in events)
                kept: list[ConnectionEvent] = [
                    event for event in events if event.connection == newest
                ]
                if len(kept) >= _MAX_CONNECTION_EVENTS:
                    kept = [ConnectionLost(newest, "the broker signals more than can be taken")]
                self._batch.connection_events = deque(kept)
            self._batch.connection_events.append(event)
            self._filled.notify()

    def wake(self) -> None:
        """Let ``take`` return, though nothing may have come."""
        with self._filled:
            self._filled.notify()

    def take(self, timeout_s: float) -> Batch:
        """What has come; an empty batch after ``timeout_s`` seconds without anything."""
        with self._filled:
            if not self._batch:
                self._filled.wait(timeout_s)
            batch, self._batch = self._batch, Batch()
        return batch
