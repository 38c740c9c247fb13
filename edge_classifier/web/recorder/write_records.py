"""Writes events and pictures into the database, each once.

Two recorders may have the two halves of one event, the label and its picture, or its beginning and
its end, at the same time, and neither sees what the other has not committed. So a beginning and an
end complete each other's row, whichever made it; and after its commit each looks again.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from edge_classifier.mqtt.codec.event_messages import EndMessage, GlimpseMessage
from edge_classifier.web.models import Camera, DeletedEvent, Label, Record
from edge_classifier.web.recorder import write_pictures
from edge_classifier.web.recorder.event_rows import complete, key_of, new_record
from edge_classifier.web.recorder.received import RecordedEvent, RecordedSnapshot

# When a label was first seen, and first glimpsed.
_First = Literal["first_seen", "first_glimpsed"]


def write_batch(batch: Iterable[RecordedEvent | RecordedSnapshot]) -> int:
    """Put all of them on record; how many events are new.

    Raises UnavailableError for the storage of pictures, and Django's errors for the database.
    """
    batch = list(batch)
    events = {one.event.key: one for one in batch if isinstance(one, RecordedEvent)}
    snapshots = [one for one in batch if isinstance(one, RecordedSnapshot)]
    labels, cameras = _labels(events.values()), _cameras(events.values())
    keys = {key_of(one.event) for one in events.values()} | {one.key for one in snapshots}
    with transaction.atomic():
        deleted = DeletedEvent.objects.filter(key__in=keys).values_list("key", flat=True)
        keys -= set(deleted)
        wanted = [one for _, one in sorted(events.items()) if key_of(one.event) in keys]
        # Beginnings before ends, which complete what is there.
        wanted.sort(key=lambda one: isinstance(one.event, EndMessage))
        # All lock in this order: pictures, those that wait, records; then they insert records.
        free = write_pictures.store([one for one in snapshots if one.key in keys])
        new = _complete(wanted, labels, cameras)
        new += _insert(wanted, labels, cameras)
        _note_first(new, labels)
    # What another recorder has committed meanwhile: nothing where only one can write at a time.
    if connection.features.has_select_for_update:
        new += _complete(wanted, labels, cameras)
    free |= write_pictures.link(keys, timezone.now())
    write_pictures.remove_freed(free)
    return len(new)


@transaction.atomic
def _complete(
    events: Collection[RecordedEvent],
    labels: dict[str, int],
    cameras: dict[tuple[str, str], int],
) -> list[RecordedEvent]:
    """Put events into the rows that their other halves have made; those that said something new."""
    ended = {one.event.episode for one in events if isinstance(one.event, EndMessage)}
    unbegun = Q(entry_score=None, duration_s__isnull=False, source=Record.Source.EVENT)
    halves = Record.objects.filter(
        Q(key__in=ended, duration_s=None) | unbegun, key__in={key_of(one.event) for one in events}
    )
    rows = {row.key: row for row in halves.select_for_update().order_by("key")}
    new = []
    for one in events if rows else ():
        row = rows.get(key_of(one.event))
        # Nobody has a say in the events of another camera.
        if row and row.camera_id == cameras[one.device, one.camera]:
            fields = complete(row, one, labels[one.event.label])
            if fields:
                row.save(update_fields=fields)
                new.append(one)
    return new


def _insert(
    events: Collection[RecordedEvent],
    labels: dict[str, int],
    cameras: dict[tuple[str, str], int],
) -> list[RecordedEvent]:
    """Make rows for those that have none; the events that they are of."""
    keys = {key_of(one.event) for one in events}
    known = set(Record.objects.filter(key__in=keys).values_list("key", flat=True))
    made: dict[UUID, Record] = {}
    new = []
    for one in events:
        key = key_of(one.event)
        label, camera = labels[one.event.label], cameras[one.device, one.camera]
        if key in made:
            if made[key].camera_id == camera and complete(made[key], one, label):
                new.append(one)
        elif key not in known:
            made[key] = new_record(one, label, camera)
            new.append(one)
    # Another recorder may have been quicker with some of them: ON CONFLICT DO NOTHING.
    Record.objects.bulk_create([made[key] for key in sorted(made)], ignore_conflicts=True)
    return new


def _labels(events: Collection[RecordedEvent]) -> dict[str, int]:
    """Ids of their labels by name, made where there are none.

    Not within the transaction: two recorders that made the same ones in another order would wait
    for each other.
    """
    # Of all labels that are told, as far as their devices know any.
    chinese: dict[str, str] = {}
    for event in (recorded.event for recorded in events):
        for name in (event.label, *(event.path or ()), *(label for label, _ in event.top)):
            if name in event.chinese:
                chinese.setdefault(name, event.chinese[name])
    wanted = {one.event.label for one in events}
    found = {one.name: one for one in Label.objects.filter(name__in=wanted | chinese.keys())}
    for name in sorted(wanted - found.keys()):
        told = {"chinese": chinese.get(name, "")}
        found[name], _ = Label.objects.get_or_create(name=name, defaults=told)
    # What was never seen is no label yet. Who names one first is right.
    for name in sorted(chinese.keys() & found.keys()):
        if not found[name].chinese:
            Label.objects.filter(id=found[name].id, chinese="").update(chinese=chinese[name])
    return {name: label.id for name, label in found.items()}


def _note_first(events: Iterable[RecordedEvent], labels: dict[str, int]) -> None:
    """Note when their labels were first there, of events that are new: others may be rejected."""
    first: dict[tuple[int, _First], datetime] = {}
    for one in events:
        how: _First = "first_glimpsed" if isinstance(one.event, GlimpseMessage) else "first_seen"
        place, at = (labels[one.event.label], how), one.times.at
        first[place] = min(at, first.get(place, at))
    known = Label.objects.filter(id__in={label for label, _ in first})
    times = {pk: moments for pk, *moments in known.values_list("id", *get_args(_First))}
    for (label, how), at in sorted(first.items()):
        seen = times[label][get_args(_First).index(how)] if label in times else at
        if seen is None or seen > at:
            later = Q(**{how: None}) | Q(**{f"{how}__gt": at})
            Label.objects.filter(later, id=label).update(**{how: at})


def _cameras(events: Collection[RecordedEvent]) -> dict[tuple[str, str], int]:
    """Ids of their cameras by device and name, made where there are none."""
    wanted = {(event.device, event.camera) for event in events}
    cameras = Camera.objects.filter(device__in={device for device, _ in wanted})
    found = {(camera.device, camera.name): camera.id for camera in cameras}
    for device, name in sorted(wanted - found.keys()):
        found[device, name] = Camera.objects.get_or_create(device=device, name=name)[0].id
    return found
