"""Coral's compiler for the Edge TPU, where it is installed.

https://coral.ai/docs/edgetpu/compiler/. What it prints is read as versions 2 to 16 print it.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.errors import ModelError, OutputError, UnavailableError

PROGRAM = "edgetpu_compiler"
# The status of operators that the Edge TPU runs.
MAPPED = "Mapped to Edge TPU"
# The compiler gives up by itself after 180 s.
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """A line of the compiler's table."""

    operator: str
    count: int
    status: str


@dataclass(frozen=True, slots=True)
class Compilation:
    """What the compiler has made, and which operators run where."""

    # The compiled model; without labels, which stay in the original beside it.
    path: Path
    # Of the compiler.
    version: str
    operators: int
    on_cpu: int
    # Weights that do not fit into the chip's memory, as the compiler says it: 0.00B.
    streamed: str
    rows: tuple[OperatorRow, ...]


def compile_model(path: Path, folder: Path, *, timeout_s: float = _TIMEOUT_S) -> Compilation | None:
    """Compile the model at ``path`` into ``folder``; None where there is no compiler.

    Raises ModelError if the compiler refuses the model, UnavailableError if it does not start or
    end, OutputError.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    compiled = folder / f"{path.stem}_edgetpu.tflite"
    log = compiled.with_suffix(".log")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # What an earlier run has left must not pass for this one's.
        compiled.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(str(folder), f"cannot be written ({error.strerror})") from error
    said = _run([program, "-s", "-o", str(folder), str(path)], timeout_s)
    if said.returncode or not compiled.is_file():
        lines = [line for line in said.stdout.splitlines() if line.strip()] or ["no message"]
        raise ModelError(str(path), f"{PROGRAM} refuses it ({' / '.join(lines[-3:])})")
    # With -s it prints the operators; where some are left out, the log has all of them.
    table = log.read_text("utf-8", "replace") if log.is_file() else said.stdout
    return _parse(compiled, said.stdout, table)


def _run(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(command[0], f"has not ended after {timeout_s:g} s") from error
    except OSError as error:
        raise UnavailableError(command[0], f"cannot be started ({error.strerror})") from error


def _parse(compiled: Path, printed: str, table: str) -> Compilation:
    rows = re.findall(r"^([A-Z][A-Z0-9_]+) +(\d+) +(\S.*?) *$", table, re.MULTILINE)
    on_cpu = _after("Number of operations that will run on CPU:", printed)
    total = _after("Total number of operations:", printed)
    if not total:
        what = "says nothing of operators that this program understands"
        raise UnavailableError(PROGRAM, what, f"It said: {printed}")
    return Compilation(
        path=compiled,
        version=_after("Edge TPU Compiler version", printed),
        operators=int(total),
        on_cpu=int(on_cpu or 0),
        streamed=_after("Off-chip memory used for streaming uncached model parameters:", printed),
        rows=tuple(OperatorRow(operator, int(count), status) for operator, count, status in rows),
    )


def _after(start: str, text: str) -> str:
    found = re.search(rf"^{re.escape(start)} *(\S+)", text, re.MULTILINE)
    return found[1] if found else ""
