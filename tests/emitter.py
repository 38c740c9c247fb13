"""Events to publish; run as a program, a daemon that does nothing but publish them."""

import signal
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from edge_classifier.config import settings
from edge_classifier.core.events import CameraState, LabelChange, Moment, Ranked
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.vision.jpeg import smaller_jpeg
from tests.ports import HOST

NODE, CAMERA = "porch", "front"
ROOT = f"edge-classifier/{NODE}"


def change(seq: int, *, camera: str = CAMERA, name: str = "") -> LabelChange:
    before, after = ("cat", "unknown") if seq % 2 else ("unknown", "cat")
    now = Moment(time.time(), time.monotonic())
    identity = name or f"{camera}-{seq}"
    return LabelChange(identity, seq, camera, before, after, 0.87654, 0.25, now, "model-1")


def state(seq: int, *, camera: str = CAMERA, label: str = "cat") -> CameraState:
    top = (Ranked(label, 0.87654), Ranked("dog", 0.1))
    at = 1_700_000_000.0 + seq
    return CameraState(camera, label, 0.87654, 0.25, top, at, at, seq, "model-1", True, 0.6)


def publisher(
    port: int,
    path: Path,
    mqtt: settings.MqttSettings | None = None,
    *,
    max_events: int = 20_000,
    password: Callable[[], str | None] = lambda: None,
    on_request: Callable[[str, bytes], None] = lambda _command, _payload: None,
    on_published: Callable[[float], None] = lambda _delay_ms: None,
    clock: Callable[[], float] = time.monotonic,
    snapshots: settings.SnapshotSettings | None = None,
    node: str = NODE,
) -> Publisher:
    """Not started. Pauses before it connects again are short."""
    return Publisher(
        mqtt or settings.MqttSettings(host=HOST, port=port),
        settings.OutboxSettings(max_events=max_events),
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
        made.put_event(change(seq, name=str(uuid.uuid4())), state(seq), None)
        time.sleep(float(interval_s))
    clean = made.stop(10)
    print(seq, clean, flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
