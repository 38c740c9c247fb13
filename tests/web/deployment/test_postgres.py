"""The page on PostgreSQL: tables are made once, and a database that is away is told of."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.mosquitto import Broker
from tests.ports import free_port
from tests.waiting import eventually
from tests.web.recording import Process, Sender
from tests.web.serving import PASSWORD, Page, web

pytest.importorskip("psycopg", reason="the extra [fleet] is not installed")

import psycopg

from tests.postgres import Postgres, postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


@pytest.fixture(scope="module")
def tables(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Postgres:
    """A database with all tables, and nothing in them."""
    made = server.create("tables")
    state = tmp_path_factory.mktemp("tables")
    done = web(state, "manage", "check", environment={"DATABASE_URL": made.url})
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def database(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """An empty one, which is that of all programs that the test starts."""
    made = server.create(uuid4().hex)
    monkeypatch.setenv("DATABASE_URL", made.url)
    return made


@pytest.fixture
def filled(tables: Postgres, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """One with tables, which is that of all programs that the test starts."""
    made = tables.create(uuid4().hex, like=tables.name)
    monkeypatch.setenv("DATABASE_URL", made.url)
    return made


def test_several_machines_at_once_make_the_tables_once(database: Postgres, tmp_path: Path) -> None:
    running = []
    for number in range(3):
        state = f"state_folder={tmp_path / str(number)}"
        command = [
            sys.executable,
            "-m",
            "edge_classifier",
            "web",
            "--set",
            state,
            "manage",
            "check",
        ]
        running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert sum("is brought up to date" in text for text in said) == 1
    steps = "SELECT count(*), count(DISTINCT (app, name)) FROM django_migrations"
    ((all_steps, different),) = database.rows(steps)
    assert all_steps == different > 0


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("verdict = 'corrected'", "record_verdict"),
        ("NOT verdict = ''", "record_verdict"),
        ("source = 'upload'", "record_upload"),
        ("recorded_at < '2026-01-01'", "record_received"),
        ("new_here", "record_new"),
        ("picture_id = 1", "web_record_picture_id"),
    ],
)
def test_few_of_many_are_found_without_reading_the_table(
    tables: Postgres, condition: str, index: str
) -> None:
    with psycopg.connect(tables.url) as connection:
        # With so few rows it would read them all.
        connection.execute("SET enable_seqscan = off")
        query = f"EXPLAIN SELECT id FROM web_record WHERE {condition} LIMIT 2001"  # noqa: S608
        plan = "".join(line for (line,) in connection.execute(query))
    assert index in plan


def test_page_has_postgres_read_by_indexes(tables: Postgres, tmp_path: Path) -> None:
    settings = ("random_page_cost", "jit")
    code = "from django.db import connection as c; k = c.cursor()\n"
    code += "\n".join(f"k.execute('SHOW {one}'); print(k.fetchone()[0])" for one in settings)
    told = {"DATABASE_URL": tables.url}
    done = web(tmp_path, "manage", "shell", "-v0", "-c", code, environment=told)
    assert done.stdout.split() == ["1.1", "off"], done.stderr


_RECORD = """
INSERT INTO web_record (key, source, camera_id, at, day, recorded_at, label_id, "before", score,
                        margin, model, top, detail, verdict)
SELECT gen_random_uuid(), 'event', NULL, now(), current_date, now(), %s, '', 0.5, 0.5, '',
       '[]', '{}', '' FROM generate_series(1, 40)
"""


def test_counts_are_those_of_the_records_whoever_writes_at_once(
    filled: Postgres, tmp_path: Path
) -> None:
    with psycopg.connect(filled.url) as one, psycopg.connect(filled.url) as other:
        for name in "ab":
            one.execute("INSERT INTO web_label (name, chinese) VALUES (%s, '')", [name])
        one.commit()
        labels = [row[0] for row in one.execute("SELECT id FROM web_label ORDER BY id")]
        # In the opposite order: rows that both added to would make one of them fail.
        for label in labels:
            one.execute(_RECORD, [label])
            other.execute(_RECORD, [sum(labels) - label])
        for connection in (one, other):
            connection.execute("UPDATE web_record SET verdict = 'rejected' WHERE label_id = 1")
            connection.execute("DELETE FROM web_record WHERE id % 3 = 0")
            connection.commit()
    agree = "The counts of each day are those of its records.\n"
    assert web(tmp_path, "tally").stdout == agree
    assert filled.value("SELECT count(*) FROM web_daytally") > 160
    fold = "from edge_classifier.web.tally.upkeep import fold; fold()"
    assert web(tmp_path, "manage", "shell", "-c", fold).returncode == 0
    assert filled.value("SELECT count(*) FROM web_daytally") == 2
    assert web(tmp_path, "tally").stdout == agree
    with psycopg.connect(filled.url) as one:
        one.execute("UPDATE web_daytally SET count = count + 1")
    wrong = web(tmp_path, "tally")
    assert (wrong.returncode, "--repair" in wrong.stdout) == (65, True)
    assert web(tmp_path, "tally", "--repair").returncode == 0
    assert web(tmp_path, "tally").stdout == agree


def test_database_that_is_away_is_told_and_comes_back(database: Postgres, tmp_path: Path) -> None:
    assert web(tmp_path, "createadmin", "anna", stdin=f"{PASSWORD}\n").returncode == 0
    with Page(tmp_path) as page:
        cookie = page.log_in("anna", PASSWORD).cookies["sessionid"].partition(";")[0]
        asked = {"Cookie": cookie}
        assert page.ask("/password", headers=asked).status == 200
        database.crash()
        try:
            reply = page.ask("/password", headers=asked)
            assert (reply.status, "Back soon" in reply.body) == (503, True)
            assert "127.0.0.1" not in reply.body
        finally:
            database.start()
        assert page.ask("/password", headers=asked).status == 200


def test_recorder_and_page_that_start_while_the_database_is_away_wait_for_it(
    filled: Postgres, tmp_path: Path
) -> None:
    filled.crash()
    with Broker(tmp_path / "broker") as broker:
        recorder = Process(tmp_path / "recorder", broker.port)
        port = free_port()
        options = ["--port", str(port), f"--set=state_folder={tmp_path / 'page'}"]
        command = [sys.executable, "-m", "edge_classifier", "web", *options]
        page = subprocess.Popen([*command, "--set=mqtt.enabled=false"])
        try:
            recorder.launch()
            recorder.until(lambda: "tried again in" in recorder.log)
            filled.start()
            asked = f"Received SUBSCRIBE from {recorder.client_id}"
            recorder.until(lambda: asked in broker.log, within_s=60)
            with Sender(broker.port) as sender:
                sender.events(1, 2)
            eventually(lambda: filled.value("SELECT count(*) FROM web_record") == 2)
            eventually(lambda: answers(port), within_s=60)
            assert page.poll() is None
        finally:
            recorder.kill()
            page.kill()
            page.wait(10)


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_recorder_that_waits_for_the_database_ends_when_it_is_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://edge:swordfish@127.0.0.1:{free_port()}/web")
    recorder = Process(tmp_path, 1)
    try:
        recorder.launch()
        recorder.until(lambda: "tried again in" in recorder.log)
        assert "swordfish" not in recorder.log
        recorder.stop()
    finally:
        recorder.kill()


def test_database_that_is_away_at_the_start_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://edge:swordfish@127.0.0.1:1/web")
    done = web(tmp_path, "manage", "check")
    assert done.returncode == 69
    assert "the database cannot be used" in done.stderr
    assert "swordfish" not in done.stderr
