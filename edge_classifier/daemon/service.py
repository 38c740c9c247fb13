"""The composition root of the daemon: builds the parts, starts them, and ends them in order."""

import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edge_classifier import __version__
from edge_classifier.config.changes import in_force
from edge_classifier.config.secrets import presentable, read_secret
from edge_classifier.config.settings import Settings
from edge_classifier.config.toml import as_tree
from edge_classifier.daemon.active_model import ActiveModel
from edge_classifier.daemon.background import BackgroundWorker
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.cameras import Cameras
from edge_classifier.daemon.capture_store import CaptureStore
from edge_classifier.daemon.commands import CommandHandler
from edge_classifier.daemon.frame_result import CameraOverride, FrameResult
from edge_classifier.daemon.host import Host
from edge_classifier.daemon.identity import node_name, state_folder
from edge_classifier.daemon.loop import MainLoop
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.metrics import DaemonMetric
from edge_classifier.daemon.model_files import ModelFiles
from edge_classifier.daemon.notify import Notifier, Watchdog, watchdog_interval_s
from edge_classifier.daemon.periodic import PeriodicTasks
from edge_classifier.daemon.reporter import Explain, Reporter
from edge_classifier.errors import EdgeClassifierError, ExitCode
from edge_classifier.mqtt.publisher import Publisher

if TYPE_CHECKING:  # Loaded only where it is to serve: it costs 2 MB.
    from edge_classifier.daemon.http import HealthReport, HttpServer

_log = logging.getLogger(__name__)

# For the cameras, the broker and the disk, each, when the daemon ends.
_CLOSING_S = 5.0
# Without progress for so long, /healthz says that the daemon is stuck.
_STUCK_S = 60.0


