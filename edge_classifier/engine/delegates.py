"""Chooses where a model runs: on the CPU, or under a delegate that a child process has tried."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.core.sentence import Sentence
from edge_classifier.engine.probe import check_delegate
from edge_classifier.engine.tflite import compiled_for_edgetpu
from edge_classifier.errors import DelegateError, MissingFileError, ModelError, UsageError

AUTO, CPU, EDGETPU = "auto", "cpu", "edgetpu"
# edgetpu_compiler writes NAME_edgetpu.tflite beside NAME.tflite.
EDGETPU_SUFFIX = "_edgetpu"

Check = Callable[[Path, Path], None]
Find = Callable[[], Path | None]


@dataclass(frozen=True, slots=True)
class DelegateChoice:
    """The model file to load, the delegate to load it under (None: CPU), and why."""

    model: Path
    delegate: Path | None
    note: str
    # Whether an accelerator was wanted and was not available.
    fell_back: bool = False


def find_edgetpu() -> Path | None:
    """The Edge TPU's runtime library as the system's loader knows it; None: not installed."""
    import ctypes.util  # Here, because hardly anyone needs it and everyone would wait for it.

    name = ctypes.util.find_library("edgetpu")
    return Path(name) if name else None


def choose_delegate(
    request: str, model: Path, *, check: Check = check_delegate, find: Find = find_edgetpu
) -> DelegateChoice:
    """Where to run ``model`` for ``--delegate request``.

    ``auto`` uses the Edge TPU if its library is installed, the model or a twin beside it
    (``NAME_edgetpu.tflite``) is compiled for it, and a trial works; otherwise the CPU, saying
    why. Anything else is a demand: what fails then raises DelegateError.
    """
    if request == CPU:
        return _on_cpu(model, "asked for", compiled=compiled_for_edgetpu(model))
    if request == AUTO:
        return _automatic(model, check, find)
    library = _demanded_library(request, find)
    model = _twin(model) or model if request == EDGETPU else model
    check(library, model)
    compiled = compiled_for_edgetpu(model)
    note = "" if compiled or request != EDGETPU else " (the model is not compiled for it: CPU)"
    return DelegateChoice(model, library, f"{library}{note}")


def _automatic(model: Path, check: Check, find: Find) -> DelegateChoice:
    compiled = compiled_for_edgetpu(model)
    twin = model if compiled else _twin(model)
    if twin is None:
        return _on_cpu(model, "no accelerator needed", compiled=False)
    library = find()
    try:
        if library is None:
            raise DelegateError("libedgetpu", "is not installed")
        check(library, twin)
    except DelegateError as error:
        if compiled:
            raise
        why = f"CPU (fell back from the Edge TPU: {error.subject} {error.problem})"
        return DelegateChoice(model, None, why, fell_back=True)
    return DelegateChoice(twin, library, str(library))


def _on_cpu(model: Path, why: str, *, compiled: bool) -> DelegateChoice:
    if compiled:
        raise ModelError(
            str(model),
            Sentence("is compiled for the Edge TPU"),
            Sentence("Name the model it was compiled from."),
        )
    return DelegateChoice(model, None, f"CPU ({why})")


def _demanded_library(request: str, find: Find) -> Path:
    if request == EDGETPU:
        library = find()
        if library is None:
            raise DelegateError(
                EDGETPU, "libedgetpu is not installed", "Install it, or use --delegate cpu."
            )
        return library
    path = Path(request)
    try:
        if path.is_file():
            return path.resolve()
    except OSError as error:  # In a folder that must not be searched, for one
        raise MissingFileError(request, f"cannot be looked for ({error.strerror})") from error
    if "/" in request or ".so" in request:
        raise MissingFileError(request, "no such delegate library")
    raise UsageError(
        request or "''", "no such delegate", "Use auto, cpu, edgetpu or a library's path."
    )


def _twin(model: Path) -> Path | None:
    twin = model.with_name(f"{model.stem}{EDGETPU_SUFFIX}{model.suffix}")
    return twin if twin.is_file() else None
