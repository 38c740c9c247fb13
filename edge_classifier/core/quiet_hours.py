"""Quiet hours: spans of local time, which may reach over midnight."""

from collections.abc import Sequence
from time import struct_time

# Minutes.
DAY_MIN = 24 * 60


def quiet_minutes(hours: str) -> tuple[int, int]:
    """First and last minute of the day of ``22:00-06:00``; the last may be before the first.

    A span may end at ``24:00``. Raises ValueError for anything that is not two times of day.
    """
    minutes = []
    for time in hours.split("-"):
        hour, colon, minute = time.strip().partition(":")
        digits = hour.isdigit() and minute.isdigit() and time.isascii()
        if not colon or not digits or int(minute) > 59:
            break
        minutes.append(60 * int(hour) + int(minute))
    if len(minutes) != 2 or hours.count("-") != 1 or minutes[0] >= DAY_MIN or minutes[1] > DAY_MIN:
        raise ValueError(f"{hours!r} is not a span such as 22:00-06:00")
    return minutes[0], minutes[1]


def is_quiet(spans: Sequence[tuple[int, int]], minute: int) -> bool:
    """Whether ``minute`` of the day lies in one of ``spans`` (first minute, minute after the last).

    A span whose end is before its begin reaches over midnight; one of no length is empty.
    """
    return any(
        first <= minute < last if first <= last else minute >= first or minute < last
        for first, last in spans
    )


def minute_of(now: struct_time) -> int:
    """Minutes since midnight."""
    return 60 * now.tm_hour + now.tm_min
