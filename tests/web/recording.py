"""Events as daemons send them, and `edge-classify record` as a process."""

import io
import json
import os
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from PIL import Image

from edge_classifier.core.jpeg_comment import event_comment, frame_comment, with_comment
from tests import warm
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker
from tests.ports import HOST
from tests.waiting import eventually
from tests.web.serving import prepare

ID = "00112233445566778899aabbccddeeff"
EVENT, SNAPSHOT = "edge-classifier/pi/front/event", "edge-classifier/pi/front/snapshot"


def event_id(number: int) -> str:
    return f"{number:032x}"


def event_payload(number: int, **changed: Any) -> bytes:
    """An event of the daemon's, whose id is ``number``."""
    facts = {
        "event_type": "label_changed",
        "id": event_id(number),
        "camera": "front",
        "seq": number,
        "from": "unknown",
        "to": "cat",
        "from_name": "unknown",
        "to_name": "cat",
        "score": 0.75,
        "margin": 0.5,
        "ts": "2026-11-22T11:39:00.238Z",
        "model": "test@00000000",
        "capture_to_publish_ms": 7.4,
    }
    return json.dumps({**facts, **changed}).encode()


def end_payload(number: int, **changed: Any) -> bytes:
    """What the daemon says when the label of that event has gone."""
    facts = {"event_type": "label_ended", "episode": event_id(number)}
    return _span_payload(number + 1000, {**facts, **changed})


def glimpse_payload(number: int, **changed: Any) -> bytes:
    """A label that was there for too short a time."""
    facts = {"event_type": "label_glimpsed", "frames": 3, "reason": "dwell", "needs_s": 1.0}
    return _span_payload(number, {"duration_s": 0.8, **facts, **changed})


def _span_payload(number: int, facts: dict[str, Any]) -> bytes:
    common = {
        "id": event_id(number),
        "camera": "front",
        "seq": number,
        "label": "cat",
        "label_name": "cat",
        "started": "2026-11-22T11:39:00.238Z",
        "ts": "2026-11-22T11:39:12.738Z",
        "duration_s": 12.5,
        "peak_score": 0.96,
        "peak_ts": "2026-11-22T11:39:04.238Z",
        "path": ["animal", "cat"],
        "top": [
            {"label": "cat", "name": "cat", "score": 0.96},
            {"label": "lynx", "name": "lynx", "score": 0.03},
        ],
        "box": {"left": 0.25, "top": 0.5, "width": 0.5, "height": 0.25},
        "model": "test@00000000",
        "capture_to_publish_ms": 7.4,
    }
    return json.dumps({**common, **facts}).encode()


def snapshot_payload(
    number: int, frame_s: float | None = None, box: tuple[float, float, float, float] | None = None
) -> bytes:
    """The picture of that event: no two are the same file.

    ``frame_s``: when its frame was captured, and ``box`` what was looked at, where that is told.
    """
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 140, 60)).save(file, "JPEG")
    jpeg = file.getvalue()
    if frame_s is not None:
        jpeg = with_comment(jpeg, frame_comment(frame_s, box))
    return with_comment(jpeg, event_comment(event_id(number)))


class Sender:
    """Daemons, as far as the broker sees them."""

    def __init__(self, port: int, name: str = "sender") -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, name, clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.connect(HOST, port)

    def __enter__(self) -> Self:
        self.client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def send(self, topic: str, *payloads: bytes, qos: int = 1, retain: bool = False) -> None:
        """Returns when the broker has them."""
        eventually(self.client.is_connected)
        sent = [self.client.publish(topic, payload, qos, retain) for payload in payloads]
        for one in sent:
            one.wait_for_publish(60)

    def events(self, *numbers: int) -> None:
        self.send(EVENT, *(event_payload(number) for number in numbers))

    def snapshots(self, *numbers: int) -> None:
        self.send(SNAPSHOT, *(snapshot_payload(number) for number in numbers))


@dataclass
class Process:
    """``edge-classify record`` in a state folder of its own; killed and started at will."""

    folder: Path
    # The broker's.
    port: int
    assignments: Mapping[str, Any] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    # Where its log goes, if not into the folder.
    logs: Path | None = None
    process: warm.Process | None = None
    _lives: "count[int]" = field(default_factory=count)
    _log: Path = Path()

    @property
    def client_id(self) -> str:
        return f"edge-classifier-recorder-{socket.gethostname()}"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> str:
        """What this life of it has written."""
        return self._log.read_text("utf-8") if self._log.is_file() else ""

    @contextmanager
    def running(self, broker: Broker | None = None) -> Iterator[Self]:
        """Started and connected; killed in the end if it still runs.

        With ``broker``: its new session gets all that is sent from now on.
        """
        try:
            self.start()
            if broker:
                subscribed = f"Received SUBSCRIBE from {self.client_id}"
                self.until(lambda: subscribed in broker.log)
            yield self
        except BaseException:
            print(f"--- log of the recorder ---\n{self.log[-6000:]}")
            raise
        finally:
            self.kill()

    def start(self) -> None:
        """Begin a life; returns when it is connected."""
        self.launch()
        self.until(lambda: " session" in self.log)

    def launch(self) -> None:
        """Begin a life, and do not wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.environment}
        if not (environment.get("DATABASE_URL") or (self.state / "web.db").exists()):
            prepare(self.state)
        self._log = (self.logs or self.folder) / f"{next(self._lives)}.log"
        settings = {"state_folder": self.state, "mqtt.port": self.port, **self.assignments}
        given = [f"--set={key}={value}" for key, value in settings.items()]
        with self._log.open("wb") as log:
            self.process = warm.start(
                ["record", *given, *self.arguments],
                site="page",
                stdout=log,
                stderr=log,
                environment=environment,
                cwd=REPOSITORY,
            )

    def until(self, condition: Callable[[], object], within_s: float = 30) -> None:
        """Return as soon as ``condition`` holds; fail when it does not, or the process ends."""

        def holds() -> bool:
            assert self.process
            assert self.process.poll() is None, f"it ended: {self.log[-3000:]}"
            return bool(condition())

        eventually(holds, within_s)

    def kill(self) -> None:
        """As a power cut would."""
        if self.process:
            self.process.kill()
            self.process.wait(30)

    def stop(self, within_s: float = 10) -> int:
        """SIGTERM; the exit code."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    def rows(self, query: str = "SELECT seq FROM web_record ORDER BY seq") -> list[Any]:
        """The first column of what the database says."""
        with closing(sqlite3.connect(f"file:{self.state / 'web.db'}?mode=ro", uri=True)) as file:
            return [row[0] for row in file.execute(query)]

    @property
    def amount(self) -> int:
        """How many records there are."""
        return int(self.rows("SELECT count(*) FROM web_record")[0])

    def has(self, amount: int) -> bool:
        return self.amount == amount

    def has_more_than(self, amount: int) -> bool:
        return self.amount > amount
