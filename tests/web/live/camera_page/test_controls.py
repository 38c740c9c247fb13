"""What reviewers change of a camera on its page, as its daemon answers it; and forgetting."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from edge_classifier.errors import UnavailableError
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Record
from edge_classifier.web.services import Services
from tests.web import making
from tests.web.live.test_live_page import receive, receive_all

pytestmark = pytest.mark.django_db(transaction=True)

CHANGE, PAGE, EFFECT = "/live/pi/front/change", "/live/pi/front", "/live/pi/front/effect"
VALUES: dict[str, Any] = {
    "enabled": True,
    "title": "Front door",
    "enter": 0.6,
    "leave": 0.4,
    "ignore": ["lynx"],
    "rate_fps": 5.0,
    "look": "both",
    "region": {"left": 0.1, "top": 0.0, "width": 0.9, "height": 1.0},
    "quiet_hours": ["22:00-06:00", "12:00-24:00"],
}
FRAGMENT = {"HTTP_X_FRAGMENT": "1"}


def told(*set_over_mqtt: str, **changed: Any) -> dict[str, Any]:
    """What a daemon says of the camera's settings."""
    return {
        "front": {
            name: {"value": value, "set_over_mqtt": name in set_over_mqtt}
            for name, value in (VALUES | changed).items()
        }
    }


class AnsweringClient(LiveClient):
    """A page whose daemon answers at once, as it is told to."""

    def __init__(self) -> None:
        super().__init__(WebSettings())
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answer: dict[str, Any] | None = {"status": "ok", "data": {}, "error": None}
        # Whether the broker does what it is asked for.
        self.is_obeyed = True

    def request(
        self, device: str, command: str, payload: Mapping[str, Any], within_s: float = 30.0
    ) -> dict[str, Any]:
        self.asked.append((device, command, dict(payload)))
        if self.answer is None:
            raise UnavailableError(device, f"no answer to {command} within {within_s:g} s")
        return self.answer

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        assert (payload, retain) == (b"", True)
        if self.is_obeyed:
            self._take(topic, payload)
        return True

    def await_gone(self, device: str, within_s: float) -> bool:
        return super().await_gone(device, min(within_s, 0))


@pytest.fixture
def live(change: Callable[..., Services]) -> AnsweringClient:
    # What was recorded in the test before this one is kept for some seconds.
    cache.clear()
    made = AnsweringClient()
    change(live=made)
    receive_all(made)
    receive(made, "pi/info", {"version": "9", "settings": told("enter")})
    return made


def test_page_of_a_camera_has_controls_for_reviewers_and_none_for_viewers(
    viewer: Client, reviewer: Client, live: AnsweringClient
) -> None:
    body = reviewer.get(PAGE).content.decode()
    for name in (*VALUES, "snapshot"):
        assert f'id="control-{name}"' in body
    # Its title, and what was set over MQTT, which alone can be taken back.
    assert "Front door" in body
    assert (body.count("set over MQTT"), body.count('name="reset"')) == (1, 1)
    of_viewer = viewer.get(PAGE).content.decode()
    assert 'id="control-' not in of_viewer
    assert "live-forget" not in of_viewer


@pytest.mark.parametrize(
    ("form", "asked"),
    [
        ({"name": "enabled", "value": "false"}, {"enabled": False}),
        ({"name": "enter", "value": "0.75"}, {"enter": 0.75}),
        ({"name": "rate_fps", "value": "2,5"}, {"rate_fps": 2.5}),
        ({"name": "title", "value": " Gate "}, {"title": "Gate"}),
        ({"name": "look", "value": "motion"}, {"look": "motion"}),
        ({"name": "ignore", "value": "lynx\r\n\r\n cat \r\n"}, {"ignore": ["lynx", "cat"]}),
        (
            {"name": "quiet_hours", "from": ["22:00", ""], "to": ["06:00", ""]},
            {"quiet_hours": ["22:00-06:00"]},
        ),
        (
            {"name": "region", "left": "25", "top": "0", "width": "75.1", "height": "50"},
            {"region": {"left": 0.25, "top": 0.0, "width": 0.75, "height": 0.5}},
        ),
    ],
)
def test_form_asks_the_daemon_for_the_one_setting_and_shows_what_it_answers(
    reviewer: Client, live: AnsweringClient, form: dict[str, Any], asked: dict[str, Any]
) -> None:
    live.answer = {"status": "ok", "data": {"settings": told(*asked, **asked)}, "error": None}
    body = reviewer.post(CHANGE, form, **FRAGMENT).content.decode()
    assert live.asked == [("pi", "camera", {"camera": "front", "set": asked, "reset": []})]
    assert body.count("<form") == 1
    assert "Done: the daemon has taken it." in body
    assert "set over MQTT" in body
    # Without a script the whole page is shown, and the answer in its place.
    whole = reviewer.post(CHANGE, form).content.decode()
    assert "Done: the daemon has taken it." in whole
    assert whole.count('class="control card"') == len(VALUES) + 1


