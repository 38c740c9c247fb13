"""The models page's script in a real browser."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.services import Services
from tests.web.conftest import SETTINGS
from tests.web.visiting import visit_as

from playwright.sync_api import Browser, Page, Route, expect  # isort: skip (tests.browsing may skip)

pytestmark = pytest.mark.django_db(transaction=True)
_INFO = b'{"version": "1.0", "model": "other@00000000"}'
_DROP = """() => {
  const files = new DataTransfer();
  files.items.add(new File(["figures"], "report.json"));
  files.items.add(new File(["network"], "garden.tflite"));
  const told = { dataTransfer: files, bubbles: true, cancelable: true };
  document.dispatchEvent(new DragEvent("drop", told));
}"""


@pytest.fixture
def tab(browser: Browser, live_server: object, administrator: Client) -> Iterator[Page]:
    """An administrator's."""
    with visit_as(administrator, browser, live_server) as page:
        yield page


def test_model_that_is_dropped_is_uploaded_with_its_report_and_leads_to_its_page(tab: Page) -> None:
    sent: list[str] = []

    def answer(route: Route) -> None:
        sent.append((route.request.post_data_buffer or b"").decode())
        route.fulfill(json={"address": "/models/flowers/report"})

    tab.route("**/models/upload", answer)
    tab.goto("/models")
    tab.evaluate(_DROP)
    expect(tab.locator("h1")).to_have_text("flowers")
    (form,) = sent
    assert 'name="model"; filename="garden.tflite"' in form
    assert 'name="report"; filename="report.json"' in form


def test_choice_has_its_button_once_it_is_another_one_and_outlives_news(
    tab: Page, change: Callable[..., Services]
) -> None:
    live = LiveClient(SETTINGS)
    live._take("edge-classifier/pi/availability", b"online")
    live._take("edge-classifier/pi/info", _INFO)
    change(live=live)
    # News come as often as they do while something is under way.
    tab.clock.install()
    tab.goto("/models?sent")
    choice, button = tab.locator(".choice select"), tab.locator(".choice button")
    expect(button).to_be_hidden()
    choice.select_option("flowers")
    expect(button).to_be_visible()
    tab.locator("h1").click()
    live._take("edge-classifier/pi/info", _INFO.replace(b"1.0", b"2.0"))
    tab.clock.run_for(5_000)
    expect(choice).to_have_value("flowers")
    choice.select_option("other")
    tab.locator("h1").click()
    tab.clock.run_for(5_000)
    expect(tab.locator(".device h3")).to_contain_text("2.0")
    live.end_streams()
