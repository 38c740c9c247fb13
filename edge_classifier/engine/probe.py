"""Tries a model or a delegate in a child process, because native code can crash or hang.

The runtime does not verify flatbuffers, and libedgetpu can segfault with a runtime it was not
built for (google-coral/libedgetpu#53). Neither can be caught where it happens.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edge_classifier.core.sentence import Sentence, from_json, to_json, with_replaced
from edge_classifier.engine.model_copy import ModelCopy
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import DelegateError, EdgeClassifierError, ModelError

# An Edge TPU takes a few seconds to receive its firmware; a Pi Zero to load a large model.
TIME_LIMIT_S = 30.0
# Address space: a damaged shape must not take the machine's memory.
_MEMORY_LIMIT_BYTES = 2 << 30
_SAID_LIMIT = 300
_REMEDY = Sentence("Copy or export the model again.")


class TrialError(NamedTuple):
    """What is wrong with a model that was tried, and what helps."""

    problem: str
    remedy: str = ""


def check_model(copy: ModelCopy, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Load ``copy`` and run it once in a child. Raises ModelError if that does not end well."""
    name = copy.name
    if trial := _try(name, None, time_limit_s, passed=(copy.descriptor,)):
        # The child knows the copy only.
        problem = with_replaced(trial.problem, name, str(copy.path))
        raise ModelError(str(copy.path), problem, trial.remedy or _REMEDY)


def check_delegate(library: Path, model: Path, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Run ``model`` once under ``library`` in a child. Raises DelegateError if that fails."""
    if trial := _try(str(model), library, time_limit_s):
        raise DelegateError(str(library), trial.problem, "Use --delegate cpu, or mend the library.")


def _try(
    model: str, delegate: Path | None, time_limit_s: float, passed: Sequence[int] = ()
) -> TrialError | None:
    """What is wrong; None when the model ran. The child gets the descriptors ``passed``."""
    from edge_classifier import child  # Here, because a model that is known needs no trial.

    done = child.run(__name__, model, str(delegate or ""), time_limit_s=time_limit_s, passed=passed)
    # A library may end the process with exit code 0.
    if done.problem or not done.output:
        ending = done.problem or child.ending(0, done.messages)
        return TrialError(Sentence("{ending} when tried", ending=ending))
    error = TrialError(*map(from_json, json.loads(done.output)))
    return error if error.problem else None


def _answer(model: Path, delegate: Path | None) -> TrialError:
    """In the child: load, feed zeros, run once. Without a problem when all went well."""
    try:
        engine = TfliteEngine(model, load_runtime(), delegate=delegate)
        engine.picture.fill(0)
        engine.invoke()
        # All else that is asked of a model later; names, for one, need not be text.
        engine.last_operator, engine.operators(), engine.tensors()
    except EdgeClassifierError as error:
        return TrialError(error.problem, error.remedy)
    except Exception as error:  # noqa: BLE001 (a damaged model leads to any)
        return TrialError(Sentence("cannot be run ({cause})", cause=str(error)[:_SAID_LIMIT]))
    return TrialError("")


if __name__ == "__main__":
    from edge_classifier import child

    tried, under = sys.argv[1:]
    child.limit_memory(_MEMORY_LIMIT_BYTES)
    with child.answer_stream() as answers:
        found = _answer(Path(tried), Path(under) if under else None)
        answers.write(json.dumps([to_json(part) for part in found]).encode())
    os._exit(0)  # A library's own exit handlers may crash, too; the trial is over.
