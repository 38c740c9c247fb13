"""Where other threads leave what they want of the publisher. They never wait."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from edge_classifier.core.events import CameraState, LabelChange
from edge_classifier.mqtt.codec import Names
from edge_classifier.mqtt.retained import MessageKind

_MAX_LETTERS = 100
# The broker acknowledges what was sent, at most a window of messages, and one picture and one
# report a topic. Only a broker that is broken, or hostile, says more in one turn of the publisher.
_MAX_SIGNALS = 1_000


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """The frame behind a camera's last event."""

    camera: str
    jpeg: Callable[[], bytes | None]


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """Whether a camera gives frames, and if not, why."""

    camera: str
    online: bool
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """Statistics or information, ready to go."""

    kind: MessageKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class ModelLabels:
    """What the model in use can say, and how often statistics come."""

    labels: Sequence[str]
    name: Names
    model: str
    stats_s: float


@dataclass(frozen=True, slots=True)
class ConfiguredCameras:
    """Those that are configured: name to title."""

    titles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RememberedValue:
    """Something to remember through restarts; None to forget it."""

    key: str
    value: str | None


@dataclass(frozen=True, slots=True)
class HomeAssistantStarted:
    """Home Assistant wants to be told everything."""


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A command that came over MQTT."""

    command: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ResponseReady:
    """The answer to one."""

    command: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class ClearOutbox:
    """Forget the events that wait."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker has accepted connection ``link``."""

    link: int
    # How many unacknowledged messages it takes.
    window: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Message ``mid`` of connection ``link`` has arrived; or was refused, for ``problem``."""

    link: int
    mid: int
    problem: str


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The broker lets connection ``link`` receive no requests."""

    link: int
    problem: str


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """Connection ``link`` has ended, or never began. May come twice."""

    link: int
    problem: str


# Only the newest of each kind and camera counts.
Update = (
    CameraState
    | SnapshotTaken
    | CameraHealth
    | DeviceReport
    | ConfiguredCameras
    | ModelLabels
    | RememberedValue
    | HomeAssistantStarted
)
# Each one counts; there may be too many.
Instruction = RequestReceived | ResponseReady | ClearOutbox
# From the connection: few, because few messages are under way at a time.
ConnectionEvent = Connected | Acknowledged | SubscriptionRefused | ConnectionLost


@dataclass(slots=True)
class Batch:
    """All that came since the last time."""

    events: deque[LabelChange] = field(default_factory=deque)
    latest: dict[tuple[str, str], Update] = field(default_factory=dict)
    letters: deque[Instruction] = field(default_factory=deque)
    signals: deque[ConnectionEvent] = field(default_factory=deque)

    def __bool__(self) -> bool:
        return bool(self.events or self.latest or self.letters or self.signals)


class PublisherInbox:
    """Bounded in every part.

    Of events the oldest goes and is counted, of letters the newest. Of the rest there is one of
    each kind and camera. A connection that signals too much counts as lost.
    """

    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self._batch = Batch()
        self._filled = threading.Condition()
        self.dropped_events = 0
        self.dropped_letters = 0

    def put(self, *latest: Update, event: LabelChange | None = None) -> None:
        """All of one call come in one batch."""
        with self._filled:
            if event is not None:
                self._batch.events.append(event)
            if len(self._batch.events) > self._max_events:
                self._batch.events.popleft()
                self.dropped_events += 1
            self._batch.latest |= {_key(one): one for one in latest}
            self._filled.notify()

    def post(self, letter: Instruction) -> None:
        """One of those that each count."""
        with self._filled:
            if len(self._batch.letters) < _MAX_LETTERS:
                self._batch.letters.append(letter)
            else:
                self.dropped_letters += 1
            self._filled.notify()

    def ignore(self) -> None:
        """Count a message that is not to be taken. Two connections may do so at once."""
        with self._filled:
            self.dropped_letters += 1

    def signal(self, signal: ConnectionEvent) -> None:
        """From the connection."""
        with self._filled:
            if len(self._batch.signals) >= _MAX_SIGNALS:
                self._shorten_signals()
            self._batch.signals.append(signal)
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

    def _shorten_signals(self) -> None:
        """Keep what still counts; an acknowledgement must not get lost while its link lives on."""
        newest = max(signal.link for signal in self._batch.signals)
        kept = [signal for signal in self._batch.signals if signal.link == newest]
        if len(kept) >= _MAX_SIGNALS:
            kept = [ConnectionLost(newest, "the broker signals more than can be taken")]
        self._batch.signals = deque(kept)


def _key(latest: Update) -> tuple[str, str]:
    """What a newer one must share to supersede it."""
    match latest:
        case CameraState() | SnapshotTaken() | CameraHealth():
            return type(latest).__name__, latest.camera
        case RememberedValue():
            return "Note", latest.key
        case DeviceReport():
            return "Report", latest.kind.name
        case ConfiguredCameras() | ModelLabels() | HomeAssistantStarted():
            return type(latest).__name__, ""
