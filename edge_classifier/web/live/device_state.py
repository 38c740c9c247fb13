"""Devices and cameras as they are now, and as JSON values. Pure."""

from dataclasses import dataclass, field
from typing import Any

from edge_classifier.web.live.parsing import (
    CameraFigures,
    DeviceFigures,
    DeviceInfo,
    ReportedChange,
    ReportedState,
)
from edge_classifier.web.live.score_history import ScoreHistory


@dataclass(slots=True)
class CameraNow:
    """One camera."""

    device: str
    name: str
    version: int
    heard: int
    online: bool | None = None
    state: ReportedState | None = None
    event: ReportedChange | None = None
    # The number of the change that brought the last picture; 0: there is none.
    frame: int = 0
    history: ScoreHistory = field(default_factory=ScoreHistory)


@dataclass(slots=True)
class DeviceNow:
    """One device and its cameras."""

    name: str
    version: int
    # In which connection it was heard last.
    heard: int
    online: bool | None = None
    figures: DeviceFigures | None = None
    about: DeviceInfo | None = None
    cameras: dict[str, CameraNow] = field(default_factory=dict)


def device_view(device: DeviceNow) -> dict[str, Any]:
    """One device, without its cameras."""
    figures, about = device.figures, device.about
    return {
        "name": device.name,
        "online": device.online,
        "version": about.version if about else "",
        "model": about.model if about else "",
        "uptime_s": figures.uptime_s if figures else None,
        "memory_mb": figures.memory_mb if figures else None,
        "temperature_c": figures.temperature_c if figures else None,
        "connected": figures.connected if figures else None,
        "reason": figures.reason if figures else "",
        "waiting": figures.waiting if figures else None,
    }


def camera_view(device: DeviceNow, camera: CameraNow) -> dict[str, Any]:
    """One camera, without its chart. ``online`` is null while either has not told."""
    state, event, figures = camera.state, camera.event, _figures_of(device, camera)
    known = None if device.online is None else device.online and camera.online
    return {
        "device": camera.device,
        "camera": camera.name,
        "online": known,
        "device_online": device.online,
        "reason": (state.problem if state else "") or (figures.reason if figures else ""),
        "label": state.label if state else "",
        "name": state.name if state else "",
        "score": state.score if state else None,
        "at": state.at if state else None,
        "since": state.since if state else None,
        "model": state.model if state else "",
        "enabled": state.enabled if state else True,
        "fps": figures.fps if figures else None,
        "delay_ms": event.delay_ms if event else None,
        "frame": camera.frame,
    }


def _figures_of(device: DeviceNow, camera: CameraNow) -> CameraFigures | None:
    return device.figures.cameras.get(camera.name) if device.figures else None
