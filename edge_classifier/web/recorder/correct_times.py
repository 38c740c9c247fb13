"""Corrects when records were received, once it is known that our own clock was wrong then."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from edge_classifier.web.models import Record
from edge_classifier.web.recorder.received import FIRST, event_times

# Rows in one transaction: the recorder waits for its end.
_STEP = 500
# Clocks of several recorders differ a little.
_AHEAD = timedelta(hours=1)
_FIELDS = ("recorded_at", "at", "device_at", "day")


def impossible_times(now: datetime) -> QuerySet[Record]:
    """What was recorded after ``now``, or before the program was there."""
    return Record.objects.filter(Q(recorded_at__gt=now + _AHEAD) | Q(recorded_at__lt=FIRST))


def correct_times(
    records: QuerySet[Record], received: Callable[[datetime], datetime], kept: timedelta
) -> int:
    """Let each of ``records`` be ``received`` when it really was; return how many they were.

    ``received`` makes the right time of the one that is kept. Whether an event's own stamp can be
    right is judged anew, with ``kept`` as ``event_times`` has it.
    """
    last, count = 0, 0
    while True:
        with transaction.atomic():
            step = list(records.filter(id__gt=last).order_by("id")[:_STEP])
            for record in step:
                stamp = record.device_at or record.at
                record.recorded_at = received(record.recorded_at)
                if record.source in Record.CAMERA_SOURCES:
                    # What was told at its end only has waited for it, too.
                    waited_ms = (record.delay_ms or 0) + 1000 * (record.duration_s or 0)
                    times = event_times(stamp, record.recorded_at, waited_ms, kept)
                    record.at, record.device_at = times
                else:
                    # An upload is received when it is made.
                    record.at = record.recorded_at
                record.day = timezone.localdate(record.at)
            Record.objects.bulk_update(step, _FIELDS)
        if not step:
            return count
        last, count = step[-1].id, count + len(step)
