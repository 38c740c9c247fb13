"""Damaged messages, and all who read them: daemon, live view and recorder."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edge_classifier.core.events import (
    CameraState,
    LabelChange,
    LabelEnd,
    LabelGlimpse,
    Moment,
    Ranked,
)
from edge_classifier.mqtt.codec.camera_payloads import state_payload
from edge_classifier.mqtt.codec.camera_settings import camera_settings_payload
from edge_classifier.mqtt.codec.event_payloads import event_payload
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.web.live.live_state import LiveState
from edge_classifier.web.live.pending import PendingRequests
from edge_classifier.web.models import Camera, Label, Record
from edge_classifier.web.recorder import write_records
from edge_classifier.web.recorder.received import read
from tests.daemon.in_process import InProcessDaemon
from tests.mutations.damage import Findings, mutated, mutated_json
from tests.web.recording import snapshot_payload

_ROOT = "edge-classifier"
_NOW = 1_700_000_000.0
_KEPT = timedelta(days=8)
_SETTINGS: dict[str, object] = {
    "title": "Door",
    "enter": 0.5,
    "ignore": ["blue"],
    "region": {"left": 0.25, "top": 0, "width": 0.5, "height": 1},
}
_REQUESTS: dict[str, dict[str, object]] = {
    "enable": {"camera": "door", "enabled": True},
    "threshold": {"camera": "door", "threshold": 0.5},
    "camera": {"camera": "door", "set": _SETTINGS, "reset": ["quiet_hours"]},
    "snapshot": {"camera": "door"},
    "reload": {},
    "model": {"model": "german"},
    "clear": {"camera": "door", "what": "label"},
}


def _payloads() -> Iterator[tuple[str, bytes]]:
    """Each kind of message that a daemon sends, below its topic."""
    at = Moment(_NOW, 1.0)
    change = LabelChange(
        id="0" * 31 + "1", seq=1, camera="front", before="cat", after="dog", score=0.9,
        margin=0.5, captured=at, model="model@00000000", path=("animal", "dog"),
        top=(Ranked("dog", 0.9),),
    )  # fmt: skip
    top = (Ranked("cat", 0.9), Ranked("dog", 0.1))
    state = CameraState("front", "cat", 0.9, 0.5, top, _NOW, _NOW, 1, "model", True, 0.6)
    whole: dict[str, Any] = {"seq": 2, "camera": "front", "captured": at, "model": "model"}
    whole |= {"label": "dog", "started": _NOW - 2, "ended": _NOW, "duration_s": 2.0}
    whole |= {"peak_score": 0.9, "peak_at": _NOW - 1, "top": top}
    end = LabelEnd(id="0" * 31 + "2", episode=change.id, **whole)
    glimpse = LabelGlimpse(id="0" * 31 + "3", frames=2, reason="dwell", needs_s=0.5, **whole)
    for event in (change, end, glimpse):
        yield "pi/front/event", encoded(event_payload(event, str))
    yield "pi/front/state", encoded(state_payload(state, str))
    yield "pi/front/snapshot", snapshot_payload(1)
    yield "pi/availability", b"online"
    yield "pi/front/availability", b"online"
    host = {"memory_mb": 70.5, "temperature_c": 50.0}
    stats = {"uptime_s": 5.0, "host": host, "publisher": {"connected": True, "waiting": 0}}
    yield "pi/stats", encoded({**stats, "cameras": {"front": {"fps": 5.0, "reason": ""}}})
    settings = {"front": camera_settings_payload(_SETTINGS, ["enter"])}
    info = {"version": "1", "model": "m", "labels": ["a"], "notes": [], "settings": settings}
    yield "pi/info", encoded(info)
    yield "pi/response/model", encoded({"status": "ok", "data": {}, "transaction": "t"})


def try_messages(folder: Path, count: int, source: random.Random) -> Findings:
    """Two thirds to the page's parts, one to a daemon that works on. Needs Django's database."""
    findings = Findings()
    _try_page(findings, count - count // 3, source)
    _try_daemon(findings, folder, count // 3, source)
    return findings


def _try_page(findings: Findings, count: int, source: random.Random) -> None:
    payloads = list(_payloads())
    live, pending = LiveState(_ROOT), PendingRequests()
    for number in range(count):
        topic, payload = payloads[number % len(payloads)]
        is_json = payload.startswith(b"{")
        payload = mutated_json(payload, source) if is_json else mutated(payload + b" " * 8, source)
        if source.random() < 0.1:
            topic = mutated(topic.encode(), source).decode("utf-8", "replace")
        with findings.trial(f"message {number} on {topic!r}", ValueError):
            live.take(f"{_ROOT}/{topic}", payload, _NOW + number)
            pending.take_response("pi", "model", payload)
            json.dumps(list(live.as_json()))
            found = read(
                f"{_ROOT}/{topic}", payload, _ROOT, 100_000, _KEPT, lambda: datetime.now(UTC)
            )
            if found:
                write_records.write_batch([found])
    Record.objects.all().delete()
    Label.objects.all().delete()
    Camera.objects.all().delete()


def _try_daemon(findings: Findings, folder: Path, count: int, source: random.Random) -> None:
    daemon = InProcessDaemon(folder / "daemon")
    daemon.start()
    try:
        for number in range(count):
            command = source.choice(list(_REQUESTS))
            request: dict[str, object] = {"transaction": number, **_REQUESTS[command]}
            payload = mutated_json(json.dumps(request).encode(), source)
            if source.random() < 0.05:
                command = source.choice(("", "x" * 500, "a\nb", "\ud800", "response"))
            answered = len(daemon.publisher.responses)
            with findings.trial(f"request {number} {command!r:.40}"):
                daemon.commands.receive(command, payload)
                # An answer may come from the background.
                while command in _REQUESTS and len(daemon.publisher.responses) == answered:
                    daemon.loop.run_once()
        with findings.trial("the daemon after all requests"):
            # One of them may have switched a camera off.
            daemon.done("clear", what="overrides")
            daemon.goes_on()
    finally:
        daemon.loop.stop()
        daemon.cameras.stop(10)
