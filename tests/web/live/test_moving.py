"""Moving pictures of the live page, as Django answers for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from edge_classifier.core.events import CameraState, Ranked
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.jpeg_comment import with_comment
from edge_classifier.mqtt.codec.burst_frames import burst_comment
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.live.moving import MOST_BYTES
from edge_classifier.web.services import Services
from tests.web.live.test_live_page import ZH, receive, receive_all, state
from tests.web.making import jpeg

pytestmark = pytest.mark.django_db
NOTHING: dict[str, Any] = {"frames": [], "problems": {}, "has_more": False}
ASKED = "/live/moving?camera=pi/front/tile/0"


@pytest.fixture
def live(change: Callable[..., Services]) -> LiveClient:
    made = LiveClient(WebSettings())
    change(live=made)
    receive_all(made)
    return made


def comment(box: RelativeBox | None = None) -> str:
    """What a frame says of itself; ``box``: what the network saw."""
    top = (Ranked("cat", 0.9),)
    shown = CameraState("front", "cat", 0.9, 0.5, top, 1.0, 1.0, 1, "m", True, 0.6, box)
    return burst_comment(shown, 1.0, str)


def frame(box: RelativeBox | None = None) -> bytes:
    return with_comment(jpeg(), comment(box))


def ask(client: Client, address: str = ASKED, **headers: str) -> tuple[dict[str, Any], bytes]:
    answer = client.get(address, **headers)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    head, _, jpegs = answer.content.partition(b"\n")
    found: dict[str, Any] = json.loads(head)
    return found, jpegs


def test_first_question_has_a_burst_begin_and_the_next_one_has_its_frame_once(
    viewer: Client, live: LiveClient
) -> None:
    assert ask(viewer) == (NOTHING, b"")
    receive(live, "pi/front/burst", frame())
    found, jpegs = ask(viewer)
    [told] = found["frames"]
    assert (told["camera"], told["bytes"], told["box"]) == ("pi/front", len(frame()), "")
    assert jpegs == frame()
    assert ask(viewer, f"/live/moving?camera=pi/front/tile/{told['number']}")[0]["frames"] == []


def test_pictures_of_several_cameras_stand_in_the_order_that_is_told(
    viewer: Client, live: LiveClient
) -> None:
    receive(live, "pi/back/availability", b"online")
    address = "/live/moving?camera=pi/back/tile/0&camera=pi/front/large/0"
    ask(viewer, address)
    receive(live, "pi/front/burst", frame())
    receive(live, "pi/back/burst", frame(RelativeBox(0.25, 0.5, 0.5, 0.25)))
    found, jpegs = ask(viewer, address)
    assert [one["camera"] for one in found["frames"]] == ["pi/back", "pi/front"]
    assert len(jpegs) == sum(one["bytes"] for one in found["frames"])
    assert '<rect x="16.0"' in found["frames"][0]["box"] or "<rect" in found["frames"][0]["box"]


def test_answers_stay_in_memory_and_what_has_no_room_comes_with_the_next(
    viewer: Client, live: LiveClient
) -> None:
    cameras = [f"c{number:02}" for number in range(12)]
    for name in cameras:
        receive(live, f"pi/{name}/availability", b"online")
    numbers = dict.fromkeys(cameras, 0)

    def answer() -> tuple[dict[str, Any], bytes]:
        asked = "&".join(f"camera=pi/{name}/tile/{number}" for name, number in numbers.items())
        return ask(viewer, f"/live/moving?{asked}")

    answer()
    # What stands behind a picture's end belongs to it, and is nothing.
    large = frame().ljust(25_000, b"\0")
    for name in cameras:
        receive(live, f"pi/{name}/burst", large)
    for _ in range(6):
        found, jpegs = answer()
        assert len(jpegs) <= MOST_BYTES
        numbers |= {one["camera"].partition("/")[2]: one["number"] for one in found["frames"]}
        assert found["has_more"] == (0 in numbers.values())
    assert 0 not in numbers.values()


@pytest.mark.parametrize(
    "asked",
    [
        *("pi/attic/tile/0", "other/front/tile/0", "pi/front/huge/0", "pi/front/tile/x"),
        *("pi/front", "", "pi/front/tile/-1", "#/+/tile/0"),
    ],
)
def test_what_makes_no_sense_or_is_not_there_begins_no_burst(
    viewer: Client, live: LiveClient, asked: str
) -> None:
    live.bursts.take_frame("pi", "front", frame())
    found, jpegs = ask(viewer, f"/live/moving?camera={asked.replace('#', '%23')}")
    assert (found, jpegs) == (NOTHING, b"")
    assert not live.bursts.viewers


def test_camera_that_is_off_or_offline_begins_no_burst(viewer: Client, live: LiveClient) -> None:
    receive(live, "pi/front/state", state(enabled=False))
    ask(viewer)
    receive(live, "pi/front/state", state())
    receive(live, "pi/front/availability", b"offline")
    ask(viewer)
    viewers = [live.bursts.viewers]
    receive(live, "pi/front/availability", b"online")
    ask(viewer)
    viewers.append(live.bursts.viewers)
    assert viewers == [0, 1]


@pytest.mark.parametrize(
    ("said", "english", "chinese"),
    [
        ("front gives no pictures now: it is one of the camera's quiet hours", "quiet hours", "静"),
        ("no such command: 'burst'; there are enable", "an older version", "版本"),
        ("front gives no pictures now: the camera is offline: <b>", "is offline: <b>", "<b>"),
    ],
)
def test_reason_of_the_daemon_is_told_in_the_language_of_the_page(
    viewer: Client, live: LiveClient, said: str, english: str, chinese: str
) -> None:
    ask(viewer)
    burst = live.bursts._bursts["pi", "front"]
    answer = {"status": "error", "error": said, "transaction": burst.transaction}
    receive(live, "pi/response/burst", answer)
    assert english in ask(viewer)[0]["problems"]["pi/front"]
    assert chinese in ask(viewer, **ZH)[0]["problems"]["pi/front"]


def test_viewers_of_one_account_are_bounded_and_others_still_see(
    viewer: Client, reviewer: Client, live: LiveClient
) -> None:
    for number in range(40):
        receive(live, f"pi/c{number}/availability", b"online")
    addresses = [
        "/live/moving?" + "&".join(f"camera=pi/c{n}/tile/0" for n in range(first, first + 12))
        for first in (0, 12, 24)
    ]
    assert [len(ask(viewer, one)[0]["problems"]) for one in addresses] == [0, 0, 12]
    assert not ask(reviewer, addresses[2])[0]["problems"]


def test_question_costs_the_database_the_session_and_the_account_alone(
    viewer: Client, live: LiveClient, django_assert_num_queries: Callable[..., Any]
) -> None:
    ask(viewer)
    receive(live, "pi/front/burst", frame())
    with django_assert_num_queries(2):
        assert ask(viewer)[0]["frames"]


def test_page_without_live_view_has_none(viewer: Client) -> None:
    assert viewer.get(ASKED).status_code == 404
    assert viewer.get("/live/pi/front").status_code == 404


def test_camera_has_a_page_of_its_own_with_its_stream(viewer: Client, live: LiveClient) -> None:
    receive(live, "pi/front2/availability", b"online")
    body = viewer.get("/live/pi/front").content.decode()
    assert 'data-part="pi/front"' in body
    assert 'data-part="pi/front2"' not in body
    assert 'data-stream="/live/stream?only=pi%2Ffront"' in body
    assert viewer.get("/live/pi/attic").status_code == 404
    assert 'href="/live/pi/front2"' in viewer.get("/live").content.decode()
