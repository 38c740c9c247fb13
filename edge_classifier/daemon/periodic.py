"""What is looked after once a second, frames or not."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

from edge_classifier.capture.frame_slot import CameraStatus
from edge_classifier.config.settings import Settings
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.cameras import Cameras
from edge_classifier.daemon.capture_store import CaptureStore
from edge_classifier.daemon.host import Host
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.metrics import DaemonMetric, MetricSample, counter, gauge
from edge_classifier.daemon.notify import Notifier
from edge_classifier.daemon.reporter import Reporter
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)


class PeriodicTasks:
    """Cameras, heartbeats, statistics. Belongs to the pipeline's thread."""

    def __init__(
        self,
        *,
        cameras: Cameras,
        reporter: Reporter,
        publisher: Publisher,
        keeper: CaptureStore,
        meters: Meters,
        host: Host,
        notifier: Notifier,
        settings: Callable[[], Settings],
        clock: Clock = time.monotonic,
    ) -> None:
        self._cameras = cameras
        self._reporter = reporter
        self._publisher = publisher
        self._keeper = keeper
        self._meters = meters
        self._host = host
        self._notifier = notifier
        self._settings = settings
        self._clock = clock
        self._stats_at = clock()
        self._told: dict[str, tuple[bool, str]] = {}
        self._status = ""

    def go(self) -> None:
        """Once round."""
        self._cameras.check()
        for name, lane in self._cameras.lanes.items():
            self.tell_health(name, lane)
            self._reporter.heartbeat(lane)
        self._told = {name: self._told[name] for name in self._cameras.lanes}
        self._tell_manager()
        if self._clock() - self._stats_at >= self._settings().mqtt.stats_s:
            self._stats_at = self._clock()
            self._publisher.stats(self.stats())

    def stats(self) -> dict[str, object]:
        """What the ``stats`` topic says."""
        cameras = {
            name: _camera_facts(lane.grabber.status, self._clock())
            for name, lane in self._cameras.lanes.items()
        }
        return {
            **self._meters.stats(cameras),
            "publisher": asdict(self._publisher.status),
            "store": self._keeper.status.facts(),
            "host": self._host.status().facts(),
        }

    def figures(self) -> Iterator[DaemonMetric]:
        """Cameras and broker for Prometheus. Any thread."""
        statuses = {name: lane.grabber.status for name, lane in tuple(self._cameras.lanes.items())}
        online = (
            MetricSample(status.online, {"camera": name}) for name, status in statuses.items()
        )
        yield DaemonMetric("camera_online", "Whether frames come.", "gauge", tuple(online))
        lost = (
            MetricSample(status.failures, {"camera": name}) for name, status in statuses.items()
        )
        yield DaemonMetric("camera_failures", "Times a camera was lost.", "counter", tuple(lost))
        publisher = self._publisher.status
        yield gauge("broker_connected", "Whether there is a connection.", publisher.connected)
        yield gauge("outbox_events", "Events that wait for the broker.", publisher.waiting)
        yield counter("events_published", "Events the broker has.", publisher.published)
        yield counter("events_dropped", "Events that had to go.", publisher.dropped)

    def troubles(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """What is wrong with each camera, and with all else; nothing is empty. Any thread."""
        lanes = tuple(self._cameras.lanes.items())
        publisher = self._publisher.status
        others = {
            "broker": publisher.reason if self._settings().mqtt.enabled else "",
            "outbox": publisher.trouble,
            "store": self._keeper.status.trouble,
        }
        return {name: lane.grabber.status.reason for name, lane in lanes}, others

    def tell_health(self, name: str, lane: CameraPipeline) -> None:
        """Let subscribers know how a camera is, if they do not yet."""
        status = lane.grabber.status
        told = (status.online, status.reason)
        if self._told.get(name) == told:
            return
        if status.online:
            _log.info("camera %s is online: %s", name, status.description)
        elif status.failures:  # Else it has not had its first chance.
            _log.warning("camera %s is offline: %s", name, status.reason)
        self._told[name] = told
        self._publisher.camera(name, online=status.online, reason=status.reason)

    def _tell_manager(self) -> None:
        online = sum(online for online, _ in self._told.values())
        broker = "connected" if self._publisher.status.connected else "away"
        status = f"{online} of {len(self._told)} cameras online, broker {broker}"
        if status != self._status:
            self._status = status
            self._notifier.status(status)


def _camera_facts(status: CameraStatus, now_s: float) -> Mapping[str, object]:
    return {
        "online": status.online,
        "reason": status.reason,
        "for_s": round(now_s - status.since, 1),
        "source": status.description,
        "opened": status.opened,
        "failures": status.failures,
        "dropped": status.dropped,
        "hung": status.hung,
    }
