"""How glibc's malloc deals with memory, see mallopt(3). Other C libraries do not have the call."""

import ctypes
from contextlib import suppress

# Numbers of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def mallopt(option: int, value: int) -> None:
    """Set one of the options above, before threads are started that it is meant for."""
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(option, value)
