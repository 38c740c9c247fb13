"""What every device and camera said last: messages in, views out. No I/O, no threads.

Every change has a number. A page that has seen everything up to some number asks for what came
after it, so that nothing has to be kept for each page.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from edge_classifier.mqtt.codec.camera_payloads import (
    MAX_LABEL,
    EventMessage,
    SnapshotMessage,
    StateMessage,
    read_event,
    read_snapshot,
    read_state,
)
from edge_classifier.mqtt.codec.device_payloads import (
    CameraStats,
    InfoMessage,
    StatsMessage,
    read_availability,
    read_info,
    read_stats,
)
from edge_classifier.mqtt.codec.json_fields import line
from edge_classifier.mqtt.topics import TopicRoute, route
from edge_classifier.web.live.score_history import ScoreHistory, ScorePoint, chart, recent

MAX_DEVICES, MAX_CAMERAS = 500, 2000
# Bytes of one picture, and of all together.
MAX_JPEG, MAX_FRAMES = 2_000_000, 16_000_000
# After a connection, until what has not been heard again is forgotten. Daemons that have lost the
# same broker come back within 60 s.
SWEEP_S = 120.0

_OF_DEVICE: Mapping[str, Callable[[bytes], bool | StatsMessage | InfoMessage]] = {
    "availability": read_availability,
    "stats": read_stats,
    "info": read_info,
}
_OF_CAMERA: Mapping[
    str, Callable[[bytes], bool | StateMessage | EventMessage | SnapshotMessage]
] = {
    "availability": read_availability,
    "state": read_state,
    "event": read_event,
    "snapshot": partial(read_snapshot, max_bytes=MAX_JPEG),
}


@dataclass(slots=True)
class CameraNow:
    """One camera. Times are in UTC seconds, and not later than when they were heard."""

    device: str
    name: str
    version: int
    # In which connection it was heard last.
    heard: int
    online: bool | None = None
    state: StateMessage | None = None
    at: float | None = None
    since: float | None = None
    event: EventMessage | None = None
    event_at: float = 0.0
    # The number of the change that brought the last picture; 0: there is none.
    frame: int = 0
    history: ScoreHistory = field(default_factory=ScoreHistory)

    def as_json(self, device: "DeviceNow") -> dict[str, Any]:
        """As JSON values, without its chart. ``online`` is null while either has not told."""
        state, stats = self.state, device.camera_stats(self.name)
        return {
            "device": self.device,
            "camera": self.name,
            "online": None if device.online is None else device.online and self.online,
            "device_online": device.online,
            "reason": (state.problem if state else "") or (stats.reason if stats else ""),
            "label": state.label if state else "",
            "name": state.name if state else "",
            "score": state.score if state else None,
            "at": self.at,
            "since": self.since,
            "model": state.model if state else "",
            "enabled": state.enabled if state else True,
            "fps": stats.fps if stats else None,
            "delay_ms": self.event.delay_ms if self.event else None,
            "frame": self.frame,
        }


@dataclass(slots=True)
class DeviceNow:
    """One device and its cameras."""

    name: str
    version: int
    heard: int
    online: bool | None = None
    stats: StatsMessage | None = None
    info: InfoMessage | None = None
    cameras: dict[str, CameraNow] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As JSON values, without its cameras."""
        stats, info = self.stats, self.info
        return {
            "name": self.name,
            "online": self.online,
            "version": info.version if info else "",
            "model": info.model if info else "",
            "uptime_s": stats.uptime_s if stats else None,
            "memory_mb": stats.memory_mb if stats else None,
            "temperature_c": stats.temperature_c if stats else None,
            "connected": stats.connected if stats else None,
            "reason": stats.reason if stats else "",
            "waiting": stats.waiting if stats else None,
        }

    def camera_stats(self, camera: str) -> CameraStats | None:
        """What its statistics say of ``camera``."""
        return self.stats.cameras.get(camera) if self.stats else None


