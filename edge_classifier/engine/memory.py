"""Gives back memory that only loading needed. Linux; elsewhere it does nothing.

The runtime maps a copy of the model's file (``ModelCopy``). XNNPACK packs the weights into memory
of its own, and from then on the mapped ones lie idle. What loading has freed, glibc keeps.
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path

from edge_classifier.engine.model_copy import MEMORY_NAME

# From Linux' asm-generic/mman-common.h; of a mapped file: read it again if it is wanted.
_MADV_DONTNEED = 4


def release_unused_memory() -> None:
    """Let go of the idle pages of all models that are mapped, and of free heap."""
    library = ctypes.CDLL(None)
    madvise, trim = getattr(library, "madvise", None), getattr(library, "malloc_trim", None)
    if madvise:
        for start, length in _mapped_models():
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)
    if trim:
        trim(ctypes.c_size_t(0))


def _mapped_models(maps: Path = Path("/proc/self/maps")) -> Iterator[tuple[int, int]]:
    """Address and length of each read-only mapping of a model."""
    try:
        lines = maps.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        # "7f01-7f02 r--p 00000000 00:01 12345   /memfd:NAME (deleted)", see proc_pid_maps(5)
        span, access, _, _, _, *name = line.split(maxsplit=5)
        if name == [f"/memfd:{MEMORY_NAME} (deleted)"] and "w" not in access:
            start, end = (int(address, 16) for address in span.split("-"))
            yield start, end - start
