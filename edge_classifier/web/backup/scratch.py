"""A folder for what is half made, while nobody else does the same."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_classifier.errors import UnavailableError


@contextmanager
def scratch_folder(
    above: Path, prefix: str, *, locked: Path, problem: str, remedy: str
) -> Iterator[Path]:
    """A folder below ``above``, with the folder ``locked`` to ourselves until this is over.

    What a killed process left under the same ``prefix`` goes. Raises UnavailableError with
    ``problem`` and ``remedy`` where another process has ``locked``.
    """
    handle = os.open(locked, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnavailableError(str(locked), problem, remedy) from error
        for left in above.glob(f"{prefix}*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=above) as scratch:
            yield Path(scratch)
    finally:
        os.close(handle)
