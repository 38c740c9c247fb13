"""The live page, its stream and its pictures, as Django answers them."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import override_script_prefix

from edge_classifier.web.config.settings import ServerSettings, WebMqttSettings, WebSettings
from edge_classifier.web.http_server.ingress import VISITOR, IngressVisitor
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.live.views import may_watch
from edge_classifier.web.models import Label, User
from edge_classifier.web.recorder.recorder import RecorderStatus
from edge_classifier.web.services import Services
from tests.web.making import jpeg
from tests.web.recording import (
    end_payload,
    event_payload,
    glimpse_payload,
    snapshot_payload,
)

# A stream lets its connection to the database go, which ends a transaction around the test.
pytestmark = pytest.mark.django_db(transaction=True)
ZH = {"HTTP_ACCEPT_LANGUAGE": "zh-hans"}
HOSTILE = "<script>alert(1)</script>"


class StandingRecorder:
    """A recorder of which only the status is asked."""

    def __init__(self, **facts: Any) -> None:
        known = {"connected": True, "reason": "", "recorded": 41, "repeated": 0, "ignored": 0}
        self.status = RecorderStatus(**{**known, "waiting": 0, "trouble": "", **facts})


@pytest.fixture
def live(change: Callable[..., Services]) -> LiveClient:
    """Without a connection: ``receive`` brings what would come over it."""
    settings = WebSettings(
        mqtt=WebMqttSettings(host="broker.test"), server=ServerSettings(streams=2)
    )
    made = LiveClient(settings)
    change(live=made, settings=settings)
    return made


def receive(live: LiveClient, topic: str, payload: bytes | dict[str, Any]) -> None:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    live._take(f"edge-classifier/{topic}", body)


def state(**changed: Any) -> dict[str, Any]:
    fields = {"label": "cat", "name": "cat", "score": 0.8123, "model": "m@1"}
    return {**fields, "ts": datetime.now(UTC).isoformat(), **changed}


def receive_all(live: LiveClient) -> None:
    receive(live, "pi/availability", b"online")
    receive(live, "pi/front/availability", b"online")
    receive(live, "pi/front/state", state())
    receive(live, "pi/front/event", event_payload(1, to="dog", score=0.7))
    receive(live, "pi/front/snapshot", jpeg())
    receive(live, "pi/stats", {"uptime_s": 7500, "cameras": {"front": {"fps": 5.1}}, **_HOST})


_HOST = {"host": {"memory_mb": 103.9, "temperature_c": 51.2}, "publisher": {"waiting": 3}}


def test_live_page_comes_first_once_there_is_a_camera_for_those_who_may_see_it(
    viewer: Client, visitor: Client, live: LiveClient
) -> None:
    receive(live, "pi/availability", b"online")
    assert b'id="upload"' in viewer.get("/").content
    receive(live, "pi/front/state", state())
    assert viewer.get("/").headers["Location"] == "/live"
    assert visitor.get("/").status_code == 200
    assert b'id="upload"' in viewer.get("/classify").content


def test_page_shows_each_camera_with_all_that_is_known(viewer: Client, live: LiveClient) -> None:
    receive_all(live)
    body = viewer.get("/live").content.decode()
    for shown in ("pi", "front", "online", "cat", "0.81"):
        assert shown in body
    assert "m@1" not in body
    of_camera = viewer.get("/live/pi/front").content.decode()
    for shown in ("cat", "0.81", "5.1", "7.4 ms", "m@1"):
        assert shown in of_camera
    for shown in ("104 MB", "51 °C", "events waiting: 3", "2\xa0hours", "/live/pi/front.jpg?v="):
        assert shown in body


def test_page_escapes_what_comes_from_a_device(viewer: Client, live: LiveClient) -> None:
    receive_all(live)
    receive(live, "pi/front/state", state(label=HOSTILE, name=HOSTILE, model=HOSTILE))
    receive(live, "pi/info", {"version": HOSTILE, "model": HOSTILE})
    receive(live, "pi/front/availability", b"offline")
    receive(
        live,
        "pi/stats",
        {"publisher": {"reason": HOSTILE}, "cameras": {"front": {"reason": HOSTILE}}},
    )
    for address, times in (("/live", 3), ("/live/pi/front", 5)):
        body = viewer.get(address).content.decode()
        assert HOSTILE not in body
        assert body.count("&lt;script&gt;") >= times
    assert HOSTILE not in json.loads(first_event(viewer)["data"])["whole"]


def test_page_shows_where_the_label_stands_and_what_was_looked_at(
    viewer: Client, live: LiveClient
) -> None:
    Label.objects.create(name="animal", chinese="动物")
    receive_all(live)
    path = {"path": ["animal", "cat", "tabby"], "path_names": ["animal", "Katze", "Tigerkatze"]}
    receive(live, "pi/front/state", state(label="tabby", **path))
    receive(live, "pi/front/snapshot", snapshot_payload(1, 5.0, (0.25, 0.5, 0.5, 0.25)))
    body = viewer.get("/live/pi/front").content.decode()
    assert re.search("animal . cat . tabby</p>", body)
    assert '<rect x="16.0" y="24.0" width="32.0" height="12.0"/>' in body
    assert re.search("动物 . Katze . cat</p>", viewer.get("/live/pi/front", **ZH).content.decode())
    chinese = {"zh": {"cat": "猫"}}
    receive(live, "pi/front/event", event_payload(9, to="tabby", **path, names=chinese))
    receive(live, "pi/front/state", state(label="tabby", **path))
    assert re.search("动物 . 猫 . cat</p>", viewer.get("/live/pi/front", **ZH).content.decode())
    receive(live, "pi/front/snapshot", snapshot_payload(1, 6.0))
    assert 'class="box"' not in viewer.get("/live").content.decode()


def test_what_has_gone_or_was_glimpsed_changes_nothing_of_what_is_there(
    viewer: Client, live: LiveClient
) -> None:
    receive_all(live)
    before = live.outline()
    receive(live, "pi/front/event", end_payload(1))
    receive(live, "pi/front/event", glimpse_payload(2))
    assert (live.outline(), live.as_json()["ignored"]) == (before, 0)


def test_offline_camera_says_why(viewer: Client, live: LiveClient) -> None:
    receive_all(live)
    receive(live, "pi/front/availability", b"offline")
    receive(live, "pi/front/state", state(problem="no frames since 3 s"))
    assert "no frames since 3 s" in viewer.get("/live").content.decode()
    receive(live, "pi/availability", b"offline")
    assert "its device is offline" in viewer.get("/live").content.decode()


def test_chinese_page_has_the_name_from_the_database_else_the_device_s(
    viewer: Client, live: LiveClient
) -> None:
    Label.objects.create(name="cat", chinese="猫")
    receive_all(live)
    receive(live, "pi/back/state", state(label="dog", name="狗"))
    body = viewer.get("/live", **ZH).content.decode()
    assert "<strong>猫</strong>" in body
    assert "<strong>狗</strong>" in body
    assert "<strong>cat</strong>" in viewer.get("/live").content.decode()


def test_page_without_a_device_says_what_to_do(viewer: Client, live: LiveClient) -> None:
    body = viewer.get("/live").content.decode()
    assert "No device has been heard yet" in body
    assert "broker.test:1883" in body
    assert "--set mqtt.host=broker.test" in body


def test_page_with_a_device_hides_what_to_do_without(viewer: Client, live: LiveClient) -> None:
    receive_all(live)
    body = viewer.get("/live").content.decode()
    assert re.search(r'<div id="live-empty"[^>]* hidden>', body)


def test_page_without_mqtt_says_so_and_has_no_stream(viewer: Client) -> None:
    assert "mqtt.enabled = false" in viewer.get("/live").content.decode()
    assert viewer.get("/live/stream").status_code == 404
    assert viewer.get("/live/pi/front.jpg").status_code == 404


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({}, "events recorded: 41"),
        ({"trouble": "the disk is full"}, "the disk is full"),
        ({"connected": False, "reason": "nothing listens there"}, "nothing listens there"),
    ],
)
def test_page_says_how_recording_goes(
    viewer: Client,
    live: LiveClient,
    change: Callable[..., Services],
    facts: dict[str, Any],
    shown: str,
) -> None:
    change(live=live, recorder=StandingRecorder(**facts))
    body = viewer.get("/live").content.decode()
    assert shown in body
    assert ("not recording" in body) == bool(facts)


def test_page_asks_the_database_no_more_for_many_cameras(
    viewer: Client, live: LiveClient, django_assert_num_queries: Any
) -> None:
    for number in range(50):
        receive(live, f"d{number}/front/state", state(label=f"label {number}"))
    viewer.get("/live")  # The first visit of a day writes into the session.
    with django_assert_num_queries(2):  # Session and user.
        viewer.get("/live")
    with django_assert_num_queries(3):  # And Chinese names, once a minute.
        viewer.get("/live", **ZH)


def test_picture_is_served_as_a_jpeg_and_nothing_else(viewer: Client, live: LiveClient) -> None:
    receive_all(live)
    answer = viewer.get("/live/pi/front.jpg?v=1")
    assert answer.content == jpeg()
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "private" in answer.headers["Cache-Control"]
    for path in ("pi/back.jpg", "other/front.jpg", "..%2Fpi/front.jpg", "pi/..%2Ffront.jpg"):
        assert viewer.get(f"/live/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/live", "/live/stream", "/live/pi/front.jpg"])
def test_visitor_sees_nothing(visitor: Client, live: LiveClient, path: str) -> None:
    receive_all(live)
    answer = visitor.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/login?next={path}")
    assert len(live.slots) == 0


@pytest.mark.parametrize("method", ["post", "put", "delete", "head"])
def test_stream_is_only_read(viewer: Client, live: LiveClient, method: str) -> None:
    assert getattr(viewer, method)("/live/stream").status_code == 405
    assert len(live.slots) == 0


def first_event(client: Client) -> dict[str, str]:
    answer = opened(client)
    chunk = next(answer.streaming_content)
    answer.close()
    return dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))


def opened(client: Client, query: str = "", **headers: str) -> StreamingHttpResponse:
    answer = client.get(f"/live/stream{query}", **headers)
    assert isinstance(answer, StreamingHttpResponse)
    return answer


def test_stream_has_the_headers_that_proxies_need(viewer: Client, live: LiveClient) -> None:
    answer = opened(viewer)
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert not answer.has_header("Content-Length")
    answer.close()


def test_stream_tells_the_whole_and_then_the_camera_that_has_changed(
    viewer: Client, live: LiveClient
) -> None:
    receive_all(live)
    receive(live, "pi/back/state", state())
    answer = opened(viewer)
    whole = data(next(answer.streaming_content))
    assert {"pi/front", "pi/back"} <= set(parts_in(whole["whole"]))
    receive(live, "pi/front/state", state(label="espresso"))
    news = data(next(answer.streaming_content))
    assert list(news) == ["parts"]
    assert list(news["parts"]) == ["pi/front"]
    assert "espresso" in news["parts"]["pi/front"]
    answer.close()
    assert len(live.slots) == 0


def data(chunk: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(chunk.decode().split("\ndata: ")[1])
    return found


def parts_in(html: str) -> list[str]:
    return [piece.split('"')[0] for piece in html.split('data-part="')[1:]]


def test_stream_tells_the_whole_again_when_a_device_comes_or_goes(
    viewer: Client, live: LiveClient
) -> None:
    receive_all(live)
    answer = opened(viewer)
    next(answer.streaming_content)
    receive(live, "new/front/state", state())
    assert "new/front" in parts_in(data(next(answer.streaming_content))["whole"])
    receive(live, "pi/availability", b"")
    assert parts_in(data(next(answer.streaming_content))["whole"]) == ["new/front", "new"]
    answer.close()


def test_stream_that_goes_on_needs_no_second_whole(viewer: Client, live: LiveClient) -> None:
    receive_all(live)
    last = first_event(viewer)["id"]
    receive(live, "pi/front/state", state(label="espresso"))
    answer = opened(viewer, HTTP_LAST_EVENT_ID=last)
    assert list(data(next(answer.streaming_content))["parts"]) == ["pi/front"]
    answer.close()


def test_stream_is_in_the_language_of_the_page(viewer: Client, live: LiveClient) -> None:
    Label.objects.create(name="cat", chinese="猫")
    receive_all(live)
    chinese, english = opened(viewer, **ZH), opened(viewer)
    assert "<strong>猫" in data(next(chinese.streaming_content))["whole"]
    assert "<strong>cat" in data(next(english.streaming_content))["whole"]
    chinese.close()
    english.close()


def test_stream_for_which_there_is_no_room_is_told_to_come_again(
    viewer: Client, live: LiveClient
) -> None:
    answers = [opened(viewer), opened(viewer)]
    full = viewer.get("/live/stream")
    assert (full.status_code, full.headers["Retry-After"]) == (503, "60")
    assert viewer.get("/live/stream?free").status_code == 503
    answers[0].close()
    assert viewer.get("/live/stream?free").status_code == 204
    assert len(live.slots) == 1
    opened(viewer).close()
    answers[1].close()


def test_streams_end_when_the_server_ends(viewer: Client, live: LiveClient) -> None:
    answer = opened(viewer)
    next(answer.streaming_content)
    live.end_streams()
    assert list(answer.streaming_content) == []
    assert len(live.slots) == 0


@pytest.mark.parametrize("what", ["nothing", "logout", "inactive", "deleted", "password"])
def test_right_to_watch_ends_with_session_and_account(
    viewer: Client, live: LiveClient, what: str
) -> None:
    answer = viewer.get("/live")
    assert may_watch(answer.wsgi_request)
    user = User.objects.get(username="viewer")
    if what == "logout":
        viewer.logout()
    elif what == "inactive":
        user.is_active = False
        user.save()
    elif what == "deleted":
        user.delete()
    elif what == "password":
        user.set_password("another one that is long")
        user.save()
    assert may_watch(answer.wsgi_request) == (what == "nothing")


@pytest.mark.parametrize("what", ["nothing", "inactive", "deleted"])
def test_stream_through_the_ingress_lasts_as_long_as_the_account(
    visitor: Client, live: LiveClient, what: str
) -> None:
    """No session has logged them in."""
    asked: dict[str, Any] = {VISITOR: IngressVisitor("a" * 32, "anna", "anna")}
    answer = visitor.get("/live", **asked)
    assert answer.status_code == 200
    assert may_watch(answer.wsgi_request)
    user = User.objects.get(ingress_id="a" * 32)
    if what == "inactive":
        user.is_active = False
        user.save()
    elif what == "deleted":
        user.delete()
    assert may_watch(answer.wsgi_request) == (what == "nothing")


def test_pieces_that_are_shared_have_the_addresses_of_the_path_that_is_asked(
    viewer: Client, live: LiveClient
) -> None:
    receive_all(live)
    for prefix in ("/", "/api/hassio_ingress/one/", "/api/hassio_ingress/two/", "/"):
        with override_script_prefix(prefix):
            body = viewer.get("/live").content.decode()
        addresses = re.findall(r'"(/[^"]*live/pi/front[^"]*)"', body)
        assert addresses
        assert all(one.startswith(f"{prefix}live/") for one in addresses)
