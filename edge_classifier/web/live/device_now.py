"""One device or camera: what it said last, and what a page asks of that. No I/O, no threads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_classifier.mqtt.codec.camera_payloads import MAX_LABEL, StateMessage
from edge_classifier.mqtt.codec.device_payloads import (
    NO_INFO,
    CameraStats,
    InfoMessage,
    StatsMessage,
)
from edge_classifier.mqtt.codec.event_messages import EventMessage
from edge_classifier.mqtt.codec.json_fields import line
from edge_classifier.web.live.camera_list import CameraOutline
from edge_classifier.web.live.score_history import MOST_POINTS, ScoreHistory, ScorePoint


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
    # The record of an event that looked like nothing before; empty: there is none, or another event
    # has come since.
    new_here: str = ""
    # The number of the change that brought the last picture; 0: there is none.
    frame: int = 0
    # What was looked at in it, in shares of its size, and that in pixels; None: not told.
    frame_box: tuple[float, float, float, float] | None = None
    frame_size: tuple[int, int] | None = None
    history: ScoreHistory = field(default_factory=ScoreHistory)
    # Of its labels, those that have another name: in Chinese, else in the device's language.
    label_names: dict[str, str] = field(default_factory=dict)

    def outline(self, device: "DeviceNow") -> CameraOutline:
        """What is asked of all cameras at once."""
        state = self.state
        return CameraOutline(
            self.name,
            self.version,
            state.label if state else "",
            state.name if state else "",
            title=device.title(self.name),
            is_offline=self.is_online(device) is False,
            size=self.frame_size,
        )

    def is_online(self, device: "DeviceNow") -> bool | None:
        """None while either has not told."""
        return None if device.online is None else device.online and self.online

    def remember(self, point: ScorePoint, name: str, now: float) -> None:
        """Put ``point`` into the history, and what the device calls its label."""
        self.history.add(point, now)
        self.note_names({point.label: name})

    def note_names(self, names: Mapping[str, str]) -> None:
        """Remember what labels are called, where that is something else."""
        for label, name in names.items():
            if name and name != label:
                self.label_names.pop(label, None)
                self.label_names[label] = name
                if len(self.label_names) > MOST_POINTS:
                    del self.label_names[next(iter(self.label_names))]

    def as_json(self, device: "DeviceNow") -> dict[str, Any]:
        """As JSON values, without its past. ``online`` is null while either has not told."""
        state, stats = self.state, device.camera_stats(self.name)
        return {
            "device": self.device,
            "camera": self.name,
            "title": device.title(self.name),
            "online": self.is_online(device),
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
            "frame_box": self.frame_box,
            "frame_size": self.frame_size,
            "new_here": self.new_here,
            "event": str(self.event.key) if self.event else "",
            "path": state.path if state else (),
        }


@dataclass(slots=True)
class DeviceNow:
    """One device and its cameras."""

    name: str
    version: int
    heard: int
    online: bool | None = None
    stats: StatsMessage | None = None
    # When they were heard.
    stats_at: float | None = None
    info: InfoMessage = NO_INFO
    cameras: dict[str, CameraNow] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As JSON values; of its cameras the names."""
        stats = self.stats
        return {
            "name": self.name,
            "online": self.online,
            "cameras": sorted(self.cameras),
            **self.info.as_json(),
            "uptime_s": stats.uptime_s if stats else None,
            "stats_at": self.stats_at,
            "inference_ms": dict(stats.inference_ms) if stats else {},
            "memory_mb": stats.memory_mb if stats else None,
            "temperature_c": stats.temperature_c if stats else None,
            "connected": stats.connected if stats else None,
            "reason": stats.reason if stats else "",
            "waiting": stats.waiting if stats else None,
        }

    def title(self, camera: str) -> str:
        """What people call it."""
        told = self.info.settings.get(camera, {}).get("title")
        return (line(told.value, MAX_LABEL) if told else "") or camera

    def camera_stats(self, camera: str) -> CameraStats | None:
        """What its statistics say of ``camera``."""
        return self.stats.cameras.get(camera) if self.stats else None
