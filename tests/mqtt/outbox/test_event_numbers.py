"""No number of an event is given twice, whatever becomes of the files that know it."""

import json
import os
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_classifier.core.events import Moment
from edge_classifier.mqtt.outbox.numbers_file import LastNumbers
from edge_classifier.mqtt.outbox.outbox import Outbox
from edge_classifier.mqtt.outbox.outbox_database import OutboxDatabase, QueuedEvent
from tests.mqtt.outbox.queued import Clock, cut, event, ids, put
from tests.smalldisk import fill, tmpfs

NOW_S = 1_800_000_000.0
CLOCK_MS = 1_800_000_000_000


def opened(
    path: Path, remembered: dict[str, int] | None = None, utc_s: float = NOW_S
) -> tuple[Outbox, LastNumbers]:
    outbox = Outbox(path, 1000, clock=Clock(), utc=lambda: utc_s)
    OPEN.append(outbox)
    known = outbox.open()
    numbers = {"front": int(known["front"])} if "front" in known else {}
    return outbox, outbox.last_numbers(numbers if remembered is None else remembered)


OPEN: list[Outbox] = []


def of_the_clock(number: int) -> QueuedEvent:
    """An event that is counted on from the clock."""
    seq = CLOCK_MS + number
    payload = b'{"seq": %d}' % seq
    return QueuedEvent(f"id-{seq}", "front", payload, Moment(NOW_S, 1.0), "boot")


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for outbox in OPEN:
        kill(outbox)
    OPEN.clear()


def kill(outbox: Outbox) -> None:
    """End without a last write, as far as one process can."""
    cut(outbox)
    outbox.numbers._file.let_go()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


def lived(path: Path, number: int) -> Outbox:
    """A daemon that has counted to ``number``."""
    outbox, _ = opened(path)
    for one in range(1, number + 1):
        outbox.add([event(one)])
        outbox.remember("front", str(one))
        outbox.save()
    return outbox


def crash(path: Path, number: int) -> Path:
    """What a killed daemon that has counted to ``number`` leaves behind."""
    outbox = lived(path, number)
    after = path.parent.with_name("after")
    shutil.copytree(path.parent, after)
    kill(outbox)
    return after / path.name


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_numbers_go_on_without_a_hole_after_a_restart(path: Path, end: str) -> None:
    if end == "killed":
        path = crash(path, 130)
    else:
        assert lived(path, 130).close()
    outbox, last = opened(path)
    assert (last.of("front"), last.of("never seen")) == (130, 0)
    assert outbox.incidents.texts == ()


def test_numbers_of_a_new_device_begin_at_one(path: Path) -> None:
    outbox, last = opened(path)
    assert (last.of("front"), outbox.incidents.texts) == (0, ())


# --- damage --------------------------------------------------------------------------------------


def _zero(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\0" * 4096)


def _other_schema(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE outbox (x)")
        other.execute("PRAGMA user_version = 1")
    other.close()


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "kept").write_text("somebody's")


def _index(path: Path) -> None:
    """The table without rows' numbers, which is an index."""
    with sqlite3.connect(path) as file:
        (page,) = file.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'remembered'"
        ).fetchone()
    file.close()
    with path.open("r+b") as damaged:
        damaged.seek((page - 1) * 4096)
        damaged.write(b"\xa5" * 4096)


def _wal(path: Path) -> Path:
    return Path(f"{path}-wal")


def _into_file(path: Path) -> None:
    """Everything into the database, and a log of another one beside it."""
    file = sqlite3.connect(path)
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()


KINDS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "missing": Path.unlink,
    "truncated": lambda path: os.truncate(path, 5000),
    "garbage": lambda path: path.write_bytes(b"\xa5" * 40_000),
    "zeroed page": _zero,
    "other schema": _other_schema,
    "directory": _directory,
    "index": _index,
}


@pytest.mark.parametrize("end", ["killed", "stopped"])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_go_on_behind_a_damaged_database_and_events_are_kept_again(
    path: Path, kind: str, end: str
) -> None:
    if end == "killed":
        path = crash(path, 130)
        _into_file(path)
        _wal(path).unlink(missing_ok=True)
    else:
        lived(path, 130).close()
    KINDS[kind](path)
    outbox, last = opened(path)
    assert 130 <= last.of("front") <= 230
    assert outbox.incidents.texts, "nothing is said"
    assert outbox.trouble == ""
    put(outbox, 500)
    assert outbox.close()
    again, _ = opened(path)
    assert ids(again.next(999))[-1] == 500


@pytest.mark.parametrize("kind", ["missing", "stale"])
def test_numbers_go_on_behind_a_lost_log_of_the_database(path: Path, kind: str) -> None:
    path = crash(path, 130)
    _wal(path).unlink()
    if kind == "stale":
        _wal(path).write_bytes(b"\x37\x7f\x06\x82" + b"\1" * 20_000)
    outbox, last = opened(path)
    assert 130 <= last.of("front") <= 230
    assert any("older than what was written" in text for text in outbox.incidents.texts)


