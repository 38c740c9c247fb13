"""A model that ends the daemon is not run for ever: a note is on disk while it is on trial.

Native code can crash or hang in a way that no trial in a child has shown, and a service that is
started again would run into it again and again. A model (its bytes, the runtime and the delegate
together) is on trial when it is loaded. A note that is found at the start tells that the daemon
ended meanwhile. Several may be on trial, the common model and those of single cameras: the one that
was being loaded when the daemon ended is blamed, or else all of them. Cameras may share one that is
on trial; each goes back to what it had itself.

A model that took over from another one while the daemon ran is on trial for a minute of progress,
and one such end suffices: there is a model to go back to, which the note names, too. One that was
loaded at the start has passed with its first frame, and is refused after three such ends in a row,
because the one before it is not known to be better, and machines lose their power. So is one that
comes back after it has passed, or was loaded at the start: there is nothing better to go back to.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

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
class _Trial:
    """One model on trial."""

    # Whether it is to take over from another one.
    takes_over: bool
    # What people call it.
    name: str
    # Of each camera whose own model it is, what had been asked for before it, as JSON values; under
    # an empty name that of the common one.
    before: dict[str, Any]
    # Else it is being loaded.
    is_in_use: bool = False


@dataclass(slots=True)
class _Notes:
    """What is on disk; a model is named by ``load_model``'s key."""

    # In the order in which they were loaded.
    on_trial: dict[str, _Trial] = field(default_factory=dict)
    # How often in a row the daemon ended while it was on trial.
    ends: dict[str, int] = field(default_factory=dict)
    # Each with what had been asked for before it, by the camera.
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)


class FailedTrialError(ModelError):
    """A model ended the daemon when it ran last.

    ``before``: what had been asked for before it, by the camera; see ``ModelTrials.guard``.
    """

    def __init__(self, name: str, key: str, before: Mapping[str, Any]) -> None:
        super().__init__(name, "ended the daemon when it ran last", _REMEDY)
        self.before = before
        # Which ``load_model``'s key begins with.
        self.sha256 = key.partition("-")[0]


