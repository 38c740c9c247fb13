"""When the broker is connected to again."""

import pytest

from edge_classifier.mqtt.connection.reconnect import Reconnector


class Attempt:
    """One attempt to connect, of which nothing comes by itself."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_connecting = True
        self.has_failed = self.aborted = self.hung_up = False

    def disconnect(self) -> None:
        self.hung_up = True

    def wait_closed(self, within_s: float) -> None:
        assert self.hung_up
        assert within_s == 1.0

    def abort(self) -> None:
        self.aborted = True


class Broker:
    """A reconnector, its attempts, and a clock that stands."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.attempts: list[Attempt] = []
        self.is_out_of_threads = False
        self.reconnector = Reconnector(
            self._connect, clock=lambda: self.now, random=lambda: 0.5, name="test"
        )

    def _connect(self, number: int) -> Attempt:
        if self.is_out_of_threads:
            raise RuntimeError("can't start new thread")
        self.attempts.append(Attempt(number))
        return self.attempts[-1]

    def connection(self) -> Attempt | None:
        return self.reconnector.connection

    def aborted(self) -> list[int]:
        return [attempt.number for attempt in self.attempts if attempt.aborted]

    def fail(self) -> float:
        """Dial, fail, and say how long the pause is."""
        self.reconnector.check()
        self.reconnector.drop("nothing listens there")
        pause_s = self.reconnector.wait_s
        self.now += pause_s
        return pause_s


def test_reconnector_connects_at_once_and_never_twice() -> None:
    broker = Broker()
    assert broker.reconnector.wait_s == 0
    broker.reconnector.check()
    broker.reconnector.check()
    assert len(broker.attempts) == 1
    assert broker.connection() is None
    broker.reconnector.accept()
    broker.reconnector.check()
    assert broker.connection() is broker.attempts[0]
    assert len(broker.attempts) == 1


def test_reconnector_waits_longer_after_each_failure_up_to_a_limit() -> None:
    broker = Broker()
    pauses = [broker.fail() for _ in range(9)]
    # Half of 1, 2, 4 ... 60 s.
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30])


def test_reconnector_after_a_steady_connection_begins_anew() -> None:
    broker = Broker()
    for _ in range(5):
        broker.fail()
    broker.reconnector.check()
    broker.reconnector.accept()
    broker.now += 11
    broker.reconnector.drop("gone")
    assert broker.reconnector.wait_s == pytest.approx(0.5)


def test_reconnector_whose_connection_breaks_at_once_waits_longer_each_time() -> None:
    broker = Broker()
    pauses = []
    for _ in range(3):
        broker.reconnector.check()
        broker.reconnector.accept()
        broker.now += 1
        broker.reconnector.drop("session taken over")
        pauses.append(broker.reconnector.wait_s)
        broker.now += broker.reconnector.wait_s
    assert pauses == pytest.approx([0.5, 1, 2])


def test_reconnector_gives_up_on_a_silent_broker_but_not_on_a_slow_resolver() -> None:
    broker = Broker()
    broker.reconnector.check()
    broker.now += 31
    broker.reconnector.check()
    assert broker.aborted() == []
    broker.attempts[0].is_connecting = False
    broker.reconnector.check()
    assert broker.aborted() == [1]
    assert "did not answer within 30 s" in broker.reconnector.reason


def test_reconnector_replaces_a_connection_whose_thread_has_failed() -> None:
    broker = Broker()
    broker.reconnector.check()
    broker.reconnector.accept()
    broker.attempts[0].has_failed = True
    broker.reconnector.check()
    assert broker.aborted() == [1]
    assert broker.reconnector.reason == "the thread of the connection failed"
    broker.now += broker.reconnector.wait_s
    broker.reconnector.check()
    assert broker.reconnector.is_current(2)


def test_reconnector_for_which_the_system_has_no_thread_waits_and_connects_again() -> None:
    broker = Broker()
    broker.is_out_of_threads = True
    broker.reconnector.check()
    assert broker.reconnector.reason == "no connection can be begun (can't start new thread)"
    assert broker.reconnector.wait_s == pytest.approx(0.5)
    broker.is_out_of_threads = False
    broker.now += broker.reconnector.wait_s
    broker.reconnector.check()
    broker.reconnector.accept()
    assert broker.reconnector.reason == ""
    assert broker.connection() is broker.attempts[0]


def test_reconnector_knows_events_of_earlier_connections() -> None:
    broker = Broker()
    broker.fail()
    broker.reconnector.check()
    assert not broker.reconnector.is_current(1)
    assert broker.reconnector.is_current(2)


def test_reconnector_logs_the_same_reason_once_until_it_was_connected(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker = Broker()
    for _ in range(4):
        broker.fail()
    assert [record.message for record in caplog.records] == [
        "test: not connected to the broker: nothing listens there"
    ]
    broker.reconnector.check()
    broker.reconnector.drop("the name is not known")
    assert len(caplog.records) == 2
    broker.now += 100
    broker.reconnector.check()
    broker.reconnector.accept()
    broker.fail()
    assert len(caplog.records) == 3


@pytest.mark.parametrize("accepted", [True, False])
def test_reconnector_that_closes_hangs_up_in_good_order_where_it_can(accepted: bool) -> None:
    broker = Broker()
    broker.reconnector.check()
    if accepted:
        broker.reconnector.accept()
    broker.reconnector.close(1.0)
    assert broker.attempts[0].hung_up is accepted
    # So that its thread ends whatever the broker does.
    assert broker.attempts[0].aborted
