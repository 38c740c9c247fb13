"""The review page's script in a real browser."""

from collections.abc import Iterator

import pytest
from django.test import Client

from edge_classifier.web.models import Label, Record
from edge_classifier.web.records import picture_storage
from tests import browsing
from tests.waiting import eventually
from tests.web import making

from playwright.sync_api import Browser, Page, Route, expect  # isort: skip (tests.browsing may skip)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module", autouse=True)
def browser() -> Iterator[Browser]:
    """Playwright runs an event loop in this thread, in which Django would not read its tables."""
    with pytest.MonkeyPatch.context() as patch, browsing.browser() as found:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield found


@pytest.fixture
def tab(browser: Browser, live_server: object, reviewer: Client) -> Iterator[Page]:
    """A reviewer's, on the server's own address."""
    address = str(live_server)
    with browsing.visit(browser, address, allowed=(400, 503)) as page:
        session = reviewer.cookies["sessionid"].value
        page.context.add_cookies([{"name": "sessionid", "value": session, "url": address}])
        yield page


def pictures(count: int) -> list[Record]:
    """Records, the most uncertain first, with the thumbnail that their picture has."""
    records = [making.upload("cat", margin=n / 1000) for n in range(count)]
    picture_storage.put_file(
        picture_storage.thumbnail_name(records[0].picture.sha256), making.jpeg()
    )
    return records


def verdict(record: Record) -> str:
    return str(Record.objects.get(pk=record.pk).verdict)


def shown(tab: Page) -> str | None:
    """The record that is on the page."""
    return tab.locator(".item:not([hidden])").get_attribute("data-key")


def test_script_keys_judge_and_undo_and_move(tab: Page) -> None:
    first, second, third, fourth = pictures(4)
    tab.goto("/review")
    for key in ("y", "x", "s", "ArrowLeft", "c"):
        tab.keyboard.press(key)
    tab.keyboard.type("dog")
    tab.keyboard.press("Enter")
    expect(tab.locator("#reviewed")).to_have_text("3")
    assert shown(tab) == str(fourth.key)
    tab.keyboard.press("u")
    assert shown(tab) == str(third.key)
    expect(tab.locator("#reviewed")).to_have_text("2")
    eventually(lambda: [verdict(one) for one in (first, second)] == ["confirmed", "rejected"])
    eventually(lambda: verdict(third) == "")


def test_script_fetches_more_pictures_before_they_are_wanted(tab: Page) -> None:
    records = pictures(30)
    tab.goto("/review")
    for _ in range(30):
        expect(tab.locator(".item:not([hidden])")).to_have_count(1)
        tab.keyboard.press("Enter")
    expect(tab.locator("#finished")).to_be_visible()
    expect(tab.locator("#to-go")).to_have_text("0")
    eventually(lambda: all(verdict(one) == "confirmed" for one in records))


def test_script_verdict_that_is_not_taken_is_told_and_sent_again(tab: Page) -> None:
    (record,) = pictures(1)
    tab.goto("/review")

    def refuse(route: Route) -> None:
        route.fulfill(status=503)

    tab.route("**/review/*", refuse)
    tab.keyboard.press("y")
    # Refused until it was seen: the attempt that succeeds takes the message away.
    expect(tab.locator("#unsaved")).to_contain_text("Not saved yet: 1")
    tab.unroute("**/review/*", refuse)
    expect(tab.locator("#unsaved")).to_be_hidden()
    assert verdict(record) == "confirmed"


def test_script_label_that_is_refused_is_told(tab: Page) -> None:
    (record,) = pictures(1)
    tab.goto("/review")
    tab.locator(".other [name=truth]").fill("  ")
    tab.locator(".other button").click()
    expect(tab.locator("#refused")).to_have_text("the true label is missing")
    expect(tab.locator("#reviewed")).to_have_text("0")
    assert verdict(record) == ""


def test_script_grid_ticks_all_and_confirms_a_hundred_at_once(tab: Page) -> None:
    records = pictures(100)
    tab.goto("/review?view=grid")
    tab.get_by_text("Tick all").click()
    tab.get_by_text("All ticked are cat").click()
    expect(tab.locator(".message")).to_have_text("100 pictures reviewed")
    assert {verdict(one) for one in records} == {"confirmed"}


@pytest.mark.parametrize("field", ["truth", "label"])
def test_script_finds_a_label_that_the_page_does_not_carry(tab: Page, field: str) -> None:
    pictures(1)
    Label.objects.bulk_create(Label(name=f"label {number:04}") for number in range(500))
    tab.goto("/review")
    options = tab.locator("#labels option")
    assert options.count() == 200
    box = tab.locator(f"input[name={field}]").first
    box.evaluate("box => box.closest('details')?.setAttribute('open', '')")
    box.press_sequentially("049")
    expect(options).to_have_count(11)
    expect(options.last).to_have_attribute("value", "label 0499")
