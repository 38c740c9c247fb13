"""Notifications on PostgreSQL, with two pages and two recorders: each thing is told once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="the extra [fleet] is not installed")
pytest.importorskip("apprise", reason="the extra [notify] is not installed")

from tests.mosquitto import Broker
from tests.postgres import Postgres, postgres
from tests.web.notify.telling import HttpReceiver
from tests.web.notify.test_notify_server import (
    TOPIC,
    await_recording,
    events,
    rest,
    served_by,
    told,
)
from tests.web.recording import Sender


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Postgres]:
    with postgres() as running:
        monkeypatch.setenv("DATABASE_URL", running.url)
        yield running


def test_two_pages_that_record_tell_of_each_thing_once_and_one_takes_over(
    database: Postgres, tmp_path: Path
) -> None:
    phone = HttpReceiver()
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        folder.mkdir()
    with Broker(tmp_path) as broker, Sender(broker.port) as sender:
        one = served_by(folders[0], broker, phone)
        other = served_by(folders[1], broker, phone)
        # Another name at the broker, the same addresses and storage.
        names = ("one", "two")
        for number, page in enumerate((one, other)):
            page.settings = (
                *one.settings[:2],
                f"mqtt.client_id={names[number]}",
                f"storage.folder={tmp_path / 'pictures'}",
            )
        with one, other:
            for name in names:
                await_recording(broker, name)
            sender.send(f"{TOPIC}/event", *events(*["sparrow"] * 100, "goldfinch"))
            rest(phone, 2)
            assert sorted(told(phone)) == ["goldfinch · rare here", "sparrow · rare here"]
            one.end(9)
            sender.send(f"{TOPIC}/event", *events("robin", "robin", first=200))
            rest(phone, 3)
        assert "notify failed" not in one.said + other.said
    phone.close()
