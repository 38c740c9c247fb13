"""What may be changed while the daemon runs: requests over MQTT, reloading, another model.

Slow work (reading the configuration, loading a model) is done by the worker; its result is posted
to the pipeline and takes over between two frames, all of it or nothing. The worker makes one change
after the other, so that each builds on what is in force.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from edge_classifier.config.changes import compare
from edge_classifier.config.settings import Settings
from edge_classifier.daemon.active_model import ActiveModel, load_network
from edge_classifier.daemon.background import BackgroundWorker
from edge_classifier.daemon.cameras import Cameras
from edge_classifier.daemon.capture_store import CaptureStore
from edge_classifier.daemon.frame_result import CameraOverride
from edge_classifier.daemon.loop import MainLoop
from edge_classifier.daemon.model_files import ModelFiles
from edge_classifier.daemon.reporter import Reporter
from edge_classifier.daemon.requests import Request, RequestError, answer, parse_request
from edge_classifier.decision.label_map import UnknownLabelsError
from edge_classifier.decision.rules import rules_for
from edge_classifier.errors import ConfigurationError, EdgeClassifierError, UnavailableError
from edge_classifier.mqtt.publisher import Publisher

_log = logging.getLogger(__name__)

# For the pipeline to come round; it never takes so long unless it hangs.
_TAKING_S = 60.0

# Told the outcome of a change: what is new, or why nothing changed.
Done = Callable[[Mapping[str, Any] | Exception], None]


class CommandHandler:
    """Carries out changes. All but ``request`` and ``reload`` belongs to the pipeline's thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        pipeline: MainLoop,
        cameras: Cameras,
        reporter: Reporter,
        publisher: Publisher,
        keeper: CaptureStore,
        worker: BackgroundWorker,
        read_settings: Callable[[], Settings],
        installed: Callable[[ActiveModel, Settings], None],
        shelf: ModelFiles,
        requested_model: str = "",
    ) -> None:
        # In force.
        self.settings = settings
        self._started_with = settings
        self._network: ActiveModel
        self._pipeline = pipeline
        self._cameras = cameras
        self._reporter = reporter
        self._publisher = publisher
        self._keeper = keeper
        self._worker = worker
        self._read_settings = read_settings
        self._installed = installed
        self._shelf = shelf
        self._requested_model = requested_model
        self._handlers: Mapping[str, Callable[[Request, Done], None]] = {
            "enable": self._enable,
            "threshold": self._threshold,
            "snapshot": self._snapshot,
            "reload": lambda _, done: self._reload(done),
            "model": self._model,
            "clear": self._clear,
        }

    def start(self) -> None:
        """Load the model and open the cameras.

        A model that was asked for over MQTT and cannot be used any more gives way to the
        configured one. Raises what keeps the configured one from being used.
        """
        if self._requested_model:
            try:
                self.install(self._load(self.settings, self._requested_model), self.settings)
            except (EdgeClassifierError, UnknownLabelsError) as error:
                _log.error("back to the configured model: %s", error)
                self._requested_model = ""
            else:
                _log.info("model %s, as asked for over MQTT", self._requested_model)
                return
        try:
            self.install(self._load(self.settings, ""), self.settings)
        except UnknownLabelsError as error:
            remedy = "`edge-classify models info` lists the model's labels."
            raise ConfigurationError("labels", str(error), remedy) from error

    def request(self, command: str, payload: bytes) -> None:
        """A request has come. Any thread."""
        if not self._pipeline.post(partial(self._handle, command, payload)):
            _log.warning("request %s dropped: too many are waiting", command)

    def reload(self) -> None:
        """Read the configuration again, as SIGHUP asks; the log tells the outcome."""
        self._reload(_log_reload)

    def _handle(self, command: str, payload: bytes) -> None:
        try:
            self._carry_out(command, payload)
        except Exception:  # noqa: BLE001 (whoever may publish must not be able to end the daemon)
            _log.exception("request %s failed", command)

    def _carry_out(self, command: str, payload: bytes) -> None:
        try:
            request = parse_request(command, payload, tuple(self._cameras.lanes))
        except RequestError as error:
            _log.warning("request %s refused: %s", command, error)
            self._publisher.respond(command, answer(error, {}))
            return
        self._handlers[command](request, partial(self._answer, request))

    def _answer(self, request: Request, outcome: Mapping[str, Any] | Exception) -> None:
        """Any thread."""
        if isinstance(outcome, Exception):
            _log.warning("request %s failed: %s", request.command, outcome)
            error = RequestError(str(outcome), request.transaction)
            self._publisher.respond(request.command, answer(error, {}))
        else:
            _log.info("request %s done: %s", request.command, dict(outcome))
            self._publisher.respond(request.command, answer(request, outcome))

    def _enable(self, request: Request, done: Done) -> None:
        self._override(request, enabled=request.enabled)
        done({"cameras": list(request.cameras), "enabled": request.enabled})

    def _threshold(self, request: Request, done: Done) -> None:
        self._override(request, threshold=request.threshold)
        lanes = self._cameras.lanes
        done({"thresholds": {name: lanes[name].threshold for name in request.cameras}})

    def _override(self, request: Request, **changed: Any) -> None:
        for name in request.cameras:
            lane = self._cameras.lanes[name]
            lane.set_override(replace(lane.override, **changed))
            self._reporter.show(lane)
        self._remember()

    def _snapshot(self, request: Request, done: Done) -> None:
        for name in request.cameras:
            self._reporter.want_snapshot(name)
        done({"cameras": list(request.cameras)})

    def _clear(self, request: Request, done: Done) -> None:
        if request.what == "outbox":
            self._publisher.clear()
        elif request.what == "store":
            self._keeper.clear()
        elif request.what == "overrides":
            self._override(request, enabled=None, threshold=None)
        else:
            for name in request.cameras:
                lane = self._cameras.lanes[name]
                lane.forget()
                self._reporter.show(lane)
        done({"cleared": request.what, "cameras": list(request.cameras)})

    def _remember(self) -> None:
        cameras = {
            name: {"enabled": lane.override.enabled, "threshold": lane.override.threshold}
            for name, lane in self._cameras.lanes.items()
            if lane.override != CameraOverride()
        }
        self._publisher.remember("overrides", {"cameras": cameras, "model": self._requested_model})

    def _model(self, request: Request, done: Done) -> None:
        def load() -> None:
            network = self._load(self.settings, request.model)
            self._hand_over(partial(self._take_model, network, request.model, done))

        self._work(load, done)

    def _take_model(self, network: ActiveModel, requested: str, done: Done) -> None:
        try:
            self.install(network, self.settings)
        except UnknownLabelsError as error:
            done(error)
            return
        self._requested_model = requested
        self._remember()
        done({"model": network.id})

    def _reload(self, done: Done) -> None:
        def read() -> None:
            settings = self._read_settings()
            network = None
            if settings.model != self.settings.model:
                network = self._load(settings, self._requested_model)
            self._hand_over(partial(self._take_settings, settings, network, done))

        self._work(read, done)

    def _take_settings(self, settings: Settings, network: ActiveModel | None, done: Done) -> None:
        try:
            live = compare(self.settings, settings).live
            self.install(network or self._network, settings)
        except (UnknownLabelsError, EdgeClassifierError) as error:
            done(error)
            return
        waiting = compare(self._started_with, settings).restart_required
        done({"changed": list(live), "restart_required": list(waiting)})

    def install(self, network: ActiveModel, settings: Settings) -> None:
        """Let a network and settings take over, or raise and leave everything as it is.

        Raises UnknownLabelsError for labels that the network has not, and ConfigurationError.
        """
        for camera in settings.cameras.values():
            rules_for(network.labels, camera.decision)
        self._cameras.take(settings.cameras, network)
        self._pipeline.take(network, self._cameras.lanes.values())
        self._reporter.take(settings)
        self._keeper.reconfigure(settings.store)
        self._network, self.settings = network, settings
        self._installed(network, settings)

    def _load(self, settings: Settings, requested: str) -> ActiveModel:
        """The configured model, or the one that was asked for over MQTT."""
        if not requested:
            return load_network(settings.model)
        reference = self._shelf.reference(requested, in_use=self._requested_model)
        # Label names and crop were configured for another file.
        return load_network(replace(settings.model, use=reference, labels=None, crop=""))

    def _work(self, job: Callable[[], None], done: Done) -> None:
        """Do slow work beside the pipeline; what fails is told, and nothing has changed."""

        def work() -> None:
            try:
                job()
            except EdgeClassifierError as error:
                done(error)
            except Exception as error:
                # A bug, or a machine without memory or processes left; the worker logs where.
                done(UnavailableError("this change", f"failed ({type(error).__name__}: {error})"))
                raise

        if not self._worker.submit(work):
            done(RequestError("too many changes are under way: try again later"))

    def _hand_over(self, action: Callable[[], None]) -> None:
        """Have ``action`` done, and wait for it: the next change builds on this one."""
        taken = threading.Event()

        def act() -> None:
            action()
            taken.set()

        if not self._pipeline.post(act):
            raise UnavailableError("the pipeline", "too much is waiting", "Try again later")
        taken.wait(_TAKING_S)


def _log_reload(outcome: Mapping[str, Any] | Exception) -> None:
    if isinstance(outcome, Exception):
        _log.error("the configuration was not taken, the old one stays: %s", outcome)
    else:
        changed = ", ".join(outcome["changed"]) or "nothing"
        waiting = ", ".join(outcome["restart_required"]) or "nothing"
        _log.info("configuration taken; changed: %s; needs a restart: %s", changed, waiting)
