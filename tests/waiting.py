"""Waiting for what must become true."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], object], within_s: float = 20) -> None:
    """Return as soon as ``condition`` holds; fail when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never became true"
        time.sleep(0.01)
