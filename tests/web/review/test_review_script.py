"""The review page's script in a real browser."""

from collections.abc import Iterator

import pytest
from django.db import OperationalError
from django.test import Client

from edge_classifier.web.models import Label, Record
from edge_classifier.web.records import picture_storage
from edge_classifier.web.review import verdicts
from tests.waiting import eventually
from tests.web import making
from tests.web.visiting import visit_as

from playwright.sync_api import Browser, Page, Route, expect  # isort: skip (tests.browsing may skip)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tab(browser: Browser, live_server: object, reviewer: Client) -> Iterator[Page]:
    """A reviewer's, on the server's own address."""
    with visit_as(reviewer, browser, live_server, allowed=(400, 503)) as page:
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


def test_script_offers_undo_only_where_there_is_something_to_undo(tab: Page) -> None:
    undo = tab.get_by_role("button", name="Undo")
    tab.goto("/review")
    expect(tab.get_by_role("heading", name="Nothing waits for review")).to_be_visible()
    expect(undo).to_be_hidden()
    pictures(1)
    tab.goto("/review")
    expect(undo).to_be_hidden()
    tab.keyboard.press("y")
    undo.click()
    expect(undo).to_be_hidden()


def test_script_keys_judge_and_undo_and_move(tab: Page) -> None:
    first, second, third, fourth = pictures(4)
    tab.goto("/review")
    for key in ("y", "n", "s", "ArrowLeft", "c"):
        tab.keyboard.press(key)
    tab.keyboard.type("dog")
    tab.keyboard.press("Enter")
    expect(tab.locator("#reviewed")).to_have_text("3")
    assert shown(tab) == str(fourth.key)
    tab.keyboard.press("u")
    assert shown(tab) == str(third.key)
    expect(tab.locator("#reviewed")).to_have_text("2")
    eventually(lambda: [verdict(one) for one in (first, second)] == ["confirmed", "nothing"])
    eventually(lambda: verdict(third) == "")


def test_script_counts_as_the_server_does_while_others_review_too(tab: Page) -> None:
    first, second, third = pictures(3)
    tab.goto("/review")
    expect(tab.locator("#to-go")).to_have_text("3")
    Record.objects.filter(pk=third.pk).update(verdict="rejected")
    tab.keyboard.press("x")
    expect(tab.locator("#to-go")).to_have_text("1")
    tab.keyboard.press("u")
    expect(tab.locator("#to-go")).to_have_text("2")
    eventually(lambda: verdict(first) == "")
    assert verdict(second) == ""


def test_script_says_at_the_end_that_what_was_skipped_waits(tab: Page) -> None:
    pictures(2)
    tab.goto("/review")
    tab.keyboard.press("s")
    tab.keyboard.press("y")
    expect(tab.locator("#rest")).to_be_visible()
    expect(tab.locator("#all-done")).to_be_hidden()
    with tab.expect_navigation():
        tab.locator("#rest a").click()
    tab.keyboard.press("y")
    expect(tab.locator("#all-done")).to_be_visible()
    expect(tab.locator("#to-go")).to_have_text("0")


def test_script_key_for_never_again_asks_for_it_and_undo_takes_it_back(tab: Page) -> None:
    record = making.event("owl", picture=making.jpeg())
    pictures(1)
    # Not what the page had before.
    counts = {"to_go": 7, "many": False, "reviewed": 1}
    asked: list[str | None] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data)
        route.fulfill(json=counts)

    tab.route(f"**/review/{record.key}/never", answer)
    tab.goto("/review")
    assert shown(tab) == str(record.key)
    tab.keyboard.press("i")
    expect(tab.locator("#to-go")).to_have_text("7")
    counts["to_go"], counts["reviewed"] = 2, 0
    tab.keyboard.press("u")
    expect(tab.locator("#to-go")).to_have_text("2")
    assert shown(tab) == str(record.key)
    assert ["undo=1" in str(one) for one in asked] == [False, True]
    # Of a label that is not new the key means nothing.
    tab.keyboard.press("s")
    tab.keyboard.press("i")
    expect(tab.locator(".item:not([hidden]) .verdict")).to_be_hidden()
    assert len(asked) == 2


