"""When the broker is called again."""

import pytest

from edge_classifier.mqtt.reconnect import Reconnector


class Call:
    """One attempt to connect, of which nothing comes by itself."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_dialling = True
        self.aborted = self.hung_up = False

    def hang_up(self) -> None:
        self.hung_up = True

    def abort(self) -> None:
        self.aborted = True


class Phone:
    """A line, its calls, and a clock that stands."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[Call] = []
        self.line = Reconnector(self._dial, clock=lambda: self.now, random=lambda: 0.5)

    def _dial(self, number: int) -> Call:
        self.calls.append(Call(number))
        return self.calls[-1]

    def standing(self) -> Call | None:
        return self.line.link

    def aborted(self) -> list[int]:
        return [call.number for call in self.calls if call.aborted]

    def fail(self) -> float:
        """Dial, fail, and say how long the pause is."""
        self.line.check()
        self.line.drop("nothing listens there")
        pause_s = self.line.wait_s
        self.now += pause_s
        return pause_s


def test_line_dials_at_once_and_never_twice() -> None:
    phone = Phone()
    assert phone.line.wait_s == 0
    phone.line.check()
    phone.line.check()
    assert len(phone.calls) == 1
    assert phone.standing() is None
    phone.line.accept()
    phone.line.check()
    assert phone.standing() is phone.calls[0]
    assert len(phone.calls) == 1


def test_line_waits_longer_after_each_failure_up_to_a_limit() -> None:
    phone = Phone()
    pauses = [phone.fail() for _ in range(9)]
    # Half of 1, 2, 4 ... 60 s.
    assert pauses == pytest.approx([0.5, 1, 2, 4, 8, 16, 30, 30, 30])


def test_line_after_a_steady_connection_begins_anew() -> None:
    phone = Phone()
    for _ in range(5):
        phone.fail()
    phone.line.check()
    phone.line.accept()
    phone.now += 11
    phone.line.drop("gone")
    assert phone.line.wait_s == pytest.approx(0.5)


def test_line_that_breaks_as_soon_as_it_stands_waits_longer_each_time() -> None:
    phone = Phone()
    pauses = []
    for _ in range(3):
        phone.line.check()
        phone.line.accept()
        phone.now += 1
        phone.line.drop("session taken over")
        pauses.append(phone.line.wait_s)
        phone.now += phone.line.wait_s
    assert pauses == pytest.approx([0.5, 1, 2])


def test_line_gives_up_on_a_broker_that_does_not_answer_but_not_on_a_slow_resolver() -> None:
    phone = Phone()
    phone.line.check()
    phone.now += 31
    phone.line.check()
    assert phone.aborted() == []
    phone.calls[0].is_dialling = False
    phone.line.check()
    assert phone.aborted() == [1]
    assert "did not answer within 30 s" in phone.line.reason


def test_line_knows_signals_of_earlier_connections() -> None:
    phone = Phone()
    phone.fail()
    phone.line.check()
    assert not phone.line.is_present(1)
    assert phone.line.is_present(2)


def test_line_says_the_same_reason_once_until_it_has_stood(
    caplog: pytest.LogCaptureFixture,
) -> None:
    phone = Phone()
    for _ in range(4):
        phone.fail()
    assert len(caplog.records) == 1
    phone.line.check()
    phone.line.drop("the name is not known")
    assert len(caplog.records) == 2
    phone.now += 100
    phone.line.check()
    phone.line.accept()
    phone.fail()
    assert len(caplog.records) == 3


@pytest.mark.parametrize("accepted", [True, False])
def test_line_that_closes_hangs_up_in_good_order_where_it_can(accepted: bool) -> None:
    phone = Phone()
    phone.line.check()
    if accepted:
        phone.line.accept()
    phone.line.close()
    assert phone.calls[0].hung_up is accepted
    assert phone.calls[0].aborted is not accepted
