"""The outbox on real files: what lasts, what goes, and what is said."""

import logging
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.events import Moment
from edge_classifier.mqtt.codec.camera_payloads import event_payload
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.outbox.outbox import Outbox
from edge_classifier.mqtt.outbox.outbox_database import OutboxDatabase, QueuedEvent
from tests.emitter import change
from tests.smalldisk import fill, tmpfs

LATER_S = 6.0


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def event(number: int, *, camera: str = "front") -> QueuedEvent:
    moment = Moment(1e9 + number, number)
    payload = event_payload(replace(change(number, camera=camera), captured=moment), str)
    return QueuedEvent(f"{camera}-{number}", camera, encoded(payload), moment, "boot-1")


def opened(path: Path, clock: Clock | None = None, max_events: int = 1000) -> Outbox:
    outbox = Outbox(path, max_events, clock=clock or Clock(), utc=lambda: 1_700_000_000.0)
    OPEN.append(outbox)
    outbox.open()
    return outbox


OPEN: list[Outbox] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for outbox in OPEN:
        cut(outbox)
    OPEN.clear()


def cut(outbox: Outbox) -> None:
    """End without a last write."""
    outbox._database.close()


def put(outbox: Outbox, *numbers: int) -> None:
    outbox.add(event(number) for number in numbers)
    outbox.save()


def ids(events: Sequence[QueuedEvent]) -> list[int]:
    return [int(one.event_id.rpartition("-")[2]) for one in events]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "outbox.db"


def test_outbox_after_a_power_cut_has_every_saved_event_in_order_and_unchanged(path: Path) -> None:
    first = opened(path)
    put(first, 1, 2)
    put(first, 3)
    first.add([event(4)])
    # What a power cut leaves: the files of a database that is in use.
    shutil.copytree(path.parent, path.parent.with_name("after"))
    found = opened(path.parent.with_name("after") / path.name).next(10)
    assert ids(found) == [1, 2, 3]
    assert found[1].payload == event(2).payload
    assert found[1].captured == Moment(1e9 + 2, 2)
    assert (found[1].camera, found[1].boot) == ("front", "boot-1")


def test_outbox_gives_each_event_out_once_until_it_is_rewound(path: Path) -> None:
    outbox = opened(path)
    put(outbox, 1, 2, 3, 4)
    assert ids(outbox.next(2)) == [1, 2]
    assert ids(outbox.next(9)) == [3, 4]
    assert outbox.next(9) == []
    outbox.forget_in_flight()
    assert ids(outbox.next(9)) == [1, 2, 3, 4]


def test_outbox_forgets_what_was_acknowledged_in_any_order_and_nothing_else(path: Path) -> None:
    clock = Clock()
    outbox = opened(path, clock)
    put(outbox, 1, 2, 3, 4)
    _, second, third, _ = outbox.next(9)
    outbox.acknowledge(third)
    outbox.acknowledge(second)
    assert outbox.waiting == 2
    outbox.forget_in_flight()
    assert ids(outbox.next(9)) == [1, 4]
    clock.now += LATER_S
    outbox.save()
    cut(outbox)
    assert ids(opened(path).next(9)) == [1, 4]


def test_outbox_deletes_with_the_next_write_or_after_some_seconds(path: Path) -> None:
    clock = Clock()
    outbox = opened(path, clock)
    put(outbox, 1, 2)
    outbox.acknowledge(outbox.next(1)[0])
    outbox.save()
    assert outbox._database.count() == 2
    clock.now += LATER_S
    outbox.save()
    assert outbox._database.count() == 1
    outbox.acknowledge(outbox.next(1)[0])
    put(outbox, 3)
    assert outbox._database.count() == 1


def test_outbox_that_is_full_drops_the_oldest_and_counts_them(path: Path) -> None:
    outbox = opened(path, max_events=10)
    put(outbox, *range(1, 11))
    assert outbox.dropped == 0
    put(outbox, 11, 12, 13)
    assert (outbox.dropped, outbox.waiting) == (3, 10)
    assert ids(outbox.next(99)) == list(range(4, 14))
    put(outbox, *range(20, 40))
    assert (outbox.dropped, outbox.waiting) == (23, 10)
    outbox.forget_in_flight()
    assert ids(outbox.next(99)) == list(range(30, 40))


def test_outbox_leaves_out_held_cameras_until_told_again(path: Path) -> None:
    outbox = opened(path)
    outbox.add([event(1), event(2, camera="back"), event(3), event(4, camera="back")])
    outbox.save()
    assert ids(outbox.next(9, {"front"})) == [2, 4]
    outbox.retry_refused()
    assert ids(outbox.next(9)) == [1, 3]


