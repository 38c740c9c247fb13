"""The outbox, when the file system under it is exchanged or takes no writes any more.

Needs root and mount; skips without.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mqtt.outbox.queued import LATER_S, Clock, ids, put
from tests.mqtt.outbox.test_event_numbers import CLOCK_MS, kill, lived, of_the_clock, opened
from tests.smalldisk import tmpfs


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], timeout=60, check=True)


@contextmanager
def covered(folder: Path, options: str) -> Iterator[None]:
    """Another file system is mounted over ``folder``."""
    mount("-t", "tmpfs", "-o", options, "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], timeout=60, check=True)


def test_outbox_that_another_file_system_covers_is_made_anew_there_with_all_events(
    tmp_path: Path,
) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        path = disk / "state" / "outbox.db"
        outbox = lived(path, 30)
        with covered(path.parent, "size=4m"):
            outbox.save()
            assert (outbox.trouble, outbox.numbers.trouble) == ("", "")
            assert any("30 waiting events were moved over" in one for one in outbox.incidents.texts)
            put(outbox, 31)
            copy = tmp_path / "copy"
            shutil.copytree(path.parent, copy)
            kill(outbox)
            again, last = opened(copy / path.name)
            assert last.of("front") >= 30
            assert ids(again.next(999)) == [*range(1, 32)]


def test_outbox_whose_cover_is_taken_away_goes_on_below_it_without_a_loss(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        path = disk / "state" / "outbox.db"
        outbox = lived(path, 30)
        with covered(path.parent, "size=4m"):
            outbox.save()
            put(outbox, 31)
        put(outbox, 32)
        assert (outbox.trouble, outbox.numbers.trouble) == ("", "")
        kill(outbox)
        again, last = opened(path)
        assert last.of("front") >= 30
        assert ids(again.next(999)) == [*range(1, 33)]


def test_outbox_that_a_read_only_file_system_covers_keeps_all_in_memory_until_it_can_write(
    tmp_path: Path,
) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        path = disk / "state" / "outbox.db"
        clock = Clock()
        outbox = lived(path, 30)
        outbox._clock = clock
        with covered(path.parent, "size=4m,ro"):
            put(outbox, 31)
            assert outbox.trouble
            assert outbox.numbers.trouble
            assert ids(outbox.next(99)) == [*range(1, 32)]
            mount("-o", "remount,rw", str(path.parent))
            clock.now += LATER_S
            outbox.save()
            assert (outbox.trouble, outbox.numbers.trouble) == ("", "")
            kill(outbox)
            again, last = opened(path)
            assert last.of("front") >= 30
            assert ids(again.next(99)) == [*range(1, 32)]


def test_outbox_on_a_disk_that_is_read_only_at_the_start_sends_what_comes_and_keeps_the_rest(
    tmp_path: Path,
) -> None:
    with tmpfs(tmp_path / "disk", "4m") as disk:
        path = disk / "state" / "outbox.db"
        lived(path, 30).close()
        mount("-o", "remount,ro", str(disk))
        outbox, last = opened(path)
        clock = Clock()
        outbox._clock = clock
        assert outbox.trouble
        assert last.of("front") == CLOCK_MS, "what cannot be noted is not counted on from"
        outbox.add([of_the_clock(1)])
        outbox.save()
        assert ids(outbox.next(99)) == [CLOCK_MS + 1]
        mount("-o", "remount,rw", str(disk))
        clock.now += LATER_S
        outbox.save()
        assert (outbox.trouble, outbox.numbers.trouble) == ("", "")
        kill(outbox)
        again, last = opened(path)
        assert last.of("front") > CLOCK_MS
        assert ids(again.next(99)) == [*range(1, 31), CLOCK_MS + 1]
