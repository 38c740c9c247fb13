"""Keeps a connection to the broker: dials, and dials again."""

import logging
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from edge_classifier.core.backoff import pause_s

_log = logging.getLogger(__name__)

# Seconds from dialling until the broker must have accepted.
_ACCEPT_LIMIT_S = 30.0
# A connection that broke sooner counts as a failure: two clients of one id throw each other out as
# fast as they can connect.
_STEADY_S = 10.0
_MAX_PAUSE_S = 60.0


class ConnectionAttempt(Protocol):
    """One attempt to connect, and the connection if it succeeds."""

    @property
    def number(self) -> int:
        """Which one."""

    @property
    def is_dialling(self) -> bool:
        """Whether it has neither connected nor failed."""

    def hang_up(self) -> None:
        """End the connection in good order."""

    def abort(self) -> None:
        """End it at once."""


CallT = TypeVar("CallT", bound=ConnectionAttempt)


class Reconnector(Generic[CallT]):
    """At most one connection at a time, and why there is none."""

    def __init__(
        self,
        dial: Callable[[int], CallT],
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._dial = dial
        self._clock = clock
        self._random = random
        self._link: CallT | None = None
        self._accepted = False
        self._number = 0
        self._setbacks = 0
        self._since = 0.0
        self._dial_at = clock()
        # Why there is no connection; empty while there is one.
        self.reason = "not connected yet"
        self._told = ""

    @property
    def link(self) -> CallT | None:
        """The connection, once the broker has accepted it."""
        return self._link if self._accepted else None

    @property
    def wait_s(self) -> float:
        """Seconds until ``check`` has something to do, as far as can be foreseen."""
        return max(0.0, self._dial_at - self._clock()) if self._link is None else _ACCEPT_LIMIT_S

    def check(self) -> None:
        """Dial when it is time; give up on a broker that does not answer."""
        now = self._clock()
        if self._link is None and now >= self._dial_at:
            self._number += 1
            self._since = now
            self._link = self._dial(self._number)
        elif self._link and self._is_overdue(now):
            self.drop(f"the broker did not answer within {_ACCEPT_LIMIT_S:g} s")

    def _is_overdue(self, now: float) -> bool:
        late = not self._accepted and now >= self._since + _ACCEPT_LIMIT_S
        # Never two diallers: one that hangs in the resolver is waited for.
        return late and self._link is not None and not self._link.is_dialling

    def is_present(self, number: int) -> bool:
        """Whether signals of connection ``number`` still count."""
        return self._link is not None and self._link.number == number

    def accept(self) -> None:
        """The broker has accepted."""
        self._accepted = True
        self._since = self._clock()
        self.reason = self._told = ""
        _log.info("connected to the broker")

    def drop(self, reason: str) -> None:
        """The connection is gone, or shall go."""
        now = self._clock()
        if self._link is not None:
            self._link.abort()
        if self._accepted and now >= self._since + _STEADY_S:
            self._setbacks = 0
        self._setbacks += 1
        self._dial_at = now + pause_s(self._setbacks, self._random(), max_s=_MAX_PAUSE_S)
        self._link, self._accepted = None, False
        self.reason = reason
        if reason != self._told:
            _log.warning("not connected to the broker: %s", reason)
            self._told = reason

    def close(self) -> None:
        """Hang up, so that the broker drops the will."""
        if self._link and self._accepted:
            self._link.hang_up()
        elif self._link:
            self._link.abort()
