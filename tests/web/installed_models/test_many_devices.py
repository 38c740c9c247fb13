"""The page of models of a fleet: so many devices at a time, and those that are looked for."""

import html
import re
from typing import Any

import pytest
from django.test import Client

from edge_classifier.web.installed_models.device_models import MOST_SHOWN
from tests.web.installed_models.daemons import Change, Daemons

# Bytes of a page.
MOST_BYTES = 150_000
# Cameras of each device, and what is listed of it beside these.
CAMERAS, OF_EACH = ["front", "gate"], 3


class Fleet(Daemons):
    """Five hundred daemons with two cameras each."""

    def __init__(self) -> None:
        super().__init__({"status": "ok", "data": {"model": "flowers@76f74563"}}, "own@12345678")
        self.changing = ""

    def devices(self) -> list[str]:
        return [f"device-{number:03}" for number in range(500)]

    def device(self, name: str) -> dict[str, Any]:
        change = {"camera": "", "share": None, "error": "", "model": "garden", "sha256": "1" * 64}
        told = super().device(name)
        return {
            **told,
            "cameras": CAMERAS,
            "model_change": {**change, "state": "trying"} if name == self.changing else None,
        }


@pytest.fixture
def fleet(change: Change) -> Fleet:
    made = Fleet()
    change(live=made)
    return made


def shown(page: str) -> list[str]:
    return re.findall(r'class="card device" aria-label="([^"]+)"', page)


def link(page: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]*)"', page)
    return html.unescape(found[1]) if found else ""


@pytest.mark.django_db
def test_pages_of_a_fleet_are_small_and_show_each_device_once(
    administrator: Client, fleet: Fleet
) -> None:
    address, seen = "/models", list[str]()
    while address:
        page = administrator.get(address).content
        assert len(page) < MOST_BYTES
        names = shown(page.decode())
        assert len(names) <= MOST_SHOWN // OF_EACH
        seen += names
        address = link(page.decode(), "next")
    assert seen == fleet.devices()
    assert "Devices 481 to 500 of 500" in page.decode()
    assert shown(administrator.get("/models?page=99").content.decode()) == seen[480:]


@pytest.mark.parametrize(
    ("words", "found"),
    [("device-42", 10), ("DEVICE-421/gate", 1), ("the gate", 500), ("own@", 500), ("nobody", 0)],
)
@pytest.mark.django_db
def test_words_find_devices_cameras_and_models(
    viewer: Client, fleet: Fleet, words: str, found: int
) -> None:
    page = viewer.get("/models", {"q": words}).content.decode()
    assert len(shown(page)) == min(found, MOST_SHOWN // OF_EACH)
    assert f'value="{words}"' in page
    assert ("No device, camera or model has such a name." in page) == (found == 0)
    hostile = viewer.get("/models", {"page": '"><script>', "q": '"><script>'}).content.decode()
    assert '"><script>' not in hostile


@pytest.mark.django_db
def test_device_whose_model_changes_comes_first_and_news_are_of_the_same_page(
    administrator: Client, fleet: Fleet
) -> None:
    fleet.changing = "device-400"
    assert shown(administrator.get("/models").content.decode())[:2] == ["device-400", "device-000"]
    page = administrator.get("/models?q=device-1&page=2").content.decode()
    again = re.search(r'data-again="([^"]*)"', page)
    assert again
    news = administrator.get(html.unescape(again[1])).content.decode()
    assert shown(news) == shown(page)
    assert "<html" not in news


@pytest.mark.django_db
def test_change_leads_back_to_the_page_on_which_it_was_asked_for(
    administrator: Client, fleet: Fleet
) -> None:
    form = {"device": "device-130", "model": "flowers", "q": "device-1", "page": "2"}
    answer = administrator.post("/models/switch", form)
    assert answer.headers["Location"] == "/models?q=device-1&page=2&sent"
    page = administrator.get("/models?q=device-1&page=2").content.decode()
    assert page.count('name="page" value="2"') == len(shown(page)) * OF_EACH + 1