@pytest.mark.parametrize("follows", ["nothing", "frames of before"])
def test_log_that_waits_for_its_first_commit_is_not_a_lost_one(path: Path, follows: str) -> None:
    """SQLite begins the log anew, and waits for its head: a kill between head and commit."""
    path = crash(path, 130)
    outbox, last = opened(path)
    before = _wal(path).read_bytes()
    put(outbox, 131)
    begun = _wal(path).read_bytes()[:32]
    assert begun != before[:32], "the log has not begun anew"
    kill(outbox)
    after = path.parent.with_name("later")
    shutil.copytree(path.parent, after)
    path = after / path.name
    _wal(path).write_bytes(begun + (before[32:] if follows == "frames of before" else b""))
    outbox, last = opened(path)
    assert last.of("front") == 130
    assert outbox.incidents.texts == ()


def test_damaged_first_commit_of_a_log_is_not_one_that_is_awaited(path: Path) -> None:
    path = crash(path, 130)
    with _wal(path).open("r+b") as log:
        log.seek(32 + 24 + 100)
        log.write(b"\1" * 100)
    outbox, last = opened(path)
    assert 130 <= last.of("front") <= 230
    assert any("older than what was written" in text for text in outbox.incidents.texts)


def test_daemon_killed_while_it_ends_leaves_exact_numbers(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = lived(path, 130)
    after = path.parent.with_name("after")
    close = OutboxDatabase.close

    def close_and_look(database: OutboxDatabase) -> None:
        close(database)
        shutil.copytree(path.parent, after)

    monkeypatch.setattr(OutboxDatabase, "close", close_and_look)
    assert outbox.close()
    monkeypatch.undo()
    again, last = opened(after / path.name)
    assert last.of("front") == 130
    assert again.incidents.texts == ()


def test_daemon_killed_after_its_log_was_deleted_in_use_leaves_exact_numbers(path: Path) -> None:
    outbox = lived(path, 130)
    _wal(path).unlink()
    outbox.save(all_now=True)
    assert any("nothing is lost" in text for text in outbox.incidents.texts)
    after = path.parent.with_name("after")
    shutil.copytree(path.parent, after)
    again, last = opened(after / path.name)
    assert last.of("front") == 130
    assert again.incidents.texts == ()


def test_numbers_of_a_zeroed_page_rescue_the_events_on_other_pages(path: Path) -> None:
    lived(path, 130).close()
    _zero(path)
    outbox, _ = opened(path)
    rescued = ids(outbox.next(999))
    assert len(rescued) > 80
    assert rescued == sorted(rescued)
    assert f"{len(rescued)} waiting events were rescued" in outbox.incidents.texts[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's rights need root")
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_numbers_go_on_where_the_database_may_not_be_used(path: Path, mode: int) -> None:
    lived(path, 130).close()
    path.chmod(mode)
    for one in (path.parent, *path.parent.iterdir()):
        os.chown(one, 65534, 65534)
    for folder in path.parent.parents:
        if folder.name.startswith(("pytest-", "popen-", "test_")):
            folder.chmod(0o755)
    child = os.fork()
    if not child:
        # Root may read what it likes.
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            outbox, last = opened(path)
            put(outbox, 500)
            right = last.of("front") == 130 and not outbox.trouble and outbox.waiting == 131
            code = 0 if right else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("torn", [0, 1])
def test_numbers_survive_a_write_that_was_cut_off(path: Path, torn: int) -> None:
    lived(path, 130).close()
    path.write_bytes(b"")
    numbers = path.with_suffix(".numbers")
    with numbers.open("r+b") as file:
        file.seek(torn * 16_384 + 40)
        file.write(b"\xff" * 400)
    _, last = opened(path)
    assert 130 <= last.of("front") <= 230


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "null",
        "[1]",
        "[" * 9_000,
        '{"cameras":{"front":1},"others":0,"is_behind":false,"left":{}}',
        '{"cameras":{"front":["1",2]},"others":0,"is_behind":false,"left":{}}',
        '{"cameras":{"front":[1e99,1e99]},"others":0,"is_behind":false,"left":{}}',
        '{"cameras":{"front":[-1,9999999999999999999999]},"others":0,"is_behind":false,"left":{}}',
        '{"cameras":[1],"others":0,"is_behind":false,"left":{}}',
        '{"cameras":{},"others":"","is_behind":false,"left":{}}',
        '{"cameras":{},"others":0,"is_behind":0,"left":{}}',
        '{"cameras":{},"others":0,"is_behind":false,"left":{"front":[1]}}',
    ],
)
def test_numbers_are_not_read_from_a_whole_file_that_says_something_else(
    path: Path, text: str
) -> None:
    lived(path, 130).close()
    numbers = path.with_suffix(".numbers")
    raw = text.encode()
    copy = struct.pack("<8sQII", b"EVNUMB01", 1000, len(raw), zlib.crc32(raw)) + raw
    numbers.write_bytes(2 * copy.ljust(16_384, b"\0"))
    outbox, last = opened(path)
    assert last.of("front") >= 130
    outbox.close()


