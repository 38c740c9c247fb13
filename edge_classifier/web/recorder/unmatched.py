"""Pictures whose events never came: gone after a day."""

from datetime import datetime

from edge_classifier.web.models import EventPicture
from edge_classifier.web.recorder.tables import link
from edge_classifier.web.records.deletion import remove_unused

_AT_ONCE = 500


def drop_unmatched(before: datetime) -> int:
    """Delete pictures that have waited for their event since ``before``; how many, at most 500.

    Raises Django's errors for the database, and the storage's.
    """
    old = EventPicture.objects.filter(created_at__lt=before).order_by("created_at")[:_AT_ONCE]
    # Killed between its commit and its second look, a recorder may have left both halves there.
    link(set(old.values_list("key", flat=True)))
    rows = dict(old.values_list("id", "picture_id"))
    EventPicture.objects.filter(id__in=list(rows)).delete()
    remove_unused(set(rows.values()))
    return len(rows)
