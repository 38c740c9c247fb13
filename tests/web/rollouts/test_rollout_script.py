"""The script of the form that begins a roll-out, in a real browser."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from edge_classifier.web.services import Services
from tests.web.rollouts.fleet import Fleet
from tests.web.visiting import visit_as

from playwright.sync_api import Browser, Page, expect  # isort: skip (tests.browsing may skip)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tab(
    browser: Browser,
    live_server: object,
    administrator: Client,
    change: Callable[..., Services],
) -> Iterator[Page]:
    change(live=Fleet("barn", "gate"))
    with visit_as(administrator, browser, live_server) as page:
        yield page


def test_roll_out_can_be_begun_once_a_device_is_chosen(tab: Page) -> None:
    tab.goto("/rollouts/new")
    begin = tab.get_by_role("button", name="Begin")
    expect(begin).to_be_disabled()
    everything = tab.get_by_label("all of these")
    everything.check()
    expect(tab.locator("#chosen b")).to_have_text("2")
    expect(begin).to_be_enabled()
    everything.uncheck()
    expect(begin).to_be_disabled()
    tab.get_by_label("gate", exact=True).check()
    expect(begin).to_be_enabled()
