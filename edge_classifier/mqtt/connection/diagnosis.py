"""What is wrong with a broker that accepts connections: it is silent, or ends them. Pure."""

from collections.abc import Callable
from enum import Enum, auto

SILENT = "the broker acknowledges nothing"
_TAKEN_OVER = "another client uses this client id (mqtt.client_id, else device.name)"
_LIKELY_TAKEN_OVER = (
    "connections end again and again, soon after they were made: most likely another client uses"
    " this client id (mqtt.client_id, else device.name)"
)
# Seconds without any acknowledgement, while one is due, after which health says so.
_SILENT_S = 10.0
# Seconds after which a message that is not acknowledged costs the connection.
_STUCK_S = 60.0
# Two clients of one id throw each other out within this time, as often as they connect.
_SHORT_S = 30.0
# So many short connections in a row, without one message that would explain them.
_SHORT_CONNECTIONS = 3

# Reason codes of MQTT 5 (2.4). No message is the reason for these: server busy, server shutting
# down, keep alive timeout (that of paho, too), session taken over, message rate too high, quota
# exceeded, administrative action, another server, server moved, connection rate, connect time.
_SESSION_TAKEN_OVER = 0x8E
_NO_MESSAGE = {0x89, 0x8B, 0x8D, 0x8E, 0x96, 0x97, 0x98, 0x9C, 0x9D, 0x9F, 0xA0}


class EndCause(Enum):
    """Why a connection has ended."""

    # Perhaps because of a message that was under way.
    UNKNOWN = auto()
    # Another client with our id has connected.
    TAKEN_OVER = auto()
    # Not for a message: we have ended it, it never began, or the broker tells another reason.
    OTHER = auto()


def end_cause(reason: int) -> EndCause:
    """Why the broker, or the line, has ended a connection with this reason code."""
    if reason == _SESSION_TAKEN_OVER:
        return EndCause.TAKEN_OVER
    return EndCause.OTHER if reason in _NO_MESSAGE else EndCause.UNKNOWN


class ConnectionDiagnosis:
    """Looks at many connections, since each by itself tells little."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._accepted_at_s = self._acknowledged_at_s = float("-inf")
        # When the oldest unacknowledged message was sent; None: there is none.
        self._oldest_s: float | None = None
        self._is_silent = False
        # Whether the broker has said that another client took the session over.
        self._is_told = False
        self._short = 0

    @property
    def reason(self) -> str:
        """What is wrong; empty while nothing seems to be."""
        if self._is_silent:
            return SILENT
        if self._is_told:
            return _TAKEN_OVER
        return _LIKELY_TAKEN_OVER if self._short >= _SHORT_CONNECTIONS else ""

    @property
    def is_stuck(self) -> bool:
        """Whether the broker has been silent about a message for too long: connect anew."""
        return self._oldest_s is not None and self._clock() >= self._oldest_s + _STUCK_S

    def begin(self) -> None:
        """The broker has accepted a connection."""
        self._accepted_at_s, self._oldest_s = self._clock(), None

    def acknowledge(self, qos: int) -> None:
        """The broker has acknowledged, or refused, a message; one of QoS 0 was only sent."""
        if qos:
            self._acknowledged_at_s = self._clock()
            self._is_silent = False

    def watch(self, oldest_s: float | None) -> None:
        """The connection lives; ``oldest_s``: when the oldest message under way was sent."""
        now_s, self._oldest_s = self._clock(), oldest_s
        if oldest_s is not None:
            self._is_silent |= now_s >= max(oldest_s, self._acknowledged_at_s) + _SILENT_S
        if now_s >= self._accepted_at_s + _SHORT_S:
            self.forget_ends()

    def end(self, cause: EndCause, *, is_explained: bool) -> None:
        """The connection has ended; ``is_explained``: as the one before, behind one message."""
        if cause == EndCause.OTHER:
            return
        if self._clock() >= self._accepted_at_s + _SHORT_S:
            self.forget_ends()
        self._is_told |= cause == EndCause.TAKEN_OVER
        self._short += not is_explained

    def forget_ends(self) -> None:
        """A connection lasts, the broker was away, or a message explains why they ended."""
        self._is_told, self._short = False, 0