class ModelTrials:
    """Which models may run. Any thread may call it."""

    def __init__(self, folder: Path, clock: Clock = time.monotonic) -> None:
        """``folder``: of the daemon's state. A note that lies there is taken for a failure."""
        self._file = folder / FILE
        self._clock = clock
        self._lock = threading.Lock()
        # Keys of models that were loaded at the start, or have passed since: they take over from
        # nothing that is better.
        self._settled: set[str] = set()
        # When each model on trial came into use, and its inferences until then.
        self._since: dict[str, tuple[float, int]] = {}
        self._inferences: Mapping[str, int] = {}
        # By the camera: the key of its model; empty: it needs no trial. What is in use, and of this
        # change the new ones.
        self._in_use: dict[str, str] = {}
        self._loading: dict[str, str] = {}
        # Whether what is on disk is what memory has.
        self._is_noted = self._file.exists()
        # The models that had taken over when the daemon ended, by the camera.
        self.ended: dict[str, FailedTrialError] = {}
        self._notes = _read(self._file)
        if found := self._notes.on_trial:
            loading = [(key, trial) for key, trial in found.items() if not trial.is_in_use]
            for key, trial in loading[-1:] or found.items():
                self._blame(key, trial)
            self._notes.on_trial = {}
            self._write()

    def _blame(self, key: str, trial: _Trial) -> None:
        ends = self._notes.ends.pop(key, 0) + 1
        if not trial.takes_over and ends < MOST_ENDS:
            counted = list(self._notes.ends.items())[1 - _REMEMBERED :]
            self._notes.ends = {**dict(counted), key: ends}
            return
        _log.error("the daemon ended while model %s was on trial", key[:8])
        before = trial.before if trial.takes_over else {}
        for camera in before:
            self.ended[camera] = FailedTrialError(trial.name or key[:8], key, before)
        kept = list(self._notes.refused.items())[1 - _REMEMBERED :]
        self._notes.refused = {**dict(kept), key: before}

    def guard(
        self,
        name: str,
        *,
        camera: str = "",
        takes_over: bool = True,
        once_more: bool = False,
        before: Any = None,
    ) -> Callable[[str], None]:
        """For ``load_model``: called with a model's key before this process runs it.

        ``camera``: whose own model it is to be; empty: the common one. ``takes_over``: from another
        model that works; ``before``: what had been asked for until then, as JSON values. A model
        that runs already is not put on trial again. Raises FailedTrialError for one that has
        failed, unless it is to be tried ``once_more``.
        """

        def begin(key: str) -> None:
            with self._lock:
                if key in self._notes.refused and not once_more:
                    raise FailedTrialError(name, key, self._notes.refused[key])
                if not takes_over:
                    self._settled.add(key)
                is_here = key in (*self._in_use.values(), *self._loading.values())
                self._loading[camera] = key
                trial = self._notes.on_trial.get(key)
                if not key or (is_here and trial is None):
                    return
                self._notes.refused.pop(key, None)
                # What has not passed itself is nothing to go back to.
                unsure = [
                    one.before[camera]
                    for one in self._notes.on_trial.values()
                    if camera in one.before and one.takes_over
                ]
                good = unsure[0] if unsure else before
                if trial and is_here:
                    trial.before[camera] = good
                else:
                    # Behind those that were loaded before.
                    self._notes.on_trial.pop(key, None)
                    is_new = takes_over and key not in self._settled
                    self._notes.on_trial[key] = _Trial(is_new, name, {camera: good})
                self._write()

        return begin

    def came_into_use(self, cameras: Iterable[str]) -> None:
        """The models that were loaded last are in use from now on.

        ``cameras``: those with a model of their own, and an empty name if there is a common one.
        """
        with self._lock:
            known, self._loading = {**self._in_use, **self._loading}, {}
            self._in_use = {camera: known.get(camera, "") for camera in cameras}
            self._settle()

    def give_up(self) -> None:
        """The models that were loaded last do not come into use; what was on trial still is."""
        with self._lock:
            self._loading = {}
            self._settle()

    def _settle(self) -> None:
        """Only what is in use is on trial, and for those alone who use it."""
        kept: dict[str, _Trial] = {}
        for key, trial in self._notes.on_trial.items():
            before = {
                camera: one
                for camera, one in trial.before.items()
                if self._in_use.get(camera) == key
            }
            if before:
                kept[key] = replace(trial, before=before, is_in_use=True)
            if before and not trial.is_in_use:
                self._since[key] = self._clock(), self._count(before)
        if kept != self._notes.on_trial:
            self._notes.on_trial = kept
            self._write()

    def _count(self, cameras: Iterable[str]) -> int:
        return sum(self._inferences.get(camera, 0) for camera in cameras)

    def ways_back(self) -> list[Any]:
        """What is asked for again where a model on trial ends the daemon, as JSON values."""
        with self._lock:
            return [one for trial in self._notes.on_trial.values() for one in trial.before.values()]

    def progress(self, inferences: Mapping[str, int]) -> None:
        """The main loop has come round; so many ``inferences`` there were since the start.

        Each camera's whose model is its own, and under an empty name those of the common model.
        """
        with self._lock:
            self._inferences = inferences
            is_deleted = self._is_noted and not self._file.exists()
            if is_deleted and self._file.parent.is_dir():
                # Deleted with its folder: what is refused must outlive the next end.
                self._write()
            passed = [
                key
                for key, trial in self._notes.on_trial.items()
                if trial.is_in_use and self._has_passed(key, trial)
            ]
            self._settled.update(passed)
            for key in passed:
                self._notes.ends.pop(key, None)
                del self._notes.on_trial[key]
            if passed:
                self._write()

    def _has_passed(self, key: str, trial: _Trial) -> bool:
        since_s, before = self._since[key]
        lasted_s = self._clock() - since_s
        if trial.takes_over:
            return lasted_s >= TAKEN_OVER_S
        return self._count(trial.before) > before or lasted_s >= STARTED_S

    def end(self) -> None:
        """No model on trial is in use any more, and nothing went wrong."""
        with self._lock:
            if self._notes.on_trial:
                self._notes.on_trial = {}
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
            _trials(found["on_trial"], found),
            {str(key): int(ends) for key, ends in found["ends"].items()},
            _refused(found["refused"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _Notes()


def _trials(on_trial: Any, found: Mapping[str, Any]) -> dict[str, _Trial]:
    """Earlier versions wrote the one key, and what else they knew beside it."""
    if isinstance(on_trial, str):
        before = {"": found.get("before")}
        one = _Trial(bool(found["takes_over"]), str(found.get("name", "")), before)
        return {on_trial: one} if on_trial else {}
    return {
        str(key): _Trial(
            bool(one["takes_over"]),
            str(one["name"]),
            # Earlier versions knew one camera.
            {one["camera"]: one["before"]} if "camera" in one else dict(one["before"]),
            bool(one["is_in_use"]),
        )
        for key, one in on_trial.items()
    }


def _refused(found: Any) -> dict[str, dict[str, Any]]:
    """Earlier versions wrote a list of keys, later ones what one camera had before."""
    if isinstance(found, list):
        return {str(key): {} for key in found}
    return {
        str(key): {before["camera"]: before}
        # What is kept of a camera of that name is no text.
        if isinstance(before.get("camera"), str)
        else dict(before)
        for key, before in ((key, one or {}) for key, one in found.items())
    }
