"""A clock that runs as fast as a trial needs it."""

import os
import time
from datetime import UTC, datetime

import django.utils.timezone

_ZONE = "Africa/Casablanca"
# Its clocks go back on February 15, and forward on March 22.
_BEGIN = datetime(2026, 2, 14, tzinfo=UTC)


class FastClock:
    """The wall clock, sped up. ``install`` comes before whoever takes it is imported."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._begun = time.monotonic()

    def __call__(self) -> float:
        """UTC seconds."""
        return _BEGIN.timestamp() + (time.monotonic() - self._begun) * self.speed

    def now(self) -> datetime:
        """The same as Django has it."""
        return datetime.fromtimestamp(self(), UTC)

    @property
    def passed_s(self) -> float:
        """Simulated."""
        return self() - _BEGIN.timestamp()

    def install(self) -> None:
        """Be what the package's parts take for the clock: the defaults of their parameters."""
        os.environ["TZ"] = _ZONE
        time.tzset()
        real = time.localtime
        time.localtime = lambda secs=None: real(self() if secs is None else secs)
        time.time = self
        django.utils.timezone.now = self.now
