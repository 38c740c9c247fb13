"""Moving pictures in a real browser, from a real daemon's camera."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pytest
from paho.mqtt import client as paho

from tests.mosquitto import Listener
from tests.waiting import eventually
from tests.web.live.live_site import Site
from tests.web.making import jpeg

from playwright.sync_api import expect  # isort: skip (tests.browsing may skip)

# The sum of what has moved in the page; and what a hidden tab is told.
_SHIFT = """() => { window.shift = 0; new PerformanceObserver((list) => {
  for (const one of list.getEntries()) window.shift += one.value;
}).observe({ type: "layout-shift", buffered: true }); }"""
_HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.parametrize("address", ["/live", "/live/pi/front"])
def test_picture_moves_with_its_box_and_nothing_else_does(site: Site, address: str) -> None:
    with site.visit() as tab:
        tab.goto(address)
        tab.evaluate(_SHIFT)
        canvas = tab.locator("[data-moving='pi/front'] .moving canvas")
        expect(canvas).to_be_visible()
        seen: set[str] = set()

        def has_moved() -> bool:
            seen.add(str(canvas.evaluate("(one) => one.toDataURL()")))
            return len(seen) >= 3

        eventually(has_moved, within_s=30)
        expect(tab.locator("[data-moving='pi/front'] .moving svg.box")).to_be_visible()
        assert tab.evaluate("window.shift") == 0


def test_ten_that_look_at_once_share_a_burst_and_leave_threads_for_pages(site: Site) -> None:
    """One after the other they would take all threads, if each held one until a frame comes."""
    headers = {"Cookie": f"sessionid={site.session}"}
    before, since = len(site.watch.of("/front/burst")), time.monotonic()

    def newer(than: int) -> set[int]:
        address = f"/live/moving?camera=pi/front/tile/{than}"
        reply = site.page.ask(address, headers=headers)
        assert reply.status == 200
        head, _, _ = reply.body.partition("\n")
        return {one["number"] for one in json.loads(head)["frames"]}

    # What was sent before anybody looked.
    first = newer(0) | {0}

    def look(_number: int) -> set[int]:
        """The numbers of the frames that it got in five seconds."""
        numbers = set(first)
        while time.monotonic() - since < 5:
            numbers |= newer(max(numbers))
            time.sleep(0.2)
        return numbers - first

    with ThreadPoolExecutor(10) as pool:
        looking = [pool.submit(look, number) for number in range(10)]
        while not all(one.done() for one in looking):
            assert site.page.ask("/live", headers=headers).status == 200
            time.sleep(0.5)
        seen = [one.result() for one in looking]
    assert all(seen)

    def sent() -> int:
        return len(site.watch.of("/front/burst")) - before

    # Who listens may be told later than the page.
    eventually(lambda: len(set().union(*seen)) <= sent())
    # One a second, and perhaps what a test before this one has asked for.
    assert sent() <= time.monotonic() - since + 8


def test_hidden_tab_asks_for_nothing_and_the_burst_ends(site: Site) -> None:
    with site.visit() as tab:
        tab.goto("/live")
        expect(tab.locator(".moving canvas")).to_have_count(2)
        tab.evaluate(_HIDE, True)
        # Who looked is forgotten after 4 s, what was asked for is over 6 s later.
        tab.wait_for_timeout(7_000)
        asked = len(site.asked())
        tab.wait_for_timeout(6_500)
        assert len(site.asked()) == asked
        sent = len(site.watch.of("/burst"))
        tab.wait_for_timeout(2_000)
        assert len(site.watch.of("/burst")) == sent
        tab.evaluate(_HIDE, False)
        eventually(lambda: len(site.asked()) > asked)


def test_camera_out_of_sight_is_not_asked_for(site: Site) -> None:
    with site.visit(viewport={"width": 400, "height": 300}) as tab:
        with tab.expect_request("**/live/moving*") as first:
            tab.goto("/live")
        assert "pi%2Fback" in first.value.url
        assert "pi%2Ffront" not in first.value.url
        with tab.expect_request(lambda request: "pi%2Ffront" in request.url) as second:
            # At once: news may draw it anew at any time.
            tab.evaluate("document.querySelector(\"[data-part='pi/front']\").scrollIntoView()")
        assert second.value


def test_choice_stops_the_pictures_and_is_kept(site: Site) -> None:
    with site.visit() as tab:
        tab.goto("/live")
        expect(tab.locator(".moving canvas")).to_have_count(2)
        tab.get_by_label("Moving pictures").uncheck()
        expect(tab.locator(".moving")).to_have_count(0)
        asks: list[str] = []
        tab.reload()
        tab.on("request", lambda request: asks.append(request.url))
        expect(tab.get_by_label("Moving pictures")).not_to_be_checked()
        tab.wait_for_timeout(2_500)
        assert not [one for one in asks if "/live/moving" in one]


def test_whoever_wants_less_motion_gets_none_unless_asked_for(site: Site) -> None:
    with site.visit(reduced_motion="reduce") as tab:
        tab.goto("/live")
        expect(tab.get_by_label("Moving pictures")).not_to_be_checked()
        tab.get_by_label("Moving pictures").check()
        expect(tab.locator(".moving canvas")).to_have_count(2)


def test_page_without_javascript_keeps_the_still_picture(site: Site) -> None:
    with site.visit(java_script_enabled=False) as tab:
        tab.goto("/live/pi/front")
        expect(tab.get_by_alt_text("Last picture of Front door")).to_be_visible()
        expect(tab.get_by_label("Moving pictures")).to_be_hidden()


class OlderDaemon(Listener):
    """Knows no bursts, and answers a request for a snapshot."""

    def __init__(self, port: int) -> None:
        super().__init__(port, "edge-classifier/old/request/+", name="older")

    def __enter__(self) -> Self:
        super().__enter__()
        self.publish("edge-classifier/old/availability", "online", retain=True)
        self.publish("edge-classifier/old/door/availability", "online", retain=True)
        return self

    def __exit__(self, *_: object) -> None:
        """The page of the other tests knows nothing of it."""
        for topic in ("door/snapshot", "door/availability", "availability"):
            self.publish(f"edge-classifier/old/{topic}", "", retain=True)
        super().__exit__()

    def _on_message(self, client: paho.Client, data: object, message: paho.MQTTMessage) -> None:
        super()._on_message(client, data, message)
        asked = json.loads(message.payload or b"{}")
        if message.topic.endswith("burst"):
            error = "no such command: 'burst'; there are enable, threshold, snapshot"
            answer = {"status": "error", "data": {}, "error": error}
            answer["transaction"] = asked["transaction"]
            self.client.publish("edge-classifier/old/response/burst", json.dumps(answer), 1)
        else:
            self.client.publish("edge-classifier/old/door/snapshot", jpeg(), retain=True)


def test_older_daemon_gives_snapshots_and_the_page_says_why(site: Site) -> None:
    with OlderDaemon(site.broker.port) as older, site.visit() as tab:
        tab.goto("/live?q=door")
        expect(tab.locator("[data-part='old/door'] .shot-note")).to_contain_text("an older version")
        expect(tab.get_by_alt_text("Last picture of door")).to_be_visible()
        assert json.loads(older.of("/request/snapshot")[0].payload) == {"camera": "door"}
