"""Deletes what killed processes left behind, and sessions and logins that have expired."""

import os
import re
import shutil
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q

from edge_classifier.web.config.folders import Folders
from edge_classifier.web.models import Camera, DeletedEvent, Label, Lesson, Picture, Record
from edge_classifier.web.recorder.write_pictures import drop_unmatched
from edge_classifier.web.records.deletion import STEP, remove_unused, unused

_DAY = timedelta(days=1)
_LOGINS_KEPT = timedelta(days=30)
_DELETED_KEPT = timedelta(days=30)
# Labels that are kept though nothing has them any more, and as many cameras.
MOST_NAMES = 5000
_PICTURE = re.compile(r"[0-9a-f]{64}\.jpg")


def delete_unused_pictures(now: datetime) -> int:
    """Delete pictures that nothing has used for a day: what deleted their records was killed."""
    ids = list(unused().filter(created_at__lt=now - _DAY).values_list("id", flat=True))
    steps = range(0, len(ids), STEP)
    return sum(remove_unused(ids[begin : begin + STEP]) for begin in steps)


def delete_unmatched_pictures(now: datetime) -> int:
    """Delete snapshots that have waited for their event for a day; how many."""
    count = 0
    while step := drop_unmatched(now - _DAY):
        count += step
    return count


def forget_deleted_events(now: datetime) -> int:
    """Forget which events were deleted whose label must have gone long ago; how many."""
    return DeletedEvent.objects.filter(deleted_at__lt=now - _DELETED_KEPT).delete()[0]


def delete_unfinished_files(folders: Folders, now: datetime) -> int:
    """Delete unfinished files and count them; make rows for pictures that are in no table.

    A picture with such a row goes with the unused ones a day later, unless somebody uses it: so
    no file is deleted that is being recorded just now. Nothing younger than a day is touched.
    """
    before, count = now - _DAY, 0
    for folder, _, names in os.walk(folders.scratch):
        count += sum(_delete_old(Path(folder, name), before) for name in names)
    for folder, _, names in os.walk(folders.pictures):
        found = [Path(folder, name) for name in names]
        count += sum(_delete_old(file, before) for file in found if file.name.startswith("."))
        pictures = [file for file in found if _PICTURE.fullmatch(file.name)]
        for begin in range(0, len(pictures), STEP):
            step = {file.stem: file for file in pictures[begin : begin + STEP]}
            known = Picture.objects.filter(sha256__in=list(step)).values_list("sha256", flat=True)
            lost = [step[name] for name in sorted(step.keys() - set(known))]
            rows = [Picture(sha256=file.stem, size=0) for file in lost if _is_old(file, before)]
            Picture.objects.bulk_create(rows, ignore_conflicts=True)
    # Class folders of lessons that are no more: one may be made while it is deleted.
    there = {str(key) for key in Lesson.objects.values_list("key", flat=True)}
    made = folders.lessons.iterdir() if folders.lessons.is_dir() else ()
    gone = [one for one in made if one.name not in there and _is_old(one, before)]
    for one in gone:
        shutil.rmtree(one, ignore_errors=True)
    return count + len(gone)


def _is_old(file: Path, before: datetime) -> bool:
    try:
        return file.stat().st_mtime < before.timestamp()
    except FileNotFoundError:
        return False  # Somebody was quicker.


def _delete_old(file: Path, before: datetime) -> bool:
    if not _is_old(file, before):
        return False
    file.unlink(missing_ok=True)
    return True


def delete_expired_sessions(now: datetime) -> int:
    """Delete sessions that have expired at ``now``, and say how many they were."""
    sessions = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class()
    deleted: int = sessions.objects.filter(expire_date__lt=now).delete()[0]
    return deleted


def delete_unused_names() -> int:
    """Delete labels and cameras that no record has, the oldest first, where there are very many.

    Whoever may publish can make up names without end. What somebody chose or translated stays.
    """
    of_record = Record.objects.filter(Q(label=OuterRef("pk")) | Q(truth=OuterRef("pk")))
    met = Q(first_seen__isnull=False) | Q(first_glimpsed__isnull=False)
    labels = Label.objects.filter(met, ~Exists(of_record), chinese="")
    cameras = Camera.objects.filter(~Exists(Record.objects.filter(camera=OuterRef("pk"))))
    count = 0
    for table, idle in ((Label, labels), (Camera, cameras)):
        excess = table.objects.count() - MOST_NAMES
        if excess > 0:
            found = idle.order_by(F("first_seen").asc(nulls_first=True)).values_list(
                "pk", flat=True
            )[:excess]
            count += table.objects.filter(pk__in=list(found)).delete()[0]
    return count


def delete_old_logins(now: datetime) -> int:
    """Delete attempts to log in that are too old to matter, and say how many they were.

    And those that are still to come: made while the clock was ahead, they would lock an account
    until then.
    """
    tables = (AccessAttempt, AccessFailureLog, AccessLog)
    matters = (now - _LOGINS_KEPT, now + _DAY)
    old = (table.objects.exclude(attempt_time__range=matters) for table in tables)
    return sum(attempts.delete()[0] for attempts in old)
