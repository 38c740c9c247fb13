"""Messages in their table: made, and taken to be sent. In the order in which they are due."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.notify.addresses import AddressState
from edge_classifier.web.notify.rules import Match, next_due
from edge_classifier.web.notify.tables import Notification, NotifiedRecord

# More do not wait: the oldest are given up.
MOST_WAITING = 200
# Sightings that one message names.
MOST_NAMED = 200
# A message that could not be sent for so long is given up: it is not news any more.
OLDEST = timedelta(hours=1)
# Whoever sends one has so long for each address.
CLAIM = timedelta(minutes=2)
# An address that fails is tried again at the latest after that.
LONGEST_PAUSE = timedelta(minutes=10)
_KEPT = timedelta(days=30)
_Kind, _State = Notification.Kind, Notification.State


def target_of(rule: NotificationRule) -> str:
    """Where the rule sends to, as far as it is to be known: one event is told there once."""
    return hashlib.sha256(str(rule.addresses_file or "").encode()).hexdigest()[:32]


def add(rule: NotificationRule, match: Match, now: datetime) -> bool:
    """Let ``rule`` tell of a sighting; False where its addresses are told of it already.

    To be called in a transaction in which nobody else adds.
    """
    target = target_of(rule)
    if NotifiedRecord.objects.filter(target=target, key=match.sighting.key).exists():
        return False
    messages = Notification.objects.filter(rule=rule.name, kind=_Kind.SIGHTINGS)
    last = messages.order_by("-id").first()
    # When the last one came, or is to come.
    came = last.due_at if last else None
    if last and last.state == _State.SENT and last.finished_at:
        came = max(last.due_at, last.finished_at)
    due = next_due(rule, now, came)
    # Whether it was tried, and is still to be sent to all who can be reached at all.
    has_failed = (
        last is not None
        and last.state == _State.WAITING
        and last.claimed_until is not None
        and set(last.addresses.values()) <= {AddressState.WRONG}
    )
    if last and rule.at_most_every_minutes and has_failed:
        # The network is away, perhaps: when it is back, they come in one message.
        last.due_at = max(last.due_at, now)
        last.save(update_fields=["due_at"])
    elif last is None or due is not None or last.state != _State.WAITING:
        last = _make(rule, str(_Kind.SIGHTINGS), now, due or now)
    if last.records.count() < MOST_NAMED:
        _name(last, target, [match])
    else:
        last.more += 1
        last.save(update_fields=["more"])
    return True


def add_digest(
    rule: NotificationRule, named: Sequence[Match], more: int, day: str, now: datetime
) -> bool:
    """Let ``rule`` tell of a day: ``named``, and so many ``more``; False where it has."""
    once = f"{day} {rule.name}"
    if Notification.objects.filter(once=once).exists():
        return False
    made = _make(rule, str(_Kind.DIGEST), now, now, once=once, more=more)
    # Another message may have told of one.
    _name(made, f"digest {made.id}", named)
    return True


def add_test(rule: NotificationRule, now: datetime) -> bool:
    """Send a test message; False where one waits."""
    waiting = Notification.objects.filter(state=_State.WAITING, kind=_Kind.TEST, rule=rule.name)
    if waiting.exists():
        return False
    _make(rule, str(_Kind.TEST), now, now)
    return True


def _make(
    rule: NotificationRule, kind: str, now: datetime, due: datetime, **facts: object
) -> Notification:
    return Notification.objects.create(
        rule=rule.name, kind=kind, created_at=now, due_at=due, **facts
    )


def _name(notification: Notification, target: str, matches: Sequence[Match]) -> None:
    NotifiedRecord.objects.bulk_create(
        NotifiedRecord(
            notification=notification, target=target, key=one.sighting.key, reason=one.reason
        )
        for one in matches
    )


def has_waiting() -> bool:
    """Whether there is anything to send, now or later."""
    return Notification.objects.filter(state=_State.WAITING).exists()


def take(now: datetime) -> Notification | None:
    """The next message that is due, for the caller to send; None: there is none."""
    # For longer nobody has one: the clock was set back.
    never = Q(claimed_until__gt=now + LONGEST_PAUSE)
    free = Q(claimed_until=None) | Q(claimed_until__lte=now) | never
    due = Notification.objects.filter(free, state=_State.WAITING, due_at__lte=now)
    if not due.exists():
        return None
    with transaction.atomic():
        found = due.select_for_update().order_by("due_at", "id").first()
        if found:
            found.claimed_until = now + CLAIM
            found.save(update_fields=["claimed_until"])
    return found


def begin(notification: Notification, digest: str, now: datetime) -> None:
    """Put on disk that it is sent to an address: who is killed meanwhile does not send it twice."""
    notification.addresses[digest] = AddressState.BEGUN
    notification.claimed_until = now + CLAIM
    notification.save(update_fields=["addresses", "claimed_until"])


def release(notification: Notification, until: datetime | None = None) -> None:
    """It is not sent to all yet, and may be taken again after ``until``."""
    notification.claimed_until = until
    notification.save(update_fields=["claimed_until", "addresses"])


def resume() -> None:
    """After a start: what another process has taken is free where there is no other process."""
    if connection.vendor == "sqlite":
        taken = Notification.objects.filter(state=_State.WAITING, claimed_until__isnull=False)
        taken.update(claimed_until=None)


def finish(notification: Notification, now: datetime, problem: str = "") -> None:
    """It is sent, or given up for a ``problem``."""
    notification.state = _State.FAILED if problem else _State.SENT
    notification.problem, notification.finished_at = problem, now
    notification.claimed_until = None
    fields = ["state", "problem", "finished_at", "claimed_until", "addresses"]
    notification.save(update_fields=fields)


def give_up(now: datetime) -> int:
    """Give up what has waited too long, and what is too much; how many messages."""
    waiting = Notification.objects.filter(state=_State.WAITING)
    gone = {"state": _State.FAILED, "finished_at": now}
    # A clock that was set back would let others wait for ever.
    never = Q(due_at__gt=now + timedelta(days=2))
    old = waiting.filter(Q(due_at__lt=now - OLDEST) | never).update(problem="too_old", **gone)
    newest = list(waiting.order_by("-id").values_list("id", flat=True)[: MOST_WAITING + 1])
    if len(newest) > MOST_WAITING:
        old += waiting.filter(id__lte=newest[-1]).update(problem="too_many", **gone)
    return int(old)


def forget(now: datetime) -> None:
    """Delete what was finished long ago."""
    Notification.objects.filter(finished_at__lt=now - _KEPT).delete()
