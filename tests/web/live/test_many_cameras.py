"""The live page of a fleet: so many cameras at a time, and those that are looked for."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.live.camera_list import MOST_SHOWN
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.live.live_state import MAX_CAMERAS, MAX_DEVICES
from edge_classifier.web.models import Label
from edge_classifier.web.services import Services
from tests.web.live.test_live_page import ZH, data, opened, parts_in, receive, state
from tests.web.making import jpeg

pytestmark = pytest.mark.django_db(transaction=True)
# Bytes of a page or an event: with names of usual length, and with the longest texts that a device
# can send, each character of them escaped.
USUAL_BYTES, MOST_BYTES = 100_000, 1_000_000


@pytest.fixture
def live(change: Callable[..., Services]) -> LiveClient:
    made = LiveClient(WebSettings())
    change(live=made)
    return made


def fill(live: LiveClient, devices: int, cameras: int = 1, **changed: Any) -> None:
    for device in range(devices):
        for camera in range(cameras):
            receive(live, f"d{device:03}/c{camera}/state", state(**changed))


def shown(client: Client, address: str = "/live", **headers: str) -> list[str]:
    body = client.get(address, **headers).content.decode()
    return [part for part in parts_in(body) if "/" in part]


def link(client: Client, address: str, rel: str) -> str | None:
    found = re.search(rf'rel="{rel}" href="([^"]*)"', client.get(address).content.decode())
    return html.unescape(found[1]) if found else None


def test_pages_of_a_fleet_show_each_camera_once_and_lead_back(
    viewer: Client, live: LiveClient
) -> None:
    fill(live, 150)
    receive(live, "without/availability", b"online")
    pages = ["/live"]
    while following := link(viewer, pages[-1], "next"):
        pages.append(following)
    assert [len(shown(viewer, one)) for one in pages] == [MOST_SHOWN, MOST_SHOWN, 30]
    assert [name for one in pages for name in shown(viewer, one)] == [
        f"d{number:03}/c0" for number in range(150)
    ]
    assert link(viewer, pages[2], "prev") == pages[1]
    assert link(viewer, pages[1], "prev") == pages[0]
    assert "Cameras 121 to 150 of 150" in viewer.get(pages[2]).content.decode()
    assert 'data-part="without"' in viewer.get(pages[0]).content.decode()


def test_cameras_of_one_device_go_on_on_the_next_page(viewer: Client, live: LiveClient) -> None:
    fill(live, 1, MOST_SHOWN + 5)
    following = link(viewer, "/live", "next")
    assert following
    assert len(shown(viewer, following)) == 5
    assert 'data-part="d000"' in viewer.get(following).content.decode()


@pytest.mark.parametrize("words", ["", "c"])
def test_page_and_events_of_the_largest_fleet_are_small(
    viewer: Client, live: LiveClient, words: str
) -> None:
    long = "<" * 300
    cameras = MAX_CAMERAS // MAX_DEVICES
    fill(live, MAX_DEVICES, cameras)
    assert len(viewer.get(f"/live?q={words}").content) < USUAL_BYTES
    path = {"path": [long] * 12, "path_names": [long] * 12, "problem": long, "model": long}
    fill(live, MAX_DEVICES, cameras, label=long, name=long, **path)
    for device in range(MAX_DEVICES):
        receive(live, f"d{device:03}/info", {"version": long, "model": long})
    page = viewer.get(f"/live?q={words}").content
    assert len(page) < MOST_BYTES
    answer = opened(viewer, query=f"?q={words}")
    first = next(answer.streaming_content)
    assert len(first) < MOST_BYTES
    assert len(parts_in(data(first)["whole"])) == MOST_SHOWN + MOST_SHOWN // cameras
    fill(live, MAX_DEVICES, cameras, label="cat", name="cat", **path)
    news = next(answer.streaming_content)
    assert len(news) < MOST_BYTES
    assert len(data(news)["parts"]) == MOST_SHOWN
    answer.close()


def test_page_that_is_past_the_end_is_the_last_one(viewer: Client, live: LiveClient) -> None:
    fill(live, 3)
    assert len(shown(viewer, "/live?page=99")) == 3
    assert link(viewer, "/live?page=99", "prev") is None
    hostile = viewer.get("/live", {"page": '"><script>', "q": '"><script>'}).content.decode()
    assert "><script>" not in hostile.replace('"><script src', "")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("D001", ["d001/c0", "d001/c1"]),
        ("c1", ["d000/c1", "d001/c1"]),
        ("ESPRESSO", ["d001/c0"]),
        ("浓缩", ["d001/c0"]),
        ("nowhere", []),
    ],
)
def test_words_find_device_camera_and_label_on_all_pages(
    viewer: Client, live: LiveClient, words: str, found: list[str]
) -> None:
    Label.objects.create(name="espresso", chinese="浓缩咖啡")
    fill(live, 2, 2)
    receive(live, "d001/c0/state", state(label="espresso", name="espresso"))
    assert shown(viewer, f"/live?q={words}", **ZH) == found
    assert ("没有符合条件的摄像头" in viewer.get(f"/live?q={words}", **ZH).content.decode()) == (
        not found
    )


def test_stream_tells_only_of_what_the_page_shows(viewer: Client, live: LiveClient) -> None:
    fill(live, 150)
    answer = opened(viewer, query="?page=2")
    assert "d100/c0" in parts_in(data(next(answer.streaming_content))["whole"])
    receive(live, "d000/c0/state", state(label="dog"))
    receive(live, "d100/c0/state", state(label="dog"))
    assert list(data(next(answer.streaming_content))["parts"]) == ["d100/c0"]
    answer.close()


def test_stream_of_a_search_follows_labels_that_come_and_go(
    viewer: Client, live: LiveClient
) -> None:
    fill(live, 2)
    answer = opened(viewer, query="?q=dog")
    assert parts_in(data(next(answer.streaming_content))["whole"]) == []
    receive(live, "d001/c0/state", state(label="dog"))
    assert parts_in(data(next(answer.streaming_content))["whole"]) == ["d001/c0", "d001"]
    receive(live, "d001/c0/state", state(label="cat"))
    assert parts_in(data(next(answer.streaming_content))["whole"]) == []
    answer.close()


def test_cameras_that_are_offline_come_last_whichever_page_that_is(
    viewer: Client, live: LiveClient
) -> None:
    fill(live, MOST_SHOWN + 2)
    for device in ("d000", f"d{MOST_SHOWN:03}"):
        receive(live, f"{device}/availability", b"offline")
    first, last = shown(viewer), shown(viewer, "/live?page=2")
    assert first == [f"d{number:03}/c0" for number in (*range(1, MOST_SHOWN), MOST_SHOWN + 1)]
    assert last == ["d000/c0", f"d{MOST_SHOWN:03}/c0"]


def test_wall_of_a_hundred_devices_with_four_hundred_cameras_asks_the_database_no_more(
    viewer: Client, live: LiveClient, django_assert_num_queries: Any
) -> None:
    fill(live, 100, 4)
    viewer.get("/live")  # The first visit of a day writes into the session.
    with django_assert_num_queries(2):  # Session and user.
        body = viewer.get("/live").content
    assert body.count(b"<article") == MOST_SHOWN
    assert len(body) < USUAL_BYTES


def test_page_of_few_cameras_has_no_parts_and_keeps_its_pictures(
    viewer: Client, live: LiveClient
) -> None:
    fill(live, 2)
    receive(live, "d000/c0/snapshot", jpeg())
    body = viewer.get("/live").content.decode()
    assert "live-pages" not in body
    assert "/live/d000/c0.jpg?v=" in body
