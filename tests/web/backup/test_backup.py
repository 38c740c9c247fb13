"""Backups: whole or not there, of one moment, and put back in one step."""

import hashlib
import io
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier.web.backup.make_backup import made_backups
from edge_classifier.web.backup.schedule import BackupSchedule
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.config.settings import BackupSettings, WebSettings
from tests.smalldisk import fill as fill_disk
from tests.smalldisk import tmpfs
from tests.web.serving import Page, edge_classify, prepare, web

_RECORD = """
INSERT INTO web_record (key, source, at, day, recorded_at, label_id, "before", score, margin, model,
                        top, detail, verdict, picture_id)
VALUES (?, 'event', '2026-11-22 12:00:00', '2026-11-22', '2026-11-22 12:00:00', 1, '', 0.5, 0.5,
        'm@1', '[]', '{}', '', ?)
"""


def jpeg(number: int, size: int = 20_000) -> bytes:
    return b"\xff\xd8\xff" + number.to_bytes(4, "big") + bytes(size)


def add(state: Path, numbers: range) -> None:
    """Records with pictures, as the recorder makes them."""
    with closing(sqlite3.connect(state / "web.db", timeout=20)) as database:
        database.execute(
            "INSERT OR IGNORE INTO web_label (id, name, chinese) VALUES (1, 'cat', '')"
        )
        for number in numbers:
            sha256 = hashlib.sha256(jpeg(number)).hexdigest()
            file = state / "pictures" / sha256[:2] / f"{sha256}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(jpeg(number))
            row = database.execute(
                "INSERT INTO web_picture (sha256, size, created_at) VALUES (?, ?, '2026-11-22')",
                [sha256, len(jpeg(number))],
            )
            database.execute(_RECORD, [uuid.UUID(int=number).hex, row.lastrowid])
        database.commit()


def records(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ((count,),) = connection.execute("SELECT count(*) FROM web_record")
    return int(count)


def whole_pictures(state: Path) -> int:
    """How many pictures the database names, all of which are there as they were."""
    with closing(sqlite3.connect(state / "web.db")) as connection:
        names = [name for (name,) in connection.execute("SELECT sha256 FROM web_picture")]
    for name in names:
        content = (state / "pictures" / name[:2] / f"{name}.jpg").read_bytes()
        assert hashlib.sha256(content).hexdigest() == name
    return len(names)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The folder of a page with 20 records."""
    folder = tmp_path / "state"
    prepare(folder)
    add(folder, range(20))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of such a folder."""
    folder = tmp_path_factory.mktemp("made")
    prepare(folder / "state")
    add(folder / "state", range(20))
    done = web(folder / "state", "backup", str(folder / "backup.tar"))
    assert done.returncode == 0, done.stderr
    assert "20 records, 20 pictures, read back and compared" in done.stdout
    return folder / "backup.tar"


@pytest.fixture
def backup(made: Path, tmp_path: Path) -> Path:
    """That backup, which may be spoilt."""
    return Path(shutil.copy2(made, tmp_path / "backup.tar"))


def test_backup_that_is_put_back_elsewhere_has_all_records_and_pictures(
    backup: Path, tmp_path: Path
) -> None:
    done = web(tmp_path / "other", "restore", str(backup))
    assert done.returncode == 0, done.stderr
    assert "20 records, 20 pictures, of which 20 were not there" in done.stdout
    assert records(tmp_path / "other" / "web.db") == whole_pictures(tmp_path / "other") == 20
    assert web(tmp_path / "other", "manage", "check").returncode == 0


def test_backup_has_a_list_of_hashes_that_sha256sum_checks(backup: Path, tmp_path: Path) -> None:
    with tarfile.open(backup) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    if shutil.which("sha256sum") is None:
        pytest.skip("coreutils are not installed")
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=tmp_path / "unpacked",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": OK") == 21
    assert backup.stat().st_mode & 0o777 == 0o600


def test_backup_is_made_while_the_page_runs_and_restore_is_refused_then(
    state: Path, tmp_path: Path
) -> None:
    with Page(state):
        done = web(state, "backup", str(tmp_path / "b.tar"))
        assert done.returncode == 0, done.stderr
        done = web(state, "restore", str(tmp_path / "b.tar"), "--replace")
        assert (done.returncode, "in use" in done.stderr) == (69, True)
    done = web(state, "restore", str(tmp_path / "b.tar"), "--replace")
    assert done.returncode == 0, done.stderr


