"""The outbox on a disk that is damaged, full, held or gone."""

import logging
from pathlib import Path

import pytest

from tests.mqtt.outbox.queued import LATER_S, Clock, cut, ids, opened, put
from tests.smalldisk import fill, tmpfs


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
