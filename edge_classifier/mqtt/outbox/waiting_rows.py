"""Rows of an outbox's database: walked through, and copied into another one."""

from collections.abc import Collection, Iterator, Mapping

from edge_classifier.mqtt.outbox.outbox_database import OutboxDatabase, QueuedEvent

# Events that are in memory at once.
_CHUNK = 500


def waiting_rows(database: OutboxDatabase) -> Iterator[QueuedEvent]:
    """All events, in order. Raises ``sqlite3.Error``."""
    row = 0
    while events := database.after(row, _CHUNK):
        yield from events
        row = events[-1].row or 0


def copy_waiting(
    source: OutboxDatabase,
    target: OutboxDatabase,
    acked: Collection[int],
    remembered: Mapping[str, str],
) -> dict[int, int]:
    """Copy all but the rows ``acked``, and what is remembered; from old rows to new ones.

    Raises ``sqlite3.Error``, and leaves ``target`` as it was then.
    """
    rows: dict[int, int] = {}
    with target.transaction():
        # Those of a copy, perhaps.
        there = target.rows()
        for event in waiting_rows(source):
            row = event.row or 0
            known = there.get(event.event_id)
            if row in acked:
                target.delete([] if known is None else [known])
            else:
                rows[row] = known or target.insert(event)
        for key, value in remembered.items():
            target.remember(key, value)
    return rows
