"""More like these under its script, in a real browser."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client

from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.tables import LessonClass
from edge_classifier.web.models import Record
from edge_classifier.web.services import Services
from tests.waiting import eventually
from tests.web import making
from tests.web.lookalikes.test_more import address, example, known, recorded
from tests.web.visiting import visit_as
from tests.web.working import encoded, image, working

from playwright.sync_api import Browser, Page, expect  # isort: skip (tests.browsing may skip)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tab(browser: Browser, live_server: object, reviewer: Client) -> Iterator[Page]:
    with visit_as(reviewer, browser, live_server, allowed=(400,)) as page:
        page.route("**/thumbnails/**", lambda route: route.fulfill(body=making.jpeg()))
        yield page


@pytest.fixture
def fox() -> LessonClass:
    """A class with a picture that others are compared with."""
    of = classes.create_lesson("visitors", classes=["fox"]).classes.get(name="fox")
    example(of, 0.0)
    return of


def refused(of: LessonClass) -> set[int]:
    return set(of.proposed.filter(is_refused=True).values_list("picture", flat=True))


def current(tab: Page, record: Record) -> None:
    """Wait until ``record`` is the one that a key is for."""
    expect(tab.locator("[data-key][aria-current]")).to_have_attribute("data-key", str(record.key))


def test_keys_take_and_refuse_and_undo(
    tab: Page, fox: LessonClass, change: Callable[..., Services], tmp_path: Path
) -> None:
    taken = making.event(picture=encoded(image()))
    known(taken.picture, 0.01)
    second, third = recorded(0.05, 1), recorded(0.1, 2)
    with working(tmp_path) as worker:
        change(worker=worker)
        tab.goto(address(fox))
        expect(tab.locator("#left")).to_have_text("3")
        current(tab, taken)
        tab.keyboard.press("y")
        current(tab, second)
        tab.keyboard.press("x")
        current(tab, third)
        expect(tab.locator("#left")).to_have_text("1")
        eventually(lambda: refused(fox) == {second.picture_id})
        eventually(lambda: fox.pictures.filter(removed_at=None).count() == 2)
        tab.keyboard.press("u")
        current(tab, second)
        expect(tab.locator("#left")).to_have_text("2")
        eventually(lambda: refused(fox) == set())
        tab.keyboard.press("ArrowRight")
        current(tab, third)


def test_next_ones_come_when_all_were_decided(tab: Page, fox: LessonClass) -> None:
    records = [recorded(n / 100, n) for n in range(1, 23)]
    tab.goto(address(fox))
    for number in range(20):
        expect(tab.locator("[data-said]")).to_have_count(number)
        tab.keyboard.press("n")
    expect(tab.locator("[data-key]")).to_have_count(2)
    eventually(lambda: refused(fox) == {one.picture_id for one in records[:20]})
    tab.get_by_role("button", name="Refuse").first.click()
    eventually(lambda: len(refused(fox)) == 21)


def test_what_is_not_saved_is_said_and_counted_again(tab: Page, fox: LessonClass) -> None:
    recorded(0.1)
    tab.goto(address(fox))
    answer = '{"problem": "There is no room."}'
    tab.route("**/more", lambda route: route.fulfill(status=400, body=answer))
    tab.keyboard.press("n")
    expect(tab.locator("#problem")).to_have_text("There is no room.")
    expect(tab.locator("#left")).to_have_text("1")
    expect(tab.locator("[data-said]")).to_have_count(0)
