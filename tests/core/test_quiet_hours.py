"""Quiet hours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.quiet_hours import is_quiet, quiet_minutes

NIGHT = quiet_minutes("22:00-06:00")
NOON = quiet_minutes("12:00-13:30")
MINUTES = st.integers(0, 1439)


@pytest.mark.parametrize(
    ("time", "quiet"),
    [
        ("21:59", False),
        ("22:00", True),
        ("00:00", True),
        ("05:59", True),
        ("06:00", False),
        ("11:59", False),
        ("12:00", True),
        ("13:29", True),
        ("13:30", False),
    ],
)
def test_quiet_hours_include_their_begin_and_not_their_end(time: str, quiet: bool) -> None:
    hour, minute = map(int, time.split(":"))
    assert is_quiet((NIGHT, NOON), 60 * hour + minute) is quiet


def test_quiet_hours_until_24_last_until_midnight_and_no_longer() -> None:
    evening = (quiet_minutes("22:00-24:00"),)
    assert [is_quiet(evening, minute) for minute in (1319, 1320, 1439, 0)] == [
        *(False, True),
        *(True, False),
    ]
    assert all(is_quiet((quiet_minutes("00:00-24:00"),), minute) for minute in range(1440))


def test_quiet_hours_without_a_span_are_never() -> None:
    assert not any(is_quiet((), minute) for minute in range(1440))


@given(MINUTES, MINUTES, MINUTES)
def test_quiet_hours_and_their_reverse_share_no_minute(first: int, last: int, minute: int) -> None:
    both = is_quiet(((first, last),), minute), is_quiet(((last, first),), minute)
    assert both == (False, False) if first == last else sum(both) == 1


@pytest.mark.parametrize(
    "text", ["", "22:00", "22-06", "24:00-06:00", "22:00-24:01", "22:60-06:00", "a:b-c:d"]
)
def test_quiet_hours_that_are_no_span_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a span"):
        quiet_minutes(text)
