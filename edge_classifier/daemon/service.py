"""The daemon: builds its parts, starts them, and ends them in order."""

import gc
import logging
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edge_classifier.config.settings import DeviceSettings, Settings
from edge_classifier.daemon.active_configuration import (
    ActiveConfiguration,
    remembered_models_before,
    remembered_overrides,
)
from edge_classifier.daemon.announcement import camera_titles
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_pipeline import (
    CameraPipeline,
    DaemonOutputs,
    Explain,
)
from edge_classifier.daemon.commands import CommandHandler
from edge_classifier.daemon.host import Host
from edge_classifier.daemon.http import HttpServer
from edge_classifier.daemon.loop import MainLoop
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.models.active_model import ModelFiles
from edge_classifier.daemon.models.fetcher import ModelFetcher
from edge_classifier.daemon.models.model_trials import ModelTrials
from edge_classifier.daemon.models.models_in_force import ModelLoader
from edge_classifier.daemon.status import HealthReport, StatusReporter
from edge_classifier.daemon.store import CaptureStore
from edge_classifier.daemon.systemd import Notifier, Watchdog, watchdog_interval_s
from edge_classifier.errors import EdgeClassifierError, ExitCode, OutputError
from edge_classifier.files import default_state_folder
from edge_classifier.mqtt.connection.broker_connection import broker_password
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.vision.jpeg import smaller_jpeg

_log = logging.getLogger(__name__)

# For the cameras, the broker and the disk, each, when the daemon ends.
_CLOSING_S = 5.0