@pytest.mark.parametrize("numbers", ["missing", "damaged"])
def test_numbers_go_on_from_the_clock_where_nothing_knows_them(path: Path, numbers: str) -> None:
    lived(path, 130).close()
    path.write_bytes(b"no database" * 1000)
    mark = path.with_suffix(".numbers")
    if numbers == "missing":
        mark.unlink()
    else:
        mark.write_bytes(b"\xff" * mark.stat().st_size)
    outbox, last = opened(path)
    assert (last.of("front"), last.of("back")) == (CLOCK_MS, CLOCK_MS)
    assert any("from the clock" in text for text in outbox.incidents.texts)
    outbox.add([of_the_clock(1)])
    outbox.close()
    _, again = opened(path)
    assert again.of("front") == CLOCK_MS + 1


@pytest.mark.parametrize("kept", ["pictures", "waiting-snapshots", "model-trials.json", "uploads"])
def test_numbers_are_not_those_of_a_new_device_where_any_other_state_is_left(
    path: Path, kept: str
) -> None:
    lived(path, 130).close()
    for file in path.parent.glob("outbox*"):
        file.unlink()
    (path.parent / kept).mkdir()
    outbox, last = opened(path)
    assert last.of("front") == CLOCK_MS
    assert any("from the clock" in text for text in outbox.incidents.texts)


def test_numbers_go_on_from_a_clock_that_is_not_set_above_what_can_be_counted(path: Path) -> None:
    lived(path, 130).close()
    for file in path.parent.glob("outbox*"):
        file.write_bytes(b"no database" * 1000)
    _, last = opened(path, utc_s=12.0)
    assert last.of("front") > 10**12


def test_numbers_without_their_file_are_those_of_the_database(path: Path) -> None:
    lived(path, 130).close()
    path.with_suffix(".numbers").unlink()
    _, last = opened(path)
    assert (last.of("front"), last.of("back")) == (130, 0)


def test_numbers_of_a_camera_that_is_forgotten_are_kept(path: Path) -> None:
    outbox = lived(path, 7)
    outbox.remember("front", None)
    outbox.save()
    outbox.close()
    _, last = opened(path)
    assert last.of("front") == 7


def test_numbers_of_more_cameras_than_fit_begin_above_all_of_them(path: Path) -> None:
    outbox, _ = opened(path)
    names = [f"camera-{number:03}-{'x' * 50}" for number in range(400)]
    for name in names:
        outbox.add([event(40, camera=name)])
        outbox.save()
    outbox.close()
    assert path.with_suffix(".numbers").stat().st_size == 32_768
    path.unlink()
    _, last = opened(path)
    assert all(last.of(name) >= 40 for name in names)


# --- full disks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_numbers_used_on_a_full_disk_are_not_used_again(tmp_path: Path, end: str) -> None:
    with tmpfs(tmp_path / "small", "1m") as small:
        path = small / "outbox.db"
        outbox = lived(path, 20)
        fill(small)
        put(outbox, *range(21, 801))
        assert outbox.trouble
        assert outbox.numbers.trouble == ""
        if end == "killed":
            kill(outbox)
        else:
            assert not outbox.close()
            assert outbox.left == 780
        (small / "filler").unlink()
        again, last = opened(path)
        assert last.of("front") == 800
        said = " ".join(again.incidents.texts)
        assert "780 events of front (numbers 21 to 800)" in said or "events 21 to 800" in said
        put(again, 801)
        again.close()
        third, last = opened(path)
        assert last.of("front") == 801
        assert third.incidents.texts == ()


def test_states_that_a_full_disk_does_not_take_are_known_after_a_kill(tmp_path: Path) -> None:
    cameras = [f"camera {number}" for number in range(40)]
    with tmpfs(tmp_path / "small", "1m") as small:
        path = small / "outbox.db"
        outbox = lived(path, 20)
        fill(small)
        put(outbox, *range(21, 801))
        for camera in cameras:
            outbox.remember(camera, kept(7), camera=camera)
            outbox.save()
        outbox.remember("state", kept(8), camera="front")
        outbox.save()
        kill(outbox)
        (small / "filler").unlink()
        again = Outbox(path, 1000, clock=Clock(), utc=lambda: NOW_S)
        OPEN.append(again)
        known = again.open()
        # The newest, as far as there is room; but none behind events that were not told.
        left = [camera for camera in cameras if camera in known]
        assert left == cameras[-len(left) :]
        assert 10 < len(left) < 20
        assert "state" not in known
        assert again.last_numbers({"front": 20}).of("front") == 800
        again.save()
        assert not again.trouble
        # What the database knows by then is as new.
        again.remember(cameras[-1], kept(6))
        again.save()
        assert again.numbers.newer_states({}) == {}
        again.close()
        third, _ = opened(path, {})
        assert third.open()[cameras[-1]] == kept(6)


def kept(seq: int) -> str:
    """As large as states are."""
    return json.dumps({"seq": seq, "label": "l" * 1000})
