"""Quiet hours: spans of local time, which may reach over midnight."""

from collections.abc import Sequence

# Minutes.
DAY_MIN = 24 * 60


def is_quiet(spans: Sequence[tuple[int, int]], minute: int) -> bool:
    """Whether ``minute`` of the day lies in one of ``spans`` (first minute, minute after the last).

    A span whose end is before its begin reaches over midnight; one of no length is empty.
    """
    return any(
        first <= minute < last if first <= last else minute >= first or minute < last
        for first, last in spans
    )
