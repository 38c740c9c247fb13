"""Server-sent events, with a clock that is turned by hand."""

import gc
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest

pytest.importorskip("waitress", reason="the extra [web] is not installed")

from waitress.server import create_server

from edge_classifier.web.http_server.stream_slots import StreamSlots
from edge_classifier.web.live.stream import Pace, Stream, last_version
from tests.waiting import eventually

PACE = Pace()


class NumberSource:
    """A source whose news are numbers; waiting turns the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.version = 1
        self.top = "top"
        self.is_over = False
        self.waits: list[float] = []

    def clock(self) -> float:
        return self.now

    def wait(self, version: int, within_s: float) -> None:
        if self.version <= version:
            self.pause(within_s)

    def pause(self, pause_s: float) -> None:
        self.waits.append(pause_s)
        self.now += pause_s

    def draw(self, since: int) -> tuple[int, Mapping[str, Any]]:
        news: dict[str, Any] = {"top": self.top}
        if since == 0:
            news["whole"] = "all"
        elif self.version > since:
            news["parts"] = {"pi": f"{since}-{self.version}"}
        return self.version, news


def opened(source: NumberSource, **facts: Any) -> Stream:
    given: dict[str, Any] = {"may_watch": lambda: True, "is_gone": lambda: False, **facts}
    return Stream(
        source, source.draw, StreamSlots(9, 9), id_prefix="m", clock=source.clock, **given
    )


def events(chunk: bytes) -> dict[str, Any]:
    lines = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
    return {**lines, "data": json.loads(lines["data"])}


def test_stream_begins_with_the_whole() -> None:
    first = events(next(opened(NumberSource())))
    assert (first["event"], first["id"]) == ("whole", "m-1")
    assert first["data"] == {"top": "top", "whole": "all"}


def test_stream_goes_on_with_what_has_changed() -> None:
    source = NumberSource()
    stream = opened(source)
    next(stream)
    source.version = 7
    assert events(next(stream)) == {
        "event": "change",
        "id": "m-7",
        "retry": "2000",
        "data": {"parts": {"pi": "1-7"}},
    }


def test_stream_that_goes_on_after_a_break_tells_what_was_missed() -> None:
    source = NumberSource()
    source.version = 5
    assert events(next(opened(source, version=3)))["data"]["parts"] == {"pi": "3-5"}


def test_storm_of_changes_becomes_four_events_a_second() -> None:
    source = NumberSource()
    stream = opened(source)
    count = 0
    while source.now < 10:
        source.version += 100
        next(stream)
        count += 1
    assert count == pytest.approx(40, abs=2)


def test_change_of_the_top_alone_is_told() -> None:
    source = NumberSource()
    stream = opened(source)
    next(stream)
    source.top = "another"
    assert events(next(stream))["data"] == {"top": "another"}


def test_silence_is_broken_by_a_comment() -> None:
    source = NumberSource()
    stream = opened(source)
    next(stream)
    assert next(stream) == b":\n\n"
    assert PACE.comment_s <= source.now <= PACE.comment_s + PACE.poll_s


@pytest.mark.parametrize("end", ["source", "client", "right", "time", "bytes"])
def test_stream_ends_and_frees_its_slot(end: str) -> None:
    source, right, gone = NumberSource(), [True], [False]
    pace = Pace(most_bytes=10) if end == "bytes" else PACE
    stream = opened(source, may_watch=lambda: right[0], is_gone=lambda: gone[0], pace=pace)
    assert stream.slots.take(stream, 1)
    next(stream)
    source.is_over = end == "source"
    right[0], gone[0] = end != "right", end == "client"
    longest = {"right": PACE.check_s + PACE.comment_s, "time": PACE.longest_s + PACE.comment_s}
    _exhaust(stream)
    assert source.now <= longest.get(end, 0.0)
    assert len(stream.slots) == 0


def _exhaust(stream: Iterator[bytes]) -> None:
    for number, _ in enumerate(stream):
        assert number < 1000


def test_right_to_watch_is_asked_for_now_and_then_only() -> None:
    source = NumberSource()
    asked: list[float] = []

    def may_watch() -> bool:
        asked.append(source.now)
        return True

    stream = opened(source, may_watch=may_watch)
    while source.now < 300:
        next(stream)
    assert len(asked) == pytest.approx(300 / PACE.check_s, abs=2)


def test_one_owner_leaves_places_to_others() -> None:
    slots, streams = StreamSlots(3, 2), [object(), object(), object()]
    one, two, three = (Stream(*_nothing(slots)) for _ in streams)
    assert [slots.take(stream, "anna") for stream in (one, two, three)] == [True, True, False]
    assert (slots.is_free("anna"), slots.is_free("bert")) == (False, True)
    assert slots.take(three, "bert")


def test_slots_are_bounded() -> None:
    slots, streams = StreamSlots(2, 2), [object(), object(), object()]
    one, two, three = (Stream(*_nothing(slots)) for _ in streams)
    assert [slots.take(stream, 1) for stream in (one, two, three)] == [True, True, False]
    assert not slots.is_free(1)
    two.close()
    assert slots.take(three, 1)


def _nothing(slots: StreamSlots) -> Any:
    source = NumberSource()
    return source, source.draw, slots, lambda: True, lambda: False


def test_stream_that_is_dropped_before_its_first_byte_frees_its_slot() -> None:
    slots = StreamSlots(1, 1)
    stream = Stream(*_nothing(slots))
    assert slots.take(stream, 1)
    del stream
    gc.collect()
    assert slots.is_free(1)


@pytest.mark.parametrize(
    ("last", "version"),
    [
        ("m-17", 17),
        ("", 0),
        ("17", 0),
        ("other-17", 0),
        ("m-", 0),
        ("m--1", 0),
        ("m-1e3", 0),
        ("m-²", 0),
        ("m-" + "9" * 30, 0),
    ],
)
def test_last_event_id_of_another_process_or_of_nobody_is_nothing(last: str, version: int) -> None:
    assert last_version("m", last) == version


def test_client_that_never_reads_holds_no_thread_and_no_memory_for_long() -> None:
    source, slots = Flood(), StreamSlots(1, 1)
    pace = Pace(gap_s=0.0, settle_s=0.0)

    def application(environ: Mapping[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        if environ["PATH_INFO"] != "/stream":
            return [b"here"]
        stream = Stream(source, source.draw, slots, lambda: True, lambda: False, pace=pace)
        assert slots.take(stream, 1)
        return stream

    with serving(application) as port, socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: source.bytes >= pace.most_bytes)
        eventually(lambda: slots.is_free(1))
        assert source.bytes < 2 * pace.most_bytes
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"here"
        connection.close()


class Flood(NumberSource):
    """A source that always has 100 kB of news."""

    bytes = 0

    def wait(self, version: int, within_s: float) -> None: ...

    def pause(self, pause_s: float) -> None: ...

    def draw(self, since: int) -> tuple[int, Mapping[str, Any]]:
        self.bytes += 100_000
        return since + 1, {"top": "top", "parts": {"pi": "x" * 100_000}}


@contextmanager
def serving(application: Any) -> Iterator[int]:
    """waitress with two threads; its port."""
    server = create_server(application, host="127.0.0.1", port=0, threads=2)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield int(server.effective_port)
    finally:
        # In its own thread, which may be waiting for the very socket; it ends with the last one.
        server.trigger.pull_trigger(server.close)
        thread.join(10)
        assert not thread.is_alive()
