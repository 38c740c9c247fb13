"""Keeps a connection to the broker: connects, and connects again."""

import logging
import socket
import ssl
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from edge_classifier.core.backoff import pause_s
from edge_classifier.errors import EdgeClassifierError

_log = logging.getLogger(__name__)

# Seconds from the attempt until the broker must have accepted.
_ACCEPT_LIMIT_S = 30.0
# A connection that broke sooner counts as a failure: two clients of one id throw each other out as
# fast as they can connect.
_STEADY_S = 10.0
_MAX_PAUSE_S = 60.0
NOT_CONNECTED_YET = "not connected yet"


class ConnectionAttempt(Protocol):
    """What a ``Reconnector`` needs of a ``BrokerConnection``."""

    @property
    def number(self) -> int:
        """Which one."""

    @property
    def is_connecting(self) -> bool:
        """Whether it has neither connected nor failed."""

    @property
    def has_failed(self) -> bool:
        """Whether its thread has ended by an error, of which no event tells."""

    def disconnect(self) -> None:
        """End the connection in good order."""

    def wait_closed(self, within_s: float) -> None:
        """Return when it has ended, or after ``within_s``."""

    def abort(self) -> None:
        """End it at once."""


ConnectionT = TypeVar("ConnectionT", bound=ConnectionAttempt)


class Reconnector(Generic[ConnectionT]):
    """At most one connection at a time, and why there is none.

    Its owner calls ``check`` whenever ``wait_s`` has passed, and passes on the events of the
    connection that ``is_current``. ``connect`` gets a number and begins a connection; ``on_drop``
    is called when one is gone; ``random`` gives numbers from [0, 1); ``name`` begins lines in the
    log.
    """

    def __init__(
        self,
        connect: Callable[[int], ConnectionT],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        on_drop: Callable[[], None] = lambda: None,
        max_pause_s: float = _MAX_PAUSE_S,
        name: str = "",
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._random = random
        self._on_drop = on_drop
        self._max_pause_s = max_pause_s
        self._prefix = f"{name}: " if name else ""
        self._attempt: ConnectionT | None = None
        self._is_accepted = False
        self._number = 0
        self._failures = 0
        self._since = 0.0
        self._connect_at = clock()
        # Why there is no connection; empty while there is one.
        self.reason = NOT_CONNECTED_YET
        self._logged = ""

    @property
    def connection(self) -> ConnectionT | None:
        """The connection, once the broker has accepted it."""
        return self._attempt if self._is_accepted else None

    @property
    def wait_s(self) -> float:
        """Seconds until ``check`` has something to do, as far as can be foreseen."""
        if self._attempt is None:
            return max(0.0, self._connect_at - self._clock())
        return _ACCEPT_LIMIT_S

    def check(self) -> None:
        """Connect when it is time; give up on a broker that does not answer, or a dead thread."""
        now = self._clock()
        if self._attempt is None:
            if now >= self._connect_at:
                self._number += 1
                self._since = now
                try:
                    self._attempt = self._connect(self._number)
                except (RuntimeError, OSError, MemoryError) as error:
                    # RuntimeError: the system gives no thread.
                    self.drop(f"no connection can be begun ({error})")
        elif self._attempt.has_failed:
            self.drop("the thread of the connection failed")
        elif (
            not self._is_accepted
            and now >= self._since + _ACCEPT_LIMIT_S
            # Never two attempts: one that hangs in the resolver is waited for.
            and not self._attempt.is_connecting
        ):
            self.drop(f"the broker did not answer within {_ACCEPT_LIMIT_S:g} s")

    def is_current(self, number: int) -> bool:
        """Whether events of connection ``number`` still count."""
        return self._attempt is not None and self._attempt.number == number

    def accept(self) -> None:
        """The broker has accepted."""
        self._is_accepted = True
        self._since = self._clock()
        self.reason = self._logged = ""
        _log.info("%sconnected to the broker", self._prefix)

    def drop(self, reason: str) -> None:
        """The connection is gone, or shall go."""
        now = self._clock()
        if self._attempt is not None:
            self._attempt.abort()
        if self._is_accepted and now >= self._since + _STEADY_S:
            self._failures = 0
        self._failures += 1
        self._connect_at = now + pause_s(self._failures, self._random(), max_s=self._max_pause_s)
        self._attempt, self._is_accepted = None, False
        self.reason = reason
        if reason != self._logged:
            _log.warning("%snot connected to the broker: %s", self._prefix, reason)
            self._logged = reason
        self._on_drop()

    def close(self, within_s: float) -> None:
        """Disconnect in good order: the broker drops the will. Cut it after ``within_s``."""
        if self._attempt and self._is_accepted:
            self._attempt.disconnect()
            self._attempt.wait_closed(within_s)
        if self._attempt:
            self._attempt.abort()


def explained(error: Exception, where: str, limit_s: float) -> str:
    """Why no connection to the broker at ``where`` was made within ``limit_s``, in words."""
    if isinstance(error, EdgeClassifierError):
        return str(error)
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    match error:
        case socket.gaierror():
            cause = f"the name is not known ({error.strerror})"
        case ssl.SSLCertVerificationError():
            cause = f"the broker's certificate is refused: {error.verify_message}"
        case ssl.SSLError():
            cause = f"no TLS: {error.reason or error}"
        case ConnectionRefusedError():
            cause = "nothing listens there"
        case TimeoutError():
            cause = f"no answer within {limit_s:g} s"
        case UnicodeError():
            cause = "no valid host name"
        case _:
            cause = str(error)
    return f"{where}: {cause}"
