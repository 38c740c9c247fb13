"""A model file's bytes of one moment: what is hashed, tried in a child and run are the same.

The memory that only loading needed is given back here, too.
"""

import ctypes
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Self

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import ModelError
from edge_classifier.files import nameless_file

# How ``/proc/self/maps`` names it while it is mapped.
MEMORY_NAME = "edge-classifier-model"
# What a processor's cache holds: each is hashed and written while it is there.
_CHUNK_BYTES = 1 << 18
_START_BYTES = 64
# From Linux' asm-generic/mman-common.h; of a mapped file: read it again if it is wanted.
_MADV_DONTNEED = 4


class ModelCopy:
    """A model file copied into memory that has no name, with its SHA-256.

    The runtime maps the file that it runs. Were that the file on disk, whoever shortens it would
    end this process with SIGBUS, and whoever writes into it would change the network in use. To be
    closed once the model is loaded: a mapping keeps what it needs.
    """

    def __init__(self, path: Path) -> None:
        """Raises ModelError for a file that cannot be read, or is not a TFLite model."""
        self.path = path
        self._file = nameless_file(MEMORY_NAME)
        digest = hashlib.sha256()
        try:
            buffer = memoryview(bytearray(_CHUNK_BYTES))
            with path.open("rb") as source:
                count = source.readinto(buffer)
                _require_tflite(path, bytes(buffer[: min(count, _START_BYTES)]))
                while count:
                    digest.update(buffer[:count])
                    self._file.write(buffer[:count])
                    count = source.readinto(buffer)
            self._file.flush()
        except OSError as error:
            self.close()
            problem = Sentence("cannot be read ({cause})", cause=error.strerror)
            raise ModelError(str(path), problem) from error
        except ModelError:
            self.close()
            raise
        # Hex.
        self.sha256 = digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the memory, unless it is mapped."""
        self._file.close()

    @property
    def descriptor(self) -> int:
        """For a child that is to read the same bytes."""
        return self._file.fileno()

    @property
    def name(self) -> str:
        """The path by which this process, and a child with the descriptor, open it."""
        # Linux has both, and the first one in any sandbox.
        folder = "/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd"
        return f"{folder}/{self.descriptor}"


def release_unused_memory() -> None:
    """Let go of the idle pages of all models that are mapped, and of free heap.

    Linux; elsewhere it does nothing. XNNPACK packs the weights into memory of its own when a model
    is loaded, and from then on the mapped ones lie idle. What loading has freed, glibc keeps.
    """
    library = ctypes.CDLL(None)
    madvise, trim = getattr(library, "madvise", None), getattr(library, "malloc_trim", None)
    mappings = []
    with suppress(OSError):
        mappings = Path("/proc/self/maps").read_text("utf-8", "surrogateescape").splitlines()
    for mapping in mappings:
        # "7f01-7f02 r--p 00000000 00:01 12345   /memfd:NAME (deleted)", see proc_pid_maps(5)
        span, access, _, _, _, *name = mapping.split(maxsplit=5)
        if madvise and name == [f"/memfd:{MEMORY_NAME} (deleted)"] and "w" not in access:
            start, end = (int(address, 16) for address in span.split("-"))
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
    if trim:
        trim(ctypes.c_size_t(0))


def require_tflite(path: Path) -> None:
    """Raise ModelError unless the file starts like a TFLite flatbuffer."""
    try:
        with path.open("rb") as file:
            _require_tflite(path, file.read(_START_BYTES))
    except OSError as error:
        problem = Sentence("cannot be read ({cause})", cause=error.strerror)
        raise ModelError(str(path), problem) from error


def _require_tflite(path: Path, start: bytes) -> None:
    """Raise ModelError unless a file starts like a TFLite flatbuffer (identifier TFL3)."""
    if start[4:8] == b"TFL3":
        return
    remedy = Sentence("Name a .tflite file, or see: edge-classify models list")
    if start.startswith(b"version https://git-lfs"):
        what = Sentence("is a Git LFS pointer, not the model itself")
        remedy = Sentence("Fetch the file itself: git lfs pull")
    elif start.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        what = Sentence("is a web page, not a model")
        remedy = Sentence("Download the file itself, not the page that shows it.")
    elif start.startswith(b"PK"):
        what = Sentence("is a zip file, not a TFLite model")
        remedy = Sentence("Unpack it, and name the .tflite file.")
    elif start:
        what = Sentence("is not a TFLite model (no TFL3 identifier)")
    else:
        what = Sentence("is empty")
    raise ModelError(str(path), what, remedy)
