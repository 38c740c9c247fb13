"""Writes events and pictures into the database, each once.

Two recorders may have the two halves of one event, the label and its picture, at the same time, and
neither sees what the other has not committed. So after its commit each looks again.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from edge_classifier.errors import OutputError, UnavailableError
from edge_classifier.web.models import Camera, EventPicture, Label, Picture, Record
from edge_classifier.web.recorder.received import RecordedEvent, RecordedSnapshot
from edge_classifier.web.records import picture_storage
from edge_classifier.web.records.deletion import remove_unused

# Unmatched pictures that are deleted in one go.
_MAX_DROPPED = 500


def write_batch(batch: Iterable[RecordedEvent | RecordedSnapshot]) -> int:
    """Put all of them on record; how many events are new.

    Raises UnavailableError for the storage of pictures, and Django's errors for the database.
    """
    batch = list(batch)
    events = {one.key: one for one in batch if isinstance(one, RecordedEvent)}
    snapshots = {one.key: one for one in batch if isinstance(one, RecordedSnapshot)}
    labels, cameras = _labels(events.values()), _cameras(events.values())
    keys = events.keys() | snapshots.keys()
    with transaction.atomic():
        known = set(Record.objects.filter(key__in=events.keys()).values_list("key", flat=True))
        new = [event for key, event in sorted(events.items()) if key not in known]
        # Another recorder may have been quicker with some of them: ON CONFLICT DO NOTHING.
        rows = [_record(event, labels, cameras) for event in new]
        Record.objects.bulk_create(rows, ignore_conflicts=True)
        # A retained picture comes with each connection.
        pictured = Record.objects.filter(key__in=snapshots).exclude(picture=None)
        there = set(pictured.values_list("key", flat=True))
        _store_pictures([one for key, one in sorted(snapshots.items()) if key not in there])
        link(keys)
    link(keys)
    return len(new)


def _labels(events: Collection[RecordedEvent]) -> dict[str, int]:
    """Ids of their labels by name, made where there are none.

    Not within the transaction: two recorders that made the same ones in another order would wait
    for each other.
    """
    first: dict[str, datetime] = {}
    for recorded in events:
        label, at = recorded.event.label, recorded.times.at
        first[label] = min(at, first.get(label, at))
    found = {label.name: label for label in Label.objects.filter(name__in=first.keys())}
    for name, at in sorted(first.items()):
        if name not in found:
            found[name] = Label.objects.get_or_create(name=name, defaults={"first_seen": at})[0]
        seen = found[name].first_seen
        if seen is None or seen > at:
            later = Q(first_seen=None) | Q(first_seen__gt=at)
            Label.objects.filter(later, id=found[name].id).update(first_seen=at)
    return {name: label.id for name, label in found.items()}


def _cameras(events: Collection[RecordedEvent]) -> dict[tuple[str, str], int]:
    """Ids of their cameras by device and name, made where there are none."""
    wanted = {(event.device, event.camera) for event in events}
    cameras = Camera.objects.filter(device__in={device for device, _ in wanted})
    found = {(camera.device, camera.name): camera.id for camera in cameras}
    for device, name in sorted(wanted - found.keys()):
        found[device, name] = Camera.objects.get_or_create(device=device, name=name)[0].id
    return found


def _record(
    recorded: RecordedEvent, labels: dict[str, int], cameras: dict[tuple[str, str], int]
) -> Record:
    event = recorded.event
    return Record(
        key=event.key,
        source=Record.Source.EVENT,
        camera_id=cameras[recorded.device, recorded.camera],
        at=recorded.times.at,
        device_at=recorded.times.device_at,
        recorded_at=recorded.received_at,
        day=timezone.localdate(recorded.times.at),
        label_id=labels[event.label],
        before=event.before,
        score=event.score,
        margin=event.margin,
        seq=event.seq,
        model=event.model,
        delay_ms=event.delay_ms,
    )


def _store_pictures(snapshots: Sequence[RecordedSnapshot]) -> None:
    """Store the pictures, and note which events they belong to.

    Rows first, as ``picture_storage.put``.
    """
    names = [hashlib.sha256(snapshot.jpeg).hexdigest() for snapshot in snapshots]
    named = dict(zip(names, snapshots, strict=True))
    rows = [Picture(sha256=name, size=len(snapshot.jpeg)) for name, snapshot in named.items()]
    pictures = picture_storage.reserve(rows)
    waiting = [
        EventPicture(key=snapshot.key, picture=pictures[name])
        for name, snapshot in zip(names, snapshots, strict=True)
    ]
    EventPicture.objects.bulk_create(waiting, ignore_conflicts=True)
    try:
        for name, snapshot in named.items():
            picture_storage.put_file(picture_storage.picture_name(name), snapshot.jpeg)
    except OutputError as error:
        raise UnavailableError(error.subject, error.problem, error.remedy) from error


def link(keys: Collection[UUID]) -> None:
    """Give the events of these ``keys`` their pictures, where both are there."""
    waiting = set(EventPicture.objects.filter(key__in=keys).values_list("key", flat=True))
    # Read once: one that another recorder commits now is not to lose its picture below.
    both = list(Record.objects.filter(key__in=waiting).values_list("key", flat=True))
    if not both:
        return
    pictures = EventPicture.objects.filter(key=OuterRef("key")).values("picture")[:1]
    with transaction.atomic():
        Record.objects.filter(key__in=both, picture=None).update(picture=Subquery(pictures))
        EventPicture.objects.filter(key__in=both).delete()


def drop_unmatched(before: datetime) -> int:
    """Delete pictures that have waited for their event since ``before``; how many, at most 500.

    Raises StorageError, and Django's errors for the database.
    """
    old = EventPicture.objects.filter(created_at__lt=before).order_by("created_at")[:_MAX_DROPPED]
    # Killed between its commit and its second look, a recorder may have left both halves there.
    link(set(old.values_list("key", flat=True)))
    rows = dict(old.values_list("id", "picture_id"))
    EventPicture.objects.filter(id__in=list(rows)).delete()
    remove_unused(set(rows.values()))
    return len(rows)