def test_script_fetches_more_pictures_before_they_are_wanted(tab: Page) -> None:
    records = pictures(30)
    tab.goto("/review")
    for _ in range(30):
        expect(tab.locator(".item:not([hidden])")).to_have_count(1)
        tab.keyboard.press("Enter")
    expect(tab.locator("#finished")).to_be_visible()
    expect(tab.locator("#to-go")).to_have_text("0")
    eventually(lambda: all(verdict(one) == "confirmed" for one in records))


def test_script_verdict_that_is_not_taken_is_told_and_sent_again(
    tab: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    (record,) = pictures(1)
    tab.goto("/review")

    def refuse(*_: object) -> None:
        raise OperationalError("the database is away")

    # By the server itself: what stands between it and the browser may miss a request.
    with monkeypatch.context() as patch:
        patch.setattr(verdicts, "judge_all", refuse)
        tab.keyboard.press("y")
        # Refused until it was seen: the attempt that succeeds takes the message away.
        expect(tab.locator("#unsaved")).to_contain_text("Not saved yet: 1")
        assert verdict(record) == ""
    expect(tab.locator("#unsaved")).to_be_hidden()
    assert verdict(record) == "confirmed"


def test_script_label_that_is_refused_is_told(tab: Page) -> None:
    (record,) = pictures(1)
    tab.goto("/review")
    tab.locator(".other [name=truth]").fill("  ")
    tab.locator(".other button").click()
    expect(tab.locator("#refused")).to_have_text("The true label is missing.")
    expect(tab.locator("#reviewed")).to_have_text("0")
    assert verdict(record) == ""


def test_verdicts_are_in_sight_on_a_phone_whatever_stands_above_them(tab: Page) -> None:
    """Also of a label that is new at its camera, which is asked for with one more sentence."""
    tab.set_viewport_size({"width": 390, "height": 844})
    record = making.event("weasel-like animal", picture=making.jpeg())
    thumbnail = picture_storage.thumbnail_name(record.picture.sha256)
    picture_storage.put_file(thumbnail, making.jpeg())
    tab.goto("/review")
    expect(tab.get_by_text("was never seen at")).to_be_visible()
    uncovered = tab.evaluate("""() =>
        [...document.querySelectorAll(".item:not([hidden]) :is(.guess, .act > *)")].map((one) => {
          const { left, top, width, height } = one.getBoundingClientRect();
          return one.contains(document.elementFromPoint(left + width / 2, top + height - 2));
        })
    """)
    assert uncovered == [True] * 6


def test_script_grid_ticks_all_and_confirms_a_hundred_at_once(tab: Page) -> None:
    records = pictures(100)
    tab.goto("/review?view=grid")
    # With none ticked there is nothing to say.
    verdicts = tab.locator("#grid [name=verdict]").all()
    assert len(verdicts) == 4
    for button in verdicts:
        expect(button).to_be_disabled()
    tab.get_by_text("Tick all").click()
    for button in verdicts:
        expect(button).to_be_enabled()
    tab.get_by_text("All ticked are cat").click()
    expect(tab.locator(".message")).to_have_text("100 pictures reviewed")
    assert {verdict(one) for one in records} == {"confirmed"}


@pytest.mark.parametrize("field", ["truth", "label"])
def test_script_finds_a_label_that_the_page_does_not_carry(tab: Page, field: str) -> None:
    pictures(1)
    Label.objects.bulk_create(Label(name=f"label {number:04}") for number in range(500))
    tab.goto("/review")
    options = tab.locator("#names-of-label option")
    box = tab.locator(f"input[name={field}]").first
    box.evaluate("box => box.closest('details')?.setAttribute('open', '')")
    box.focus()
    expect(options).to_have_count(200)
    box.press_sequentially("049")
    expect(options).to_have_count(11)
    expect(options.last).to_have_attribute("value", "label 0499")
