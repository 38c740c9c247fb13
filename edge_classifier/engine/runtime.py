"""The only file that imports a TFLite runtime."""

import importlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from edge_classifier.errors import UnavailableError
from edge_classifier.files import nameless_file
from edge_classifier.installation import how_to_install

# Distribution and module, best first. LiteRT runs int8 networks some ten times faster than the last
# tflite-runtime on x86-64; the latter is for 32-bit ARM, where LiteRT has no wheels.
_CANDIDATES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite.python.interpreter"),
)

# As tensorflow/lite/minimal_logging.cc begins its lines.
_RUNTIME_LINE = re.compile(r"(VERBOSE|INFO|WARNING|ERROR): ")
# One thread at a time exchanges standard error: two would each put back what the other has taken.
_exchange = threading.RLock()
_has_greeted = threading.Event()


@dataclass(frozen=True, slots=True)
class Runtime:
    """A TFLite runtime that can be imported here."""

    name: str
    # Why this one, for people.
    reason: str
    module: Any

    @property
    def version(self) -> str:
        """Of the installed distribution, as its package says: to look it up takes 0.7 MB."""
        return str(sys.modules[self.module.__name__.partition(".")[0]].__version__)


def load_runtime() -> Runtime:
    """The best installed runtime. Raises UnavailableError, naming what failed, if none imports."""
    failures: list[str] = []
    for name, module_name in _CANDIDATES:
        try:
            module = importlib.import_module(module_name)
        except (ImportError, AttributeError) as error:
            failures.append(f"{name} ({error})")
            continue
        reason = "first choice" if not failures else "not importable: " + "; ".join(failures)
        return Runtime(name, reason, module)
    raise UnavailableError(
        "TFLite runtime",
        f"none of {'; '.join(failures)} can be imported by Python {sys.version.split()[0]}",
        f"{how_to_install('ai-edge-litert')} (on 32-bit ARM: tflite-runtime with Python 3.11).",
    )


@contextmanager
def first_load() -> Iterator[list[str]]:
    """Collect what the runtime says while a model is loaded, until it has said something.

    TFLite greets on standard error once a process; scripts that read ours want only errors. From
    then on standard error is left alone: the daemon loads its first model before it has threads,
    and further ones beside them.
    """
    if _has_greeted.is_set():
        yield []
        return
    with native_messages(_RUNTIME_LINE) as lines:
        yield lines
    if lines:
        _has_greeted.set()


@contextmanager
def native_messages(theirs: re.Pattern[str]) -> Iterator[list[str]]:
    """Collect the lines on standard error that match ``theirs``, instead of showing them.

    Native code knows only file descriptor 2, which belongs to all threads, and to children that
    are started meanwhile. So one block at a time exchanges it, and at its end all other lines are
    passed on. Use it where no other thread is at work, as far as possible.
    """
    lines: list[str] = []
    with _exchange, nameless_file("messages") as sink:
        sys.stderr.flush()
        ours = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(ours, 2)
            os.close(ours)
            said = os.pread(sink.fileno(), os.fstat(sink.fileno()).st_size, 0)
            for line in said.splitlines(keepends=True):
                text = line.decode("utf-8", "replace").rstrip()
                if theirs.match(text):
                    lines.append(text)
                else:
                    with suppress(OSError):
                        os.write(2, line)
