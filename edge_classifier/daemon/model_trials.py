"""A model that ends the daemon is not run for ever: a note is on disk while it is on trial.

Native code can crash or hang in a way that no trial in a child has shown, and a service that is
started again would run into it again and again. A model (its bytes, the runtime and the delegate
together) is on trial when it is loaded. A note that is found at the start tells that the daemon
ended meanwhile.

A model that took over from another one while the daemon ran is on trial for a minute of progress,
and one such end suffices: there is a model to go back to. One that was loaded at the start has
passed with its first frame, and is refused after three such ends in a row, because the one before
it is not known to be better, and machines lose their power.
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
# Of progress, after which a model that took over has passed; one without frames at the start.
TAKEN_OVER_S, STARTED_S = 60.0, 5.0
# Ends in a row, from which on a model that is loaded at the start is refused.
MOST_ENDS = 3
# Models that are remembered; the oldest go.
_REMEMBERED = 32
_REMEDY = (
    "Use another model, or ask for this one again over MQTT: request/model tries it once more."
)


@dataclass(slots=True)
class _Notes:
    """What is on disk; a model is named by ``load_model``'s key."""

    on_trial: str = ""
    # Whether that one is to take over from another one.
    takes_over: bool = False
    # How often in a row the daemon ended while it was on trial.
    ends: dict[str, int] = field(default_factory=dict)
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
        # When the model on trial came into use, and the inferences until then; None: it has not.
        self._since: tuple[float, int] | None = None
        self._inferences = 0
        # Whether what is on disk is what memory has.
        self._is_noted = self._file.exists()
        self._notes = _read(self._file)
        if key := self._notes.on_trial:
            ends = self._notes.ends.pop(key, 0) + 1
            if self._notes.takes_over or ends >= MOST_ENDS:
                _log.error("the daemon ended while model %s was on trial", key[:8])
                self._notes.refused = [*self._notes.refused, key][-_REMEMBERED:]
            else:
                kept = list(self._notes.ends.items())[1 - _REMEMBERED :]
                self._notes.ends = {**dict(kept), key: ends}
            self._notes.on_trial = ""
            self._write()

    def guard(
        self, name: str, *, takes_over: bool = True, once_more: bool = False
    ) -> Callable[[str], None]:
        """For ``load_model``: called with a model's key before this process runs it.

        ``takes_over``: from another model that works. Raises FailedTrialError for a model that has
        failed, unless it is to be tried ``once_more``.
        """

        def begin(key: str) -> None:
            with self._lock:
                if key in self._notes.refused and not once_more:
                    raise FailedTrialError(name, "ended the daemon when it ran last", _REMEDY)
                if not key:
                    return
                self._notes.refused = [one for one in self._notes.refused if one != key]
                self._notes.on_trial, self._notes.takes_over = key, takes_over
                self._since = None
                self._write()

        return begin

    def came_into_use(self) -> None:
        """The model that was loaded last is in use from now on."""
        with self._lock:
            self._since = self._clock(), self._inferences

    def progress(self, inferences: int) -> None:
        """The main loop has come round; there were so many ``inferences`` since the start."""
        with self._lock:
            self._inferences = inferences
            is_deleted = self._is_noted and not self._file.exists()
            if is_deleted and self._file.parent.is_dir():
                # Deleted with its folder: what is refused must outlive the next end.
                self._write()
            if not self._notes.on_trial or self._since is None:
                return
            since_s, before = self._since
            lasted_s = self._clock() - since_s
            if self._notes.takes_over:
                has_passed = lasted_s >= TAKEN_OVER_S
            else:
                has_passed = inferences > before or lasted_s >= STARTED_S
            if has_passed:
                self._notes.ends.pop(self._notes.on_trial, None)
                self._end()

    def end(self) -> None:
        """The model on trial is not in use any more, and nothing went wrong."""
        with self._lock:
            if self._notes.on_trial:
                self._end()

    def _end(self) -> None:
        self._notes.on_trial = ""
        self._write()

    def _write(self) -> None:
        try:
            write_whole(self._file, json.dumps(asdict(self._notes)))
        except OutputError as error:
            # A full disk must not keep a model from running.
            _log.warning("a trial of a model is not noted: %s", error)
            self._is_noted = False
        else:
            self._is_noted = True


def _read(file: Path) -> _Notes:
    """What ``file`` says; nothing, where it is missing or damaged."""
    try:
        found = json.loads(file.read_text("utf-8"))
        return _Notes(
            str(found["on_trial"]),
            bool(found["takes_over"]),
            {str(key): int(ends) for key, ends in found["ends"].items()},
            [str(key) for key in found["refused"]],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Notes()
