"""Sightings out of the table of records, and what was there before them.

Every query has a bound that does not grow with the table: a day's records of one label at most,
found by the indexes ``record_day``, ``record_label`` and ``record_truth``; or the tally.
"""

from datetime import date, datetime, time, timedelta

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.models import Camera, DayTally, Label, Record
from edge_classifier.web.notify.rules import (
    RARE_WITHIN_DAYS,
    RecordedSighting,
    names_of,
    sources,
    spans,
)

# Of a label, the oldest; where none of so many counts, none does.
_OLDEST = 200
_DAY = timedelta(days=1)
# Of a label, by source: when it was there first, which outlives the records.
_FIRST = {"event": "first_seen", "glimpse": "first_glimpsed"}
_REJECTED = Q(verdict=Record.Verdict.REJECTED)


def sightings(records: QuerySet[Record]) -> list[RecordedSighting]:
    """Those of cameras, in the order of ``records``."""
    columns = ("id", "key", "source", "label_id", "score", "entry_score", "at", "recorded_at")
    of_others = ("camera__device", "camera__name", "label__name", "label__chinese")
    of_truth = ("truth__name", "truth__chinese")
    rows = records.select_related("camera", "label", "truth").only(
        *columns, *of_others, *of_truth, "delay_ms", "detail"
    )
    found = []
    for record in rows:
        if not record.camera:
            continue
        local, label = timezone.localtime(record.at), record.truth or record.label
        # Of what a reviewer has corrected, the path is that of something else.
        paths = ("path", "path_names") if label == record.label else ()
        above = [name for one in paths for name in record.detail.get(one, ())]
        waited = timedelta(milliseconds=record.delay_ms or 0)
        found.append(
            RecordedSighting(
                id=record.id,
                key=record.key,
                source=record.source,
                camera=str(record.camera),
                label_id=label.pk,
                names=names_of(label.name, label.chinese, *above),
                is_unknown=label.name == Label.UNKNOWN,
                score=record.score if record.entry_score is None else record.entry_score,
                at=record.at,
                day=local.date(),
                minute=60 * local.hour + local.minute,
                # Where the device's clock was wrong, it still knows how long the event has waited
                # there.
                late=max(record.recorded_at - record.at, waited),
            )
        )
    return found


def counting(records: QuerySet[Record]) -> QuerySet[Record]:
    """Those of cameras that no reviewer has rejected."""
    return records.filter(~_REJECTED, source__in=Record.CAMERA_SOURCES)


class RecordedPast:
    """What was recorded before a sighting: a record that came later does not count."""

    def was_on_that_day(self, rule: NotificationRule, sighting: RecordedSighting) -> bool:
        """Whether one that fits ``rule`` has come before."""
        # All that is asked of them is in the index ``record_day``.
        wanted = ~_REJECTED & Q(day=sighting.day, source__in=sources(rule))
        cameras = camera_ids(rule)
        if cameras is not None:
            wanted &= Q(camera_id__in=cameras)
        found = Record.objects.filter(wanted, id__lt=sighting.id)
        if rule.least_score:
            found = found.annotate(entered=Coalesce("entry_score", "score"))
            found = found.filter(entered__gte=rule.least_score)
        if rule.hours:
            within = Q()
            for first, last in spans(rule):
                begin, end = _moment(sighting.day, first), _moment(sighting.day, last)
                after, before = Q(at__gte=begin), Q(at__lt=end)
                within |= after & before if first <= last else after | before
            found = found.filter(within)
        # Each by an index of its own: of both at once, the day of every label would be read.
        as_predicted = Q(label_id=sighting.label_id, truth=None)
        # A day wider than it was: the server may have had another time zone.
        midnight = _moment(sighting.day, 0)
        as_told = Q(at__gte=midnight - _DAY, at__lt=midnight + 2 * _DAY, truth_id=sighting.label_id)
        return any(found.filter(one).order_by().values("id")[:1] for one in (as_predicted, as_told))

    def is_first_ever(self, rule: NotificationRule, sighting: RecordedSighting) -> bool:
        """Of ``_OLDEST`` records of its label at most; and of what retention has deleted."""
        label, oldest = sighting.label_id, Q()
        for one in (Q(label_id=label, truth=None), Q(truth_id=label)):
            ids = Record.objects.filter(one).order_by("at", "id").values("id")
            oldest |= Q(id__in=ids[:_OLDEST])
        found = counting(Record.objects.filter(self.before(sighting), oldest))
        if found.filter(source__in=sources(rule)).order_by().values("id")[:1]:
            return False
        fields = [_FIRST[source] for source in sources(rule)]
        known = Label.objects.filter(id=label).values_list(*fields).get()
        for first in known:
            if first and first < sighting.at:
                # It was there before. Is the record of that still there?
                at_that_time = Record.objects.filter(at=first).order_by()
                kept = (at_that_time.filter(label=label), at_that_time.filter(truth=label))
                if not any(one.values("id")[:1] for one in kept):
                    return False
        return True

    def before(self, sighting: RecordedSighting) -> Q:
        """What was known by then."""
        return Q(id__lt=sighting.id)

    def days_before(self, rule: NotificationRule, sighting: RecordedSighting) -> int:
        """Days of the last ``RARE_WITHIN_DAYS`` before it on which its label was there."""
        first = sighting.day - timedelta(days=RARE_WITHIN_DAYS)
        rows = DayTally.objects.filter(
            ~_REJECTED,
            label_id=sighting.label_id,
            day__range=(first, sighting.day - timedelta(days=1)),
            source__in=sources(rule),
        )
        cameras = camera_ids(rule)
        if cameras is not None:
            rows = rows.filter(camera_id__in=cameras)
        return int(rows.values("day").annotate(total=Sum("count")).filter(total__gt=0).count())


def camera_ids(rule: NotificationRule) -> list[int] | None:
    """Ids of the rule's cameras; None: all."""
    if not rule.cameras:
        return None
    named = Q(name__in=[name for name in rule.cameras if "/" not in name])
    for device, _, name in (one.partition("/") for one in rule.cameras if "/" in one):
        named |= Q(device=device, name=name)
    return list(Camera.objects.filter(named).values_list("id", flat=True))


def _moment(day: date, minute: int) -> datetime:
    days, rest = divmod(minute, 24 * 60)
    local = datetime.combine(day + timedelta(days=days), time(*divmod(rest, 60)))
    return timezone.make_aware(local)
