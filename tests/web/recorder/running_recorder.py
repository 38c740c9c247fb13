"""What the tests of the recorder share: one that runs, and what it has recorded."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_classifier.web.config.settings import RecordingSettings, WebMqttSettings
from edge_classifier.web.recorder.recorder import Recorder, connection_options
from tests.mosquitto import Broker
from tests.ports import HOST
from tests.waiting import eventually
from tests.web.conftest import SETTINGS

# Just after the events of ``event_payload``.
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


# Luck with which pauses before another attempt are short.
SOON = 0.05


@contextmanager
def recording(broker: Broker, **chosen: Any) -> Iterator[Recorder]:
    """A recorder of this process that is connected."""
    options = {key: chosen.pop(key) for key in ("protocol", "keepalive_s") if key in chosen}
    mqtt = WebMqttSettings(host=HOST, port=broker.port, **options)
    settings = replace(SETTINGS, mqtt=mqtt, record=RecordingSettings(**chosen))
    recorder = Recorder(settings, random=lambda: SOON, now=lambda: NOW)
    name = connection_options(settings).client_id
    # Where messages were still on their way to us, the socket's end overtakes our disconnect: the
    # broker finds it closed, or its pipe broken, according to what it was doing.
    left = re.compile(
        f"Received DISCONNECT from {name}|Client {name} (closed its connection|disconnected: )"
    )
    asked = f"Received SUBSCRIBE from {name}"
    before = broker.log.count(asked)
    recorder.start()
    try:
        eventually(lambda: broker.log.count(asked) > before)
        yield recorder
    finally:
        gone = len(left.findall(broker.log))
        recorder.stop()
        # It has been told everything then; the next one would throw this one out otherwise.
        eventually(lambda: len(left.findall(broker.log)) > gone)


def is_settled(recorder: Recorder, seen: int) -> bool:
    status = recorder.status
    total = status.recorded + status.repeated + status.ignored
    return total == seen and status.waiting == 0


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else can write to this database meanwhile."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def acknowledged(broker: Broker) -> int:
    """Messages that recorders have acknowledged so far."""
    return broker.log.count("Received PUBACK from edge-classifier-recorder")


def delivered(broker: Broker) -> int:
    """Messages that recorders have been sent so far."""
    return broker.log.count("Sending PUBLISH to edge-classifier-recorder")
