"""Labels that a camera has shown for the first time: somebody is to say whether that is right."""

from datetime import datetime, time, timedelta

from django.db.models import Exists, Max, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from edge_classifier.web.models import DayTally, Label, Record

# Until so many days later a label is new at its camera, unless somebody has said that it is right.
# The tally of these days is read each time.
_NEW_DAYS = 1
# Asked about at once, the newest first; and records of these labels that are looked at.
_MOST, _LOOKED_AT = 5, 200
_SAID = (Record.Verdict.CONFIRMED, Record.Verdict.CORRECTED)


def first_seen_lately(wait: QuerySet[Record]) -> list[Record]:
    """Of ``wait``, the queue, the first record of each label that is new at its camera.

    Two queries, however many records there are.
    """
    since = timezone.localdate() - timedelta(days=_NEW_DAYS)
    began = timezone.make_aware(datetime.combine(since, time.min))
    same = DayTally.objects.filter(
        camera=OuterRef("camera"), label=OuterRef("label"), source=Record.Source.EVENT
    )
    known = Q(Exists(same.filter(day__lt=since))) | Q(Exists(same.filter(verdict__in=_SAID)))
    unknown = Q(label__in=Label.objects.filter(name=Label.UNKNOWN))
    # By their names, and with tomorrow, which it may be elsewhere: SQLite would read the sums of
    # all days for those since one.
    days = [since + timedelta(days=ahead) for ahead in range(_NEW_DAYS + 2)]
    recent = DayTally.objects.filter(
        ~unknown, ~known, day__in=days, source=Record.Source.EVENT, verdict=Record.Verdict.NONE
    )
    sums = recent.values("camera", "label").annotate(total=Sum("count"), last=Max("day"))
    newest = sums.filter(total__gt=0).order_by("-last", "-total")
    places = list(newest.values_list("camera", "label")[:_MOST])
    if not places:
        return []
    of_these = Q()
    for camera, label in places:
        of_these |= Q(camera=camera, label=label)
    found: dict[tuple[int | None, int], Record] = {}
    for record in wait.filter(of_these, at__gte=began).order_by("at", "id")[:_LOOKED_AT]:
        found.setdefault((record.camera_id, record.label_id), record)
    return sorted(found.values(), key=lambda one: one.at, reverse=True)
