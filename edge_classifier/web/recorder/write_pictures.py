"""Snapshots: stored, given to their events, and replaced by better ones while these last.

A snapshot waits in a table of its own until its event is there. Rows are locked in the order of
their keys, and tables in that of ``write_batch``, so that no two recorders wait for each other.
"""

import hashlib
import logging
from collections.abc import Collection, Iterator
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from edge_classifier.core.jpeg_scan import jpeg_size
from edge_classifier.errors import OutputError, StorageError, UnavailableError
from edge_classifier.web.models import EventPicture, Picture, Record
from edge_classifier.web.recorder.received import RecordedSnapshot
from edge_classifier.web.records import picture_storage
from edge_classifier.web.records.deletion import remove_unused

_log = logging.getLogger(__name__)
# Unmatched pictures that are deleted in one go.
_MAX_DROPPED = 500


def store(snapshots: Collection[RecordedSnapshot]) -> set[int]:
    """Store those that are of use, and let them wait for ``link``; ids of pictures set free.

    To be called in the transaction that records the events. Raises UnavailableError.
    """
    if not snapshots:
        return set()
    # Of several of one event, the last frame is left.
    ordered = sorted(_of_use(snapshots), key=lambda one: _frame_ms(one) or 0)
    wanted = {(one.key, f"{one.device}/{one.camera}"): one for one in ordered}
    replaced = set[int]()
    for row in EventPicture.objects.filter(key__in={one.key for one in ordered}):
        if new := wanted.get((row.key, row.place)):
            if (row.frame_ms or 0) > (_frame_ms(new) or 0):
                del wanted[row.key, row.place]
            else:
                replaced.add(row.picture_id)
    named = {key: hashlib.sha256(one.jpeg).hexdigest() for key, one in sorted(wanted.items())}
    rows = {}
    for key, one in wanted.items():
        width, height = jpeg_size(one.jpeg) or (None, None)
        rows[named[key]] = Picture(
            sha256=named[key], size=len(one.jpeg), width=width, height=height
        )
    pictures = picture_storage.reserve(rows.values())
    waiting = [
        EventPicture(
            key=key,
            place=place,
            picture=pictures[named[key, place]],
            frame_ms=_frame_ms(one),
            box=list(one.frame.box) if one.frame and one.frame.box else None,
        )
        for (key, place), one in sorted(wanted.items())
    ]
    EventPicture.objects.bulk_create(
        waiting,
        update_conflicts=True,
        unique_fields=["key", "place"],
        update_fields=["picture", "frame_ms", "box"],
    )
    try:
        for key, snapshot in wanted.items():
            picture_storage.put_file(picture_storage.picture_name(named[key]), snapshot.jpeg)
    except OutputError as error:
        raise UnavailableError(error.subject, error.problem, error.remedy) from error
    return replaced


def _of_use(snapshots: Collection[RecordedSnapshot]) -> Iterator[RecordedSnapshot]:
    """Those whose event is not there yet, or may have them."""
    keys = {one.key for one in snapshots}
    records = {record.key: record for record in _pictured(Record.objects.filter(key__in=keys))}
    for one in snapshots:
        record, place = records.get(one.key), f"{one.device}/{one.camera}"
        if record is None or _may_have(record, place, _frame_ms(one), one.received_at):
            yield one


def _frame_ms(snapshot: RecordedSnapshot) -> int | None:
    return snapshot.frame.captured_ms if snapshot.frame else None


def _pictured(records: QuerySet[Record]) -> QuerySet[Record]:
    return records.select_related("camera", "picture")


def _may_have(record: Record, place: str, frame_ms: int | None, now: datetime) -> bool:
    """Whether a snapshot becomes the picture of ``record``: its first one, or a better one.

    A daemon sends another one only if it is better.
    """
    if place and place != str(record.camera):
        return False
    if record.picture_id is None:
        return True
    if record.keeps_picture(now) or frame_ms is None:
        return False
    return frame_ms > int(record.detail["frame_ms"])


def lock_waiting(keys: Collection[UUID]) -> list[EventPicture]:
    """Snapshots of these events that wait for them, for ``give`` in the same transaction."""
    rows = EventPicture.objects.select_for_update().filter(key__in=keys)
    return list(rows.order_by("key", "place"))


def give(waiting: Collection[EventPicture], now: datetime) -> set[int]:
    """Let their events have these snapshots, where they are there.

    Only what was read is deleted: one that another recorder commits now is not to lose its
    picture. Returns ids of pictures that perhaps nothing uses any more.
    """
    if not waiting:
        return set()
    locked = Record.objects.select_for_update(of=("self",)).order_by("key")
    found = _pictured(locked.filter(key__in={row.key for row in waiting}))
    records, free = {record.key: record for record in found}, set[int]()
    there = [row for row in waiting if row.key in records]
    for row in there:
        record, unused = records[row.key], row.picture_id
        if _may_have(record, row.place, row.frame_ms, now):
            unused = record.picture_id
            record.picture_id = row.picture_id
            if row.frame_ms is not None:
                # The box of the event is that of another frame.
                detail = {key: value for key, value in record.detail.items() if key != "box"}
                box = {"box": row.box} if row.box else {}
                record.detail = {**detail, **box, "frame_ms": row.frame_ms}
            record.save(update_fields=["picture", "detail"])
        free |= {unused} if unused else set()
    EventPicture.objects.filter(id__in=[row.id for row in there]).delete()
    return free


def link(keys: Collection[UUID], now: datetime) -> set[int]:
    """``give`` of all that wait for the events of these ``keys``."""
    if not EventPicture.objects.filter(key__in=keys).exists():
        return set()
    with transaction.atomic():
        return give(lock_waiting(keys), now)


def remove_freed(pictures: Collection[int]) -> None:
    """Delete those of these pictures that nothing uses; what fails housekeeping does later."""
    try:
        if pictures:
            remove_unused(pictures)
    except StorageError as error:
        _log.warning("a picture cannot be deleted: %s", error.detail)


def drop_unmatched(before: datetime) -> int:
    """Delete pictures that have waited for their event since ``before``; how many, at most 500.

    Raises StorageError, and Django's errors for the database.
    """
    old = EventPicture.objects.filter(created_at__lt=before).order_by("created_at")[:_MAX_DROPPED]
    # Killed between its commit and its second look, a recorder may have left both halves there.
    remove_freed(link(set(old.values_list("key", flat=True)), before))
    rows = dict(old.values_list("id", "picture_id"))
    EventPicture.objects.filter(id__in=list(rows)).delete()
    remove_unused(set(rows.values()))
    return len(rows)
