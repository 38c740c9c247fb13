"""Threads: each client in its turn, none with all of them."""

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("waitress", reason="the extra [web] is not installed")

from edge_classifier.web.http_server.dispatcher import LONGEST_WAIT_S, Dispatcher, ThreadPool
from tests.waiting import eventually


@dataclass
class Task:
    """As the pool sees a connection with a request."""

    client: str
    served: list["Task"]
    requests: list[Any] = field(default_factory=lambda: [SimpleNamespace(error=None)])
    may_end: threading.Event = field(default_factory=threading.Event)
    is_cancelled: bool = False

    def service(self) -> None:
        self.served.append(self)
        assert self.may_end.wait(60)

    def cancel(self) -> None:
        self.is_cancelled = True


def test_client_with_many_requests_leaves_threads_to_others() -> None:
    pool, served = ThreadPool("test", 4, 2), list[Task]()
    many = [Task("many", served) for _ in range(10)]
    for task in many:
        pool.add(task)
    eventually(lambda: len(served) == 2)
    one = Task("one", served)
    pool.add(one)
    eventually(lambda: one in served)
    assert len(served) == 3
    for task in (*many, one):
        task.may_end.set()
    eventually(lambda: len(served) == 11)
    pool.end()


def test_clients_are_served_in_turn() -> None:
    pool, served = ThreadPool("test", 1, 1), list[Task]()
    first, *rest = [Task("many", served) for _ in range(4)]
    other = Task("other", served)
    pool.add(first)
    eventually(lambda: served == [first])
    for task in (*rest, other):
        pool.add(task)
    for task in (first, *rest, other):
        task.may_end.set()
    eventually(lambda: len(served) == 5)
    assert served == [first, rest[0], other, rest[1], rest[2]]
    pool.end()


def test_request_that_has_waited_too_long_is_told_so_and_when_to_come_again() -> None:
    now = [0.0]
    pool, served = ThreadPool("test", 1, 1, clock=lambda: now[0]), list[Task]()
    first, second = Task("a", served), Task("b", served)
    pool.add(first)
    eventually(lambda: served == [first])
    pool.add(second)
    now[0] = LONGEST_WAIT_S + 1
    first.may_end.set()
    second.may_end.set()
    eventually(lambda: len(served) == 2)
    status, headers, _ = second.requests[0].error.to_response()
    assert status == "503 Service Unavailable"
    assert dict(headers)["Retry-After"] == "5"
    assert first.requests[0].error is None
    pool.end()


def test_pool_that_ends_cancels_what_waits_and_waits_for_the_rest() -> None:
    pool, served = ThreadPool("test", 1, 1), list[Task]()
    first, second = Task("a", served), Task("a", served)
    pool.add(first)
    pool.add(second)
    eventually(lambda: served == [first])
    pool.end()
    assert (first.is_cancelled, second.is_cancelled) == (False, True)
    first.may_end.set()
    eventually(lambda: pool.wait(0.0) == 0)


@pytest.mark.parametrize("path", ["/healthz", "//healthz"])
def test_path_with_threads_of_its_own_is_answered_while_all_others_are_busy(path: str) -> None:
    served = list[Task]()
    pool, own = ThreadPool("test", 1, 1), ThreadPool("own", 1, 1)
    dispatcher = Dispatcher(pool, {("GET", "/healthz"): own}, 1)
    busy = [Task("a", served, [SimpleNamespace(path="/", command="GET")]) for _ in range(5)]
    health = Task("a", served, [SimpleNamespace(path=path, command="GET")])
    for task in (*busy, health):
        dispatcher.add_task(task)
    # One of the others, too, which is served in a thread of its own.
    eventually(lambda: health in served and len(served) > 1)
    assert len(served) == 2
    for task in (*busy, health):
        task.may_end.set()
    assert dispatcher.shutdown()
