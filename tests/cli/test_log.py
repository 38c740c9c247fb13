"""The log: a line a message, whoever wrote it, and no more than a card can take."""

import logging
import sys

import pytest

from edge_classifier.cli.log import LINES_PER_MINUTE, JournalFormatter, LineFormatter, RateLimit


def record(
    text: str, *, at: float = 1000.0, line: int = 1, level: int = logging.WARNING
) -> logging.LogRecord:
    found = logging.LogRecord("edge", level, "place.py", line, "said: %s", (text,), None)
    found.created = at
    return found


@pytest.mark.parametrize(
    "formatter", [LineFormatter("%(message)s"), JournalFormatter("%(message)s")]
)
@pytest.mark.parametrize(
    "text", ["a\nforged", "a\r\nforged", "a\x85forged", "\x1b[2Ja", "a\u2028b"]
)
def test_text_of_others_is_no_line_of_its_own(formatter: logging.Formatter, text: str) -> None:
    line = formatter.format(record(text))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_long_text_is_shortened_and_the_line_says_so() -> None:
    line = LineFormatter("%(message)s").format(record("h" * 400_000))
    assert len(line) < 1000
    assert "characters left out" in line


@pytest.mark.parametrize("text", ["x" * 2_000_000, "a\n" * 100_000, "a\n2026-11-29 INFO forged"])
def test_traceback_is_bounded_and_cannot_pass_for_messages(text: str) -> None:
    found = record("x")
    try:
        raise ValueError(text)
    except ValueError:
        found.exc_info = sys.exc_info()
    said = LineFormatter("%(message)s").format(found)
    assert len(said) < 60_000
    assert all(line.startswith("  ") for line in said.splitlines()[1:])


def test_one_place_writes_so_many_lines_a_minute_and_others_go_on() -> None:
    limit = RateLimit()
    passed = [one for _ in range(5000) if limit.filter(one := record("x"))]
    assert len(passed) == LINES_PER_MINUTE
    assert "others like this are left out" in passed[-1].getMessage()
    assert limit.filter(record("y", line=2))


def test_what_was_left_out_is_counted_in_the_next_minute() -> None:
    limit = RateLimit()
    for _ in range(LINES_PER_MINUTE + 23):
        limit.filter(record("x"))
    later = record("x", at=1061.0)
    assert limit.filter(later)
    assert "after 23 others that were left out" in later.getMessage()


def test_clock_that_is_set_back_does_not_silence_the_log() -> None:
    limit = RateLimit()
    for _ in range(LINES_PER_MINUTE + 1):
        limit.filter(record("x"))
    assert limit.filter(record("x", at=10.0))


def test_debugging_is_not_limited() -> None:
    limit = RateLimit()
    assert all(limit.filter(record("x", level=logging.DEBUG)) for _ in range(5000))
