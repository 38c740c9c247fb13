"""The list at a glance: days and hours as headings, and runs of the same thing as one card."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext

from edge_classifier.web.models import Label, Record
from edge_classifier.web.records.display import Addresses, Visit, still_there
from edge_classifier.web.templatetags.words import duration

# Records of a run are no farther apart.
_GAP = timedelta(hours=1)
# Of a span that is no longer, hours are headings; a day has 25 of them where clocks go back.
_SHORT = timedelta(hours=25)
# One of several visits on a card, and its picture.
_SINGLE = '<li><a href="{}">{}<span class="number">{} <span class="soft">{}</span></span></a></li>'
_SMALL = (
    '<img class="thumbnail" src="{}" alt="" width="112" height="84" loading="lazy"'
    ' decoding="async">'
)
_NO_PICTURE = SafeString('<span class="thumbnail"></span>')


@dataclass(frozen=True, slots=True)
class VisitRun:
    """One card: visits of the same thing to the same camera, the newest first; mostly one."""

    visits: list[Visit]
    # The one whose picture is shown: the surest of those that have one.
    cover: Visit
    # When the latest visit began, in the server's time zone.
    last: datetime
    # Whether that has not ended.
    is_there: bool
    addresses: Addresses
    # Whether it stands below its day.
    has_day: bool = True

    @property
    def moment(self) -> str:
        """When the latest visit began, to the second."""
        return f"{self.last:%Y-%m-%d %H:%M:%S}"

    @property
    def is_several(self) -> bool:
        """Whether it is more than one visit."""
        return len(self.visits) > 1

    @property
    def when(self) -> str:
        """The time; with its day unless that is in the heading. Of several, from when to when."""
        if not self.is_several:
            return f"{self.last:%H:%M}" if self.has_day else f"{self.last:%Y-%m-%d %H:%M}"
        first, last = self._clock(self.visits[-1]), self._clock(self.visits[0])
        facts = {"count": len(self.visits), "from": first, "to": last}
        if facts["from"] == facts["to"]:
            return gettext("%(count)s visits, %(to)s") % facts
        return gettext("%(count)s visits, %(from)s to %(to)s") % facts

    @property
    def look(self) -> str:
        """Classes of CSS, each with a space before it."""
        is_rejected = self.cover.verdict == str(Record.Verdict.REJECTED)
        kind = " glimpse" if self.is_glimpse else " rejected" if is_rejected else ""
        return kind + (" run" if self.is_several else "")

    @property
    def tags(self) -> list[tuple[str, str]]:
        """What is said of it on its picture, each with a class of CSS."""
        tags = [("glimpsed", gettext("glimpsed"))] if self.is_glimpse else []
        if self.is_first_ever:
            tags.append(("new-here", gettext("first ever")))
        elif self.cover.new_here:
            tags.append(("new-here", gettext("new here")))
        if self.cover.verdict:
            tags.append((f"verdict {self.cover.verdict}", self.cover.verdict_text))
        return tags

    @property
    def stay(self) -> str:
        """How long the label of the cover stayed; empty where nobody knows."""
        return "" if self.cover.duration_s is None else duration(self.cover.duration_s)

    @property
    def address(self) -> str:
        """The page of the cover."""
        return self.addresses.page(self.cover.key)

    @property
    def thumbnail(self) -> str:
        """The small picture of the cover; empty: it has none."""
        return self.addresses.thumbnail(self.cover.key) if self.cover.picture_id else ""

    @property
    def singles(self) -> SafeString:
        """All visits, each by itself, as HTML: a template took a fifth of the time of a list."""
        return format_html_join(
            "",
            _SINGLE,
            (
                (
                    self.addresses.page(one.key),
                    format_html(_SMALL, self.addresses.thumbnail(one.key))
                    if one.picture_id
                    else _NO_PICTURE,
                    self._clock(one),
                    one.score_text,
                )
                for one in self.visits
            ),
        )

    def _clock(self, visit: Visit) -> str:
        return f"{visit.at.astimezone(self.last.tzinfo):%H:%M}"

    @property
    def keys(self) -> str:
        """The ids of all visits, as a form sends them."""
        return ",".join(str(visit.key) for visit in self.visits)

    @property
    def is_glimpse(self) -> bool:
        """Whether nothing was seen for long enough."""
        return self.cover.source == str(Record.Source.GLIMPSE)

    @property
    def is_first_ever(self) -> bool:
        """Whether the label had never been seen before one of them."""
        since = self.visits[0].label__first_seen
        return since is not None and any(
            visit.at == since and visit.source == str(Record.Source.EVENT) for visit in self.visits
        )


@dataclass(frozen=True, slots=True)
class Hour:
    """The cards below one heading; ``title`` is empty where the day has no hours."""

    title: str
    runs: list[VisitRun] = field(default_factory=list)
    # When a camera showed nothing that is known: told in a line, without pictures.
    quiet: list[VisitRun] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Day:
    """One day, the latest hour first."""

    # None, with an empty title: it is all in one.
    day: date | None
    title: str
    hours: list[Hour]
    # How much was seen on it, where that is told; not only what is on this page.
    count: int | None = None


def is_short(since: datetime | None, until: datetime | None, now: datetime) -> bool:
    """Whether hours are to be headings between these two."""
    return since is not None and min(until or now, now) - since <= _SHORT


@dataclass(frozen=True, slots=True)
class Headings:
    """How a list in the order of time is put into cards under headings."""

    # Hours, too; no run goes beyond its own.
    by_hour: bool
    # What is "unknown" makes no cards.
    is_quiet: bool
    # Looked for once: a list asks for hundreds of times.
    zone: tzinfo = field(default_factory=timezone.get_current_timezone)

    def fitting(self, records: Iterable[Visit], most: int) -> int:
        """How many of ``records``, from their beginning, make no more than ``most`` cards."""
        cards = count = 0
        for _, record, begins in self._in_runs(records):
            cards += begins and not self._is_quiet(record)
            if cards > most:
                break
            count += 1
        return count

    def days(self, records: Iterable[Visit], addresses: Addresses) -> list[Day]:
        """The whole list of ``records``, the newest first."""
        runs: dict[int, list[Visit]] = defaultdict(list)
        for number, record, _ in self._in_runs(records):
            runs[number].append(record)
        there = still_there(visits[0].id for visits in runs.values() if visits[0].has_no_end)
        found: list[Day] = []
        for visits in runs.values():
            local = visits[0].at.astimezone(self.zone)
            if not found or found[-1].day != local.date():
                found.append(Day(local.date(), day_title(local.date()), []))
            hours, title = found[-1].hours, f"{local:%H}:00" if self.by_hour else ""
            if not hours or hours[-1].title != title:
                hours.append(Hour(title))
            kind = hours[-1].quiet if self._is_quiet(visits[0]) else hours[-1].runs
            cover = max(visits, key=lambda visit: (visit.picture_id is not None, visit.score))
            kind.append(VisitRun(visits, cover, local, visits[0].id in there, addresses))
        return found

    def _in_runs(self, records: Iterable[Visit]) -> Iterator[tuple[int, Visit, bool]]:
        """Each with the number of its run, and whether it begins that; by time, from either end."""
        # Of each thing at a camera, the run that goes on, and when it was met last.
        going: dict[Hashable, tuple[int, datetime]] = {}
        count = 0
        for record in records:
            local = record.at.astimezone(self.zone)
            key = (
                (local.date(), local.hour if self.by_hour else 0),
                (record.camera_id, record.source, record.verdict == str(Record.Verdict.REJECTED)),
                record.truth_id or record.label_id,
            )
            number, at = going.get(key, (count, record.at))
            is_near = self._is_quiet(record) or abs(record.at - at) <= _GAP
            if record.camera_id is None or not is_near:
                number = count
            going[key] = number, record.at
            yield number, record, number == count
            count = max(count, number + 1)

    def _is_quiet(self, record: Visit) -> bool:
        """Whether it says only that a camera saw nothing that is known."""
        shown = record.truth__name or record.label__name
        is_seen = record.source != str(Record.Source.EVENT) or shown != Label.UNKNOWN
        return self.is_quiet and not is_seen


def day_title(day: date) -> str:
    """``Today``, ``Yesterday``, ``Monday 23 November``; of another year with the year."""
    today = timezone.localdate()
    if day == today:
        return gettext("Today")
    if day == today - timedelta(days=1):
        return gettext("Yesterday")
    # Translators: Django's letters for a date: Monday 23 November.
    this_year, other_year = pgettext("date", "l j F"), pgettext("date", "l j F Y")
    return date_format(day, this_year if day.year == today.year else other_year)


def without_headings(records: Sequence[Visit], addresses: Addresses) -> list[Day]:
    """A list in another order than that of time: a card a record."""
    there = still_there(one.id for one in records if one.has_no_end)
    runs = [
        VisitRun([one], one, timezone.localtime(one.at), one.id in there, addresses, has_day=False)
        for one in records
    ]
    return [Day(None, "", [Hour("", runs)])]
