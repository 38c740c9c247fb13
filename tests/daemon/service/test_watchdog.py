"""The watchdog is fed by progress alone, and not too often."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.daemon.systemd import Notifier, Watchdog, watchdog_interval_s


class Manager(Notifier):
    """Notes when it was fed."""

    def __init__(self) -> None:
        super().__init__()
        self.fed_at_s: list[float] = []
        self.now_s = 0.0
        self.hears = True

    def alive(self) -> bool:
        if self.hears:
            self.fed_at_s.append(self.now_s)
        return self.hears


def watched(interval_s: float | None) -> tuple[Manager, Watchdog]:
    manager = Manager()
    return manager, Watchdog(manager, interval_s, clock=lambda: manager.now_s)


@given(st.lists(st.floats(0.001, 4.9), min_size=1, max_size=200))
def test_watchdog_of_a_pipeline_that_gets_on_is_fed_in_time(turns_s: list[float]) -> None:
    manager, watchdog = watched(10.0)
    watchdog.progress()
    for turn_s in turns_s:
        manager.now_s += turn_s
        watchdog.progress()
    fed = [*manager.fed_at_s, manager.now_s]
    gaps = [after - before for before, after in pairwise(fed)]
    assert max(gaps) < 10.0
    assert all(gap >= 2.5 for gap in gaps[:-1])


def test_watchdog_of_a_stuck_pipeline_is_not_fed() -> None:
    manager, watchdog = watched(10.0)
    watchdog.progress()
    manager.now_s += 1000
    assert manager.fed_at_s == [0.0]


def test_watchdog_that_was_not_heard_tries_again_at_once() -> None:
    manager, watchdog = watched(10.0)
    manager.hears = False
    watchdog.progress()
    manager.hears, manager.now_s = True, 0.1
    watchdog.progress()
    assert manager.fed_at_s == [0.1]


def test_watchdog_that_is_not_wanted_sends_nothing() -> None:
    manager, watchdog = watched(None)
    manager.now_s += 1000
    watchdog.progress()
    assert manager.fed_at_s == []


@pytest.mark.parametrize(
    ("environment", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "77"}, 1.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_PID": "77"}, None),
    ],
)
def test_watchdog_interval_is_what_systemd_means_for_this_process(
    environment: dict[str, str], interval_s: float | None
) -> None:
    assert watchdog_interval_s(environment, 77) == interval_s