def test_backup_is_of_one_moment_while_records_come(state: Path, tmp_path: Path) -> None:
    add(state, range(20, 400))
    command = [sys.executable, "-m", "edge_classifier", "web", f"--set=state_folder={state}"]
    with subprocess.Popen([*command, "backup", str(tmp_path / "b.tar")]) as running:
        number = 1000
        while running.poll() is None:
            add(state, range(number, number + 5))
            number += 5
    assert running.returncode == 0
    assert web(tmp_path / "other", "restore", str(tmp_path / "b.tar")).returncode == 0
    there = records(tmp_path / "other" / "web.db")
    assert 400 <= there == whole_pictures(tmp_path / "other")


def test_picture_that_is_lost_already_is_said(state: Path, tmp_path: Path) -> None:
    lost, damaged, *_ = sorted((state / "pictures").glob("*/*.jpg"))
    lost.unlink()
    damaged.write_bytes(b"")
    done = web(state, "backup", str(tmp_path / "b.tar"))
    assert done.returncode == 0
    assert "20 records, 18 pictures" in done.stdout
    assert "2 pictures that the database names are lost or damaged already" in done.stdout


def restored(state: Path, backup: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return web(state, "restore", str(backup), *options)


def test_restore_over_records_is_refused_unless_it_is_asked_for_and_keeps_them(
    state: Path, backup: Path
) -> None:
    add(state, range(20, 25))
    done = restored(state, backup)
    assert (done.returncode, "has 25 records" in done.stderr) == (2, True)
    assert records(state / "web.db") == 25
    done = restored(state, backup, "--replace")
    assert done.returncode == 0, done.stderr
    assert records(state / "web.db") == 20
    (kept,) = (state / "backups").glob("before-restore-*.db")
    assert str(kept) in done.stdout
    assert records(kept) == 25


@pytest.mark.parametrize("where", ["backup", "page"])
def test_restore_of_or_over_a_newer_database_is_refused(
    state: Path, tmp_path: Path, where: str
) -> None:
    newer = "INSERT INTO django_migrations (app, name, applied) VALUES ('web', '9999_x', '2026')"

    def make_newer() -> None:
        with closing(sqlite3.connect(state / "web.db")) as database:
            database.execute(newer)
            database.commit()

    if where == "backup":
        make_newer()
    assert web(state, "backup", str(tmp_path / "b.tar")).returncode == 0
    if where == "page":
        make_newer()
    target = state if where == "page" else tmp_path / "other"
    done = restored(target, tmp_path / "b.tar", "--replace")
    assert (done.returncode, "made by a newer release" in done.stderr) == (2, True)


def test_restore_over_the_database_of_another_program_is_refused(
    backup: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with closing(sqlite3.connect(other / "web.db")) as database:
        database.execute("CREATE TABLE mine (a)")
    before = (other / "web.db").read_bytes()
    done = restored(other, backup, "--replace")
    assert (done.returncode, "not one of this page" in done.stderr) == (2, True)
    assert (other / "web.db").read_bytes() == before


def test_restore_over_a_damaged_database_keeps_what_was_there(state: Path, backup: Path) -> None:
    (state / "web.db").write_bytes(b"x" * 9000)
    done = restored(state, backup)
    assert (done.returncode, "is damaged" in done.stderr) == (2, True)
    assert restored(state, backup, "--replace").returncode == 0
    assert records(state / "web.db") == 20
    (kept,) = (state / "backups").glob("before-restore-*.db")
    assert kept.read_bytes() == b"x" * 9000


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_end(content: bytes) -> bytes:
    return content[: content.rindex(b"backup.json")]


def flipped(content: bytes) -> bytes:
    place = len(content) // 3
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def foreign(_: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../../etc/passwd"))
    return file.getvalue()


@pytest.mark.parametrize(
    "spoil", [cut, without_end, flipped, foreign, lambda _: b"", lambda _: b"x"]
)
def test_backup_that_is_not_whole_changes_nothing(
    state: Path, backup: Path, spoil: Callable[[bytes], bytes]
) -> None:
    add(state, range(20, 22))
    backup.write_bytes(spoil(backup.read_bytes()))
    done = restored(state, backup, "--replace")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert records(state / "web.db") == whole_pictures(state) == 22


def test_backup_for_which_there_is_no_room_leaves_nothing(state: Path, tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "2m") as disk:
        fill_disk(disk)
        done = web(state, "backup", str(disk / "b.tar"))
        assert (done.returncode, "are free" in done.stderr) == (73, True)
        assert [file.name for file in disk.iterdir()] == ["filler"]


def killed_when(condition: Callable[[], bool], state: Path, *arguments: str) -> None:
    """Start a command, and kill it as soon as something has happened."""
    command = [sys.executable, "-m", "edge_classifier", "web", f"--set=state_folder={state}"]
    running = subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while running.poll() is None and not condition() and time.monotonic() < until:
        time.sleep(0.0005)
    running.send_signal(signal.SIGKILL)
    running.wait(10)


@pytest.mark.parametrize("size", [1, 2_000_000, 6_000_000])
def test_backup_that_is_killed_is_not_there_and_the_next_one_is(state: Path, size: int) -> None:
    add(state, range(20, 400))
    folder = state / "backups"

    def is_half_made() -> bool:
        return any(file.stat().st_size >= size for file in folder.glob(".*.unfinished"))

    killed_when(is_half_made, state, "backup")
    assert records(state / "web.db") == whole_pictures(state) == 400
    for whole in made_backups(folder):
        # It was quicker than we were.
        assert web(state.with_name("other"), "restore", str(whole)).returncode == 0
    assert web(state, "backup").returncode == 0
    assert [file.suffix for file in folder.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize("pictures", [21, 100, 399, 400])
def test_restore_that_is_killed_leaves_the_old_state_or_the_new_one(
    state: Path, tmp_path: Path, pictures: int
) -> None:
    add(state, range(20, 400))
    assert web(state, "backup", str(tmp_path / "b.tar")).returncode == 0
    other = tmp_path / "other"
    prepare(other)
    add(other, range(5))

    def have_come() -> bool:
        return len(list((other / "pictures").glob("*/*.jpg"))) >= pictures

    killed_when(have_come, other, "restore", str(tmp_path / "b.tar"), "--replace")
    assert records(other / "web.db") == whole_pictures(other)
    assert records(other / "web.db") in (5, 400)
    assert restored(other, tmp_path / "b.tar", "--replace").returncode == 0
    assert records(other / "web.db") == whole_pictures(other) == 400
    assert not list((other / "backups").glob(".restore-*"))


def test_postgresql_is_told_its_own_way(state: Path, tmp_path: Path) -> None:
    pytest.importorskip("dj_database_url", reason="the extra [fleet] is not installed")
    url = {"DATABASE_URL": "postgresql://edge:swordfish@127.0.0.1:1/web"}
    for action in (["backup"], ["restore", str(tmp_path / "b.tar")]):
        done = edge_classify("web", f"--set=state_folder={state}", *action, environment=url)
        assert done.returncode == 78
        assert "pg_dump" in done.stderr
        assert "swordfish" not in done.stderr


@pytest.fixture
def schedule(state: Path) -> Callable[[float], BackupSchedule]:
    """The schedule of a page at a moment: a backup a day, of which two are kept."""
    settings = replace(WebSettings(), backup=BackupSettings(every_hours=24, keep=2))
    folders = Folders(state, pictures=state / "pictures", models=state / "models")
    return lambda now: BackupSchedule(settings, folders, now=lambda: now)


def test_backups_are_made_when_they_are_due_and_kept_by_number(
    state: Path, schedule: Callable[[float], BackupSchedule]
) -> None:
    folder, now = state / "backups", time.time()
    schedule(now).run_once()
    assert [file.name[:13] for file in made_backups(folder)] == ["backup-000001"]
    schedule(now + 3600).run_once()
    assert len(made_backups(folder)) == 1
    for days in (1, 2, 3):
        newest = made_backups(folder)[-1]
        os.utime(newest, (now + (days - 1) * 86_400,) * 2)
        schedule(now + days * 86_400 + 60).run_once()
    assert [file.name[:13] for file in made_backups(folder)] == ["backup-000003", "backup-000004"]


def test_backup_of_a_clock_that_was_ahead_neither_stops_the_next_ones_nor_outlives_them(
    state: Path, schedule: Callable[[float], BackupSchedule]
) -> None:
    folder, now = state / "backups", time.time()
    schedule(now).run_once()
    (first,) = made_backups(folder)
    ahead = first.rename(folder / "backup-000001-20350101T000000000000Z.tar")
    os.utime(ahead, (now + 1e8, now + 1e8))
    for _ in range(2):
        schedule(now + 60).run_once()
        os.utime(made_backups(folder)[-1], (now - 90_000, now - 90_000))
    assert ahead not in made_backups(folder)


def test_backup_that_fails_is_told_and_tried_again(
    state: Path, schedule: Callable[[float], BackupSchedule]
) -> None:
    made = schedule(time.time())
    (state / "web.db").rename(state / "away.db")
    made.run_once()
    assert "cannot be made" in made.problem
    (state / "away.db").rename(state / "web.db")
    made.run_once()
    assert made_backups(state / "backups")
    assert "cannot be made" not in made.problem