class Service:
    """Everything, built and connected. Belongs to the main thread, as signals do."""

    def __init__(
        self,
        settings: Settings,
        *,
        read_settings: Callable[[], Settings],
        explain: Explain | None = None,
    ) -> None:
        self._notifier = Notifier.from_environment()
        self._watchdog = Watchdog(self._notifier, watchdog_interval_s())
        self._progressed_at = time.monotonic()
        self._reload_wanted = False
        self._server: HttpServer | None = None
        self._started_with = settings

        self._folder = folder = state_folder(settings.device)
        self._meters, self._host, self._worker = Meters(), Host(folder), BackgroundWorker()
        self._keeper = CaptureStore(settings.store, folder / "pictures")
        self._publisher = self._make_publisher()
        self._reporter = Reporter(
            settings,
            meters=self._meters,
            publisher=self._publisher,
            keeper=self._keeper,
            explain=explain,
        )
        self._pipeline = MainLoop(
            seen=self._seen, housekeeping=self._housekeep, progress=self._progress
        )
        overrides = self._publisher.remembered().get("overrides", {})
        self._cameras = Cameras(
            wake=self._pipeline.wake,
            restored=self._publisher.states(),
            overrides=_overrides(overrides),
        )
        self._control = self._make_control(read_settings, overrides.get("model", ""))
        self._rounds = self._make_rounds()

    def _make_publisher(self) -> Publisher:
        settings = self._started_with
        return Publisher(
            settings.mqtt,
            settings.outbox,
            self._folder / "outbox.db",
            node=node_name(settings.device),
            cameras=_titles(settings),
            password=self._password,
            on_request=self._request,
            on_published=self._meters.published,
        )

    def _make_control(self, read_settings: Callable[[], Settings], model: str) -> CommandHandler:
        """``model``: the one that was asked for in an earlier life."""
        return CommandHandler(
            self._started_with,
            pipeline=self._pipeline,
            cameras=self._cameras,
            reporter=self._reporter,
            publisher=self._publisher,
            keeper=self._keeper,
            worker=self._worker,
            read_settings=read_settings,
            installed=self._installed,
            shelf=ModelFiles.below(self._folder),
            requested_model=model,
        )

    def _make_rounds(self) -> PeriodicTasks:
        return PeriodicTasks(
            cameras=self._cameras,
            reporter=self._reporter,
            publisher=self._publisher,
            keeper=self._keeper,
            meters=self._meters,
            host=self._host,
            notifier=self._notifier,
            settings=lambda: self._control.settings,
        )

    def run(self) -> ExitCode:
        """Start, work until SIGTERM or SIGINT, and end in order.

        Raises what keeps it from starting: a model that cannot be used, wrong settings.
        """
        self._listen_to_signals()
        self._control.start()
        self._serve()
        self._keeper.start()
        self._publisher.start()
        self._worker.start()
        self._notifier.ready("started")
        # What is there now stays: the collector need not look through it for months.
        gc.collect()
        gc.freeze()
        try:
            self._pipeline.run()
        except BrokenPipeError:
            raise  # Whoever read --explain has gone.
        except Exception:
            # It ends, and is started anew. What is printed then does not tell where it was.
            _log.exception("a bug ends the daemon")
            raise
        finally:
            closed = self._end()
        if not closed:
            # A driver that hangs may crash what Python tidies up on its way out.
            logging.shutdown()
            os._exit(ExitCode.OK)
        return ExitCode.OK

    def _end(self) -> bool:
        """Close everything; whether every camera has let go."""
        self._notifier.stopping()
        _log.info("stopping")
        self._cameras.stop(0.0)  # They begin to close, and nobody waits for them to hear of it.
        connected = self._publisher.status.connected
        clean = self._publisher.stop(_CLOSING_S)
        kept = self._keeper.stop(_CLOSING_S)
        closed = self._cameras.stop(_CLOSING_S)
        if self._server:
            self._server.stop()
        _log.info(
            "stopped; cameras %s, broker %s, pictures %s",
            "closed" if closed else "left to their drivers",
            "not told" if not clean else "told" if connected else "away",
            "written" if kept else "not all written",
        )
        return closed

    def _listen_to_signals(self) -> None:
        """Handlers set flags and take no locks: they may interrupt the very code that holds one."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._pipeline.stop())
        signal.signal(signal.SIGHUP, lambda *_: self._want_reload())

    def _want_reload(self) -> None:
        self._reload_wanted = True

    def _housekeep(self) -> None:
        if self._reload_wanted:
            self._reload_wanted = False
            self._control.reload()
        self._rounds.go()

    def _seen(self, lane: CameraPipeline, outcome: FrameResult) -> None:
        if outcome.change:
            # Nobody believes the news of a camera that is said to be offline.
            self._rounds.tell_health(lane.name, lane)
        self._reporter.seen(lane, outcome)

    def _progress(self) -> None:
        self._progressed_at = time.monotonic()
        self._watchdog.progress()

    def _request(self, command: str, payload: bytes) -> None:
        """The publisher is there before what carries out its requests."""
        self._control.request(command, payload)

    def _password(self) -> str | None:
        secret = read_secret(self._started_with.mqtt.password_file, "mqtt-password")
        return secret.reveal() if secret else None

    def _installed(self, network: ActiveModel, settings: Settings) -> None:
        """Tell everybody what is in force now."""
        logging.getLogger().setLevel(settings.log.level.upper())
        self._meters.follow(settings.cameras)
        lanes = self._cameras.lanes
        labels = dict.fromkeys(name for lane in lanes.values() for name in lane.rules.labels.names)
        names = network.names(settings.device.language)
        self._publisher.follow(_titles(settings))
        self._publisher.describe(
            tuple(labels),
            lambda label: names.get(label, label),
            network.id,
            stats_s=settings.mqtt.stats_s,
        )
        self._publisher.info(_info(network, in_force(self._started_with, settings), tuple(labels)))
        for lane in lanes.values():
            self._reporter.show(lane)
        _log.info(
            "model %s, %s; cameras %s", network.id, network.loaded.seat.note, ", ".join(lanes)
        )
        for note in network.loaded.notes:
            _log.warning("%s", note)

    def _serve(self) -> None:
        http = self._started_with.http
        if not http.enabled:
            return
        from edge_classifier.daemon.http import HttpServer

        server = HttpServer(http, figures=self._figures, health=self._health)
        try:
            server.start()
        except EdgeClassifierError as error:
            # Cameras are more important than figures about them.
            _log.error("%s", error)
        else:
            self._server = server

    def _figures(self) -> Iterator[DaemonMetric]:
        yield from self._meters.figures()
        yield from self._rounds.figures()
        yield from self._keeper.status.figures()
        yield from self._host.status().figures()

    def _health(self) -> "HealthReport":
        from edge_classifier.daemon.http import judge

        idle_s = time.monotonic() - self._progressed_at
        return judge(idle_s, _STUCK_S, *self._rounds.troubles())


def _info(network: ActiveModel, settings: Settings, labels: tuple[str, ...]) -> Mapping[str, Any]:
    """The ``info`` topic: what runs here."""
    loaded = network.loaded
    return {
        "version": __version__,
        "model": network.id,
        "runtime": f"{loaded.runtime.name} {loaded.runtime.version}",
        "delegate": loaded.seat.note,
        "notes": list(loaded.notes),
        "labels": list(labels),
        "configuration": presentable((), as_tree(settings)),
    }


def _titles(settings: Settings) -> Mapping[str, str]:
    """What people call each camera."""
    return {name: camera.title or name for name, camera in settings.cameras.items()}


def _overrides(remembered: Mapping[str, Any]) -> Mapping[str, CameraOverride]:
    """What was set over MQTT in earlier lives."""
    cameras = remembered.get("cameras", {})
    # Key by key: another version may have kept others as well.
    return {
        name: CameraOverride(kept.get("enabled"), kept.get("threshold"))
        for name, kept in cameras.items()
    }
