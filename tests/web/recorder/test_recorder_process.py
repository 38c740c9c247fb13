"""The recorder as a process: killed, stopped, on a full disk."""

from functools import partial
from pathlib import Path

import pytest

from tests.mosquitto import Broker
from tests.smalldisk import fill, tmpfs
from tests.waiting import eventually
from tests.web.recorder.running_recorder import acknowledged, delivered, locked
from tests.web.recording import (
    Process,
    Sender,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_process_says_when_it_is_connected_and_what_it_did(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    process = Process(tmp_path / "recorder", broker.port)
    with process.running(broker):
        sender.events(1, 2)
        process.until(lambda: process.has(2))
        assert process.stop(within_s=5) == 0
        assert "connected to the broker" in process.log
        assert "recording has ended: 2 new events" in process.log
    eventually(lambda: f"Received DISCONNECT from {process.client_id}" in broker.log)


def test_process_that_is_killed_again_and_again_loses_nothing(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    process = Process(tmp_path / "recorder", broker.port, {"record.batch": 20})
    with process.running(broker):
        for begin in range(0, 2000, 500):
            sender.events(*range(begin, begin + 500))
            process.until(partial(process.has_more_than, begin + 100))
            process.kill()
            process.start()
        process.until(lambda: process.has(2000))
        assert process.rows() == list(range(2000))
        for tally in ("web_daytally", "web_labeldaytally", "web_hourtally"):
            assert process.rows(f"SELECT SUM(count) FROM {tally}") == [2000]  # noqa: S608


def test_process_killed_before_the_commit_gets_everything_again(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    process = Process(tmp_path / "recorder", broker.port)
    with process.running(broker):
        with locked(process.state / "web.db"):
            sender.events(*range(50))
            eventually(lambda: delivered(broker) == 50)
            process.kill()
        assert acknowledged(broker) == 0
        assert process.rows() == []
        process.start()
        process.until(lambda: process.has(50))
    assert process.rows() == list(range(50))


def test_process_that_cannot_write_ends_and_acknowledges_nothing(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    process = Process(tmp_path / "recorder", broker.port)
    with process.running(broker), locked(process.state / "web.db"):
        sender.events(1)
        eventually(lambda: delivered(broker) == 1)
        assert process.stop(within_s=5) == 0
    assert acknowledged(broker) == 0


def test_process_on_a_full_disk_acknowledges_nothing_and_goes_on_when_there_is_room(
    broker: Broker, sender: Sender, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "small", "8m") as disk:
        process = Process(disk / "recorder", broker.port, {"record.batch": 50})
        process.logs = tmp_path
        with process.running(broker):
            sender.events(*range(100))
            process.until(lambda: process.has(100))
            eventually(lambda: acknowledged(broker) == 100)
            fill(disk)
            sender.events(*range(100, 1100))
            sender.snapshots(*range(50))
            process.until(lambda: "nothing can be recorded, and nothing is ack" in process.log)
            (disk / "filler").unlink()
            process.until(lambda: process.has(1100), within_s=60)
            process.until(lambda: process.rows(PICTURED) == [50])
            process.until(lambda: "recording goes on" in process.log)
            assert process.log.count("nothing can be recorded") == 1
            assert process.rows() == list(range(1100))


PICTURED = "SELECT count(*) FROM web_record WHERE picture_id IS NOT NULL"
