"""An outbox that is deleted or exchanged under the daemon is made anew, and no event is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mqtt.outbox.queued import LATER_S, Clock, ids, put
from tests.mqtt.outbox.test_event_numbers import kill, lived, opened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


def _delete(folder: Path) -> None:
    shutil.rmtree(folder)


def _move_away(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _empty(folder: Path) -> None:
    for one in folder.iterdir():
        one.unlink()


def _log_only(folder: Path) -> None:
    (folder / "outbox.db-wal").unlink()


def _exchange(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)


def _junk(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "outbox.db").write_bytes(b"junk" * 5000)
    (folder / "outbox.numbers").write_bytes(b"junk")


GONE = [_delete, _move_away, _empty, _log_only, _exchange, _junk]


@pytest.mark.parametrize("how", GONE)
def test_outbox_that_is_deleted_while_in_use_is_made_anew_with_all_events(
    path: Path, how: Callable[[Path], None]
) -> None:
    outbox = lived(path, 130)
    under_way = outbox.next(3)
    outbox.acknowledge(under_way[0])
    how(path.parent)
    outbox.save()
    assert outbox.trouble == ""
    assert outbox.numbers.trouble == ""
    assert any(str(path) in text for text in outbox.incidents.texts)
    outbox.acknowledge(under_way[1])
    put(outbox, 131)
    assert ids(outbox.next(999)) == [*range(4, 132)]
    after = path.parent.with_name("after")
    shutil.copytree(path.parent, after)
    kill(outbox)
    again, last = opened(after / path.name)
    assert last.of("front") >= 130
    assert [one for one in ids(again.next(999)) if one > 2] == [*range(3, 132)]


def test_outbox_whose_folder_cannot_be_made_anew_keeps_all_in_memory_until_it_can(
    path: Path,
) -> None:
    clock = Clock()
    outbox = lived(path, 30)
    outbox._clock = clock
    shutil.rmtree(path.parent)
    path.parent.write_text("in the way")
    put(outbox, 31)
    assert outbox.trouble
    assert ids(outbox.next(99)) == [*range(1, 32)]
    path.parent.unlink()
    clock.now += LATER_S
    outbox.save()
    assert outbox.trouble == ""
    kill(outbox)
    assert ids(opened(path)[0].next(99)) == [*range(1, 32)]


def test_outbox_that_cannot_be_made_anew_says_at_the_end_what_is_lost(path: Path) -> None:
    outbox = lived(path, 30)
    shutil.rmtree(path.parent)
    path.parent.write_text("in the way")
    put(outbox, 31)
    assert not outbox.close()
    assert outbox.left == 31
