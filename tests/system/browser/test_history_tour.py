"""The history as people go through it: on a desktop, a phone, and without JavaScript."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

pytest.importorskip("django", reason="the extra [web] is not installed")
pytest.importorskip("playwright", reason="playwright is not installed: no browser can be driven")

from playwright.sync_api import Browser, Route, StorageState, expect
from playwright.sync_api import Page as Tab

from tests import browsing
from tests.web.serving import PASSWORD, Page, prepare, web

pytestmark = pytest.mark.system

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True}
# Five visits of a cat in an hour, and one of each of forty others on the days before.
RECORDS = """
from datetime import timedelta
from django.utils import timezone
from edge_classifier.web.models import Label
from edge_classifier.web.review import verdicts
from tests.web import making
noon = timezone.localtime().replace(hour=12, minute=0, second=0) - timedelta(days=1)
box = {"path": ["animal", "cat"], "box": [0.2, 0.2, 0.4, 0.5]}
for n in range(5):
    making.event("tabby", at=noon - n * timedelta(minutes=10), score=0.9 - n / 100,
        duration_s=20, picture=making.jpeg((200, 40 * n, 0), (640, 480)), detail=box)
for n in range(40):
    making.event(f"kind {n}", at=noon - timedelta(days=1, hours=n),
        picture=making.jpeg((5 * n, 90, 60), (640, 360 + n)))
Label.objects.filter(name="tabby").update(chinese="虎斑猫", first_seen=noon)
"""
# All shifts that nobody has asked for, since the page was opened.
SHIFTS = """new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (!one.hadRecentInput) sum += one.value;
  }).observe({type: "layout-shift", buffered: true});
  requestAnimationFrame(() => setTimeout(() => done(sum), 0));
})"""
SWIPE = """([from, to]) => {
  const stage = document.getElementById("stage");
  const touch = (x) => new Touch({identifier: 1, target: stage, clientX: x, clientY: 200});
  const send = (type, x, all) => stage.dispatchEvent(
    new TouchEvent(type, {touches: all, changedTouches: [touch(x)], bubbles: true}));
  send("touchstart", from, [touch(from)]);
  send("touchend", to, []);
}"""


@dataclass(frozen=True)
class Site:
    """The server, a browser, and the cookies of an administrator."""

    server: Page
    browser: Browser
    state: StorageState

    def visit(self, **options: Any) -> Any:
        """A tab in which nothing may go wrong."""
        return browsing.visit(self.browser, self.server.address, self.state, **options)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    prepare(folder, "anna")
    made = web(folder, "manage", "shell", "-c", RECORDS)
    assert made.returncode == 0, made.stderr
    with browsing.browser() as browser, Page(folder) as server:
        with browsing.visit(browser, server.address) as tab:
            tab.goto("/login")
            tab.get_by_label("Username").fill("anna")
            tab.get_by_label("Password").fill(PASSWORD)
            tab.get_by_role("button", name="Log in").click()
            tab.wait_for_url(lambda address: "/login" not in address)
            state = tab.context.storage_state()
        yield Site(server, browser, state)


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_nothing_shifts_while_pictures_load(site: Site, options: dict[str, Any]) -> None:
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    def load(tab: Tab) -> None:
        """Draw the page as it is, and only then let its pictures come."""
        tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        while waiting:
            route = waiting.pop()
            route.continue_()
            # None: its page has been left meanwhile.
            if response := route.request.response():
                response.finished()

    with site.visit(**options) as tab:
        tab.goto("/history?label=tabby")
        record = tab.locator(".visit .name").get_attribute("href")
        label = tab.locator(".chips a[href^='/labels/']").get_attribute("href")
        for pattern in ("**/thumbnails/*", "**/pictures/*"):
            tab.route(pattern, hold)
        for address in ("/history", "/history?order=score", str(label), str(record)):
            tab.goto(address, wait_until="domcontentloaded")
            load(tab)
            tab.evaluate("scrollTo(0, document.body.scrollHeight)")
            load(tab)
            assert tab.evaluate(SHIFTS) == 0, address


def test_large_view_goes_on_by_keys_and_back_to_the_list(site: Site) -> None:
    with site.visit() as tab:
        tab.goto("/history?label=tabby")
        expect(tab.locator(".visit")).to_have_count(1)
        tab.get_by_text("5 visits").click()
        singles = tab.locator(".singles a")
        expect(singles).to_have_count(5)
        singles.nth(1).click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.89")
        tab.keyboard.press("ArrowRight")
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.88")
        tab.keyboard.press("ArrowLeft")
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.89")
        tab.keyboard.press("ArrowLeft")
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.90")
        with tab.expect_download() as download:
            tab.keyboard.press("d")
        assert download.value.suggested_filename.startswith("tabby-")
        tab.keyboard.press("Escape")
        expect(tab).to_have_url(f"{site.server.address}/history?label=tabby")


def test_large_view_goes_on_by_swiping(site: Site) -> None:
    with site.visit(**PHONE, has_touch=True) as tab:
        tab.goto("/history?label=tabby")
        tab.locator(".visit .name").click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.90")
        tab.evaluate(SWIPE, [300, 100])
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.89")
        tab.evaluate(SWIPE, [100, 300])
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.90")


def test_what_is_chosen_is_deleted_after_a_question(site: Site) -> None:
    with site.visit() as tab:
        tab.goto("/history?label=kind 39")
        tab.locator(".visit .name").click()
        tab.get_by_role("button", name="Delete").click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("Delete 1 record?")
        tab.get_by_role("button", name="Delete").click()
        expect(tab.get_by_role("status")).to_contain_text("1 record was deleted")


def test_history_works_without_javascript(site: Site) -> None:
    with site.visit(java_script_enabled=False) as tab:
        tab.goto("/history")
        tab.get_by_label("Label").fill("tabi")
        tab.get_by_role("button", name="Show").first.click()
        tab.get_by_role("link", name="tabby").click()
        expect(tab.locator(".visit")).to_have_count(1)
        tab.get_by_text("5 visits").click()
        tab.locator(".singles a").last.click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.86")
        tab.get_by_role("link", name="Newer").click()
        expect(tab.get_by_role("heading", level=1)).to_have_text("tabby 0.87")
        tab.get_by_role("heading", level=1).get_by_role("link").click()
        expect(tab.get_by_role("img", name="At what hour of the day")).to_be_visible()
        tab.get_by_role("link", name="All visits").click()
        tab.get_by_role("link", name="How much was seen on each day").click()
        tab.locator(".calendar a[title*='tabby']").click()
        expect(tab.get_by_role("heading", level=4).first).to_have_text("12:00")
