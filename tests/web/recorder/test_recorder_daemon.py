"""A real daemon's events and pictures on record; and the demo's broker."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.mosquitto import Broker, Listener
from tests.ports import free_port
from tests.running_daemon import HASTY, Daemon, Remote, colours, model
from tests.web.recording import Process, Sender

PICTURED = "SELECT count(*) FROM web_record WHERE picture_id IS NOT NULL"
KEYS = "SELECT key FROM web_record ORDER BY seq"
NAMES = "SELECT name FROM web_record JOIN web_label ON web_label.id = label_id ORDER BY seq"


def test_events_of_a_real_daemon_are_recorded_with_their_pictures(tmp_path: Path) -> None:
    pictures = colours(tmp_path / "colours", "red", "green", "blue")
    camera = {"source": f"pictures:{pictures}", "picture_s": 0, "rate_fps": 5}
    settings = {
        "model": {"use": model(tmp_path / "rgb.tflite")},
        "decision": HASTY,
        "cameras": {"door": camera},
    }
    with Broker(tmp_path / "broker") as broker, Listener(broker.port, "#") as listener:
        remote = Remote(listener)
        daemon = Daemon(tmp_path / "daemon", broker.port, settings, tmp_path / "cache")
        recorder = Process(tmp_path / "recorder", broker.port)
        with recorder.running(broker), daemon.running():
            recorder.until(lambda: recorder.has_more_than(10), within_s=60)
            assert daemon.stop() == 0
            # The last word: all events were there before.
            recorder.until(lambda: remote.availability() == "offline")
            events = remote.changes("door")
            recorder.until(lambda: recorder.has(len(events)))
            recorder.until(lambda: recorder.rows(PICTURED)[0] >= len(events) - 1)
            # Killed, it might leave a picture whose record it was about to change.
            assert recorder.stop() == 0
    assert recorder.rows(KEYS) == [event["id"] for event in events]
    assert recorder.rows(NAMES) == [event["to"] for event in events]
    files = list((recorder.state / "pictures").glob("??/*.jpg"))
    assert len(files) == recorder.rows(PICTURED)[0]


@contextmanager
def python_broker(port: int) -> Iterator[None]:
    """The broker of scripts/demo."""
    command = [sys.executable, "-m", "tests.web.python_broker", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        assert process.stdout
        assert process.stdout.readline() == b"started\n"
        try:
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("times", [1, 2])
def test_recorder_at_the_broker_of_the_demo_records_each_event_once(
    times: int, tmp_path: Path
) -> None:
    port = free_port()
    process = Process(tmp_path / "recorder", port, {"mqtt.protocol": "3.1.1"})
    with python_broker(port), process.running(), Sender(port) as sender:
        for _ in range(times):
            sender.events(1, 2, 3)
            sender.snapshots(1, 2, 3)
        process.until(lambda: process.rows(PICTURED) == [3])
        assert process.rows() == [1, 2, 3]
        assert process.stop() == 0
