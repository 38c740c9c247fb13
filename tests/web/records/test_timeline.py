"""The list at a glance: headings, and runs of the same thing as one card."""

import re
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation

from edge_classifier.web.models import Record
from edge_classifier.web.records import timeline
from edge_classifier.web.records.display import Addresses, as_visits
from tests.web import making
from tests.web.records.test_history import get, keys

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.get_current_timezone())
MINUTE = timedelta(minutes=1)


def listed(*, by_hour: bool = False, is_quiet: bool = True) -> list[timeline.Day]:
    visits = as_visits(Record.objects.order_by("-at", "-id"))
    return timeline.Headings(by_hour, is_quiet).days(visits, Addresses())


def cards(days: list[timeline.Day]) -> list[tuple[str, int]]:
    """What each card shows, and how many visits are on it."""
    runs = [run for day in days for hour in day.hours for run in hour.runs]
    return [(run.cover.name, len(run.visits)) for run in runs]


def test_visits_of_the_same_thing_to_the_same_camera_are_one_card(db: None) -> None:
    for minute in (0, 20, 70, 90):
        making.event("tabby", at=NOON + minute * MINUTE)
    making.event("fox", at=NOON + 80 * MINUTE)
    making.event("tabby", at=NOON + 85 * MINUTE, camera=making.camera("back"))
    (day,) = listed()
    assert cards([day]) == [("tabby", 4), ("tabby", 1), ("fox", 1)]
    run = day.hours[0].runs[0]
    assert run.when == "4 visits, 12:00 to 13:30"


def test_what_is_deleted_while_a_page_is_made_does_not_matter(db: None) -> None:
    gone = making.event("fox", at=NOON, picture=making.jpeg(), detail={"path": ["fox"]})
    making.event("tabby", at=NOON)
    found = as_visits(Record.objects.order_by("-at", "-id"))
    gone.delete()
    headings = timeline.Headings(by_hour=False, is_quiet=True)
    assert sorted(cards(headings.days(found, Addresses()))) == [("fox", 1), ("tabby", 1)]


@pytest.mark.parametrize(
    ("others", "count"),
    [
        # Apart for more than an hour, on another day, another kind, another thing by review.
        ({"at": NOON - 61 * MINUTE}, 2),
        ({"at": NOON - 60 * MINUTE}, 1),
        ({"at": NOON - timedelta(days=1)}, 2),
        ({"source": "glimpse"}, 2),
        ({"verdict": "corrected", "truth": "fox"}, 2),
        ({"verdict": "confirmed", "truth": "tabby"}, 1),
        ({"verdict": "rejected"}, 2),
        ({"source": "upload", "camera": None}, 2),
    ],
)
def test_what_is_not_the_same_thing_at_once_has_a_card_of_its_own(
    db: None, others: dict[str, Any], count: int
) -> None:
    making.event("tabby", at=NOON)
    if "truth" in others:
        others = {**others, "truth": making.label(others["truth"])}
    making.event("tabby", **{"at": NOON - MINUTE, **others})
    assert len(cards(listed())) == count


def test_card_shows_the_surest_of_its_visits_that_has_a_picture(db: None) -> None:
    making.event(at=NOON, score=0.9)
    best = making.event(at=NOON + MINUTE, score=0.8, picture=making.jpeg())
    making.event(at=NOON + 2 * MINUTE, score=0.7, picture=making.jpeg((1, 2, 3)))
    assert listed()[0].hours[0].runs[0].cover.key == best.key


def test_nothing_known_is_told_in_a_line_a_camera_unless_it_is_looked_for(db: None) -> None:
    for hour in range(3):
        making.event("unknown", at=NOON + hour * timedelta(hours=3))
        making.event("tabby", at=NOON + hour * timedelta(hours=3) + MINUTE)
    (day,) = listed()
    assert cards([day]) == [("tabby", 1)] * 3
    assert [len(run.visits) for run in day.hours[0].quiet] == [3]
    assert len(cards(listed(is_quiet=False))) == 6


def test_hours_are_headings_of_a_short_span_only(viewer: Client) -> None:
    making.event("tabby", at=NOON)
    making.event("tabby", at=NOON + 40 * MINUTE)
    making.event("tabby", at=NOON + 70 * MINUTE)
    page = get(viewer, "/history?since=2026-11-20&until=2026-11-20")
    assert re.findall(r"<h4>([^<]+)</h4>", page) == ["13:00", "12:00"]
    assert "2 visits" in page
    assert "<h4>" not in get(viewer, "/history?since=2026-11-19&until=2026-11-20")
    assert "3 visits" in get(viewer, "/history")


@pytest.mark.parametrize(
    ("days_ago", "english", "chinese"),
    [(0, "Today", "今天"), (1, "Yesterday", "昨天")],
)
def test_days_near_are_called_as_people_call_them(
    days_ago: int, english: str, chinese: str
) -> None:
    day = timezone.localdate() - timedelta(days=days_ago)
    assert timeline.day_title(day) == english
    with translation.override("zh-hans"):
        assert timeline.day_title(day) == chinese


def test_other_days_are_called_by_weekday_and_date_in_the_reader_s_language() -> None:
    assert timeline.day_title(date(2020, 11, 23)) == "Monday 23 November 2020"
    with translation.override("zh-hans"):
        assert timeline.day_title(date(2020, 11, 23)) == "2020年11月23日 星期一"


def test_page_ends_where_a_card_would_be_too_much(db: None) -> None:
    names = ["a", "b", "a", "b", "c", "a"]
    for n, name in enumerate(names):
        making.event(name, at=NOON - n * MINUTE)
    made = as_visits(Record.objects.order_by("-at", "-id"))
    headings = timeline.Headings(by_hour=False, is_quiet=True)
    assert [headings.fitting(made, most) for most in (1, 2, 3)] == [1, 4, 6]
    assert headings.fitting(made[::-1], 2) == 2


def test_run_opens_to_its_single_visits_and_is_chosen_as_a_whole(reviewer: Client) -> None:
    made = [making.event("tabby", at=NOON + n * MINUTE, model=str(n)) for n in range(3)]
    page = get(reviewer, "/history")
    assert "3 visits" in page
    assert set(keys(page)) == {str(one.key) for one in made}
    (chosen,) = re.findall(r'name="key" value="([^"]+)"', page)
    asked = reviewer.post("/history/delete", {"what": "selected", "key": chosen})
    assert "Delete 3 records?" in asked.content.decode()


def test_first_ever_sight_of_a_label_is_marked(viewer: Client) -> None:
    first = making.event("lynx", at=NOON)
    making.event("lynx", at=NOON + timedelta(hours=5))
    making.label("lynx")
    first.label.first_seen = NOON
    first.label.save()
    assert get(viewer, "/history").count("first ever") == 1
