"""How much one may ask for: exactly the limit, whoever asks at once, and never more in any hour."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from django.core.cache import cache
from django.http import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.web.accounts.throttle import GUESSES_PER_MINUTE, Throttle, Window
from edge_classifier.web.config.settings import AccessSettings
from edge_classifier.web.models import User

HOUR_S = 3600
LIMITS = AccessSettings(anonymous_uploads_per_hour=5, uploads_per_hour=8)


@pytest.fixture(autouse=True)
def _uncounted() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def from_address(address: str) -> HttpRequest:
    request = HttpRequest()
    request.META["REMOTE_ADDR"] = address
    return request


def uploads(
    number: int, now_s: float = 0, address: str = "192.0.2.7", owner: User | None = None
) -> int | None:
    throttle = Throttle(LIMITS, lambda: now_s)
    return throttle.allow_uploads(from_address(address), number, owner)


def test_uploads_up_to_the_limit_are_allowed_and_the_next_waits_for_the_hour() -> None:
    assert [uploads(1, now_s) for now_s in (0, 10, 20, 30, 40)] == [None] * 5
    wait_s = uploads(1, 50)
    assert wait_s is not None
    assert HOUR_S - 50 <= wait_s <= HOUR_S - 50 + 60
    assert uploads(1, 50 + wait_s) is None


def test_uploads_that_together_exceed_the_limit_are_not_counted() -> None:
    assert uploads(4) is None
    assert uploads(2) is not None
    assert uploads(1) is None


def test_uploads_that_can_never_be_allowed_wait_an_hour() -> None:
    assert uploads(6) == HOUR_S
    assert uploads(5) is None


def test_user_has_a_limit_of_their_own_wherever_they_are() -> None:
    ann, ben = User(pk=1), User(pk=2)
    assert uploads(5) is None
    assert uploads(4, owner=ann) is None
    assert uploads(4, owner=ann, address="198.51.100.1") is None
    assert uploads(1, owner=ann) is not None
    assert uploads(8, owner=ben) is None


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_address_is_one_visitor_if_it_is_one_household(
    first: str, second: str, is_one: bool
) -> None:
    assert uploads(5, address=first) is None
    assert (uploads(1, address=second) is not None) == is_one


def test_uploads_from_many_threads_are_counted_exactly() -> None:
    start, throttle = threading.Barrier(16), Throttle(LIMITS, lambda: 0)

    def hurry(_: int) -> int:
        start.wait()
        request = from_address("192.0.2.7")
        return sum(throttle.allow_uploads(request, 1, None) is None for _ in range(5))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(hurry, range(16))) == 5


_steps = st.lists(st.tuples(st.floats(0, 900), st.integers(1, 5)), min_size=1, max_size=60)
_names = count()


@given(_steps)
def test_uploads_of_any_hour_never_exceed_the_limit(steps: list[tuple[float, int]]) -> None:
    window = Window(f"test-{next(_names)}", span_s=HOUR_S, step_s=60)
    now_s, taken = 0.0, []
    for pause_s, number in steps:
        now_s += pause_s
        wait_s = window.take("ann", number, 7, now_s)
        if wait_s is None:
            taken.append((now_s, number))
        else:
            assert 0 < wait_s <= HOUR_S + 60
            assert window.peek("ann", 8 - number, now_s + wait_s) is None
        assert sum(number for at_s, number in taken if at_s > now_s - HOUR_S) <= 7


def test_wrong_tokens_of_an_address_make_it_wait() -> None:
    request, other = from_address("192.0.2.7"), from_address("192.0.2.8")
    now_s = 100.0
    throttle = Throttle(LIMITS, lambda: now_s)
    for _ in range(GUESSES_PER_MINUTE):
        assert throttle.allow_guess(request) is None
        throttle.count_guess(request)
    wait_s = throttle.allow_guess(request)
    assert wait_s is not None
    assert 60 <= wait_s <= 61
    assert throttle.allow_guess(other) is None
    now_s += wait_s
    assert throttle.allow_guess(request) is None
