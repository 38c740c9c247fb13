"""Where a service logs to, and how."""

import logging
import os
import sys

# Priorities that the journal takes from the begin of a line, see sd-daemon(3).
_JOURNAL = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}


class _Journal(logging.Formatter):
    """One line a message, with the priority that the journal understands."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).replace("\n", " | ")
        return f"<{_JOURNAL.get(record.levelname, 6)}>{text}"


def start_log() -> None:
    """Log to standard error, in the journal's manner where that is where it goes."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_Journal("%(name)s: %(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
