"""Threads that go on after an error that nobody foresaw."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from edge_classifier.web.guarded_thread import GuardedThread
from tests.waiting import eventually


class Work:
    """Fails as often as it is told, then goes on until it is stopped."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.begun = 0
        self.stopped = threading.Event()

    def __call__(self) -> None:
        self.begun += 1
        if self.begun <= self.failures:
            raise KeyError("unforeseen")
        self.stopped.wait(20)


@contextmanager
def running(
    work: Work, random: Callable[[], float] = lambda: 0.0, clock: Callable[[], float] = lambda: 0.0
) -> Iterator[GuardedThread]:
    thread = GuardedThread("work", work, random=random, clock=clock)
    thread.start()
    try:
        yield thread
    finally:
        thread.end()
        work.stopped.set()
        thread.join(20)


def test_work_that_raises_is_begun_again_and_the_error_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(failures=3)
    with running(work):
        eventually(lambda: work.begun == 4)
    assert caplog.text.count("the thread work failed") == 3
    assert "KeyError: 'unforeseen'" in caplog.text


def test_problem_is_told_until_the_work_has_gone_on_for_a_while() -> None:
    now = [100.0]
    work = Work(failures=1)
    with running(work, clock=lambda: now[0]) as thread:
        eventually(lambda: work.begun == 2)
        assert "unforeseen" in thread.problem
        now[0] += 9
        assert thread.problem
        now[0] += 1
        assert thread.problem == ""


def test_work_that_fails_again_and_again_waits_longer_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(failures=4)
    with running(work, random=lambda: 0.02):
        eventually(lambda: work.begun == 5)
    pauses = [record.args[1] for record in caplog.records if isinstance(record.args, tuple)]
    assert pauses == pytest.approx([0.02, 0.04, 0.08, 0.16])


def test_thread_that_is_not_there_is_a_problem() -> None:
    work = Work(failures=0)
    thread = GuardedThread("work", work)
    assert thread.problem == "the thread work does not run"
    thread.start()
    assert thread.problem == ""
    work.stopped.set()
    thread.join(20)
    assert thread.problem == "the thread work does not run"


def test_thread_that_waits_before_another_attempt_ends_when_it_is_told() -> None:
    work = Work(failures=1)
    with running(work, random=lambda: 20.0) as thread:
        eventually(lambda: "unforeseen" in thread.problem)
        thread.end()
        thread.join(20)
        assert "does not run" in thread.problem
    assert work.begun == 1
