"""The C library's memory, told to keep what it will need again a moment later."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc; mallopt(3)
_KEPT_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Stop glibc from giving freed memory back to the kernel. Elsewhere nothing happens.

    Every step of training on a CPU frees and takes the same hundreds of megabytes. By default
    glibc hands each large block back, and the kernel fills it with zeros when it comes again,
    page by page: that costs up to half of the speed.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for setting in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
        libc.mallopt(setting, _KEPT_BYTES)
