"""Connections: who is slow, or does nothing, loses them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("waitress", reason="the extra [web] is not installed")

from edge_classifier.web.http_server import connections
from edge_classifier.web.http_server.connections import ConnectionLimits, listen
from edge_classifier.web.http_server.dispatcher import Dispatcher, ThreadPool
from tests.waiting import eventually

HOST = "127.0.0.1"
PATIENT = ConnectionLimits(check_s=0.02)
BODY = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
# What is sent first; then a byte at each look at whether the connection is still there.
SLOW = {"nothing": b"", "headers": b"GET / HTTP/1.1\r\nX-Slow: ", "body": BODY}


class Endless:
    """A response's body without end."""

    streaming = True

    def __init__(self) -> None:
        self.is_closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x" * 10_000

    def close(self) -> None:
        self.is_closed.set()


class Application:
    """Answers ``here``, and without end at ``/endless``."""

    def __init__(self) -> None:
        self.endless: list[Endless] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] != "/endless":
            return [b"here"]
        self.endless.append(Endless())
        return self.endless[-1]


@contextmanager
def serving(
    application: Any, limits: ConnectionLimits, streams: int = 4, **options: int
) -> Iterator[int]:
    """The server with two threads; its port."""
    dispatcher = Dispatcher(ThreadPool("test", 2, 1), {}, streams)
    adjustments = {"host": HOST, "port": 0, "outbuf_high_watermark": 100_000, **options}
    server = listen(dispatcher.apart_if_streaming(application), dispatcher, limits, adjustments)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield int(server.effective_listen[0][1])
    finally:
        server.close()
        thread.join(10)


def connected(port: int, sent: bytes, source: str = HOST) -> socket.socket:
    client = socket.create_connection((HOST, port), timeout=20, source_address=(source, 0))
    client.sendall(sent)
    return client


def is_open(client: socket.socket, more: bytes = b"") -> bool:
    try:
        client.sendall(more)
        client.settimeout(0.01)
        return client.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def is_answered(port: int, source: str = "127.0.0.2") -> bool:
    with connected(port, b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", source) as client:
        return client.recv(15) == b"HTTP/1.0 200 OK"


@pytest.fixture
def minutes_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets two minutes pass for the server; those who are not slow lose nothing in between."""
    ahead_s = [0.0]

    def forward() -> None:
        ahead_s[0] += 121

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead_s[0])
    monkeypatch.setattr(connections, "time", clock)
    return forward


@pytest.mark.parametrize("what", SLOW)
def test_client_that_sends_too_slowly_is_closed(
    what: str, minutes_pass: Callable[[], None]
) -> None:
    more = b"x" if SLOW[what] else b""
    with serving(Application(), PATIENT) as port, connected(port, SLOW[what]) as client:

        def is_closed() -> bool:
            minutes_pass()
            return not is_open(client, more)

        eventually(is_closed)
        assert is_answered(port)


def test_client_that_is_idle_after_its_answer_is_closed(minutes_pass: Callable[[], None]) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(Application(), PATIENT) as port, connected(port, request) as client:
        received = b""
        while not received.endswith(b"here"):
            received += client.recv(1000)
        assert is_open(client)

        def is_closed() -> bool:
            minutes_pass()
            return not is_open(client)

        eventually(is_closed)


@pytest.mark.parametrize("what", ["headers", "body"])
def test_client_that_is_within_its_time_is_not_closed(what: str) -> None:
    with serving(Application(), PATIENT) as port, connected(port, SLOW[what]) as client:
        for _ in range(10):
            assert is_answered(port)
            assert is_open(client, b"x")


def test_responses_that_nobody_reads_hold_no_thread_and_end(
    minutes_pass: Callable[[], None],
) -> None:
    application = Application()

    def have_ended() -> bool:
        minutes_pass()
        return all(body.is_closed.is_set() for body in application.endless)

    with serving(application, PATIENT) as port, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(connected(port, b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"))
        eventually(lambda: len(application.endless) == 4)
        assert is_answered(port)
        eventually(have_ended)


def test_response_that_is_read_slowly_for_too_long_ends() -> None:
    application, request = Application(), b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"
    limits = ConnectionLimits(check_s=0.02, response_s=0.5)
    with serving(application, limits) as port, connected(port, request) as client:
        while not (application.endless and application.endless[0].is_closed.is_set()):
            with suppress(ConnectionError):
                client.recv(1000)


def test_too_many_connections_cost_who_has_the_most_of_them() -> None:
    limits = ConnectionLimits(check_s=0.02, connections=20)
    with serving(Application(), limits) as port, ExitStack() as stack:
        kept = stack.enter_context(connected(port, b"", "127.0.0.3"))
        crowd = [stack.enter_context(connected(port, b"")) for _ in range(60)]
        assert is_answered(port)
        eventually(lambda: sum(map(is_open, crowd)) <= 20)
        kept.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(15) == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX-a: ", id="heads"),
        pytest.param(BODY, id="bodies"),
    ],
)
def test_newcomer_is_answered_where_its_own_address_holds_all_connections(sent: bytes) -> None:
    limits = ConnectionLimits(check_s=0.02, connections=20)
    with serving(Application(), limits) as port, ExitStack() as stack:
        crowd = [stack.enter_context(connected(port, sent)) for _ in range(60)]
        eventually(lambda: sum(map(is_open, crowd)) <= 20)
        for _ in range(3):
            assert is_answered(port, HOST)


def test_client_at_work_keeps_its_connections_before_those_that_do_not_finish_a_request() -> None:
    limits = ConnectionLimits(check_s=0.02, connections=20)
    application = Application()
    with serving(application, limits) as port, ExitStack() as stack:
        stack.enter_context(connected(port, b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"))
        eventually(lambda: application.endless)
        for _ in range(60):
            stack.enter_context(connected(port, b"GET / HTTP/1.1\r\nX-a: "))
        assert is_answered(port)
        assert not application.endless[0].is_closed.is_set()


def _answer(port: int, sent: bytes) -> bytes:
    with connected(port, sent) as client:
        return client.recv(13)


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\ncontent-length: 0\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding:\r\n",
        b"POST / HTTP/1.0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n",
    ],
)
def test_request_with_two_ends_is_refused(head: bytes) -> None:
    with serving(Application(), PATIENT) as port:
        assert _answer(port, head + b"Host: x\r\n\r\n0\r\n\r\n").split()[1] == b"400"


def test_request_in_chunks_is_answered() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
    with serving(Application(), PATIENT) as port:
        assert _answer(port, head + b"3\r\nabc\r\n0\r\n\r\n") == b"HTTP/1.1 200 "


@pytest.mark.parametrize(
    ("size", "status"), [(b"FFFFFFFFFFFFFFFFFF", b"400"), (b"7FFFFFFF", b"413")]
)
def test_chunk_of_impossible_size_is_refused_at_once(size: bytes, status: bytes) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serving(Application(), PATIENT) as port:
        assert _answer(port, head + size + b"\r\n") == b"HTTP/1.1 " + status + b" "
