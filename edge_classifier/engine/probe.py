"""Tries a model or a delegate in a child process, because native code can crash or hang.

The runtime does not verify flatbuffers, and libedgetpu can segfault with a runtime it was not
built for (google-coral/libedgetpu#53). Neither can be caught where it happens.
"""

import json
import os
import sys
from pathlib import Path

from edge_classifier import child
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import DelegateError, EdgeClassifierError, ModelError

# An Edge TPU takes a few seconds to receive its firmware; a Pi Zero to load a large model.
TIME_LIMIT_S = 30.0
# Address space: a damaged shape must not take the machine's memory.
_MEMORY_LIMIT_BYTES = 2 << 30


def check_model(path: Path, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Load ``path`` and run it once in a child. Raises ModelError if that does not end well."""
    if problem := _try(path, None, time_limit_s):
        raise ModelError(str(path), problem, "Copy or export the model again.")


def check_delegate(library: Path, model: Path, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Run ``model`` once under ``library`` in a child. Raises DelegateError if that fails."""
    if problem := _try(model, library, time_limit_s):
        raise DelegateError(str(library), problem, "Use --delegate cpu, or mend the library.")


def _try(model: Path, delegate: Path | None, time_limit_s: float) -> str:
    """What is wrong; empty when the model ran."""
    done = child.run(__name__, str(model), str(delegate or ""), time_limit_s=time_limit_s)
    # A library may end the process with exit code 0.
    if done.problem or not done.output:
        return f"{done.problem or child.ending(0, done.messages)} when tried"
    problem: str = json.loads(done.output)
    return problem


def _answer(model: Path, delegate: Path | None) -> str:
    """In the child: load, feed zeros, run once."""
    try:
        engine = TfliteEngine(model, load_runtime(), delegate=delegate)
        engine.picture.fill(0)
        engine.invoke()
        # All else that is asked of a model later; names, for one, need not be text.
        engine.last_operator(), engine.operators(), engine.tensors()
    except EdgeClassifierError as error:
        return error.problem
    except Exception as error:  # noqa: BLE001 (a damaged model leads to any)
        return f"cannot be run ({error})"
    return ""


def _main(model: str, delegate: str = "") -> None:
    child.limit_memory(_MEMORY_LIMIT_BYTES)
    with child.answer_stream() as answers:
        problem = _answer(Path(model), Path(delegate) if delegate else None)
        answers.write(json.dumps(problem).encode())
    os._exit(0)  # A library's own exit handlers may crash, too; the trial is over.


if __name__ == "__main__":
    _main(*sys.argv[1:])