class LatestFrames:
    """One JPEG a camera, by device and camera; those that changed longest ago go first."""

    def __init__(self, most_bytes: int = MAX_FRAMES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._bytes = 0

    def put(self, key: tuple[str, str], jpeg: bytes) -> None:
        """Keep ``jpeg`` instead of the one before."""
        self.drop(key)
        self._kept[key] = jpeg
        self._bytes += len(jpeg)
        while self._bytes > self._most:
            self._bytes -= len(self._kept.popitem(last=False)[1])

    def get(self, key: tuple[str, str]) -> bytes | None:
        """The picture, if it is still there."""
        return self._kept.get(key)

    def drop(self, key: tuple[str, str]) -> None:
        """Forget it."""
        self._bytes -= len(self._kept.pop(key, b""))


@dataclass(frozen=True, slots=True)
class Outline:
    """Which devices and cameras there are, by name, with the numbers of their last changes."""

    version: int
    # The change with which a device or a camera last came or went.
    order: int
    devices: tuple[tuple[str, int, tuple[tuple[str, int], ...]], ...]


class LiveState:
    """All devices. Not for several threads at once: ``LiveClient`` holds a lock."""

    def __init__(self, base: str) -> None:
        self._base = base
        # The number of the last change.
        self.version = 1
        # Messages that made no sense, or for which there was no room.
        self.ignored = 0
        self.frames = LatestFrames()
        self._order = 1
        self._connection = 0
        self._sweep_at: float | None = None
        self._devices: dict[str, DeviceNow] = {}

    def take(self, topic: str, payload: bytes, now: float) -> None:
        """Take one message. ``now`` in UTC seconds. Raises nothing, whatever was sent."""
        about = route(self._base, topic)
        try:
            is_taken = about is not None and self._take(about, payload, now)
        except ValueError:
            is_taken = False
        self.ignored += not is_taken

    def connected(self, now: float) -> None:
        """A new connection: the broker sends what it keeps, so nothing is known till then."""
        self._connection += 1
        self._sweep_at = now + SWEEP_S
        for device in self._devices.values():
            device.online = None
            self._touch(device, *device.cameras.values())

    def sweep(self, now: float) -> None:
        """Some time later: forget devices and cameras that were not heard again."""
        if self._sweep_at is None or now < self._sweep_at:
            return
        self._sweep_at = None
        for device in list(self._devices.values()):
            if device.heard < self._connection:
                self._forget_device(device.name)
                continue
            for camera in list(device.cameras.values()):
                if camera.heard < self._connection:
                    self._forget_camera(device, camera.name)

    def names(self) -> list[str]:
        """All devices, sorted."""
        return sorted(self._devices)

    def online(self) -> list[str]:
        """Those that can be asked for something."""
        return [name for name in self.names() if self._devices[name].online]

    def outline(self) -> Outline:
        """What there is."""
        devices = tuple(
            (
                name,
                device.version,
                tuple((c, one.version) for c, one in sorted(device.cameras.items())),
            )
            for name, device in sorted(self._devices.items())
        )
        return Outline(self.version, self._order, devices)

    def device(self, name: str) -> dict[str, Any] | None:
        """One device as JSON values, without its cameras."""
        device = self._devices.get(name)
        return device.as_json() if device else None

    def camera(self, device: str, name: str, now: float) -> dict[str, Any] | None:
        """One camera, with its chart, and with its labels before this one."""
        if not (found := self._devices.get(device)) or not (camera := found.cameras.get(name)):
            return None
        points = camera.history.points
        return {**camera.as_json(found), "chart": chart(points, now), "before": recent(points)}

    def as_json(self) -> Iterator[dict[str, Any]]:
        """All devices with their cameras, as JSON values."""
        for _, device in sorted(self._devices.items()):
            cameras = [camera.as_json(device) for _, camera in sorted(device.cameras.items())]
            yield {**device.as_json(), "cameras": cameras}

    def _take(self, about: TopicRoute, payload: bytes, now: float) -> bool:
        """False: it is on no topic of ours, or there is no room. Raises ValueError for nonsense."""
        if about.is_response or about.kind not in (_OF_CAMERA if about.camera else _OF_DEVICE):
            return False
        if not payload:
            self._clear(about)
            return True
        if about.camera:
            news = _OF_CAMERA[about.kind](payload)
            camera = self._camera(about)
            if camera is not None and news != camera.online:
                self._touch(camera)
                self._put_camera(camera, news, now)
            return camera is not None
        of_device = _OF_DEVICE[about.kind](payload)
        device = self._device(about.device)
        if device is not None:
            self._put_device(device, of_device)
        return device is not None

    def _put_device(self, device: DeviceNow, news: bool | StatsMessage | InfoMessage) -> None:
        match news:
            case bool() if news != device.online:
                device.online = news
                self._touch(device, *device.cameras.values())
            case StatsMessage():
                before = {name: device.camera_stats(name) for name in device.cameras}
                device.stats = news
                self._touch(device)
                for name, camera in device.cameras.items():
                    if device.camera_stats(name) != before[name]:
                        self._touch(camera)
            case InfoMessage():
                device.info = news
                self._touch(device)

    def _put_camera(
        self,
        camera: CameraNow,
        news: bool | StateMessage | EventMessage | SnapshotMessage,
        now: float,
    ) -> None:
        match news:
            case bool():
                camera.online = news
            case StateMessage():
                camera.state = news
                # No frame is from the future: a device's clock may be wrong.
                camera.at = min(news.at.timestamp(), now)
                camera.since = min(news.since.timestamp(), now) if news.since else None
                camera.history.add(ScorePoint(camera.at, news.label, news.score), now)
            case EventMessage():
                at, label = min(news.at.timestamp(), now), line(news.label, MAX_LABEL)
                # After an outage old events come late.
                if camera.event is None or at >= camera.event_at:
                    camera.event, camera.event_at = news, at
                camera.history.add(ScorePoint(at, label, news.score), now)
            case SnapshotMessage():
                self.frames.put((camera.device, camera.name), news.jpeg)
                camera.frame = self.version

    def _device(self, name: str) -> DeviceNow | None:
        """The device, made if there is room."""
        device = self._devices.get(name)
        if device is None:
            if len(self._devices) >= MAX_DEVICES:
                return None
            device = self._devices[name] = DeviceNow(name, self._next(), 0)
            self._order = self.version
        device.heard = self._connection
        return device

    def _camera(self, about: TopicRoute) -> CameraNow | None:
        """The camera, and its device, made if there is room."""
        device = self._device(about.device)
        if device is None:
            return None
        camera = device.cameras.get(about.camera)
        if camera is None:
            if sum(len(one.cameras) for one in self._devices.values()) >= MAX_CAMERAS:
                return None
            camera = CameraNow(device.name, about.camera, self._next(), 0)
            device.cameras[about.camera] = camera
            self._order = self.version
        camera.heard = self._connection
        return camera

    def _clear(self, about: TopicRoute) -> None:
        """Somebody has taken back what the broker kept: without availability it has gone."""
        device = self._devices.get(about.device)
        if device is None:
            return
        camera = device.cameras.get(about.camera)
        if about.kind == "availability":
            if not about.camera:
                self._forget_device(device.name)
            elif camera:
                self._forget_camera(device, camera.name)
        elif about.kind == "snapshot" and camera:
            self.frames.drop((device.name, camera.name))
            camera.frame = 0
            self._touch(camera)

    def _forget_device(self, name: str) -> None:
        for camera in self._devices.pop(name).cameras:
            self.frames.drop((name, camera))
        self._order = self._next()

    def _forget_camera(self, device: DeviceNow, name: str) -> None:
        del device.cameras[name]
        self.frames.drop((device.name, name))
        self._order = self._next()

    def _touch(self, *changed: DeviceNow | CameraNow) -> None:
        version = self._next()
        for one in changed:
            one.version = version

    def _next(self) -> int:
        self.version += 1
        return self.version
