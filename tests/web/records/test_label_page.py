"""The page of a label: how often, when and where it was seen, and how it looked."""

import re
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from edge_classifier.web.models import Record, User
from edge_classifier.web.records.timeline import day_title
from tests.web import making
from tests.web.records.test_history import get, keys

DAY = timedelta(days=1)
NOON = timezone.localtime().replace(hour=12, minute=30, second=0, microsecond=0) - DAY


def facts(page: str) -> dict[str, str]:
    """What the tiles say."""
    found = re.findall(r"<dt>([^<]+)</dt>(.*?)</div>", page, re.DOTALL)
    return {name: " ".join(re.sub("<[^>]+>", " ", text).split()) for name, text in found}


def table(page: str, chart: str) -> dict[str, str]:
    """The text of a chart."""
    rows = page.partition(f'id="{chart}"')[2].partition("</figure>")[0]
    return dict(re.findall(r'<th scope="row">([^<]+)</th><td[^>]*>(\d+)', rows))


def test_page_tells_how_often_when_and_where_as_corrected(viewer: Client) -> None:
    first = making.event("fox", at=NOON - 20 * DAY)
    making.event("fox", at=NOON, camera=making.camera("back"))
    last = making.event("dog", at=NOON + timedelta(hours=2), verdict="corrected",
                        truth=making.label("fox"))  # fmt: skip
    making.event("fox", at=NOON, verdict="rejected")
    making.event("fox", at=NOON, source="glimpse")
    making.event("fox", at=NOON, verdict="corrected", truth=making.label("dog"))
    page = get(viewer, f"/labels/{first.label_id}")
    said = facts(page)
    assert said["Sightings"] == "3"
    assert said["Days seen"] == "2"
    assert f'href="/records/{first.key}?label=fox"' in page
    assert f'href="/records/{last.key}?label=fox"' in page
    assert said["Last time"] == f"{day_title(NOON.date())} 14:30"
    assert said["Cameras"] == "pi/front 2 pi/back 1"
    assert list(table(page, "by-day").values()) == ["1", "2"]
    assert table(page, "by-hour") == {"12:00": "2", "14:00": "1"}
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", page)


def test_hours_of_the_day_are_those_of_the_last_year_and_the_page_says_so(viewer: Client) -> None:
    label = making.event("fox", at=NOON).label_id
    page = get(viewer, f"/labels/{label}")
    assert "At what hour of the day<" in page
    making.event("fox", at=NOON - 367 * DAY - timedelta(hours=5))
    page = get(viewer, f"/labels/{label}")
    assert "At what hour of the day, in the last year<" in page
    assert table(page, "by-hour") == {"12:00": "1"}
    assert facts(page)["Sightings"] == "2"
    assert facts(page)["Days seen"] == "2"


def test_best_pictures_are_the_surest_of_each_day_and_camera(viewer: Client) -> None:
    made = [
        making.event("fox", at=NOON - days * DAY, score=score, picture=making.jpeg((number, 0, 0)))
        for number, (days, score) in enumerate([(0, 0.7), (0, 0.9), (1, 0.8), (2, 0.95)])
    ]
    making.event("fox", at=NOON - 3 * DAY, score=0.99)
    page = get(viewer, f"/labels/{made[0].label_id}")
    best = page.partition("Best pictures")[2]
    assert keys(best) == [str(made[n].key) for n in (3, 1, 2)]


def test_best_pictures_may_be_confirmed_and_are_none_that_were_corrected(viewer: Client) -> None:
    fox, dog = making.label("fox"), making.label("dog")
    made = [
        making.event(name, at=NOON, score=score, picture=making.jpeg((number, 0, 0)), **judged)
        for number, (name, score, judged) in enumerate(
            [
                ("fox", 0.8, {"verdict": "confirmed", "truth": fox}),
                ("fox", 0.7, {}),
                ("fox", 0.9, {"verdict": "corrected", "truth": dog}),
                ("dog", 0.9, {"verdict": "corrected", "truth": fox}),
            ]
        )
    ]
    best = get(viewer, f"/labels/{fox.pk}").partition("Best pictures")[2]
    assert keys(best) == [str(one.key) for one in made[:2]]


def test_viewer_is_told_nothing_of_the_uploads_of_others(viewer: Client, reviewer: Client) -> None:
    other = making.upload("fox", owner=User.objects.create_user("other"))
    page = get(viewer, f"/labels/{other.label_id}")
    assert "It was not seen yet." in page
    assert str(other.key) not in page
    assert facts(get(reviewer, f"/labels/{other.label_id}"))["Sightings"] == "1"


def test_label_that_there_is_not_is_not_found(viewer: Client) -> None:
    assert viewer.get("/labels/99").status_code == 404


def test_record_and_filter_lead_to_the_page_of_what_is_shown(viewer: Client) -> None:
    made = making.event("dog", verdict="corrected", truth=making.label("fox"))
    address = f'href="/labels/{Record.objects.get(pk=made.pk).truth_id}"'
    assert address in get(viewer, f"/records/{made.key}")
    assert address in get(viewer, "/history?label=fox")


def test_page_has_both_names_in_the_reader_s_order(viewer: Client) -> None:
    made = making.event("fox")
    made.label.chinese = "狐狸"
    made.label.save()
    address = f"/labels/{made.label_id}"
    assert re.search(r"<h1>fox <span[^>]*>狐狸</span>", get(viewer, address))
    viewer.cookies.load({"django_language": "zh-hans"})
    assert re.search(r"<h1>狐狸 <span[^>]*>fox</span>", get(viewer, address))
