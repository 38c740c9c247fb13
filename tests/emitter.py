"""Events to publish; run as a program, a daemon that does nothing but publish them."""

import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_classifier.config.mqtt_settings import MqttSettings, OutboxSettings, SnapshotSettings
from edge_classifier.core.events import (
    CameraEvent,
    CameraState,
    LabelChange,
    LabelEnd,
    LabelGlimpse,
    Moment,
    Ranked,
)
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.vision.jpeg import smaller_jpeg
from tests.ports import HOST

NODE, CAMERA = "porch", "front"
ROOT = f"edge-classifier/{NODE}"


def change(seq: int, *, camera: str = CAMERA, name: str = "") -> LabelChange:
    before, after = ("cat", "unknown") if seq % 2 else ("unknown", "cat")
    now = Moment(time.time(), time.monotonic())
    identity = name or f"{camera}-{seq}"
    return LabelChange(
        id=identity,
        seq=seq,
        camera=camera,
        before=before,
        after=after,
        score=0.87654,
        margin=0.25,
        captured=now,
        model="model-1",
    )


def event(seq: int, name: str) -> CameraEvent:
    """Of each kind by turns."""
    now = Moment(time.time(), time.monotonic())
    common: dict[str, Any] = {"id": name, "seq": seq, "camera": CAMERA, "captured": now}
    common |= {"model": "model-1"}
    span: dict[str, Any] = {"label": "cat", "started": now.utc - 2, "ended": now.utc}
    span |= {"duration_s": 2.0, "peak_score": 0.97, "peak_at": now.utc - 1}
    if seq % 3 == 1:
        return LabelEnd(**common, **span, episode=uuid.uuid4().hex)
    if seq % 3 == 2:
        return LabelGlimpse(**common, **span, frames=5, reason="dwell", needs_s=0.5)
    return change(seq, name=name)


def state(seq: int, *, camera: str = CAMERA, label: str = "cat") -> CameraState:
    top = (Ranked(label, 0.87654), Ranked("dog", 0.1))
    at = 1_700_000_000.0 + seq
    return CameraState(camera, label, 0.87654, 0.25, top, at, at, seq, "model-1", True, 0.6)


def publisher(
    port: int,
    path: Path,
    mqtt: MqttSettings | None = None,
    *,
    max_events: int = 20_000,
    password: Callable[[], str | None] = lambda: None,
    on_request: Callable[[str, bytes], None] = lambda _command, _payload: None,
    on_published: Callable[[float], None] = lambda _delay_ms: None,
    clock: Callable[[], float] = time.monotonic,
    snapshots: SnapshotSettings | None = None,
    node: str = NODE,
) -> Publisher:
    """Not started. Pauses before it connects again are short."""
    return Publisher(
        mqtt or MqttSettings(host=HOST, port=port),
        OutboxSettings(max_events=max_events),
        path,
        node=node,
        cameras={CAMERA: "Front door"},
        password=password,
        on_request=on_request,
        on_published=on_published,
        clock=clock,
        random=lambda: 0.05,
        shrink_jpeg=smaller_jpeg,
        snapshots=snapshots,
    )


def _main(port: str, path: str, interval_s: str) -> None:
    """Publish events until SIGTERM, going on where the one before was killed; print the last."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    made = publisher(int(port), Path(path))
    before = made.states().get(CAMERA)
    seq = before.seq if before else 0
    made.start()
    made.put_camera_health(CAMERA, online=True)
    print("started", flush=True)
    while not ended:
        seq += 1
        # Another id in each life: an event that was published twice over would be seen.
        made.put_events([event(seq, str(uuid.uuid4()))], state(seq))
        time.sleep(float(interval_s))
    clean = made.stop(10)
    print(seq, clean, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
