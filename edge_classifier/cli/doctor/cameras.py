"""The cameras of the settings: do they give frames, and what would be published now?"""

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edge_classifier.capture.frame_slot import CameraStatus
from edge_classifier.cli.doctor.finding import DoctorFinding
from edge_classifier.cli.watch.display import outcome
from edge_classifier.cli.watch.watcher import Watcher
from edge_classifier.config.settings import CameraSettings, HttpSettings, Settings
from edge_classifier.core.network.camera_address import describe, device_of, picamera_number
from edge_classifier.core.network.network_address import bare_host
from edge_classifier.daemon.cameras.active_cameras import with_own_lens
from edge_classifier.daemon.cameras.camera_pipeline import CameraPipeline
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.models.models_in_force import load_configured_models

# Seconds in which all cameras together are looked at, and each one from its first frame on: long
# enough for a label to hold.
_MOST_S = 25.0
_WATCHED_S = 3.0
_DAEMON_S = 2.0
_ANSWER_BYTES = 1_000_000
# Of the brightest possible: below it hardly anything is to be seen.
_DARK = 0.04


@dataclass(slots=True)
class _Seen:
    """What came of one camera."""

    # Monotonic seconds of the first frame.
    since_s: float
    picture: str
    outcome: str


@dataclass(frozen=True, slots=True)
class _DaemonHealth:
    """What the daemon on this machine answers."""

    degraded: list[str]
    # What each of its cameras is opened with.
    sources: Mapping[str, str]


def try_cameras(settings: Settings) -> list[DoctorFinding]:
    """A few seconds of each camera. One that the running daemon has is not taken from it."""
    health = running_daemon(settings.http)
    found, free = [], {}
    for name, camera in settings.cameras.items():
        source = with_own_lens(name, settings.cameras).source
        has_one_user = device_of(source) or picamera_number(source) is not None
        # Another camera of that name, or another daemon, says nothing of this one.
        if not has_one_user or not health or health.sources.get(name) != describe(camera.source):
            free[name] = camera
            continue
        wrong = [text for text in health.degraded if text.startswith(f"{name}: ")]
        if wrong:
            text = f"the running daemon says: {wrong[0]}"
        else:
            text = f"{describe(camera.source)}: the running daemon has it, and frames come"
        found.append(DoctorFinding(f"camera {name}", text, ok=not wrong))
    return [*found, *(_look(replace(settings, cameras=free)) if free else ())]


def running_daemon(http_: HttpSettings) -> _DaemonHealth | None:
    """What the daemon that runs on this machine says of its health; None: none answers."""
    if not http_.enabled or not http_.port:
        return None
    host = bare_host(http_.host)
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (not listened on)
    connection = http.client.HTTPConnection(address, http_.port, timeout=_DAEMON_S)
    with suppress(OSError, ValueError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        answer = json.loads(connection.getresponse().read(_ANSWER_BYTES))
        # An older one does not name its cameras.
        return _DaemonHealth(list(map(str, answer["degraded"])), dict(answer.get("cameras", {})))
    connection.close()
    return None


def _look(settings: Settings) -> Iterator[DoctorFinding]:
    seen: dict[str, _Seen] = {}

    def note(pipeline: CameraPipeline, result: FrameResult) -> None:
        frame = result.captured.frame
        brightness = float(frame.pixels.mean()) / 255
        dark = ", which is very dark" if brightness < _DARK else ""
        picture = (
            f"a frame of {frame.width} x {frame.height}, {result.age_ms:.0f} ms old, "
            f"brightness {brightness:.0%}{dark}"
        )
        known = seen.get(pipeline.name)
        since_s = known.since_s if known else time.monotonic()
        seen[pipeline.name] = _Seen(since_s, picture, outcome(pipeline, result))

    def is_enough(statuses: Mapping[str, CameraStatus]) -> bool:
        now_s = time.monotonic()
        return all(
            now_s - seen[name].since_s >= _WATCHED_S if name in seen else status.failures > 0
            for name, status in statuses.items()
        )

    models = load_configured_models(settings)
    watcher = Watcher(settings, models, on_frame=note, on_trouble=lambda _: None)
    watcher.run(_MOST_S, is_enough)
    for name, camera in settings.cameras.items():
        status = watcher.statuses[name]
        if name in seen:
            source = f"{describe(camera.source)}: {status.description}".removesuffix(": ")
            text = f"{source}; {seen[name].picture}"
            yield DoctorFinding(f"camera {name}", text, ok=True)
            yield DoctorFinding(f"{name} now", seen[name].outcome)
        else:
            reason = status.reason if status.failures else f"no frame within {_MOST_S:g} s"
            yield DoctorFinding(f"camera {name}", f"{reason}{_user_of(camera)}", ok=False)


def _user_of(camera: CameraSettings) -> str:
    """Which other process has the device, as far as this user may see it."""
    device = device_of(camera.source)
    if not device:
        return ""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if str(link.readlink()) == device:
                words = (link.parents[1] / "cmdline").read_bytes().split(b"\0")
                return f" Process {link.parts[2]} has it: {b' '.join(words[:4]).decode()[:80]}"
    return ""
