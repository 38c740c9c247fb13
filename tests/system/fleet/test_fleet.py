"""A fleet: PostgreSQL, a broker, 200 devices, two recorders that share them, and mishaps."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

pytest.importorskip("dj_database_url", reason="the extra [fleet] is not installed")

from tests.mosquitto import Broker
from tests.postgres import Postgres, postgres
from tests.system.fleet.fleet import BROKER, Fleet
from tests.waiting import eventually
from tests.web.recording import Sender
from tests.web.serving import web

pytestmark = pytest.mark.system

DEVICES, EVENTS, PER_SECOND = 200, 20, 250
TOTAL = DEVICES * EVENTS
PICTURES = TOTAL // 5


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A database with all tables, and nothing in them: to make them takes a while."""
    with postgres() as made:
        state = tmp_path_factory.mktemp("tables")
        done = web(state, "manage", "check", environment={"DATABASE_URL": made.url})
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture
def fleet(tables: Postgres, tmp_path: Path) -> Iterator[Fleet]:
    database = tables.create(uuid4().hex, like=tables.name)
    with Broker(tmp_path / "broker", BROKER) as broker:
        yield Fleet(tmp_path, database, broker)


def test_fleet_whose_recorder_is_killed_has_every_event_once_and_every_picture(
    fleet: Fleet,
) -> None:
    victim, survivor = fleet.recorder("recorder-a"), fleet.recorder("recorder-b")
    with (
        victim.running(),
        survivor.running(),
        fleet.devices(DEVICES, f"{TOTAL}@{PER_SECOND}") as devices,
    ):
        survivor.until(lambda: fleet.amount > TOTAL / 3)
        victim.kill()
        assert devices.wait(120) == 0
        survivor.until(lambda: fleet.owes("recorder-b") == 0)
        # The broker keeps the share of the dead one for whoever comes under its name.
        missing = TOTAL - fleet.amount
        assert missing > TOTAL / 6
        assert "Received PUBACK from recorder-a" in fleet.broker.log
        successor = fleet.recorder("recorder-a", "another-machine")
        with successor.running():
            successor.until(lambda: fleet.amount == TOTAL, within_s=60)
            pictured = "SELECT count(*) FROM web_record WHERE picture_id IS NOT NULL"
            successor.until(lambda: fleet.database.value(pictured) == PICTURES)
            assert (successor.stop(), survivor.stop()) == (0, 0)
    _assert_complete(fleet)


def _assert_complete(fleet: Fleet) -> None:
    database = fleet.database
    assert database.value("SELECT count(DISTINCT key) FROM web_record") == TOTAL == fleet.amount
    per_camera = "SELECT array_agg(seq ORDER BY seq) FROM web_record GROUP BY camera_id"
    seqs = [row[0] for row in database.rows(per_camera)]
    assert seqs == [list(range(1, EVENTS + 1))] * DEVICES
    assert database.value("SELECT count(*) FROM web_eventpicture") == 0
    names = {row[0] for row in database.rows("SELECT sha256 FROM web_picture")}
    assert {path.stem for path in (fleet.folder / "pictures").glob("??/*.jpg")} == names
    assert len(names) == PICTURES


def test_recorders_of_a_group_each_do_a_part(fleet: Fleet) -> None:
    first, second = fleet.recorder("recorder-a"), fleet.recorder("recorder-b")
    with first.running(), second.running(), Sender(fleet.broker.port) as sender:
        sender.events(*range(200))
        sender.snapshots(*range(200))
        pictured = "SELECT count(*) FROM web_record WHERE picture_id IS NOT NULL"
        first.until(lambda: fleet.database.value(pictured) == 200)
        for process in (first, second):
            assert process.stop() == 0
    for name in ("recorder-a", "recorder-b"):
        acknowledged = f"Received PUBACK from {name} "
        eventually(lambda: fleet.broker.log.count(acknowledged) == 200)  # noqa: B023 (called here)
    assert fleet.database.value("SELECT count(*) FROM web_eventpicture") == 0


def test_recorder_waits_for_a_database_that_is_away(fleet: Fleet) -> None:
    recorder = fleet.recorder("recorder-a")
    with recorder.running(), Sender(fleet.broker.port) as sender:
        sender.events(*range(100))
        recorder.until(lambda: fleet.amount == 100)
        eventually(lambda: fleet.owes("recorder-a") == 0)
        fleet.database.crash()
        sender.events(*range(100, 300))
        recorder.until(lambda: "nothing can be recorded" in recorder.log)
        eventually(lambda: fleet.owes("recorder-a") == 200)
        fleet.database.start()
        recorder.until(lambda: fleet.amount == 300)
        recorder.until(lambda: "recording goes on" in recorder.log)
        assert recorder.log.count("nothing can be recorded") == 1
        assert recorder.stop() == 0