def test_reset_asks_for_what_the_settings_file_says(
    reviewer: Client, live: AnsweringClient
) -> None:
    live.answer = {"status": "ok", "data": {"settings": told()}, "error": None}
    form = {"name": "enter", "value": "0.9", "reset": "yes"}
    body = reviewer.post(CHANGE, form, **FRAGMENT).content.decode()
    assert live.asked == [("pi", "camera", {"camera": "front", "set": {}, "reset": ["enter"]})]
    assert "set over MQTT" not in body
    assert 'value="0.6"' in body


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": "error", "error": "<b>enter</b> must be"}, "&lt;b&gt;enter&lt;/b&gt; must be"),
        ({"status": "error", "error": "no such command: 'camera'"}, "has an older version"),
        (None, "the daemon did not answer: no answer to camera within 15 s"),
    ],
)
def test_refusal_and_silence_stand_beside_the_control(
    reviewer: Client, live: AnsweringClient, answer: dict[str, Any] | None, said: str
) -> None:
    live.answer = answer
    body = reviewer.post(CHANGE, {"name": "enter", "value": "2"}, **FRAGMENT).content.decode()
    assert said in body
    assert 'class="answer small bad"' in body


def test_what_is_no_value_is_not_asked_for(administrator: Client, live: AnsweringClient) -> None:
    for form in (
        {"name": "enter", "value": "<much>"},
        {"name": "leave", "value": "nan"},
        {"name": "quiet_hours", "from": "22:00", "to": ""},
        {"name": "model", "value": "../nothing"},
    ):
        body = administrator.post(CHANGE, form, **FRAGMENT).content.decode()
        assert 'class="answer small bad"' in body
        assert "<much>" not in body
    assert live.asked == []
    for name in ("source", "password", ""):
        assert administrator.post(CHANGE, {"name": name, "value": "x"}).status_code == 404


def test_picture_and_model_are_asked_for_by_their_own_requests(
    administrator: Client, live: AnsweringClient
) -> None:
    live.answer = {"status": "ok", "data": {"model": "other@12345678"}, "error": None}
    assert b"on its way" in administrator.post(CHANGE, {"name": "snapshot"}, **FRAGMENT).content
    body = administrator.post(CHANGE, {"name": "model", "value": ""}, **FRAGMENT).content
    assert b"It now runs other@12345678." in body
    assert live.asked == [
        ("pi", "snapshot", {"camera": "front"}),
        ("pi", "model", {"model": "", "camera": "front"}),
    ]


SWITCHES = {
    CHANGE: {"name": "model", "value": ""},
    "/models/switch": {"device": "pi", "model": ""},
    "/models/none/send": {"device": "pi"},
    f"/teach/{UUID(int=1)}/1/use": {"place": "pi"},
    f"/teach/{UUID(int=1)}/back/1": {},
    "/rollouts/new": {"device": "pi"},
    "/api/v1/rollouts": {"model": "none"},
}


@pytest.mark.parametrize("address", SWITCHES)
def test_model_of_a_device_is_switched_by_administrators_only_wherever_it_is_asked_for(
    visitor: Client,
    viewer: Client,
    reviewer: Client,
    administrator: Client,
    live: AnsweringClient,
    address: str,
) -> None:
    for client in (visitor, viewer, reviewer):
        answer = client.post(address, SWITCHES[address])
        assert answer.status_code in {401, 403} or "/login" in answer.headers["Location"]
    assert live.asked == []
    assert administrator.post(address, SWITCHES[address]).status_code not in {401, 403}


def test_model_is_a_control_of_administrators_only(
    reviewer: Client, administrator: Client, live: AnsweringClient
) -> None:
    assert 'id="control-model"' not in reviewer.get(PAGE).content.decode()
    assert 'id="control-model"' in administrator.get(PAGE).content.decode()


def test_camera_of_an_older_device_has_what_its_daemon_knows(
    reviewer: Client, live: AnsweringClient
) -> None:
    receive(live, "pi/info", {"version": "0.0.1"})
    body = reviewer.get(PAGE).content.decode()
    assert "This device has an older version" in body
    assert 'id="control-snapshot"' in body
    assert 'id="control-enter"' not in body


def seen(score: float, minutes_ago: float, **facts: Any) -> Record:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    return making.event("cat", at=at, score=score, **facts)


def effect(client: Client, enter: float) -> str:
    text: str = client.get(f"{EFFECT}?value={enter}").json()["text"]
    return text


