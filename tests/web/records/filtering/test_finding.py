"""How people find what they look for: by typing, with one click, and when they mistype."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from edge_classifier.web.models import Label
from tests.web import making
from tests.web.records.test_history import get


@pytest.fixture
def cats(db: None) -> None:
    now = timezone.now()
    for name, chinese in (
        ("tabby", "虎斑猫"),
        ("tiger cat", "虎纹猫"),
        ("espresso", "意式浓缩咖啡"),
    ):
        making.event(name)
        Label.objects.filter(name=name).update(chinese=chinese, first_seen=now)


def offered(page: str) -> list[str]:
    """What is offered in place of a name that nothing has."""
    found = page.partition("Nothing is called")[2]
    return re.findall(r'class="chip" href="([^"]+)"', found)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tabi", ["/history?label=tabby"]),
        ("Taby", ["/history?label=tabby"]),
        ("cat", ["/history?label=tiger+cat"]),
        ("expresso", ["/history?label=espresso"]),
        ("虎班猫", ["/history?label=tabby", "/history?label=tiger+cat"]),
        ("zzzzzz", []),
    ],
)
def test_name_that_nothing_has_is_no_error_and_similar_ones_are_offered(
    cats: None, viewer: Client, typed: str, meant: list[str]
) -> None:
    answer = viewer.get("/history", {"label": typed})
    assert answer.status_code == 200
    page = answer.content.decode()
    assert f"Nothing is called “{typed}”" in page
    assert sorted(offered(page)) == meant


def test_similar_names_keep_the_rest_of_the_filter(cats: None, viewer: Client) -> None:
    page = get(viewer, "/history?label=tabi&device=pi&kind=all")
    assert offered(page) == ["/history?label=tabby&amp;device=pi&amp;kind=all"] or offered(
        page
    ) == ["/history?device=pi&amp;kind=all&amp;label=tabby"]


def test_names_are_offered_in_the_reader_s_language_with_the_other_beside(
    cats: None, viewer: Client
) -> None:
    offered = "/history/names?field=label&text="
    assert '<option value="tabby">虎斑猫</option>' in get(viewer, offered)
    viewer.cookies.load({"django_language": "zh-hans"})
    assert '<option value="虎斑猫">tabby</option>' in get(viewer, offered)
    assert ">虎斑猫</a>" in get(viewer, "/history?label=虎斑猫")
    assert "意式浓缩咖啡" in get(viewer, "/history?label=意式浓缩")


def test_today_yesterday_and_a_week_are_one_click_away_and_keep_the_filter(
    cats: None, viewer: Client
) -> None:
    now = timezone.now()
    for days in (1, 3, 30):
        making.event("tabby", at=now - timedelta(days=days))
    page = get(viewer, "/history?label=tabby")
    spans = page[page.index('aria-label="When"') :]
    addresses = re.findall(r'class="chip" href="([^"]+)"', spans)[:4]
    counts = [get(viewer, one.replace("&amp;", "&")) for one in addresses]
    assert [re.findall(r"<h2>(\d+) records?</h2>", page)[0] for page in counts] == list("4113")
    assert all("label=tabby" in one for one in addresses)


def test_each_condition_can_be_taken_away(cats: None, viewer: Client) -> None:
    page = get(viewer, "/history?label=tabby&device=pi&kind=all")
    given = page[page.index("chips given") :]
    assert 'href="/history?device=pi&amp;kind=all"' in given
    assert 'href="/history?label=tabby&amp;kind=all"' in given
