"""Settings and models that take over while the daemon runs.

Slow work (reading the configuration, loading a model) is done in a background thread. What comes of
it is posted to the main loop and takes over between two frames, all of it or nothing. One change is
made after the other, so that each builds on what is in force.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from queue import Full, Queue
from typing import Any

from edge_classifier import __version__
from edge_classifier.config.changes import compare, in_force
from edge_classifier.config.secrets import presentable
from edge_classifier.config.settings import DecisionSettings, ModelSettings, Settings
from edge_classifier.config.toml import as_tree
from edge_classifier.daemon.active_model import ActiveModel, ModelFiles, load_active_model
from edge_classifier.daemon.camera_pipeline import CameraOverride, DaemonOutputs
from edge_classifier.daemon.cameras import Cameras
from edge_classifier.daemon.model_trials import FailedTrialError, ModelTrials
from edge_classifier.decision.label_map import UnknownLabelsError, require_labels
from edge_classifier.errors import ConfigurationError, EdgeClassifierError, UnavailableError
from edge_classifier.mqtt.codec.device_payloads import info_payload

_log = logging.getLogger(__name__)

# For the main loop to complete a turn; it never takes so long unless it hangs.
_TAKE_OVER_S = 60.0
# Changes that may wait: people ask by hand, so more is a mistake.
MAX_WAITING = 16

# Called with the outcome of a change: what is new, or why nothing changed.
Done = Callable[[Mapping[str, Any] | Exception], None]


class BackgroundThread:
    """Does one job after another beside the main loop; a job reports its outcome itself."""

    def __init__(self) -> None:
        self._jobs: Queue[Callable[[], None]] = Queue(MAX_WAITING)
        # A daemon thread: a loader that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="background", daemon=True)

    def start(self) -> None:
        """Start to work."""
        self._thread.start()

    def submit(self, job: Callable[[], None]) -> bool:
        """Queue a job; False when too many are waiting."""
        try:
            self._jobs.put_nowait(job)
        except Full:
            return False
        return True

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception:  # noqa: BLE001 (a bug in one job must not end all later ones)
                _log.exception("a job in the background failed")


class ActiveConfiguration:
    """The settings and the model in force. Belongs to the main loop's thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        read_settings: Callable[[], Settings],
        model_files: ModelFiles,
        trials: ModelTrials,
        requested_model: str,
        post: Callable[[Callable[[], None]], bool],
        cameras: Cameras,
        outputs: DaemonOutputs,
    ) -> None:
        """``requested_model``: the one that was asked for before the restart, if any.

        ``post`` has something done in the main loop; False when too much is waiting there.
        """
        self.settings = settings
        self.model: ActiveModel
        self._started_with = settings
        self._requested_model = requested_model
        self._read_settings = read_settings
        self._model_files = model_files
        self._trials = trials
        # Why the model in force is not the one that is configured; empty: it is.
        self.fallback = ""
        self._post = post
        self._background = BackgroundThread()
        self._cameras = cameras
        self._publisher, self._outputs = outputs.publisher, outputs

    def start(self) -> None:
        """Load the model, open the cameras, and begin to accept changes.

        A model that was asked for over MQTT and cannot be used any more gives way to the
        configured one, and a configured one that ended the daemon when it ran last to the embedded
        one. Raises what else keeps the configured one from being used.
        """
        self._background.start()
        if self._requested_model:
            try:
                requested = self._load(self.settings, self._requested_model, takes_over=False)
                self._apply(self.settings, requested)
            except (EdgeClassifierError, UnknownLabelsError) as error:
                _log.error("back to the configured model: %s", error)
                self._requested_model = ""
            else:
                _log.info("model %s, as asked for over MQTT", self._requested_model)
                return
        fallback = ""
        try:
            try:
                model = self._load(self.settings, "", takes_over=False)
            except FailedTrialError as error:
                fallback = f"{error} The embedded model runs in its place."
                _log.error("%s", fallback)
                model = load_active_model(ModelSettings())
            self._apply(self.settings, model, fallback)
        except UnknownLabelsError as error:
            remedy = "`edge-classify models info` lists the model's labels."
            raise ConfigurationError("labels", str(error), remedy) from error

    def reload(self, done: Done) -> None:
        """Read the configuration again, and let what has changed take over."""

        def read() -> None:
            settings = self._read_settings()
            model = None
            if settings.model != self.settings.model or self._has_changed_on_disk(settings):
                model = self._load(settings, self._requested_model)
            self._take_over(partial(apply, settings, model))

        def apply(settings: Settings, model: ActiveModel | None) -> None:
            live = compare(self.settings, settings).live
            if model:
                # The settings name the same file as before.
                live = tuple(dict.fromkeys((*live, "model.use")))
            try:
                self._apply(settings, model or self.model, "" if model else self.fallback)
            except (UnknownLabelsError, EdgeClassifierError) as error:
                done(error)
                return
            restart_required = compare(self._started_with, settings).restart_required
            done({"changed": list(live), "restart_required": list(restart_required)})

        self._do_in_background(read, done)

    def switch_model(self, name: str, done: Done) -> None:
        """Let the model called ``name`` take over; empty: the configured one."""

        def load() -> None:
            # Whoever asks for a model that failed, wants to know whether it does so again.
            self._take_over(partial(apply, self._load(self.settings, name, once_more=True)))

        def apply(model: ActiveModel) -> None:
            try:
                self._apply(self.settings, model)
            except UnknownLabelsError as error:
                done(error)
                return
            self._requested_model = name
            self.remember_overrides()
            done({"model": model.id})

        self._do_in_background(load, done)

    def remember_overrides(self) -> None:
        """Keep what was set over MQTT through restarts."""
        cameras = {
            name: asdict(pipeline.override)
            for name, pipeline in self._cameras.pipelines.items()
            if pipeline.override != CameraOverride()
        }
        self._publisher.remember("overrides", {"cameras": cameras, "model": self._requested_model})

    def _load(
        self,
        settings: Settings,
        requested: str,
        *,
        takes_over: bool = True,
        once_more: bool = False,
    ) -> ActiveModel:
        """The configured model, or the one that was asked for over MQTT.

        Raises FailedTrialError for a model that failed, unless it is to be tried ``once_more``.
        """
        chosen = self._chosen(settings, requested)
        name = requested or settings.model.use or "the embedded model"
        guard = self._trials.guard(name, takes_over=takes_over, once_more=once_more)
        return load_active_model(chosen, guard)

    def _chosen(self, settings: Settings, requested: str) -> ModelSettings:
        if not requested:
            return settings.model
        reference = self._model_files.reference(requested, in_use=self._requested_model)
        # Label names and crop were configured for another file.
        return replace(settings.model, use=reference, labels=None, crop="")

    def _has_changed_on_disk(self, settings: Settings) -> bool:
        """Whether somebody has put another file in the place of the model in force."""
        if self.fallback:
            return False
        return self.model.has_changed_on_disk(self._chosen(settings, self._requested_model))

    def _do_in_background(self, job: Callable[[], None], done: Done) -> None:
        """Do slow work beside the main loop; a failure is reported, and changes nothing."""

        def work() -> None:
            try:
                job()
            except EdgeClassifierError as error:
                done(error)
            except Exception as error:
                # A bug, or a machine without memory or processes left; the thread logs where.
                done(UnavailableError("this change", f"failed ({type(error).__name__}: {error})"))
                raise

        if not self._background.submit(work):
            problem = "too many changes are under way"
            done(UnavailableError("this change", problem, "Try again later"))

    def _take_over(self, action: Callable[[], None]) -> None:
        """Have ``action`` done in the main loop, and wait: the next change builds on this one."""
        applied = threading.Event()

        def act() -> None:
            action()
            applied.set()

        if not self._post(act):
            raise UnavailableError("the main loop", "too much is waiting", "Try again later")
        applied.wait(_TAKE_OVER_S)

    def _apply(self, settings: Settings, model: ActiveModel, fallback: str = "") -> None:
        """Let settings and a model take over, or raise and leave everything as it is.

        ``fallback`` tells why it is not the configured model: what is configured for labels that
        this one does not have then rests. Raises UnknownLabelsError for such labels else, and
        ConfigurationError.
        """
        cameras = dict(settings.cameras)
        try:
            for name, camera in cameras.items():
                if fallback:
                    cameras[name] = replace(camera, decision=_without_labels(camera.decision))
                require_labels(model.labels, cameras[name].decision)
            self._cameras.configure(replace(settings, cameras=cameras), model)
        except (UnknownLabelsError, EdgeClassifierError):
            self._trials.end()
            raise
        self._trials.came_into_use()
        self.fallback = fallback
        self._outputs.meters.set_cameras(settings.cameras)
        self._outputs.store.configure(settings.store)
        logging.getLogger().setLevel(settings.log.level.upper())
        self.settings, self.model = settings, model
        self._publish_configuration()
        names = ", ".join(self._cameras.pipelines)
        _log.info("model %s, %s; cameras %s", model.id, model.loaded.delegate_choice.note, names)
        for note in model.loaded.notes:
            _log.warning("%s", note)

    def _publish_configuration(self) -> None:
        """Publish what is in force now."""
        settings, model, pipelines = self.settings, self.model, self._cameras.pipelines.values()
        labels = self._labels()
        names = model.names(settings.device.language)
        self._publisher.follow_cameras(camera_titles(settings))
        self._publisher.describe_model(
            labels, lambda label: names.get(label, label), model.id, stats_s=settings.mqtt.stats_s
        )
        self._publish_info()
        for pipeline in pipelines:
            pipeline.publish_state()

    def _labels(self) -> tuple[str, ...]:
        """Of all cameras."""
        pipelines = self._cameras.pipelines.values()
        return tuple(
            dict.fromkeys(name for one in pipelines for name in one.rules.label_map.labels)
        )

    def publish_incidents(self) -> None:
        """Publish what runs here once more, where something was lost or deleted since."""
        if self._incidents() != self._published_incidents:
            self._publish_info()

    def _incidents(self) -> tuple[str, ...]:
        store = self._outputs.store.status.incident
        return (*self._publisher.status.incidents, *([f"store: {store}"] if store else []))

    def _publish_info(self) -> None:
        settings, model = self.settings, self.model
        runtime, loaded = model.loaded.runtime, model.loaded
        self._published_incidents = self._incidents()
        self._publisher.put_info(
            info_payload(
                version=__version__,
                model=model.id,
                runtime=f"{runtime.name} {runtime.version}",
                delegate=loaded.delegate_choice.note,
                notes=[
                    *([self.fallback] if self.fallback else []),
                    *loaded.notes,
                    *self._published_incidents,
                ],
                labels=list(self._labels()),
                configuration=presentable((), as_tree(in_force(self._started_with, settings))),
            )
        )


