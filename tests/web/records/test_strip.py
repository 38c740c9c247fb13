"""The calendar strip: how much was seen on each day, each of which is one click away."""

import re
from datetime import date, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from edge_classifier.web.models import LabelDayTally, User
from edge_classifier.web.records import strip
from tests.web import making
from tests.web.records.test_history import get

DAY = timedelta(days=1)


def linked(page: str) -> dict[str, str]:
    """The days that are links to what was seen on them: what is said of each, by its date."""
    found = re.findall(r'<li><a href="([^"]+)" title="([^"]+)"', page)
    days = [(re.search(r"since=([\d-]+)&amp;until=\1", address), text) for address, text in found]
    return {match[1]: text.partition(": ")[2] for match, text in days if match}


def totals(page: str) -> list[str]:
    legend = page.partition('<ul class="legend">')[2].partition("</ul>")[0]
    return [" ".join(re.sub("<[^>]+>", "", one).split()) for one in legend.split("</li>")][:-1]


def test_each_day_tells_what_was_seen_and_leads_there(viewer: Client) -> None:
    now, today = timezone.now(), timezone.localdate()
    for ago, names in ((0, ("cat", "cat", "dog")), (3, ("cat",))):
        for name in names:
            making.event(name, at=now - ago * DAY)
    page = get(viewer, "/history/days")
    days = linked(page)
    assert len(days) == strip.DAYS
    assert days[today.isoformat()] == "cat 2, dog 1"
    assert days[(today - 3 * DAY).isoformat()] == "cat 1"
    assert days[(today - DAY).isoformat()] == "nothing"
    assert totals(page)[:2] == ["cat 3", "dog 1"]
    then = (today - 3 * DAY).isoformat()
    page = get(viewer, f"/history/days?since={then}&until={then}")
    assert totals(page)[0] == "cat 1"
    assert page.count('aria-current="date"') == 1
    assert linked(page).keys() == days.keys()


@pytest.mark.parametrize(("count", "shown"), [(0, ""), (9_999, "9999"), (12_144, "12k")])
def test_count_of_a_day_is_no_wider_than_its_day(viewer: Client, count: int, shown: str) -> None:
    making.event("cat")
    LabelDayTally.objects.update(count=count)
    page = get(viewer, "/history/days")
    numbers = re.findall(r'<span class="number" aria-hidden="true">([^<]*)</span>', page)
    assert numbers[-1] == shown
    assert linked(page)[timezone.localdate().isoformat()] == (
        f"cat {count}" if count else "nothing"
    )


def test_first_of_a_month_is_short_in_both_languages(viewer: Client) -> None:
    """A day is as wide as a number: 十一月 would be of two lines."""
    making.event("cat")
    address = "/history/days?since=2026-11-05&until=2026-11-05"
    for language, month in (("en", "Nov"), ("zh-hans", "11月")):
        viewer.cookies["django_language"] = language
        assert f'<span aria-hidden="true">{month}</span>' in get(viewer, address)


def test_strip_counts_what_the_filter_means_and_keeps_it(viewer: Client) -> None:
    back = making.camera("back")
    making.event("cat")
    making.event("cat", camera=back)
    making.event("dog", camera=back, verdict="corrected", truth=making.label("cat"))
    making.event("dog", camera=back, verdict="rejected")
    making.event("cat", source="glimpse")
    today = timezone.localdate().isoformat()
    for query, said in (
        ("", "cat 3"),
        ("label=cat", "cat 3"),
        ("device=pi&camera=back", "cat 2"),
        ("kind=glimpsed", "cat 1"),
        ("review=corrected", "cat 1"),
        ("review=rejected", "dog 1"),
    ):
        page = get(viewer, f"/history/days?{query}")
        assert linked(page)[today] == said, query
        assert query.replace("&", "&amp;") in page
    assert viewer.get("/history/days?score_min=0.1").status_code == 302
    assert "/history/days" not in get(viewer, "/history?score_min=0.1")


def test_unknown_is_told_apart_unless_it_is_looked_for(viewer: Client) -> None:
    making.event("unknown")
    making.event("cat")
    page, today = get(viewer, "/history/days"), timezone.localdate().isoformat()
    assert linked(page)[today] == "cat 1"
    assert "Nothing known 1" in totals(page)
    assert linked(get(viewer, "/history/days?label=unknown"))[today] == "unknown 1"


def test_strip_of_a_viewer_is_without_the_uploads_of_others(
    viewer: Client, reviewer: Client
) -> None:
    making.upload("cat", owner=User.objects.get(username="viewer"))
    making.upload("dog", owner=User.objects.get(username="reviewer"))
    today = timezone.localdate().isoformat()
    assert linked(get(viewer, "/history/days"))[today] == "cat 1"
    assert linked(get(reviewer, "/history/days"))[today] == "cat 1, dog 1"


def test_heading_of_a_day_tells_how_much_was_seen_also_beyond_the_page(viewer: Client) -> None:
    then = timezone.now() - 200 * DAY
    for minute in range(40):
        making.event(f"label {minute}", at=then + timedelta(seconds=minute))
    page = get(viewer, "/history")
    assert page.count('class="visit"') == 24
    assert re.search(r"<h3>[^<]+<span[^>]+>40</span>", page)


@pytest.mark.parametrize(
    ("since", "until", "ago"),
    [
        (None, None, 0),
        (3, 3, 0),
        (30, 25, 0),
        (34, None, 0),
        # Older ones have days on both sides.
        (100, 100, 83),
        (90, 56, 56),
        (None, 100, 100),
    ],
)
def test_strip_ends_today_or_around_what_was_chosen(
    since: int | None, until: int | None, ago: int
) -> None:
    today = timezone.localdate()

    def midnight(day: date) -> datetime:
        return timezone.make_aware(datetime.combine(day, datetime.min.time()))

    begin = None if since is None else midnight(today - since * DAY)
    end = None if until is None else midnight(today - (until - 1) * DAY)
    first, last = strip.window(begin, end)
    assert (today - last).days == ago
    assert (last - first).days == strip.DAYS - 1
