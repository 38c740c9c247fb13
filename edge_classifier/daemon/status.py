"""How the daemon as a whole is: published once a second, and served over HTTP."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.core.network.camera_address import describe
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_pipeline import DaemonOutputs
from edge_classifier.daemon.host import Host
from edge_classifier.daemon.meters import DaemonMetric, MetricSample, counter, gauge
from edge_classifier.daemon.systemd import Notifier
from edge_classifier.mqtt.codec.device_payloads import stats_payload
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

# Without progress for so long, /healthz says that the daemon is stuck.
_STUCK_S = 60.0


@dataclass(frozen=True, slots=True)
class HealthReport:
    """``failing``: what keeps the daemon from its work. ``degraded``: what it works without."""

    failing: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    # What each camera is opened with, without secrets.
    cameras: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """One word."""
        return "failing" if self.failing else "degraded" if self.degraded else "ok"


def judge_health(
    idle_s: float, stuck_after_s: float, cameras: Mapping[str, str], others: Mapping[str, str]
) -> HealthReport:
    """Failing when the main loop has completed no turn for too long, or no camera gives pictures.

    ``cameras`` and ``others`` (the broker, the capture store) are names with what is wrong, or
    nothing. A broker that is away is waited for, and fails nothing.
    """
    failing = []
    if idle_s > stuck_after_s:
        failing.append(f"pipeline: no progress for {idle_s:.0f} s")
    if cameras and all(cameras.values()):
        failing.append("no camera is online")
    wrong = (*cameras.items(), *others.items())
    return HealthReport(tuple(failing), tuple(f"{name}: {what}" for name, what in wrong if what))


class StatusReporter:
    """Camera health, heartbeats, statistics. ``report`` belongs to the main loop's thread."""

    def __init__(
        self,
        *,
        cameras: Cameras,
        outputs: DaemonOutputs,
        host: Host,
        notifier: Notifier,
        mqtt: Callable[[], MqttSettings],
        model_trouble: Callable[[], str],
        clock: Clock = time.monotonic,
    ) -> None:
        """``mqtt``: the settings in force; ``model_trouble``: why another one runs, if so."""
        self._cameras = cameras
        self._publisher = outputs.publisher
        self._store = outputs.store
        self._meters = outputs.meters
        self._host = host
        self._notifier = notifier
        self._mqtt = mqtt
        self._model_trouble = model_trouble
        self._clock = clock
        self._stats_at = clock()
        self._status_line = ""

    def report(self) -> None:
        """Publish what is due, once a second."""
        pipelines, mqtt = self._cameras.pipelines.values(), self._mqtt()
        for pipeline in pipelines:
            pipeline.publish_health()
            pipeline.publish_due(heartbeat_s=mqtt.heartbeat_s, score_s=mqtt.score_s)
        online = sum(pipeline.capture.status.online for pipeline in pipelines)
        broker = "connected" if self._publisher.status.connected else "away"
        status_line = f"{online} of {len(pipelines)} cameras online, broker {broker}"
        if status_line != self._status_line:
            self._status_line = status_line
            self._notifier.status(status_line)
        if self._clock() - self._stats_at >= mqtt.stats_s:
            self._stats_at = self._clock()
            self._publisher.put_stats(self.stats())

    def stats(self) -> dict[str, object]:
        """What the ``stats`` topic says."""
        now_s = self._clock()
        cameras = {}
        for name, pipeline in self._cameras.pipelines.items():
            status = pipeline.capture.status
            cameras[name] = {
                "online": status.online,
                "reason": status.reason,
                "for_s": round(now_s - status.since, 1),
                "source": status.description,
                "opened": status.opened,
                "failures": status.failures,
                "dropped": status.dropped,
                "damaged": status.damaged,
                "hung": status.hung,
                "glimpses_left_out": pipeline.reports.glimpses_left_out,
            }
        return stats_payload(
            self._meters.stats(cameras),
            publisher=asdict(self._publisher.status),
            store=self._store.status.stats(),
            host=self._host.status().stats(),
        )

    def metrics(self) -> Iterator[DaemonMetric]:
        """Everything for Prometheus. Any thread."""
        yield from self._meters.metrics()
        statuses = {name: one.capture.status for name, one in self._cameras.pipelines.items()}
        online = (MetricSample(one.online, {"camera": name}) for name, one in statuses.items())
        yield DaemonMetric("camera_online", "Whether frames come.", "gauge", tuple(online))
        lost = (MetricSample(one.failures, {"camera": name}) for name, one in statuses.items())
        yield DaemonMetric("camera_failures", "Times a camera was lost.", "counter", tuple(lost))
        damaged = (MetricSample(one.damaged, {"camera": name}) for name, one in statuses.items())
        text = "Frames that were damaged or cut short, and left out."
        yield DaemonMetric("camera_frames_damaged", text, "counter", tuple(damaged))
        publisher = self._publisher.status
        yield gauge("broker_connected", "Whether there is a connection.", publisher.connected)
        yield gauge("outbox_events", "Events that wait for the broker.", publisher.waiting)
        yield counter("events_published", "Events the broker has.", publisher.published)
        yield counter("events_dropped", "Events that had to go.", publisher.dropped)
        yield from self._store.status.metrics()
        yield from self._host.status().metrics()

    def health(self, idle_s: float) -> HealthReport:
        """What is wrong now; ``idle_s``: since the main loop came round. Any thread."""
        publisher, store = self._publisher.status, self._store.status
        pipelines = self._cameras.pipelines
        cameras = {name: one.capture.status.reason for name, one in pipelines.items()}
        others = {
            "model": self._model_trouble(),
            "broker": publisher.reason if self._mqtt().enabled else "",
            "outbox": "; ".join(filter(None, (publisher.trouble, *publisher.incidents))),
            "store": store.trouble or store.incident,
        }
        sources = {name: describe(one.settings.source) for name, one in pipelines.items()}
        return replace(judge_health(idle_s, _STUCK_S, cameras, others), cameras=sources)
