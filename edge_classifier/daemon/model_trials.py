"""A model that ended the daemon once is not run again: a note is on disk while it is on trial.

Native code can crash or hang in a way that no trial in a child has shown, and a service that is
started again would run into it again, for ever. A model (its bytes, the runtime and the delegate
together) is on trial until the main loop has gone on for a minute with it. A note that is found at
the start tells that the daemon did not come so far.
"""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edge_classifier.errors import ModelError, OutputError
from edge_classifier.files import write_whole
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

FILE = "model-trials.json"
# Of progress, after which a model has passed.
TRIAL_S = 60.0
# Models that are remembered, of either kind; the oldest go.
_REMEMBERED = 32
_REMEDY = (
    "Use another model, or ask for this one again over MQTT: request/model tries it once more."
)


@dataclass(slots=True)
class _Notes:
    """What is on disk; a model is named by ``load_model``'s key."""

    on_trial: str = ""
    passed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class FailedTrialError(ModelError):
    """A model ended the daemon when it ran last."""


class ModelTrials:
    """Which models may run. Any thread may call it."""

    def __init__(self, folder: Path, clock: Clock = time.monotonic) -> None:
        """``folder``: of the daemon's state. A note that lies there is taken for a failure."""
        self._file = folder / FILE
        self._clock = clock
        self._lock = threading.Lock()
        # When the model on trial took over; None: it has not yet.
        self._since_s: float | None = None
        self._notes = _read(self._file)
        if key := self._notes.on_trial:
            _log.error("the daemon ended while model %s was on trial: it is not run again", key[:8])
            self._notes.refused = [*self._notes.refused, key][-_REMEMBERED:]
            self._notes.on_trial = ""
            self._write()

    def guard(self, name: str, *, once_more: bool = False) -> Callable[[str], None]:
        """For ``load_model``: called with a model's key before this process runs it.

        Raises FailedTrialError for a model that has failed, unless it is to be tried ``once_more``.
        """

        def begin(key: str) -> None:
            with self._lock:
                if key in self._notes.refused and not once_more:
                    problem = "ended the daemon when it ran last"
                    raise FailedTrialError(name, problem, _REMEDY)
                if not key or key in self._notes.passed:
                    return
                self._notes.refused = [one for one in self._notes.refused if one != key]
                self._notes.on_trial, self._since_s = key, None
                self._write()

        return begin

    def took_over(self) -> None:
        """The model that was loaded last is in use from now on."""
        with self._lock:
            self._since_s = self._clock()

    def end(self) -> None:
        """The model on trial is not in use any more, and nothing went wrong."""
        with self._lock:
            if self._notes.on_trial:
                self._notes.on_trial = ""
                self._write()

    def progress(self) -> None:
        """The main loop has come round. To be called now and then."""
        with self._lock:
            key, since_s = self._notes.on_trial, self._since_s
            if key and since_s is not None and self._clock() - since_s >= TRIAL_S:
                self._notes.passed = [*self._notes.passed, key][-_REMEMBERED:]
                self._notes.on_trial = ""
                self._write()

    def _write(self) -> None:
        try:
            write_whole(self._file, json.dumps(asdict(self._notes)))
        except OutputError as error:
            # A full disk must not keep a model from running.
            _log.warning("a trial of a model is not noted: %s", error)


def _read(file: Path) -> _Notes:
    """What ``file`` says; nothing, where it is missing or damaged."""
    try:
        found = json.loads(file.read_text("utf-8"))
        return _Notes(
            str(found["on_trial"]),
            [str(key) for key in found["passed"]],
            [str(key) for key in found["refused"]],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return _Notes()
