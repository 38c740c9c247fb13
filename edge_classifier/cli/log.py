"""The log of daemon, recorder and page, on standard error.

Much of it was written by others: topics, addresses, names, errors of a database with what it was
given. Here, in one place, each message becomes one line of bounded length without anything that a
terminal would obey, and no place in the code writes more than so many lines a minute.
"""

import logging
import os
import sys
import threading
from types import TracebackType

from edge_classifier.core.text import one_line

# Priorities that the journal takes from the start of a line, see sd-daemon(3).
_JOURNAL = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}
# Lines that one place in the code writes in a minute.
LINES_PER_MINUTE = 100
_MINUTE_S = 60.0
# Of a traceback: lines of its beginning and its end that are kept.
_FIRST, _LAST = 10, 40

_Exception = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


class LineFormatter(logging.Formatter):
    """A line a message. Of a traceback each line is indented, so that none passes for a message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's own name)
        """The message, as ``one_line`` leaves it."""
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: _Exception) -> str:  # noqa: N802 (logging's own name)
        """The traceback: its beginning and its end, if it is long."""
        lines = super().formatException(ei).splitlines()
        if len(lines) > _FIRST + _LAST:
            left_out = f"[{len(lines) - _FIRST - _LAST} lines left out]"
            lines = [*lines[:_FIRST], left_out, *lines[-_LAST:]]
        return "\n".join(f"  {one_line(line)}" for line in lines)


class JournalFormatter(LineFormatter):
    """The same with its traceback in one line, and the priority that the journal understands."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        text = super().format(record).replace("\n", " | ")
        return f"<{_JOURNAL.get(record.levelname, 6)}>{text}"


class RateLimit(logging.Filter):
    """Lets at most ``LINES_PER_MINUTE`` from one place in the code through, but for debugging.

    The last one says that there may be more, and the first one later how many they were.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        # By place: when its minute began, and how many there were since.
        self._counts: dict[tuple[str, str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether ``record`` is written."""
        if record.levelno < logging.INFO:
            return True
        # With the logger's name, as Django logs all that it refuses in one place.
        place = record.name, record.pathname, record.lineno
        with self._lock:
            began, count = self._counts.get(place, (record.created, 0))
            left_out = 0
            if not 0 <= record.created - began < _MINUTE_S:
                began, left_out, count = record.created, max(0, count - LINES_PER_MINUTE), 0
            self._counts[place] = began, count + 1
        if left_out:
            _add(record, f"after {left_out} others that were left out")
        if count == LINES_PER_MINUTE - 1:
            _add(record, "others like this are left out for a minute")
        return count < LINES_PER_MINUTE


def _add(record: logging.LogRecord, text: str) -> None:
    record.msg, record.args = f"{one_line(record.getMessage())} ({text})", ()


def start_log() -> None:
    """Log to standard error, in the journal's manner where that is where it goes."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RateLimit())
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