def _without_labels(decision: DecisionSettings) -> DecisionSettings:
    """The same rules for every label."""
    return replace(decision, labels={}, groups={}, aliases={}, ignore=())


def camera_titles(settings: Settings) -> Mapping[str, str]:
    """What people call each camera."""
    return {name: camera.title or name for name, camera in settings.cameras.items()}


def remembered_overrides(
    remembered: Mapping[str, Any],
) -> tuple[Mapping[str, CameraOverride], str]:
    """What ``remember_overrides`` kept before the restart: each camera's, and the model."""
    overrides = remembered.get("overrides", {})
    # Key by key: another version may have kept others as well.
    cameras = {
        name: CameraOverride(kept.get("enabled"), kept.get("threshold"))
        for name, kept in overrides.get("cameras", {}).items()
    }
    return cameras, overrides.get("model", "")


def log_reload(outcome: Mapping[str, Any] | Exception) -> None:
    """Log the outcome of a reload that came as a signal."""
    if isinstance(outcome, Exception):
        _log.error("the configuration was not taken, the old one stays: %s", outcome)
    else:
        changed = ", ".join(outcome["changed"]) or "nothing"
        restart_required = ", ".join(outcome["restart_required"]) or "nothing"
        _log.info(
            "configuration taken; changed: %s; needs a restart: %s", changed, restart_required
        )
