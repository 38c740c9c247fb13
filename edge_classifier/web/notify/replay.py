"""What a rule would have told of what is on record: for its trial, and for digests."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice

from django.db.models import Q
from django.utils import timezone

from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.models import Record
from edge_classifier.web.notify.past import RecordedPast, counting, sightings
from edge_classifier.web.notify.rules import Match, RecordedSighting, fits, reason, sources

# What comes later than this is on record, and nobody is told of it as of something new.
LATE = timedelta(minutes=10)
# Records that a trial looks at; and that are read at once.
MOST = 5000


@dataclass(frozen=True, slots=True)
class Replay:
    """What was found."""

    matches: list[Match]
    # Not: there are more than ``MOST`` records, and the later ones were not looked at.
    is_whole: bool


class _ReplayedPast(RecordedPast):
    """Remembers what has fitted, so that a day of thousands takes no query for each."""

    def __init__(self) -> None:
        self._fitted: set[tuple[int, date]] = set()

    def was_on_that_day(self, rule: NotificationRule, sighting: RecordedSighting) -> bool:  # noqa: ARG002
        """To be asked of each that fits, in the order of time."""
        place = (sighting.label_id, sighting.day)
        was_there = place in self._fitted
        self._fitted.add(place)
        return was_there

    def before(self, sighting: RecordedSighting) -> Q:
        """In the order of time: nobody waits for what is on record already."""
        return Q(at__lt=sighting.at)


def replay(rule: NotificationRule, since: datetime, until: datetime) -> Replay:
    """Try ``rule`` on what was there from ``since`` until before ``until``, in that order."""
    found = _candidates(rule, since, until)
    matches = list(_matches(rule, islice(found, MOST), since))
    return Replay(matches, next(found, None) is None)


def replay_all(rule: NotificationRule, since: datetime, until: datetime) -> Iterator[Match]:
    """The same with all records, however many there are, as they are read."""
    return _matches(rule, _candidates(rule, since, until), since)


def _candidates(
    rule: NotificationRule, since: datetime, until: datetime
) -> Iterator[RecordedSighting]:
    """What may fit, in the order of time, from the midnight before ``since``."""
    midnight = timezone.localtime(since).replace(hour=0, minute=0, second=0, microsecond=0)
    records = counting(Record.objects.filter(at__gte=midnight, at__lt=until))
    records = records.filter(source__in=sources(rule), camera__isnull=False).order_by("at", "id")
    rest = records
    while page := sightings(rest[:MOST]):
        yield from page
        last = page[-1]
        rest = records.filter(Q(at__gt=last.at) | Q(at=last.at, id__gt=last.id))


def _matches(
    rule: NotificationRule, found: Iterator[RecordedSighting], since: datetime
) -> Iterator[Match]:
    past = _ReplayedPast()
    for sighting in found:
        if not fits(rule, sighting) or (sighting.late > LATE and not rule.digest_at):
            continue
        why = reason(rule, sighting, past)
        if why is not None and sighting.at >= since:
            yield Match(sighting, why)
