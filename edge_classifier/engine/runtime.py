"""The only file that imports a TFLite runtime."""

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edge_classifier.errors import UnavailableError

# Distribution and module, best first. LiteRT runs int8 networks some ten times faster than the last
# tflite-runtime on x86-64; the latter is for 32-bit ARM, where LiteRT has no wheels.
_CANDIDATES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
    ("tensorflow", "tensorflow.lite.python.interpreter"),
)


@dataclass(frozen=True, slots=True)
class Runtime:
    """A TFLite runtime that can be imported here."""

    name: str
    # Why this one, for people.
    reason: str
    module: Any

    @property
    def version(self) -> str:
        """Of the installed distribution."""
        import importlib.metadata  # Here, because it takes as long as a picture to classify.

        return importlib.metadata.version(self.name)


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
        "pip install ai-edge-litert (on 32-bit ARM: tflite-runtime with Python 3.11).",
    )


@contextmanager
def native_messages() -> Iterator[list[str]]:
    """Collect what native code writes to standard error, instead of showing it.

    TFLite greets on standard error at every load; scripts that read ours want only errors.
    Affects the whole process, so use it only while a model or delegate is being loaded.
    """
    lines: list[str] = []
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            sink.seek(0)
            lines += sink.read(20_000).decode("utf-8", "replace").splitlines()