def test_outbox_remembers_and_forgets(path: Path) -> None:
    outbox = opened(path)
    outbox.remember("a", "1")
    outbox.remember("b", "2")
    outbox.save()
    outbox.remember("a", None)
    outbox.remember("b", "3")
    outbox.save()
    cut(outbox)
    assert opened(path).open() == {"b": "3"}


def test_outbox_that_is_cleared_is_empty_and_takes_new_events(path: Path) -> None:
    outbox = opened(path)
    put(outbox, 1, 2, 3)
    late = outbox.next(1)[0]
    assert outbox.clear() == 3
    put(outbox, 4)
    outbox.acknowledge(late)
    outbox.forget_in_flight()
    assert ids(outbox.next(9)) == [4]


def test_outbox_of_an_hour_of_events_stays_under_5_megabytes(path: Path) -> None:
    outbox = opened(path, max_events=20_000)
    largest = 0
    for second in range(3600):
        outbox.add([event(second)])
        outbox.remember("state.front", "x" * 400)
        outbox.save()
        if second % 50 == 0:
            largest = max(largest, sum(f.stat().st_size for f in path.parent.iterdir()))
    assert outbox.waiting == 3600
    assert largest < 5_000_000


# --- damage ------------------------------------------------------------------------------------


def damage(path: Path, *, begin: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(b"\xa5" * length)


@pytest.mark.parametrize(
    ("begin", "length"), [(0, 100), (4096, 8192), (100, 4000)], ids=["head", "pages", "schema"]
)
def test_outbox_with_a_damaged_file_sets_it_aside_and_says_so(
    path: Path, caplog: pytest.LogCaptureFixture, begin: int, length: int
) -> None:
    first = opened(path)
    put(first, *range(1, 101))
    first.close()
    damage(path, begin=begin, length=length)
    outbox = opened(path)
    assert outbox.damaged == 1
    assert outbox.trouble == ""
    assert "Set aside as" in caplog.text
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.name == "outbox.db.damaged-20231114T221320Z"
    put(outbox, 7)
    cut(outbox)
    assert ids(opened(path).next(9)) == [7]


def test_outbox_damaged_again_keeps_only_the_newest_damaged_file(path: Path) -> None:
    path.parent.mkdir()
    for text in ("first", "second"):
        path.write_text(f"{text} is no database" * 100)
        cut(opened(path))
    (aside,) = path.parent.glob("outbox.db.damaged-*")
    assert aside.read_text().startswith("second")


def test_outbox_damaged_while_in_use_goes_on_with_what_memory_has(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    outbox = opened(path, clock, max_events=9000)
    outbox.remember("a", "1")
    put(outbox, *range(1, 3001))
    under_way = outbox.next(5)
    outbox.acknowledge(under_way[0])
    outbox._database._require_open().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path, begin=4096, length=path.stat().st_size - 4096)
    outbox._database._require_open().execute("PRAGMA shrink_memory")
    outbox.next(2000)
    # Was row 2 of the old file: must hit no row of the new one, neither now ...
    outbox.acknowledge(under_way[1])
    put(outbox, 3001, 3002)
    assert outbox.trouble == ""
    assert outbox.damaged == 1
    assert "Set aside as" in caplog.text
    outbox.acknowledge(under_way[4])  # ... nor when it has a row there.
    clock.now += LATER_S
    outbox.save()
    cut(outbox)
    again = opened(path, max_events=9000)
    assert again.open() == {"a": "1"}
    rest = ids(again.next(9000))
    assert rest[:2] == [3, 4]
    assert rest[-2:] == [3001, 3002]


def test_outbox_of_a_newer_version_is_set_aside_and_its_events_are_rescued(path: Path) -> None:
    put(first := opened(path), 1)
    first._database._require_open().execute("PRAGMA user_version = 99")
    cut(first)
    outbox = opened(path)
    assert outbox.damaged == 1
    assert ids(outbox.next(9)) == [1]


# --- no disk -----------------------------------------------------------------------------------


def test_outbox_on_a_full_disk_gives_out_from_memory_behind_the_disk_and_recovers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    with tmpfs(tmp_path / "small", "1m") as small:
        outbox = opened(small / "outbox.db", clock)
        put(outbox, 1, 2, 3)
        fill(small)
        put(outbox, *range(4, 1000))
        clock.now += LATER_S
        put(outbox, 1000)
        assert "full" in outbox.trouble
        assert outbox.waiting == 1000
        sent = outbox.next(5)
        assert ids(sent) == [1, 2, 3, 4, 5]
        for one in sent[2:4]:  # one on disk, one in memory
            outbox.acknowledge(one)
        (small / "filler").unlink()
        outbox.save()
        assert outbox.trouble, "not tried again before its time"
        clock.now += LATER_S
        outbox.save()
        assert outbox.trouble == ""
        assert ids(outbox.next(3)) == [6, 7, 8]
        outbox.acknowledge(sent[4])  # sent from memory, on disk by now
        outbox.close()
        assert ids(opened(small / "outbox.db").next(5)) == [1, 2, 6, 7, 8]
    assert len([r for r in caplog.records if "kept in memory" in r.message]) == 1
    assert len([r for r in caplog.records if "on disk again" in r.message]) == 1


def test_outbox_on_a_full_disk_with_nothing_to_write_does_not_claim_to_be_well(
    tmp_path: Path,
) -> None:
    clock = Clock()
    with tmpfs(tmp_path / "small", "1m") as small:
        outbox = opened(small / "outbox.db", clock)
        fill(small)
        put(outbox, *range(1, 1000))
        assert outbox.trouble
        for one in outbox.next(1000):
            outbox.acknowledge(one)
        assert outbox.waiting == 0
        fill(small)
        clock.now += LATER_S
        outbox.save()
        assert outbox.trouble
        (small / "filler").unlink()
        clock.now += LATER_S
        outbox.save()
        assert outbox.trouble == ""
        outbox.close()


def test_outbox_that_another_process_holds_is_kept_in_memory_until_it_is_free(path: Path) -> None:
    clock = Clock()
    holder = opened(path)
    put(holder, 1)
    outbox = opened(path, clock)
    assert "locked" in outbox.trouble
    outbox.remember("a", "1")
    put(outbox, 2, 3)
    assert ids(outbox.next(9)) == [2, 3]
    cut(holder)
    clock.now += LATER_S
    outbox.save()
    assert outbox.trouble == ""
    assert outbox.waiting == 3
    assert ids(outbox.next(9)) == [1]  # the others are under way
    outbox.close()
    assert opened(path).open() == {"a": "1"}


def test_outbox_without_a_disk_is_bounded_in_memory(path: Path) -> None:
    holder = opened(path)
    put(holder, 1)
    outbox = opened(path, max_events=10)
    put(outbox, *range(1, 31))
    assert (outbox.waiting, outbox.dropped) == (10, 20)
    assert ids(outbox.next(99)) == list(range(21, 31))


def test_outbox_whose_folder_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outbox = opened(tmp_path / "file" / "outbox.db")
    assert "file" in outbox.trouble
    put(outbox, 1)
    assert ids(outbox.next(9)) == [1]
    assert not outbox.close()


# --- any order of things -----------------------------------------------------------------------

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add", "send", "ack", "save", "forget_in_flight", "cut"]),
        st.integers(1, 5),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_outbox_whatever_happens_delivers_all_saved_events_first_in_order(
    actions: list[tuple[str, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, clock = Path(folder) / "outbox.db", Clock()
        outbox = opened(path, clock)
        added, saved = 0, 0
        under_way: list[QueuedEvent] = []
        arrived: list[int] = []
        for action, number in [*actions, ("save", 1), ("cut", 1), ("send", 999)]:
            match action:
                case "add":
                    outbox.add(event(added + one) for one in range(1, number + 1))
                    added += number
                case "send":
                    sent = outbox.next(number)
                    arrived += ids(sent)
                    under_way += sent
                case "ack":
                    for one in under_way[:number]:
                        outbox.acknowledge(one)
                    del under_way[:number]
                case "save":
                    clock.now += LATER_S
                    outbox.save()
                    saved = added
                case "forget_in_flight":
                    outbox.forget_in_flight()
                    under_way.clear()
                case "cut":
                    cut(outbox)
                    outbox = opened(path, clock)
                    under_way.clear()
                    added = saved
        cut(outbox)
        assert list(dict.fromkeys(arrived)) == list(range(1, saved + 1))


def test_database_commits_with_a_full_sync_in_a_bounded_log(path: Path) -> None:
    database = OutboxDatabase(path, Clock())
    database.open()
    connection = database._require_open()

    def pragma(name: str) -> object:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2
    assert pragma("wal_autocheckpoint") == 128
    database.close()


def test_database_rolls_back_what_fails_half_way(path: Path) -> None:
    database = OutboxDatabase(path, Clock())
    database.open()

    def fail_half_way() -> None:
        with database.transaction():
            database.insert(event(1))
            database.remember("key", "1")
            raise sqlite3.OperationalError("on purpose")

    with pytest.raises(sqlite3.OperationalError, match="on purpose"):
        fail_half_way()
    assert database.count() == 0
    assert database.remembered() == {}
    database.close()