class Service:
    """Everything, built and connected. Belongs to the main thread, as signals do."""

    def __init__(
        self,
        settings: Settings,
        *,
        read_settings: Callable[[], Settings],
        explain: Explain | None = None,
    ) -> None:
        self._started_with = settings
        self._reload_wanted = False
        self._progressed_at = time.monotonic()
        # A network in a thread of its own makes no progress.
        self._is_stuck = False
        self._server: HttpServer | None = None
        self._notifier = Notifier.from_environment()
        self._watchdog = Watchdog(self._notifier, watchdog_interval_s())
        folder = state_folder(settings.device)
        self._meters = meters = Meters()
        # Threads of their own: what leaves the daemon waits there for the broker and for the disk.
        self._publisher = self._make_publisher(settings, folder)
        self._store = CaptureStore(settings.store, folder / "pictures")
        outputs = DaemonOutputs(self._publisher, self._store, meters, explain)
        # The main loop's: cameras and their state.
        self._loop = MainLoop(
            self._pipelines, every_second=self._every_second, on_progress=self._progress
        )
        remembered = self._publisher.remembered()
        overrides, requested = remembered_overrides(remembered)
        self._cameras = Cameras(
            wake=self._loop.wake,
            outputs=outputs,
            restored=self._publisher.states(),
            last_numbers=self._publisher.last_numbers(),
        )
        self._trials = ModelTrials(folder)
        files = ModelFiles.below(folder)
        # What changes while it runs, and what is published once a second.
        self._configuration = ActiveConfiguration(
            settings,
            read_settings=read_settings,
            models=ModelLoader(files, self._trials),
            fetcher=ModelFetcher(files),
            trials=self._trials,
            requested=requested,
            before=remembered_models_before(remembered),
            overrides=overrides,
            post=self._loop.post,
            cameras=self._cameras,
            outputs=outputs,
        )
        self._commands = CommandHandler(
            self._loop.post, self._configuration, self._cameras, outputs
        )
        self._status = StatusReporter(
            cameras=self._cameras,
            outputs=outputs,
            host=Host(folder),
            notifier=self._notifier,
            mqtt=lambda: self._configuration.settings.mqtt,
            model_trouble=lambda: self._configuration.trouble,
        )

    def _make_publisher(self, settings: Settings, folder: Path) -> Publisher:
        return Publisher(
            settings.mqtt,
            settings.outbox,
            folder / "outbox.db",
            node=node_name(settings.device),
            cameras=camera_titles(settings),
            password=partial(broker_password, settings.mqtt.password_file),
            on_request=self._receive_request,
            on_published=self._meters.count_published,
            shrink_jpeg=smaller_jpeg,
            snapshots=settings.snapshots,
        )

    def run(self) -> ExitCode:
        """Start, work until SIGTERM or SIGINT, and end in order.

        Raises what keeps it from starting: a model that cannot be used, wrong settings.
        """
        # Handlers set flags and take no locks: they may interrupt the very code that holds one.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._loop.stop())
        signal.signal(signal.SIGHUP, self._want_reload)
        self._configuration.start()
        self._serve_http()
        self._store.start()
        self._publisher.start()
        self._notifier.ready("started")
        # What is there now stays: the collector need not look through it for months.
        gc.collect()
        gc.freeze()
        try:
            self._loop.run()
        except BrokenPipeError:
            # Whoever read --explain has gone.
            raise
        except Exception:
            # The log has the time and the thread, which what Python prints at its end has not.
            _log.exception("a bug ends the daemon")
            raise
        finally:
            closed = self._end()
        lost = self._publisher.left
        if lost:
            _log.error("%d events are lost, as nothing could be written: see above", lost)
        code = ExitCode.CANNOT_WRITE if lost else ExitCode.OK
        if not closed:
            # A driver that hangs may crash what Python tidies up on its way out.
            logging.shutdown()
            os._exit(code)
        return code

    def _end(self) -> bool:
        """Close everything; whether every camera has let go."""
        self._notifier.stopping()
        _log.info("stopping")
        self._trials.end()
        # They begin to close, while the publisher is waited for.
        self._cameras.stop(0.0)
        connected = self._publisher.status.connected
        clean = self._publisher.stop(_CLOSING_S)
        kept = self._store.stop(_CLOSING_S)
        closed = self._cameras.stop(_CLOSING_S)
        if self._server:
            self._server.stop()
        offline = "published" if connected else "not published (no connection)"
        _log.info(
            "stopped; cameras %s, offline %s, pictures %s",
            "closed" if closed else "not closed (a driver hangs)",
            offline if clean else "not published",
            "written" if kept else "not all written",
        )
        return closed

    def _want_reload(self, *_: object) -> None:
        self._reload_wanted = True

    def _every_second(self) -> None:
        if self._reload_wanted:
            self._reload_wanted = False
            self._configuration.reload(log_reload)
        self._cameras.check()
        self._is_stuck = self._cameras.has_hung_network()
        self._configuration.announcement.publish_news()
        self._trials.progress(self._configuration.inferences())
        self._status.report()

    def _pipelines(self) -> Iterable[CameraPipeline]:
        return self._cameras.pipelines.values()

    def _receive_request(self, command: str, payload: bytes) -> None:
        """The publisher is there before what carries out its requests."""
        self._commands.receive(command, payload)

    def _progress(self) -> None:
        if self._is_stuck:
            return
        self._progressed_at = time.monotonic()
        self._watchdog.progress()

    def _serve_http(self) -> None:
        http = self._started_with.http
        if not http.enabled:
            return

        def health() -> HealthReport:
            return self._status.health(time.monotonic() - self._progressed_at)

        server = HttpServer(http, metrics=self._status.metrics, health=health)
        try:
            server.start()
        except EdgeClassifierError as error:
            # Cameras are more important than metrics of them.
            _log.error("%s", error)
        else:
            self._server = server


def node_name(device: DeviceSettings, host_name: str | None = None) -> str:
    """The configured name, else the host's, with what may not stand in a topic replaced."""
    if device.name:
        return device.name
    host = (socket.gethostname() if host_name is None else host_name).partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", host).strip("-")[:64] or "edge-classifier"


def state_folder(device: DeviceSettings, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of outbox and pictures, made if need be. Raises OutputError."""
    folder = device.state_folder or default_state_folder("edge-classifier", environment)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        remedy = "Set device.state_folder to a folder that this user may write."
        raise OutputError(str(folder), f"cannot be made ({error.strerror})", remedy) from error
    return folder


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
