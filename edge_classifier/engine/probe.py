"""Tries a model or a delegate in a child process, because native code can crash or hang.

The runtime does not verify flatbuffers, and libedgetpu can segfault with a runtime it was not
built for (google-coral/libedgetpu#53). Neither can be caught where it happens.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import DelegateError, EdgeClassifierError, ModelError

# An Edge TPU takes a few seconds to receive its firmware; a Pi Zero to load a large model.
TIME_LIMIT_S = 30.0
# Address space: a damaged shape must not take the machine's memory.
_MEMORY_LIMIT_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How one trial ended; ``problem`` is empty when the model ran."""

    problem: str = ""

    @property
    def works(self) -> bool:
        """Loaded, and ran once."""
        return not self.problem


def check_model(path: Path, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Load ``path`` and run it once in a child. Raises ModelError if that does not end well."""
    verdict = _try(path, None, time_limit_s)
    if not verdict.works:
        raise ModelError(str(path), verdict.problem, "Copy or export the model again.")


def check_delegate(library: Path, model: Path, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Run ``model`` once under ``library`` in a child. Raises DelegateError if that fails."""
    verdict = _try(model, library, time_limit_s)
    if not verdict.works:
        raise DelegateError(
            str(library), verdict.problem, "Use --delegate cpu, or mend the library."
        )


def _try(model: Path, delegate: Path | None, time_limit_s: float) -> ProbeResult:
    reader, writer = os.pipe()
    command = [sys.executable, "-P", "-m", __name__, str(writer), str(model)]
    if delegate:
        command.append(str(delegate))
    # The child must find this package however the parent found it.
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    # Neither file waits for the child's own children, which a library may have left behind.
    os.set_blocking(reader, False)
    with os.fdopen(reader, "rb") as pipe, tempfile.TemporaryFile() as messages:
        try:
            done = subprocess.run(
                command,
                pass_fds=(writer,),
                env=environment,
                timeout=time_limit_s,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=messages,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return ProbeResult(f"did not answer within {time_limit_s:g} s when tried")
        finally:
            os.close(writer)
        answer = pipe.read(65_536)
        if answer and done.returncode == 0:
            return ProbeResult(**json.loads(answer))
        messages.seek(0)
        return ProbeResult(
            _ending(done.returncode, messages.read(65_536).decode("utf-8", "replace"))
        )


def _ending(code: int, stderr: str) -> str:
    """A child's death in words."""
    if code < 0:
        return f"crashed when tried ({signal.Signals(-code).name})"
    last = stderr.strip().splitlines()[-1:] or ["it said nothing"]
    return f"failed when tried (exit code {code}: {last[0][:200]})"


def _answer(model: Path, delegate: Path | None) -> ProbeResult:
    """In the child: load, feed zeros, run once."""
    try:
        engine = TfliteEngine(model, load_runtime(), delegate=delegate)
        engine.picture.fill(0)
        engine.invoke()
        # All else that is asked of a model later; names, for one, need not be text.
        engine.last_operator(), engine.operators(), engine.tensors()
    except EdgeClassifierError as error:
        return ProbeResult(error.problem)
    except Exception as error:  # noqa: BLE001 (a damaged model leads to any)
        return ProbeResult(f"cannot be run ({error})")
    return ProbeResult()


def _main(arguments: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_LIMIT_BYTES, _MEMORY_LIMIT_BYTES))
    writer, model, *delegate = arguments
    verdict: dict[str, Any] = asdict(_answer(Path(model), Path(delegate[0]) if delegate else None))
    os.write(int(writer), json.dumps(verdict).encode())
    os._exit(0)  # A library's own exit handlers may crash, too; the trial is over.


if __name__ == "__main__":
    _main(sys.argv[1:])
