"""Tables are brought up to date at the start: with a copy, in transactions, by one process."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from edge_classifier.errors import OutputError
from edge_classifier.web import startup
from edge_classifier.web.config.folders import Folders, make_folders
from tests.smalldisk import fill, tmpfs
from tests.web.serving import web

# A table of the newest state that an older one lacks.
SESSIONS = "django_session"


def tables(state: Path) -> set[str]:
    with closing(sqlite3.connect(state / "web.db")) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master")}


def backups(state: Path) -> list[Path]:
    return sorted((state / "backups").iterdir())


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("older")
    done = web(state, "manage", "migrate", "sessions", "zero", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    assert SESSIONS not in tables(state)
    return state


@pytest.fixture
def old(older: Path, tmp_path: Path) -> Path:
    """The folder of a page whose program was older: a table is not there yet."""
    return shutil.copytree(older, tmp_path / "state")


def test_new_database_is_made_without_a_copy_and_for_its_user_alone(tmp_path: Path) -> None:
    assert web(tmp_path, "manage", "check").returncode == 0
    assert SESSIONS in tables(tmp_path)
    assert backups(tmp_path) == []
    assert stat.S_IMODE((tmp_path / "web.db").stat().st_mode) == 0o600


def test_old_database_is_copied_and_brought_up_to_date(old: Path) -> None:
    assert web(old, "manage", "check").returncode == 0
    assert SESSIONS in tables(old)
    (copy,) = backups(old)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(copy)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert "web_record" in names
    assert SESSIONS not in names


def test_database_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    assert web(tmp_path, "manage", "check").returncode == 0
    assert web(tmp_path, "manage", "check").returncode == 0
    assert backups(tmp_path) == []


def test_step_that_fails_leaves_the_old_tables_and_a_copy(old: Path) -> None:
    with closing(sqlite3.connect(old / "web.db")) as database:
        database.execute("CREATE TABLE django_session (mine INTEGER)")
        database.execute("INSERT INTO django_session VALUES (7)")
        database.commit()
    before = tables(old)
    done = web(old, "manage", "check")
    assert done.returncode == 69
    assert "already exists" in done.stderr
    assert str(old / "backups") in done.stderr
    assert tables(old) == before
    assert len(backups(old)) == 1
    with closing(sqlite3.connect(old / "web.db")) as database:
        assert database.execute("SELECT mine FROM django_session").fetchall() == [(7,)]


@pytest.mark.parametrize("left", [0, 150_000])
def test_disk_that_is_full_is_no_reason_to_go_on_without_a_copy(
    old: Path, tmp_path: Path, left: int
) -> None:
    with tmpfs(tmp_path / "disk", "2m") as disk:
        shutil.copytree(old, disk / "state")
        fill(disk)
        filler = disk / "filler"
        os.truncate(filler, filler.stat().st_size - left)
        done = web(disk / "state", "manage", "check")
        assert done.returncode == 73, done.stderr
        assert "make room" in done.stderr.lower()
        filler.unlink()
        assert SESSIONS not in tables(disk / "state")
        assert backups(disk / "state") == []


def test_several_processes_at_once_bring_it_up_to_date_once(old: Path) -> None:
    options = ["--set", f"state_folder={old}", "--set", "mqtt.enabled=false", "manage", "check"]
    command = [sys.executable, "-m", "edge_classifier", "web", *options]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(4)
    ]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4, said
    assert len(backups(old)) == 1


@pytest.mark.parametrize(
    "content", [b"no database at all" * 100, b"SQLite format 3\0" + b"x" * 8000]
)
def test_damaged_database_is_explained(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "web.db").write_bytes(content)
    done = web(tmp_path, "manage", "check")
    assert done.returncode == 69
    assert str(tmp_path / "web.db") in done.stderr
    assert f"put a copy from {tmp_path / 'backups'} in its place" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "web.db").read_bytes() == content


def test_copies_are_kept_for_the_last_three_changes(tmp_path: Path) -> None:
    found = Folders(tmp_path, tmp_path / "pictures", tmp_path / "models")
    make_folders(found)
    with closing(sqlite3.connect(found.database)) as database:
        database.execute("CREATE TABLE a (b)")
    made = [startup.back_up(found) for _ in range(5)]
    assert backups(tmp_path) == made[-3:]


def test_copy_of_what_is_no_database_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    found = Folders(tmp_path, tmp_path / "pictures", tmp_path / "models")
    make_folders(found)
    found.database.write_bytes(b"x" * 4096)
    with pytest.raises(OutputError):
        startup.back_up(found)
    assert backups(tmp_path) == []


def test_state_folder_of_somebody_else_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = web(tmp_path / "file" / "state", "manage", "check")
    assert done.returncode == 73
    assert "state_folder names another" in done.stderr
