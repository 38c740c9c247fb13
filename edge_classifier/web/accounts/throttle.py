"""Limits on what one user or one address may ask for.

Counted in Django's cache, which is this process's memory: the page is one process, and after a
restart all counts are zero.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from django.core.cache import cache
from django.http import HttpRequest

from edge_classifier.web.config.settings import AccessSettings
from edge_classifier.web.http_server.clients import client_of
from edge_classifier.web.models import User

GUESSES_PER_MINUTE = 10


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window: at most so many in any span of time.

    Counts are kept by steps of time. A step counts until its end is a span ago, so the limit is
    never exceeded, and a wait is too long by less than a step.
    """

    name: str
    span_s: int
    step_s: int
    # Between looking and counting, nobody else counts.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def take(self, who: str, count: int, limit: int, now_s: float) -> int | None:
        """Count ``count`` more of ``who``, and return None; or the seconds to wait for it.

        What can never be allowed, as ``count`` is above ``limit``, waits a whole span.
        """
        with self._lock:
            counts = self._counts(who, now_s)
            wait_s = self.wait(counts, count, limit, now_s)
            if wait_s is None:
                step = int(now_s // self.step_s)
                counts[step] = counts.get(step, 0) + count
                cache.set(self._key(who), counts, timeout=self.span_s + self.step_s)
            return wait_s

    def peek(self, who: str, limit: int, now_s: float) -> int | None:
        """Seconds until one more of ``who`` is allowed; None if it is now. Nothing is counted."""
        return self.wait(self._counts(who, now_s), 1, limit, now_s)

    def wait(self, counts: Mapping[int, int], count: int, limit: int, now_s: float) -> int | None:
        """Seconds until ``count`` more are within ``limit``; None: now. ``counts`` are by step."""
        excess = sum(counts.values()) + count - limit
        if excess <= 0:
            return None
        for step in sorted(counts):
            excess -= counts[step]
            if excess <= 0:
                return max(1, math.ceil(self._forgotten_s(step) - now_s))
        return self.span_s

    def _counts(self, who: str, now_s: float) -> dict[int, int]:
        """Counts by step, without those that are over."""
        kept: Mapping[int, int] = cache.get(self._key(who), {})
        return {step: count for step, count in kept.items() if self._forgotten_s(step) > now_s}

    def _forgotten_s(self, step: int) -> int:
        return (step + 1) * self.step_s + self.span_s

    def _key(self, who: str) -> str:
        return f"{self.name}:{who}"


class Throttle:
    """Limits of uploads, by user or address, and of guesses at tokens, by address."""

    def __init__(self, access: AccessSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._clock = clock
        self._uploads = Window("uploads", span_s=3600, step_s=60)
        self._guesses = Window("guesses", span_s=60, step_s=1)

    def allow_uploads(self, request: HttpRequest, count: int, owner: User | None) -> int | None:
        """Count ``count`` pictures of ``owner``, or of the address of a visitor without an account.

        None: go on. Else nothing was counted, and so many seconds have to pass.
        """
        if owner is None:
            who, limit = f"address:{address(request)}", self._access.anonymous_uploads_per_hour
        else:
            who, limit = f"user:{owner.pk}", self._access.uploads_per_hour
        return self._uploads.take(who, count, limit, self._clock())

    def allow_guess(self, request: HttpRequest) -> int | None:
        """Seconds until a token from this address is looked at; None: now."""
        return self._guesses.peek(address(request), GUESSES_PER_MINUTE, self._clock())

    def count_guess(self, request: HttpRequest) -> None:
        """A token from this address was wrong."""
        self._guesses.take(address(request), 1, GUESSES_PER_MINUTE, self._clock())


def address(request: HttpRequest) -> str:
    """Who sent ``request``: an IPv4 address, or the network of an IPv6 address.

    Behind a proxy that is trusted, the server has put the visitor's own address there.
    """
    return client_of(str(request.META.get("REMOTE_ADDR", "")))
