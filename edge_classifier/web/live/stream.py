"""One page that is kept up to date: server-sent events, made when the page can take them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edge_classifier.web.http_server.stream_slots import StreamSlots

# What has changed since some number, and the number up to which that is true. ``whole`` in it
# stands for everything; what is in STANDING is always there, and sent when it is another.
Draw = Callable[[int], tuple[int, Mapping[str, Any]]]


STANDING = ("top", "status")


class UpdateSource(Protocol):
    """What has news."""

    @property
    def is_over(self) -> bool:
        """Whether there will be no more."""

    def wait(self, version: int, within_s: float) -> None:
        """Return when something newer than ``version`` is there, or after ``within_s``."""

    def pause(self, pause_s: float) -> None:
        """Return after ``pause_s``, or when all is over."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is done."""

    # Between two events, so that a storm of messages is four events a second.
    gap_s: float = 0.25
    # From news until they are drawn: an event, its state and its picture come together.
    settle_s: float = 0.05
    # Between two looks at what has no number, and whether the page is still there.
    poll_s: float = 2.0
    # After so much silence something is sent: nothing else tells of a dead connection.
    comment_s: float = 15.0
    # Between two looks at whether whoever watches still may.
    check_s: float = 15.0
    # A stream ends then, and the browser opens another: one that nobody reads ends, too.
    longest_s: float = 600.0
    # Likewise.
    most_bytes: int = 8_000_000


@dataclass(eq=False)
class Stream:
    """The bytes of one response. ``close`` frees what it holds; the server calls it in any case."""

    source: UpdateSource
    draw: Draw
    slots: StreamSlots
    may_watch: Callable[[], bool]
    # Whether the client has hung up.
    is_gone: Callable[[], bool]
    # Begins the events' ids, because numbers of changes are those of this process.
    id_prefix: str = ""
    # What the page has seen already.
    version: int = 0
    pace: Pace = Pace()
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._standing: dict[str, object] = {}
        self._bytes = 0
        self._began = self._checked = self.clock()
        self._sent_at: float | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next event or comment, whenever there is one."""
        while not self._is_over():
            if chunk := self._chunk():
                self._sent_at = self.clock()
                self._bytes += len(chunk)
                return chunk
            rest_s = self.pace.gap_s - self._silence_s()
            if rest_s > 0:
                self.source.pause(rest_s)
            else:
                self.source.wait(self.version, self.pace.poll_s)
                self.source.pause(self.pace.settle_s)
        self.close()
        raise StopIteration

    def close(self) -> None:
        """Free its place."""
        self.slots.leave(self)

    def _is_over(self) -> bool:
        now = self.clock()
        if self.source.is_over or self.is_gone() or self._bytes > self.pace.most_bytes:
            return True
        if now - self._checked >= self.pace.check_s:
            self._checked = now
            if not self.may_watch():
                return True
        return now - self._began > self.pace.longest_s

    def _chunk(self) -> bytes:
        """What is to be sent now; empty: nothing."""
        silence_s = self._silence_s()
        if silence_s < self.pace.gap_s:
            return b""
        self.version, found = self.draw(self.version)
        standing = {key: value for key, value in found.items() if key in STANDING}
        news = {
            key: value for key, value in found.items() if value != self._standing.get(key, None)
        }
        if not news:
            return b":\n\n" if silence_s >= self.pace.comment_s else b""
        self._standing = standing
        kind = "whole" if "whole" in news else "change"
        head = f"event: {kind}\nid: {self.id_prefix}-{self.version}\nretry: 2000\n"
        # JSON has no line breaks of its own, which would end the event.
        return f"{head}data: {json.dumps(news)}\n\n".encode()

    def _silence_s(self) -> float:
        return 1e9 if self._sent_at is None else self.clock() - self._sent_at


def last_version(id_prefix: str, last_event_id: str) -> int:
    """The number in the id of the last event that a page has got; 0 if it is not of ours."""
    before, _, number = last_event_id.rpartition("-")
    known = before == id_prefix and number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if known else 0
