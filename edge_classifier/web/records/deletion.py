"""Records go, and with them the pictures that nothing else uses: rows, files, thumbnails."""

import time
from collections.abc import Callable, Collection
from datetime import timedelta

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from edge_classifier.web.accounts.roles import AccessLevel, access_level_of, visible_to
from edge_classifier.web.models import (
    DeletedEvent,
    EventPicture,
    Label,
    LessonPicture,
    Picture,
    Record,
    User,
)
from edge_classifier.web.records import picture_storage

# Records in one transaction: the recorder waits for its end.
STEP = 100
# How long a label may stay at a camera, for all that we care.
_MORE_MAY_COME = timedelta(days=7)


def deletable_by(user: User | AnonymousUser) -> QuerySet[Record]:
    """What ``user`` may delete: reviewers everything, viewers their own uploads."""
    role = access_level_of(user)
    if role >= AccessLevel.REVIEWER:
        return visible_to(user)
    return (
        Record.objects.filter(owner=user) if role >= AccessLevel.VIEWER else Record.objects.none()
    )


def delete(records: QuerySet[Record], *, rest: Callable[[float], None] = time.sleep) -> int:
    """Delete ``records``, which must not be a slice, and say how many they were.

    Step by step, resting as long as each step took: the recorder gets its turns. What no longer
    fits the query when its turn comes, as it was reviewed meanwhile, stays. Raises StorageError;
    the file that could not be deleted is tried again by housekeeping.
    """
    deleted, last = 0, 0
    while True:
        begun = time.monotonic()
        # The next records, each with its picture's id.
        rows = records.filter(id__gt=last).order_by("id").values_list("id", "picture_id")
        step: dict[int, int | None] = dict(rows[:STEP])
        if not step:
            return deleted
        with transaction.atomic():
            chosen = records.filter(id__in=list(step)).order_by()
            # Those of which more may come are noted, so that it does not bring them back.
            lasting = chosen.filter(
                source=Record.Source.EVENT,
                duration_s=None,
                detail__has_key="path",
                recorded_at__gt=timezone.now() - _MORE_MAY_COME,
            ).exclude(label__name=Label.UNKNOWN)
            noted = [DeletedEvent(key=key) for key in lasting.values_list("key", flat=True)]
            DeletedEvent.objects.bulk_create(noted, ignore_conflicts=True)
            deleted += chosen.delete()[0]
        remove_unused({picture for picture in step.values() if picture})
        last = max(step)
        rest(time.monotonic() - begun)


def unused() -> QuerySet[Picture]:
    """Pictures of no record, no event that is still to come, and no lesson."""
    return Picture.objects.filter(
        ~Exists(Record.objects.filter(picture=OuterRef("pk"))),
        ~Exists(EventPicture.objects.filter(picture=OuterRef("pk"))),
        ~Exists(LessonPicture.objects.filter(picture=OuterRef("pk"))),
    )


def remove_unused(ids: Collection[int]) -> int:
    """Delete those of these pictures that nothing uses, and say how many they were.

    Row and files go in one transaction, so that nobody can take up the picture in between: on
    SQLite there is one writer at a time; PostgreSQL lets none refer to a row that is locked, and
    refuses those that had read it before. Raises as ``delete``.
    """
    with transaction.atomic():
        locked = Picture.objects.select_for_update().filter(id__in=ids).order_by("sha256")
        # Asked only now, as whoever held the lock may use one of them since.
        gone = dict(
            unused().filter(id__in=[picture.id for picture in locked]).values_list("id", "sha256")
        )
        for sha256 in gone.values():
            picture_storage.remove(sha256)
        Picture.objects.filter(id__in=list(gone)).delete()
    return len(gone)
