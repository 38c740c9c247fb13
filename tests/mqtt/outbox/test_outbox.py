"""The outbox on real files: what lasts, what goes, and what is said."""

import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.events import Moment
from edge_classifier.mqtt.outbox.outbox_database import OutboxDatabase, QueuedEvent
from tests.mqtt.outbox.queued import LATER_S, Clock, cut, event, ids, opened, put


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
