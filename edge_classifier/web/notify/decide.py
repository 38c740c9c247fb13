"""Tries all rules on what has been recorded, and makes the messages.

A cursor says up to which record that was done. It moves in the transaction that makes the messages,
or later: a record that is looked at again, as the process was killed, is not told again, for the
messages name it.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from django.db import connection, transaction
from django.utils import timezone

from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.models import Record
from edge_classifier.web.notify import outbox
from edge_classifier.web.notify.past import RecordedPast, counting, sightings
from edge_classifier.web.notify.replay import LATE, replay_all
from edge_classifier.web.notify.rules import Match, fits, reason
from edge_classifier.web.notify.tables import NotificationCursor

# Records in one go; and so many may be looked at again after a restart.
_STEP = 200
# Further behind, what is too old to be told is not looked at.
_FAR_BEHIND = 1000
# PostgreSQL may show a record after one that has a higher id: of another recorder.
_LOOK_BACK = 500
_DAY = timedelta(days=1)


class Decider:
    """For one thread."""

    def __init__(self, rules: Sequence[NotificationRule]) -> None:
        self._rules = [rule for rule in rules if not rule.digest_at]
        self._digests = [rule for rule in rules if rule.digest_at]
        self._past = RecordedPast()
        # Up to which record all were looked at; None: not read yet.
        self._position: int | None = None
        # The same as it is on disk: a card is not written for each record that nobody is told of.
        self._saved = 0
        # Ids of what was looked at lately.
        self._seen: set[int] = set()
        self._digested: dict[str, datetime] = {}

    def begin(self) -> int:
        """Go on where it was left, which is returned.

        Nobody is told of what was there before there was a rule.
        """
        cursor, _ = NotificationCursor.objects.get_or_create(
            id=1, defaults={"record_id": _newest()}
        )
        self._position = self._saved = cursor.record_id
        return self._saved

    def run(self, now: datetime) -> None:
        """Make the messages of what has come, and the digests that are due."""
        while self._step(now):
            pass
        for rule in self._digests:
            # What is told an hour late is not what was asked for: then there is none that day.
            today = timezone.localdate(now)
            day = today if _moment(rule, today) <= now else today - _DAY
            until = _moment(rule, day)
            if now - until > outbox.OLDEST or self._digested.get(rule.name) == until:
                continue
            matches = replay_all(rule, _moment(rule, day - _DAY), until)
            named = list(islice(matches, outbox.MOST_NAMED))
            if named:
                more = sum(1 for _ in matches)
                with transaction.atomic():
                    outbox.add_digest(rule, named, more, f"{day:%Y-%m-%d}", now)
            self._digested[rule.name] = until

    def _step(self, now: datetime) -> bool:
        """Look at some records; whether there may be more."""
        position = self.begin() if self._position is None else self._position
        newest = _newest()
        if newest - position > _FAR_BEHIND:
            # The id before the first record that is not too old to be told.
            recent = Record.objects.filter(recorded_at__gte=now - LATE).order_by(
                "recorded_at", "id"
            )
            first = recent.values_list("id", flat=True).first()
            position = newest if first is None else first - 1
        back = _LOOK_BACK if connection.vendor == "postgresql" else 0
        ids = Record.objects.filter(id__gt=position - back).order_by("id")
        listed = ids.values_list("id", flat=True)[: _STEP + back]
        new = [number for number in listed if number not in self._seen]
        if not new:
            self._position = position
            return False
        position = max(position, new[-1])
        matches = self._matches(new, now)
        if matches or position - self._saved >= _STEP:
            with transaction.atomic():
                # Locked: one process at a time.
                cursor = NotificationCursor.objects.select_for_update().get(id=1)
                for rule, match in matches:
                    outbox.add(rule, match, now)
                cursor.record_id = max(cursor.record_id, position)
                cursor.save()
            self._saved = position
        self._position = position
        self._seen = {one for one in self._seen if one > position - back} | set(new)
        return len(new) >= _STEP

    def save(self) -> None:
        """Put on disk how far it is: a rule that is changed meanwhile is for what comes later."""
        if self._position is not None and self._position > self._saved:
            NotificationCursor.objects.filter(id=1, record_id__lt=self._position).update(
                record_id=self._position
            )

    def _matches(self, ids: Sequence[int], now: datetime) -> list[tuple[NotificationRule, Match]]:
        found = []
        for sighting in sightings(counting(Record.objects.filter(id__in=ids)).order_by("id")):
            # What has waited for us has waited, too.
            if max(sighting.late, now - sighting.at) > LATE:
                continue
            for rule in self._rules:
                if fits(rule, sighting):
                    why = reason(rule, sighting, self._past)
                    if why is not None:
                        found.append((rule, Match(sighting, why)))
        return found


def _newest() -> int:
    """The id of the newest record; 0: there is none."""
    return Record.objects.order_by("-id").values_list("id", flat=True).first() or 0


def _moment(rule: NotificationRule, day: date) -> datetime:
    """When the rule's digest of a day is due: later where the clock leaves that time out.

    In UTC: times of one zone are compared by what its clock says, which may come twice.
    """
    due = datetime.combine(day, time.fromisoformat(rule.digest_at))
    return timezone.make_aware(due).astimezone(UTC)