def test_effect_of_a_threshold_is_counted_from_recorded_scores(
    reviewer: Client, live: AnsweringClient
) -> None:
    assert "Nothing was recorded" in effect(reviewer, 0.5)
    for score in (0.65, 0.7, 0.9):
        seen(score, 10)
    seen(0.65, 300)
    seen(0.95, 10, verdict="rejected")
    seen(0.95, 60 * 25)
    making.event("unknown", at=timezone.now(), score=0.9)
    for reason in ("below_threshold", "dwell"):
        seen(0.7, 10, source="glimpse", detail={"reason": reason})
    assert effect(reviewer, 0.6) == "Events with it: 3 in the last hour, 4 in the last 24 hours."
    assert effect(reviewer, 0.7) == (
        "In the last hour this would have been at most 2 events instead of 3, in the last 24 hours"
        " 2 instead of 4."
    )
    # What was glimpsed because of the threshold alone comes; how much more, nobody recorded.
    lower = effect(reviewer, 0.5)
    assert "at least 4 events instead of 3, in the last 24 hours 5 instead of 4." in lower
    assert "scores below the threshold are not recorded" in lower
    assert effect(reviewer, float("nan")) == ""
    assert reviewer.get(f"{EFFECT}?value=x").json() == {"text": ""}


@pytest.mark.usefixtures("noon")
def test_page_of_a_camera_asks_the_database_a_few_times_however_much_was_recorded(
    reviewer: Client, live: AnsweringClient, django_assert_max_num_queries: Any
) -> None:
    reviewer.get("/live")  # The first visit of a day writes into the session.
    for number in range(30):
        seen(0.9, number, picture=making.jpeg((number, 0, 0)))
    # Session, user, the last events, and the scores of the threshold.
    with django_assert_max_num_queries(4):
        body = reviewer.get(PAGE).content.decode()
    assert body.count('src="/thumbnails/') == 8


def test_title_stands_for_the_camera_on_pages_of_what_was_recorded(
    administrator: Client, live: AnsweringClient
) -> None:
    record = making.event("cat", at=timezone.now(), picture=making.jpeg())
    trial = f"name=x&kind=seen&rare_days=3&least_score=0&at_most_every_minutes=0&day={record.day}"
    for address in (
        *("/history", f"/records/{record.key}", f"/labels/{record.label_id}"),
        *("/review", "/review?view=grid", "/notify", f"/notify?{trial}"),
        *("/admin/web/record/", f"/admin/web/record/{record.pk}/change/"),
    ):
        body = administrator.get(address).content.decode()
        assert "Front door" in body, address
        # In addresses and values of forms it is what it is called in the table.
        assert "pi/front" not in re.sub(r'(href|value|data-part)="[^"]*"', "", body), address
    cameras = administrator.get("/admin/web/camera/").content.decode()
    assert ">Front door</a>" in cameras
    assert 'aria-label="Select this object for an action - Front door"' in cameras
    receive(live, "pi/info", {"version": "9", "settings": told(title="")})
    assert "pi/front" in administrator.get(f"/records/{record.key}").content.decode()


def test_history_is_filtered_by_a_camera_as_people_call_it(
    viewer: Client, live: AnsweringClient
) -> None:
    making.event("cat", at=timezone.now())
    making.event("dog", at=timezone.now(), camera=making.camera("back"))
    page = viewer.get("/history?camera=pi/front").content.decode()
    assert '<option value="pi/front" selected>Front door</option>' in page
    assert "Camera: Front door" in page
    for asked in ("pi/front", "front", "front door", "Front door"):
        assert "1 record<" in viewer.get(f"/history?camera={asked}").content.decode()
    assert viewer.get("/history?camera=other/front").status_code == 400
    found = viewer.get("/history/names?field=camera&text=DOOR").content.decode()
    assert found == '<option value="pi/front">Front door</option>'


def test_device_that_is_gone_is_forgotten_and_is_there_again_when_it_comes_back(
    reviewer: Client, live: AnsweringClient
) -> None:
    receive(live, "pi/availability", b"offline")
    receive(live, "other/front/availability", b"online")
    assert "Forget pi" in reviewer.get(PAGE).content.decode()
    body = reviewer.post("/live/forget", {"device": "pi"}, follow=True).content.decode()
    assert "pi is forgotten." in body
    assert live.devices() == ["other"]
    assert reviewer.get(PAGE).status_code == 404
    receive_all(live)
    assert reviewer.get(PAGE).status_code == 200


def test_device_that_is_online_or_that_the_broker_keeps_is_not_forgotten(
    reviewer: Client, live: AnsweringClient
) -> None:
    body = reviewer.post("/live/forget", {"device": "pi"}, follow=True).content.decode()
    assert "pi is not offline, and stays." in body
    receive(live, "pi/availability", b"offline")
    live.is_obeyed = False
    body = reviewer.post("/live/forget", {"device": "pi"}, follow=True).content.decode()
    assert "The broker still keeps what pi has told." in body
    assert live.devices() == ["pi"]
    assert reviewer.post("/live/forget", {"device": "nobody"}).status_code == 404
