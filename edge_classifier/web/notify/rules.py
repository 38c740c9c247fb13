"""Which rule fits what a camera saw. Pure: what was there before is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from uuid import UUID

from edge_classifier.core.quiet_hours import is_quiet, quiet_minutes
from edge_classifier.web.config.settings import NotificationRule

# Days before that of a sighting on which its label is looked for.
RARE_WITHIN_DAYS = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSighting:
    """An event or a glimpse on record, as rules see it."""

    id: int
    key: UUID
    # ``event`` or ``glimpse``.
    source: str
    # ``device/name``.
    camera: str
    label_id: int
    # In both languages, those above it in the model's tree included.
    names: frozenset[str]
    is_unknown: bool
    # With which the label came.
    score: float
    at: datetime
    day: date
    # Of the local day.
    minute: int
    # How long after it it was recorded.
    late: timedelta


class Past(Protocol):
    """What was there before a sighting; what was reviewed and found wrong does not count."""

    def was_on_that_day(self, rule: NotificationRule, sighting: RecordedSighting) -> bool:
        """Whether the label was there earlier that day, so that it fitted ``rule``."""

    def is_first_ever(self, rule: NotificationRule, sighting: RecordedSighting) -> bool:
        """Whether no camera has had the label before."""

    def days_before(self, rule: NotificationRule, sighting: RecordedSighting) -> int:
        """On how many of the ``RARE_WITHIN_DAYS`` before its cameras had the label."""


def sources(rule: NotificationRule) -> tuple[str, ...]:
    """What the rule is about, as ``Record.source``."""
    return {"seen": ("event",), "glimpsed": ("glimpse",)}.get(rule.kind, ("event", "glimpse"))


def spans(rule: NotificationRule) -> list[tuple[int, int]]:
    """The rule's hours in minutes of the day."""
    return [quiet_minutes(span) for span in rule.hours]


def fits(rule: NotificationRule, sighting: RecordedSighting) -> bool:
    """Whether the rule is about such a sighting, whatever was there before."""
    device, _, camera = sighting.camera.partition("/")
    labels = {label.casefold() for label in rule.labels}
    return (
        sighting.source in sources(rule)
        and (not rule.cameras or not {camera, f"{device}/{camera}"}.isdisjoint(rule.cameras))
        and (not labels.isdisjoint(sighting.names) if labels else not sighting.is_unknown)
        and sighting.score >= rule.least_score
        and (not rule.hours or is_quiet(spans(rule), sighting.minute))
    )


def names_of(*names: str) -> frozenset[str]:
    """Names as ``fits`` compares them."""
    return frozenset(name.casefold() for name in names if name)


def reason(rule: NotificationRule, sighting: RecordedSighting, past: Past) -> str | None:
    """The condition that a sighting meets that ``fits``: empty where the rule has none.

    None: it meets none, and nobody is told.
    """
    if not rule.when:
        return ""
    # Whatever the condition, a label of which there was one that day meets none.
    if past.was_on_that_day(rule, sighting):
        return None
    if "first_ever" in rule.when and past.is_first_ever(rule, sighting):
        return "first_ever"
    if "rare" in rule.when and past.days_before(rule, sighting) < rule.rare_days:
        return "rare"
    return "first_of_day" if "first_of_day" in rule.when else None


@dataclass(frozen=True, slots=True)
class Match:
    """A sighting that somebody is told of, and why."""

    sighting: RecordedSighting
    reason: str


def next_due(rule: NotificationRule, now: datetime, last_due: datetime | None) -> datetime | None:
    """When a message is due that is made ``now``; None: it joins the last one, which waits.

    ``last_due``: when the rule's last message is due, or was.
    """
    due = now + timedelta(seconds=rule.picture_wait_s)
    if not rule.at_most_every_minutes or last_due is None:
        return due
    if last_due > now:
        return None
    return max(due, last_due + timedelta(minutes=rule.at_most_every_minutes))


def in_messages(rule: NotificationRule, matches: Sequence[Match]) -> list[list[Match]]:
    """What comes together in one message, of ``matches`` in the order of their time."""
    if rule.digest_at:
        return [list(matches)] if matches else []
    messages: list[list[Match]] = []
    last_due = None
    for match in matches:
        due = next_due(rule, match.sighting.at, last_due)
        if due is None:
            messages[-1].append(match)
        else:
            messages.append([match])
            last_due = due
    return messages
