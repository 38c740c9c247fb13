"""What every device and camera said last: messages in, views out. No I/O, no threads.

Every change has a number. A page that has seen everything up to some number asks for what came
after it, so that nothing has to be kept for each page.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.core.jpeg_comment import frame_of
from edge_classifier.core.jpeg_scan import jpeg_size
from edge_classifier.core.text import natural_key
from edge_classifier.mqtt.codec.camera_payloads import (
    MAX_LABEL,
    SnapshotMessage,
    StateMessage,
    read_snapshot,
    read_state,
)
from edge_classifier.mqtt.codec.camera_settings import CameraSettingsMessage
from edge_classifier.mqtt.codec.device_payloads import (
    InfoMessage,
    StatsMessage,
    read_availability,
    read_info,
    read_stats,
)
from edge_classifier.mqtt.codec.event_messages import (
    CameraEventMessage,
    EndMessage,
    EventMessage,
    GlimpseMessage,
    read_event,
)
from edge_classifier.mqtt.codec.json_fields import line
from edge_classifier.mqtt.topics import TopicRoute, Topics, route
from edge_classifier.web.live.camera_list import Outline
from edge_classifier.web.live.device_now import CameraNow, DeviceNow
from edge_classifier.web.live.latest_frames import LatestFrames
from edge_classifier.web.live.score_history import ScorePoint

MAX_DEVICES, MAX_CAMERAS = 500, 2000
# Bytes of one picture.
MAX_JPEG = 2_000_000
# After a connection, until what has not been heard again is forgotten. Daemons that have lost the
# same broker come back within 60 s.
SWEEP_S = 120.0

_OF_DEVICE: Mapping[str, Callable[[bytes], bool | StatsMessage | InfoMessage]] = {
    "availability": read_availability,
    "stats": read_stats,
    "info": read_info,
}
_OF_CAMERA: Mapping[
    str, Callable[[bytes], bool | StateMessage | CameraEventMessage | SnapshotMessage]
] = {
    "availability": read_availability,
    "state": read_state,
    "event": read_event,
    "snapshot": partial(read_snapshot, max_bytes=MAX_JPEG),
}


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
        """All devices, ``barn-2`` before ``barn-10``."""
        return sorted(self._devices, key=natural_key)

    def online(self) -> list[str]:
        """Those that can be asked for something."""
        return [name for name in self.names() if self._devices[name].online]

    @property
    def has_cameras(self) -> bool:
        """Whether any camera has been heard of."""
        return any(device.cameras for device in self._devices.values())

    def outline(self) -> Outline:
        """What there is."""
        devices = tuple(
            (
                name,
                device.version,
                tuple(camera.outline(device) for _, camera in sorted(device.cameras.items())),
            )
            for name, device in sorted(self._devices.items())
        )
        return Outline(self.version, self._order, devices)

    def gives_pictures(self, device: str, camera: str) -> bool:
        """Whether it is known, online, and switched on."""
        found = self._devices.get(device)
        one = found.cameras.get(camera) if found and found.online else None
        return one is not None and bool(one.online) and (one.state is None or one.state.enabled)

    def device(self, name: str) -> dict[str, Any] | None:
        """One device as JSON values, without its cameras."""
        device = self._devices.get(name)
        return device.as_json() if device else None

    def camera(self, device: str, name: str) -> dict[str, Any] | None:
        """One camera as JSON values, with what it has shown: ``points`` and the ``names`` in it."""
        if not (found := self._devices.get(device)) or not (camera := found.cameras.get(name)):
            return None
        return {
            **camera.as_json(found),
            "points": camera.history.points,
            "names": dict(camera.label_names),
        }

    def title(self, device: str, camera: str) -> str:
        """What people call a camera; its name where nobody has said."""
        found = self._devices.get(device)
        return found.title(camera) if found else camera

    def settings(self, device: str, camera: str) -> CameraSettingsMessage:
        """What may be set over MQTT of a camera; empty: its daemon does not tell."""
        found = self._devices.get(device)
        return found.info.settings.get(camera, {}) if found else {}

    def kept_topics(self, device: str) -> list[str]:
        """All topics of one device of which the broker keeps something, as far as was heard."""
        found = self._devices.get(device)
        if found is None:
            return []
        topics = Topics(self._base, device, MqttSettings().discovery_prefix)
        of_cameras = [one for camera in found.cameras for one in topics.kept_of(camera)]
        return [*of_cameras, topics.discovery, topics.info, topics.availability]

    def mark_new(self, device: str, camera: str, key: str, at: float) -> None:
        """The event ``key`` looked like nothing before; of no interest if another one came."""
        found = self._devices.get(device)
        if found and (one := found.cameras.get(camera)) and one.event_at <= at:
            one.new_here = key
            self._touch(one)

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
            # What has gone, or was glimpsed, is nothing that is there now.
            is_now = not isinstance(news, EndMessage | GlimpseMessage)
            if camera is not None and is_now and news != camera.online:
                self._touch(camera)
                self._put_camera(camera, news, now)
            return camera is not None
        of_device = _OF_DEVICE[about.kind](payload)
        device = self._device(about.device)
        if device is not None:
            self._put_device(device, of_device, now)
        return device is not None

    def _put_device(
        self, device: DeviceNow, news: bool | StatsMessage | InfoMessage, now: float
    ) -> None:
        match news:
            case bool() if news != device.online:
                device.online = news
                self._touch(device, *device.cameras.values())
            case StatsMessage():
                before = {name: device.camera_stats(name) for name in device.cameras}
                device.stats, device.stats_at = news, now
                self._touch(device)
                for name, camera in device.cameras.items():
                    if device.camera_stats(name) != before[name]:
                        self._touch(camera)
            case InfoMessage():
                settings = device.info.settings
                device.info = news
                self._touch(device)
                for name, camera in device.cameras.items():
                    if news.settings.get(name) != settings.get(name):
                        self._touch(camera)

    def _put_camera(
        self,
        camera: CameraNow,
        news: bool | StateMessage | CameraEventMessage | SnapshotMessage,
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
                camera.remember(ScorePoint(camera.at, news.label, news.score), news.name, now)
            case EventMessage():
                at, label = min(news.at.timestamp(), now), line(news.label, MAX_LABEL)
                # After an outage old events come late.
                if camera.event is None or at >= camera.event_at:
                    camera.event, camera.event_at, camera.new_here = news, at, ""
                name = line(news.path_names[-1], MAX_LABEL) if news.path_names else ""
                camera.remember(ScorePoint(at, label, news.score), name, now)
                camera.note_names(news.chinese)
            case SnapshotMessage():
                self.frames.put((camera.device, camera.name), news.jpeg)
                camera.frame = self.version
                told = frame_of(news.jpeg)
                camera.frame_box = told.box if told else None
                camera.frame_size = jpeg_size(news.jpeg)

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
            camera.frame, camera.frame_box = 0, None
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
