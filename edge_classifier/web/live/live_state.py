"""What was told last by every device and camera: messages in, views out. No I/O, no threads.

Every change has a number. A page that has seen everything up to some number asks for what came
after it, so that nothing has to be kept for each page.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edge_classifier.web.live import parsing as reading
from edge_classifier.web.live.device_state import CameraNow, DeviceNow, camera_view, device_view
from edge_classifier.web.live.latest_frames import LatestFrames
from edge_classifier.web.live.parsing import (
    DeviceFigures,
    DeviceInfo,
    ReportedChange,
    ReportedSnapshot,
    ReportedState,
    TopicRoute,
)
from edge_classifier.web.live.score_history import ScorePoint, chart, recent

MOST_DEVICES, MOST_CAMERAS = 500, 2000
# After a connection, until what has not been told again is forgotten. Daemons that have lost the
# same broker come back within 60 s.
SWEEP_S = 120.0
_OF_DEVICES = ("availability", "stats", "info")
_OF_CAMERAS = ("availability", "state", "event", "snapshot")


@dataclass(frozen=True, slots=True)
class Outline:
    """Which devices and cameras there are, by name, with the numbers of their last changes."""

    version: int
    # The change with which a device or a camera last came or went.
    order: int
    devices: tuple[tuple[str, int, tuple[tuple[str, int], ...]], ...]


class LiveState:
    """The last word of everybody. Not for several threads at once: ``Live`` holds a lock."""

    def __init__(self, base: str) -> None:
        self._base = base
        # The number of the last change.
        self.version = 1
        # Messages that had no sense, or no room.
        self.ignored = 0
        self.frames = LatestFrames()
        self._order = 1
        self._connection = 0
        self._sweep_at: float | None = None
        self._devices: dict[str, DeviceNow] = {}

    def take(self, topic: str, payload: bytes, now: float) -> None:
        """Hear one message. ``now`` in UTC seconds. Raises nothing, whatever was sent."""
        found = reading.route(self._base, topic)
        if found is None or not self._take(found, payload, now):
            self.ignored += 1

    def connected(self, now: float) -> None:
        """A new connection: the broker tells again what it keeps, so nothing is known till then."""
        self._connection += 1
        self._sweep_at = now + SWEEP_S
        for device in self._devices.values():
            device.online = None
            self._touch(device, *device.cameras.values())

    def sweep(self, now: float) -> None:
        """Some time later: forget devices and cameras that were not told again."""
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
        return device_view(device) if device else None

    def camera(self, device: str, name: str, now: float) -> dict[str, Any] | None:
        """One camera, with its chart, and with its labels before this one."""
        if not (found := self._devices.get(device)) or not (camera := found.cameras.get(name)):
            return None
        points = camera.history.points
        more = {"chart": chart(points, now), "before": recent(points)}
        return {**camera_view(found, camera), **more}

    def view(self) -> Iterator[dict[str, Any]]:
        """All devices with their cameras, as JSON values."""
        for _, device in sorted(self._devices.items()):
            cameras = [camera_view(device, one) for _, one in sorted(device.cameras.items())]
            yield {**device_view(device), "cameras": cameras}

    def _take(self, found: TopicRoute, payload: bytes, now: float) -> bool:
        """False: it was no sense, or there is no room."""
        if found.kind not in (_OF_CAMERAS if found.camera else _OF_DEVICES):
            return False
        if not payload:
            self._clear(found)
            return True
        if not found.camera:
            return self._take_device(found, payload)
        said = reading.of_camera(found.kind, payload, now)
        if said is None or (camera := self._camera(found)) is None:
            return False
        self._hear_camera(camera, said, now)
        return True

    def _take_device(self, found: TopicRoute, payload: bytes) -> bool:
        said = reading.of_device(found.kind, payload)
        if said is None or (device := self._device(found.device)) is None:
            return False
        match said:
            case bool() if said != device.online:
                device.online = said
                self._touch(device, *device.cameras.values())
            case DeviceFigures():
                self._hear_figures(device, said)
            case DeviceInfo():
                device.about = said
                self._touch(device)
        return True

    def _hear_figures(self, device: DeviceNow, figures: DeviceFigures) -> None:
        before = device.figures.cameras if device.figures else {}
        device.figures = figures
        self._touch(device)
        for name, camera in device.cameras.items():
            if figures.cameras.get(name) != before.get(name):
                self._touch(camera)

    def _hear_camera(
        self,
        camera: CameraNow,
        said: bool | ReportedState | ReportedChange | ReportedSnapshot,
        now: float,
    ) -> None:
        if said == camera.online:
            return
        self._touch(camera)
        match said:
            case bool():
                camera.online = said
            case ReportedState():
                camera.state = said
                camera.history.add(ScorePoint(said.at, said.label, said.score), now)
            case ReportedChange():
                # After an outage old events come late.
                if camera.event is None or said.at >= camera.event.at:
                    camera.event = said
                camera.history.add(ScorePoint(said.at, said.label, said.score), now)
            case ReportedSnapshot():
                self.frames.put((camera.device, camera.name), said.jpeg)
                camera.frame = self.version

    def _device(self, name: str) -> DeviceNow | None:
        """The device, made if there is room."""
        device = self._devices.get(name)
        if device is None:
            if len(self._devices) >= MOST_DEVICES:
                return None
            device = self._devices[name] = DeviceNow(name, self._next(), 0)
            self._order = self.version
        device.heard = self._connection
        return device

    def _camera(self, found: TopicRoute) -> CameraNow | None:
        """The camera, and its device, made if there is room."""
        device = self._device(found.device)
        if device is None:
            return None
        camera = device.cameras.get(found.camera)
        if camera is None:
            if sum(len(one.cameras) for one in self._devices.values()) >= MOST_CAMERAS:
                return None
            camera = CameraNow(device.name, found.camera, self._next(), 0)
            device.cameras[found.camera] = camera
            self._order = self.version
        camera.heard = self._connection
        return camera

    def _clear(self, found: TopicRoute) -> None:
        """Somebody has taken back what the broker kept: without a word it is no more."""
        device = self._devices.get(found.device)
        if device is None:
            return
        camera = device.cameras.get(found.camera)
        if found.kind == "availability":
            if not found.camera:
                self._forget_device(device.name)
            elif camera:
                self._forget_camera(device, camera.name)
        elif found.kind == "snapshot" and camera:
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
