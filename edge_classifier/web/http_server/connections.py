"""The server's connections: how many there are, how slow they may be, and who has to go.

waitress answers; what it lacks is here. It closes a connection only when its client reads, and
accepts none at all while there are too many, so whoever holds enough of them would shut the page.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import MultiSocketServer, TcpWSGIServer

from edge_classifier.web.http_server.buffers import keep_answers_on_a_full_disk
from edge_classifier.web.http_server.clients import client_of
from edge_classifier.web.http_server.requests import BoundedRequest

# One in so many connections is too new to be closed for another.
_NEWEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """What all connections may have together, and one may have of time."""

    # More than these, and one of the client with the most is closed.
    connections: int = 250
    # For the first byte of a request, and from there to the end of its headers.
    head_s: float = 20.0
    # Between two requests.
    idle_s: float = 120.0
    # In each span of so many seconds at least so many bytes of a request's body have to come, or of
    # a response to go. Apache's mod_reqtimeout has the same 500 bytes a second.
    span_s: float = 60.0
    span_bytes: int = 30_000
    # From the first byte of a response to its last.
    response_s: float = 3600.0
    # Between two looks at all of this.
    check_s: float = 1.0


class BoundedChannel(HTTPChannel):
    """One connection. All but ``client`` is for the server's loop, which runs in one thread."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        now = time.monotonic()
        # When something was under way last.
        self.quiet_since = now
        self._has_asked = False
        self._request_since: float | None = None
        self._response_since: float | None = None
        self._received = self._sent = 0
        self._received_at = now
        # Since when the present direction is watched, and its count of bytes then.
        self._watched: tuple[str, float, int] = ("", now, 0)
        super().__init__(*arguments, **options)
        self.peer = client_of(str(self.addr[0]))

    def parser_class(self, adj: Adjustments) -> BoundedRequest:
        """A reader for the next request."""
        return BoundedRequest(adj, self._client, self._all_requests)

    @property
    def client(self) -> str:
        """Who asks what is answered next."""
        return (self.requests[0].client if self.requests else "") or self.peer

    def _client(self, request: BoundedRequest) -> str:
        """The peer, or whom the trusted proxy names."""
        if self.addr[0] != self.adj.trusted_proxy:
            return self.peer
        if "x-forwarded-for" not in self.adj.trusted_proxy_headers:
            # Home Assistant's ingress, which knows the visitor better than any address.
            return str(request.headers.get("X_REMOTE_USER_ID", self.peer))
        forwarded = request.headers.get("X_FORWARDED_FOR", "")
        return client_of(forwarded.rpartition(",")[2].strip()) if forwarded else self.peer

    def _all_requests(self) -> Iterator[BoundedRequest]:
        """Those of all connections that are read, or wait for an answer."""
        for channel in bounded_channels(self._map):
            yield from channel.requests
            if request := channel.request:
                yield request

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return not (self.requests or self.request or self.total_outbufs_len)

    @property
    def is_asking(self) -> bool:
        """Whether its client has begun a request that is not there as a whole."""
        return self.request is not None and not (self.requests or self.total_outbufs_len)

    def waits_since(self) -> float:
        """When its client did last what we wait for; to be asked of one that waits for it.

        A head that comes byte by byte is as old as its first one, as no honest one takes long.
        """
        if not self.is_asking:
            return self.quiet_since
        if self.request.headers_finished:
            return self._received_at
        return self._request_since or self._received_at

    def readable(self) -> bool:
        """As waitress has it; but not once it is closed, when its number may be another's."""
        return self._fileno is not None and bool(super().readable())

    def writable(self) -> bool:
        """Likewise."""
        return self._fileno is not None and bool(super().writable())

    def received(self, data: bytes) -> bool:
        """Take what has come."""
        self._has_asked = True
        self._received += len(data)
        self._received_at = time.monotonic()
        is_taken: bool = super().received(data)
        if self.request is None:
            self._request_since = None
        elif self._request_since is None:
            self._request_since = self._received_at
        return is_taken

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the client takes."""
        sent: int = super().send(data, do_close)
        self._sent += sent
        return sent

    def is_overdue(self, limits: ConnectionLimits, now: float) -> bool:
        """Whether it has used up its time. To be asked often: that is how it is measured."""
        if self.is_idle:
            self._response_since, self._watched = None, ("", now, 0)
            return now - self.quiet_since > (limits.idle_s if self._has_asked else limits.head_s)
        self.quiet_since = now
        if self.total_outbufs_len:
            self._response_since = self._response_since or now
            if now - self._response_since > limits.response_s:
                return True
            return self._is_too_slow("response", self._sent, limits, now)
        request = self.request
        if request is None or not self.readable():
            # The page is at work, or has nothing to say just now.
            self._watched = ("", now, 0)
            return False
        if not request.headers_finished:
            return now - (self._request_since or now) > limits.head_s
        return self._is_too_slow("body", self._received, limits, now)

    def _is_too_slow(self, what: str, count: int, limits: ConnectionLimits, now: float) -> bool:
        watched, since, before = self._watched
        if watched != what:
            self._watched = (what, now, count)
            return False
        if now - since < limits.span_s:
            return False
        self._watched = (what, now, count)
        return count - before < limits.span_bytes


def bounded_channels(shared: Mapping[int, Any]) -> list[BoundedChannel]:
    """All connections among what the loop waits for."""
    return [one for one in shared.values() if isinstance(one, BoundedChannel)]


class BoundedServer(TcpWSGIServer):
    """One address that is listened on; several share ``map``, in which all connections are."""

    channel_class = BoundedChannel

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **options: Any) -> None:
        self._limits = limits
        self._next_check = 0.0
        super().__init__(*arguments, **options)

    def readable(self) -> bool:
        """Asked before each wait of the loop: the moment to close what has to be closed."""
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + self._limits.check_s
            for channel in bounded_channels(self._map):
                # At once: waitress would wait until the client reads.
                if channel.is_overdue(self._limits, now):
                    channel.handle_close()
        if len(self._map) >= self._limits.connections:
            self._shed_connections()
        return bool(self.accepting)

    def _shed_connections(self) -> None:
        """Make room for one more: who has the most loses the one that we wait for longest.

        If we wait for none of these, as all are being answered, the first of them goes. The newest
        ones are let alone: they had no time to ask, and would else be the only ones that wait.
        """
        channels = bounded_channels(self._map)
        newest = max(1, self._limits.connections // _NEWEST)
        while len(channels) >= self._limits.connections:
            count = Counter(channel.peer for channel in channels)
            victim = max(
                channels[:-newest] or channels,
                key=lambda one: (
                    count[one.peer],
                    one.is_idle or one.is_asking,
                    -one.waits_since(),
                ),
            )
            victim.handle_close()
            channels.remove(victim)


def listen(
    application: Callable[..., Any],
    dispatcher: Any,
    limits: ConnectionLimits,
    adjustments: Mapping[str, Any],
) -> MultiSocketServer:
    """A server that listens, and serves when it is ``run``.

    ``adjustments`` are waitress's own. Raises OSError, and ValueError for a host that is nowhere.
    """
    keep_answers_on_a_full_disk()
    adjusted = Adjustments(asyncore_use_poll=True, **adjustments)
    shared: dict[int, Any] = {}
    servers: list[BoundedServer] = []
    try:
        for sockinfo in adjusted.listen:
            server = BoundedServer(
                application,
                shared,
                dispatcher=dispatcher,
                adj=adjusted,
                sockinfo=sockinfo,
                limits=limits,
            )
            servers.append(server)
    except OSError:
        for server in servers:
            server.close()
        raise
    listening = [(server.effective_host, server.effective_port) for server in servers]
    return MultiSocketServer(shared, adjusted, listening, dispatcher, servers[-1].log_info)
