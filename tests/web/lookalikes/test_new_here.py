"""What is marked as new: on every page, as filter, in exports, over the API and MQTT."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from edge_classifier.web.config.settings import LookalikeSettings, WebSettings
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.lookalikes.announce import Announcer
from edge_classifier.web.models import Record
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker, Listener
from tests.waiting import eventually
from tests.web import making
from tests.web.live.test_live_broker import ROOT, STATE, following
from tests.web.recording import event_payload

PAGE = (REPOSITORY / "docs" / "mqtt.md").read_text("utf-8")
TOPIC = "edge-classifier-web/pi/front/new_here"


@pytest.fixture
def new(db: None) -> Record:
    """Beside another one."""
    making.event("cat", picture=making.jpeg())
    return making.event("fox", picture=making.jpeg((1, 2, 3)), new_here=True)


def html(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def test_history_marks_and_finds_what_is_new(viewer: Client, new: Record) -> None:
    assert html(viewer, "/history").count("new here</span>") == 1
    page = html(viewer, "/history?new=yes")
    assert re.findall(r'href="/records/([^"]+)"', page) == [f"{new.key}?new=yes"]
    assert viewer.get("/history?new=nonsense").status_code == 400


def test_record_and_review_say_that_it_is_new(reviewer: Client, new: Record) -> None:
    assert "Unlike all that this camera" in html(reviewer, f"/records/{new.key}")
    assert html(reviewer, "/review").count("new here</span>") == 1


def test_export_and_api_tell_and_filter_what_is_new(viewer: Client, new: Record) -> None:
    rows = json.loads(b"".join(viewer.get("/history/export.json?new=yes").streaming_content))
    assert [(row["key"], row["new_here"]) for row in rows] == [(str(new.key), True)]
    found = viewer.get("/api/v1/records").json()["records"]
    assert {one["label"]: one["new_here"] for one in found} == {"cat": False, "fox": True}
    found = viewer.get("/api/v1/records?new=yes").json()["records"]
    assert [one["label"] for one in found] == ["fox"]


class Heard(LiveClient):
    """Keeps what it is told, and publishes nothing."""

    def __init__(self) -> None:
        super().__init__(WebSettings())
        self.published: list[tuple[str, Any]] = []

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        assert not retain
        self.published.append((topic, json.loads(payload)))
        return True


def test_nothing_is_published_unless_settings_say_so(new: Record) -> None:
    live = Heard()
    Announcer(WebSettings(), live)(new)
    Announcer(WebSettings(), None)(new)
    assert live.published == []


def test_message_has_the_keys_of_the_page_on_its_topic(new: Record) -> None:
    live = Heard()
    settings = WebSettings(lookalikes=LookalikeSettings(publish_new=True))
    Announcer(settings, live)(new)
    ((topic, payload),) = live.published
    section = PAGE.split(f"### `{topic}`")[1].split("\n## ")[0]
    shown = json.loads(section.split("```json\n")[1].split("```")[0])
    assert list(payload) == list(shown) == re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert payload["id"] == new.key.hex
    assert payload["page"] == f"/records/{new.key}"
    assert payload["label"] == "fox"


def test_live_card_shows_it_until_the_next_event(
    new: Record, viewer: Client, tmp_path: Any, change: Any
) -> None:
    settings = WebSettings(lookalikes=LookalikeSettings(publish_new=True))
    with (
        Broker(tmp_path / "broker") as broker,
        following(broker.port) as live,
        Listener(broker.port, "edge-classifier-web/#") as listener,
    ):
        change(live=live)
        eventually(lambda: live.broker["connected"])
        listener.publish(f"{ROOT}/front/state", STATE, retain=True)
        eventually(lambda: live.camera("pi", "front"))
        Announcer(settings, live)(new)
        assert f'href="/records/{new.key}">new here' in html(viewer, "/live")
        eventually(lambda: [one.topic for one in listener.messages] == [TOPIC])
        assert not listener.messages[0].retain
        listener.publish(f"{ROOT}/front/event", event_payload(2))
        eventually(lambda: "new here</a>" not in html(viewer, "/live"))
