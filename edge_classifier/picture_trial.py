"""Tries a model on the bundled photographs in a child process, before this one loads it.

The child loads it as the daemon would. With a delegate, the processor has to say the same.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_classifier import child
from edge_classifier.classifier import AnswerOptions
from edge_classifier.engine.delegates import AUTO, CPU, EDGETPU, find_edgetpu
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import compiled_for_edgetpu
from edge_classifier.errors import EdgeClassifierError, ModelError
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.samples import FOLDER
from edge_classifier.vision.jpeg_frames import decode_jpeg

# Two loads and twice the pictures, on the slowest Pi.
TIME_LIMIT_S = 120.0
# Address space: a damaged shape must not take the machine's memory.
_MEMORY_LIMIT_BYTES = 2 << 30
# How far a delegate's score may be from the processor's: int8 steps add up over the layers.
MOST_APART = 0.2
_SAID_LIMIT = 300
# Frames go before: they are what the machine is for.
_NICENESS = 10


def trial_key(delegate: str) -> str:
    """What a verdict holds for beside the file: the runtime, and the delegate that is wanted."""
    runtime = load_runtime()
    library = find_edgetpu() if delegate in (AUTO, EDGETPU) else None
    return f"{runtime.name}-{runtime.version}-{delegate}-{library or ''}"


def try_on_pictures(model: Path, delegate: str, *, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Run ``model`` on all photographs in a child. Raises ModelError if that does not end well."""
    done = child.run(__name__, str(model), delegate, time_limit_s=time_limit_s)
    # A library may end the process with exit code 0.
    problem = done.problem or ("" if done.output else child.ending(0, done.messages))
    if problem:
        raise ModelError(model.name, f"{problem} when it was tried on this machine")
    problem, remedy = json.loads(done.output)
    if problem:
        raise ModelError(model.name, problem, remedy)


def _answer(model: Path, delegate: str) -> tuple[str, str]:
    """In the child: what is wrong, and what helps; nothing, if all went well."""
    try:
        loaded = _load(model, delegate)
        scores = _scores(loaded)
        choice = loaded.delegate_choice
        if choice.delegate is None or compiled_for_edgetpu(choice.model):
            # What is compiled for an accelerator, the processor cannot run.
            return "", ""
        return _difference(scores, _scores(_load(model, CPU))), "Set model.delegate to cpu."
    except EdgeClassifierError as error:
        return error.problem, error.remedy
    except Exception as error:  # noqa: BLE001 (a damaged model leads to any)
        return f"cannot be run ({str(error)[:_SAID_LIMIT]})", ""


def _load(model: Path, delegate: str) -> LoadedModel:
    # This very process is the trial.
    return load_model(ModelChoice(str(model), delegate), check=lambda _: None)


def _scores(loaded: LoadedModel) -> NDArray[np.float32]:
    """Of all photographs, shape (pictures, classes). Raises ModelError for what is not a score."""
    classifier = loaded.classifier(AnswerOptions())
    pictures = sorted(FOLDER.glob("*.jpg"))
    frames = [decode_jpeg(one.name, one.read_bytes()) for one in pictures]
    scores = np.stack([classifier.score(frame).scores for frame in frames])
    if not np.isfinite(scores).all():
        raise ModelError(loaded.name, "gives scores that are no numbers")
    return scores


def _difference(there: NDArray[np.float32], here: NDArray[np.float32]) -> str:
    """What a delegate's scores and the processor's differ in; empty: nothing that matters."""
    apart = float(np.abs(there - here).max())
    if apart > MOST_APART:
        return f"the delegate's scores are not the processor's: up to {apart:.2f} apart"
    return ""


if __name__ == "__main__":
    tried, under = sys.argv[1:]
    child.limit_memory(_MEMORY_LIMIT_BYTES)
    with suppress(OSError):
        os.nice(_NICENESS)
    with child.answer_stream() as answers:
        found = _answer(Path(tried), under)
        answers.write(json.dumps(found).encode())
    os._exit(0)  # A library's own exit handlers may crash, too; the trial is over.
