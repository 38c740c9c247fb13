"""libtiff, which Pillow decodes TIFF files with, kept off standard error.

It writes warnings and errors there by itself; what matters is raised, too.
"""

import ctypes
import functools
from pathlib import Path


@functools.cache
def silence_libtiff(maps: Path = Path("/proc/self/maps")) -> None:
    """Take away the handlers that write, once. Without effect where Pillow has no libtiff.

    The library is the one that Pillow has loaded: its own copy, or the system's.
    """
    from PIL import _imaging  # noqa: F401 (loads it)

    try:
        lines = maps.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return
    # "7f01-7f02 r--p 00000000 08:01 12345   /path", see proc_pid_maps(5)
    names = {line.split(maxsplit=5)[-1] for line in lines if "/libtiff" in line}
    for name in names:
        library = ctypes.CDLL(name)
        for setter in ("TIFFSetWarningHandler", "TIFFSetErrorHandler"):
            function = getattr(library, setter)
            function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
            function(None)
