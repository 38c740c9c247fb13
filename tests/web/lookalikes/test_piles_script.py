"""Piles under the review page's script, in a real browser."""

from collections.abc import Iterator

import pytest
from django.test import Client

from edge_classifier.web.models import PictureCode, Record
from tests.waiting import eventually
from tests.web import making
from tests.web.lookalikes.looks import picture, seen_before
from tests.web.visiting import visit_as

from playwright.sync_api import Browser, Page, expect  # isort: skip (tests.browsing may skip)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tab(browser: Browser, live_server: object, reviewer: Client) -> Iterator[Page]:
    """A reviewer's, on the server's own address."""
    # Thumbnails are made by a child process, which there is not.
    with visit_as(reviewer, browser, live_server, allowed=(400, 404, 500, 503)) as page:
        page.route("**/thumbnails/**", lambda route: route.fulfill(body=making.jpeg()))
        yield page


def pile(count: int, pile: int = 1) -> list[Record]:
    """Records that look alike, the most uncertain first, of a label that is not new."""
    seen_before("cat")
    records = []
    for number in range(count):
        record = making.event(picture=picture(pile, number), margin=pile / 10 + number / 1000)
        PictureCode.objects.create(picture=record.picture, base="b", code=b"", pile=pile)
        records.append(record)
    return records


def verdicts_of(records: list[Record]) -> list[str]:
    return [Record.objects.get(pk=one.pk).verdict for one in records]


def test_key_files_the_whole_pile_and_undo_takes_it_back(tab: Page) -> None:
    alike, (last,) = pile(3), pile(1, pile=2)
    tab.goto("/review")
    expect(tab.locator("#to-go")).to_have_text("4")
    tab.keyboard.press("y")
    expect(tab.locator(".item:not([hidden])")).to_have_attribute("data-key", str(last.key))
    expect(tab.locator("#to-go")).to_have_text("1")
    expect(tab.locator("#reviewed")).to_have_text("3")
    eventually(lambda: verdicts_of(alike) == 3 * ["confirmed"])
    tab.keyboard.press("u")
    expect(tab.locator("#reviewed")).to_have_text("0")
    eventually(lambda: verdicts_of(alike) == 3 * [""])
    assert verdicts_of([last]) == [""]


def test_pile_is_opened_by_a_key_and_what_is_not_ticked_is_left_out(tab: Page) -> None:
    alike = pile(3)
    tab.goto("/review")
    boxes = tab.locator(".item:not([hidden]) .pile [type=checkbox]")
    expect(boxes.first).not_to_be_visible()
    tab.keyboard.press("o")
    boxes.first.uncheck()
    tab.locator("h1").click()
    tab.keyboard.press("x")
    eventually(lambda: verdicts_of(alike) == ["rejected", "", "rejected"])
    expect(tab.locator("#reviewed")).to_have_text("2")
    # Judged once more, without the other one.
    tab.keyboard.press("ArrowLeft")
    boxes.nth(1).uncheck()
    tab.locator("h1").click()
    tab.keyboard.press("y")
    eventually(lambda: verdicts_of(alike) == ["confirmed", "", ""])
    expect(tab.locator("#reviewed")).to_have_text("1")


def test_grid_ticks_a_pile_by_its_first_picture(tab: Page) -> None:
    alike = pile(3)
    tab.goto("/review?view=grid")
    first = tab.locator(".pile [type=checkbox]").first
    first.check()
    expect(tab.locator("#grid output")).to_have_text("3")
    tab.locator(".pile summary").click()
    tab.locator(".pile details [type=checkbox]").first.uncheck()
    expect(tab.locator("#grid output")).to_have_text("2")
    tab.get_by_role("button", name="All ticked are").click()
    eventually(lambda: sorted(verdicts_of(alike)) == ["", "confirmed", "confirmed"])
