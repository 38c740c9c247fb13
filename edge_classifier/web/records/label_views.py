"""The page of one label: how often it was seen, when and where, and its best pictures."""

from collections import Counter
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from django.db.models import Case, F, OuterRef, Subquery, Sum, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import pgettext
from django.views.decorators.http import require_safe

from edge_classifier.web.accounts.roles import AccessLevel, requires, visible
from edge_classifier.web.models import (
    Camera,
    DayTally,
    HourTally,
    Label,
    LabelDayTally,
    Record,
    User,
)
from edge_classifier.web.records import bars, keyset
from edge_classifier.web.records.display import Addresses, as_visits
from edge_classifier.web.records.filtering.among import Among
from edge_classifier.web.records.timeline import VisitRun, day_title
from edge_classifier.web.tally import counts as tally

_DAYS = 60
# What is told of the hours of the day: of all times it would take longer each year.
_YEAR = timedelta(days=365)
_MOST_CAMERAS, _BEST = 12, 12
# Days at a camera among which the best pictures are, the newest ones: what was judged there is one
# of them, and what was not is another.
_MOST_PLACES = 200


@require_safe
@requires(AccessLevel.VIEWER)
def label_page(request: HttpRequest, number: int) -> HttpResponse:
    """When and where it was seen, of what one may see, at what hour, and how it looked."""
    label = get_object_or_404(Label, pk=number)
    rows = LabelDayTally.objects.filter(tally.SEEN, label=label)
    days = tally.of_each_day(tally.visible_to(request.user, rows))
    context: dict[str, Any] = {"label": label, "count": days.total(), "days": len(days)}
    if days:
        first, last = tally.first_of(label.pk), tally.last_of(label.pk)
        today = timezone.localdate()
        # The last weeks; from its first day if that is within them, but not so few that each is a
        # wall.
        size = min(_DAYS, max(14, (today - min(days)).days + 1))
        shown = [today - timedelta(days=ago) for ago in reversed(range(size))]
        # Translators: Django's letters for a date: 23 Nov.
        names = [date_format(day, pgettext("date", "j M")) for day in shown]
        all_hours = HourTally.objects.filter(tally.SEEN, label=label)
        seen = tally.visible_to(request.user, all_hours)
        hours = tally.by_hour_of_day(seen, timezone.now() - _YEAR)
        context |= {
            "first": (first, day_title(timezone.localdate(first.at))) if first else None,
            "last": (last, day_title(timezone.localdate(last.at))) if last else None,
            "cameras": _cameras(request.user, label),
            "by_day": bars.of([days[day] for day in shown], names),
            "by_hour": bars.of(hours, [f"{hour:02}:00" for hour in range(len(hours))]),
            "is_older": min(days) < today - _YEAR,
            "best": _best(request, label),
        }
    return render(request, "records/label.html", context)


def _cameras(user: User, label: Label) -> list[tuple[Camera, int]]:
    """Those that saw it most, and how often."""
    seen = DayTally.objects.filter(tally.SEEN, label=label, camera__isnull=False)
    sums = (
        tally.visible_to(user, seen).order_by().values_list("camera").annotate(total=Sum("count"))
    )
    most = Counter(dict(sums)).most_common(_MOST_CAMERAS)
    cameras = Camera.objects.in_bulk([pk for pk, _ in most])
    return [(cameras[pk], count) for pk, count in most if pk in cameras and count > 0]


def _best(request: HttpRequest, label: Label) -> list[VisitRun]:
    """The surest picture of each day at each camera, and of these the surest. Four queries.

    Corrected ones are none of them: their score is that of another label.
    """
    of_label = {"label": label, "source": Record.Source.EVENT, "owner": None}
    here = Record.objects.filter(**of_label, day=OuterRef("day"), camera=OuterRef("camera"))
    # Each is the end of a part of the index ``record_day``, in the order of all its columns.
    by_score = here.order_by("-truth_id", "-owner_id", "-score").values("id")
    none, confirmed = Record.Verdict.NONE, Record.Verdict.CONFIRMED
    surest = Case(
        When(verdict=none, then=Subquery(by_score.filter(verdict=none, truth=None)[:1])),
        default=Subquery(by_score.filter(verdict=confirmed, truth=label)[:1]),
    )
    rows = DayTally.objects.filter(**of_label, camera__isnull=False, verdict__in=(none, confirmed))
    newest = rows.filter(count__gt=0).order_by("-day", "camera_id")[:_MOST_PLACES]
    ids = set(newest.annotate(surest=surest).values_list("surest", flat=True))
    pictured = visible(request).filter(Among(F("id"), ids), picture__isnull=False)
    addresses = Addresses(f"?label={quote(label.name, safe='')}&order=score")
    return [
        VisitRun([one], one, timezone.localtime(one.at), False, addresses, has_day=False)
        for one in keyset.fetch([pictured], ("-score", "-id"), _BEST, as_visits)
    ]
