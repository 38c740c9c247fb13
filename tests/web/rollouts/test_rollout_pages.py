"""The pages of roll-outs, and the API's part of them."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from edge_classifier.web.models import Rollout, RolloutDevice, RolloutEntry
from edge_classifier.web.rollouts.wording import ENTRIES, entry_text
from edge_classifier.web.services import Services
from tests.web import making
from tests.web.rollouts.fleet import NEW, OLD_VERSION, START, Fleet

MODEL = "mobilenet-v2-int8"
FORM = {
    "model": MODEL,
    "first": 1,
    "batch": 10,
    "watch": 30,
    "patience": 60,
    "away": 10,
    "hours": 24,
    "lost": 1,
    "unknown": 10,
    "slower": 1.5,
    "restarts": 1,
    "disagreement": 50,
    "observations": 20,
}


@dataclass
class Around:
    """A page, and the devices that it hears."""

    fleet: Fleet
    services: Services

    def turn(self) -> None:
        assert self.services.rollouts
        self.services.rollouts.turn()


@pytest.fixture
def around(change: Callable[..., Services]) -> Around:
    fleet = Fleet("barn-1", "barn-2", "gate")
    return Around(fleet, change(live=fleet))


def test_roll_out_is_begun_on_the_page_shown_to_viewers_and_ended(
    administrator: Client, viewer: Client, around: Around
) -> None:
    new = administrator.get("/rollouts/new").content.decode()
    assert "barn-1" in new
    assert "gate" in new
    form = {**FORM, "device": ["barn-1", "barn-2"], "first-device": "barn-2"}
    page = administrator.post("/rollouts/new", form, follow=True).content.decode()
    assert "Roll-out of mobilenet-v2-int8" in page
    rollout = Rollout.objects.get()
    rows = {row.device: row.step for row in rollout.devices.all()}
    assert (rollout.starter_name, rows) == ("administrator", {"barn-2": 0, "barn-1": 1})
    around.turn()
    assert [one["model"] for one in around.fleet["barn-2"].asked] == [MODEL]
    assert not around.fleet["barn-1"].asked
    part = viewer.get(f"/rollouts/{rollout.pk}?part").content.decode()
    assert "Is asked to run it." in part
    assert "administrator began it. Devices: 2." in part
    assert MODEL in viewer.get("/rollouts").content.decode()
    administrator.post(f"/rollouts/{rollout.pk}/halt")
    rollout.refresh_from_db()
    assert rollout.state == Rollout.State.GOING_BACK
    again = administrator.post(f"/rollouts/{rollout.pk}/halt", follow=True).content.decode()
    assert "It is over already, or goes back." in again
    administrator.post(f"/rollouts/{rollout.pk}/halt", {"leave": "1"})
    rollout.refresh_from_db()
    assert rollout.state == Rollout.State.STOPPED


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("names=barn-*", {"barn-1", "barn-2"}),
        ("names=gate+barn-2", {"barn-2", "gate"}),
        ("names=front", {"barn-1", "barn-2", "gate"}),
        (f"running={OLD_VERSION}", {"barn-1", "barn-2"}),
        ("running=other", {"gate"}),
        ("label=fox", {"gate"}),
        ("label=fox&names=barn-*", set()),
        (f"names={'x' * 300}", {"barn-1", "barn-2", "gate"}),
    ],
)
def test_devices_are_found_by_name_camera_model_and_label(
    administrator: Client, around: Around, query: str, shown: set[str]
) -> None:
    around.fleet["gate"].model = "other@00000000"
    around.fleet["gate"].ms = {"other@00000000": 1.0}
    making.event("fox", camera=making.camera("front", "gate"))
    page = administrator.get(f"/rollouts/new?{query}").content.decode()
    boxes = {name for name in around.fleet.all if f'id="to-{name}"' in page}
    assert boxes == shown


def test_label_is_looked_for_once_whatever_number_of_devices_there_is(
    administrator: Client, around: Around
) -> None:
    making.event("fox", camera=making.camera("front", "gate"))
    administrator.get("/rollouts/new?label=fox")
    asked = []
    for query in ("label=fox&names=gate", "label=fox"):
        with CaptureQueriesContext(connection) as queries:
            administrator.get(f"/rollouts/new?{query}")
        asked.append(len(queries))
    assert asked[0] == asked[1]


def test_cameras_have_their_titles_and_are_found_by_words_of_these(
    administrator: Client, viewer: Client, around: Around
) -> None:
    around.fleet.titles = {
        ("barn-1", "yard"): "Cow shed",
        ("barn-2", "yard"): "Hay loft",
        ("gate", "yard"): "Cow shed",
    }
    new = administrator.get("/rollouts/new?names=SHED").content.decode()
    assert re.search('<option value="yard">Cow shed / Hay loft</option>', new)
    assert '<option value="front">front</option>' in new
    assert "front, Cow shed</td>" in new
    assert "front, Hay loft</td>" not in new
    chosen = {**FORM, "device": ["barn-1", "gate"], "camera": "yard"}
    administrator.post("/rollouts/new", chosen)
    rollout = Rollout.objects.get()
    finding = {"what": "unknown", "verdict": "worse", "limit": 0.1, "before": 0.2, "after": 0.6}
    rollout.devices.filter(device="gate").update(findings=[{**finding, "camera": "yard"}])
    detail = {**finding, "camera": "yard"}
    rollout.entries.create(at=START, device="gate", kind="worse", detail=detail)
    page = viewer.get(f"/rollouts/{rollout.pk}").content.decode()
    assert "· camera Cow shed ·" in page
    assert page.count("camera Cow shed: unknown 60 % of the time") == 3
    listed = viewer.get("/rollouts").content.decode()
    assert "· camera Cow shed ·" in listed
    assert "yard" not in page + listed


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"device": []}, "Choose a device."),
        ({"device": ["stranger"]}, "Nothing has been heard of stranger."),
        ({"model": "nothing"}, "no such model"),
        ({"first": 0}, "greater than or equal to 1"),
    ],
)
def test_roll_out_that_cannot_be_is_refused_with_a_sentence(
    administrator: Client, around: Around, wrong: dict[str, Any], said: str
) -> None:
    page = administrator.post("/rollouts/new", {**FORM, "device": ["gate"], **wrong})
    assert said in page.content.decode()
    assert not Rollout.objects.exists()
    assert not around.fleet["gate"].asked


def test_second_roll_out_of_a_device_is_refused_on_the_page_and_by_the_api(
    administrator: Client, around: Around
) -> None:
    administrator.post("/rollouts/new", {**FORM, "device": ["gate"]})
    page = administrator.post("/rollouts/new", {**FORM, "device": ["gate", "barn-1"]})
    assert "gate is in another roll-out that is not over" in page.content.decode()
    body = json.dumps({"model": MODEL, "to": ["gate"]})
    answer = administrator.post("/api/v1/rollouts", body, content_type="application/json")
    assert answer.status_code == 409
    assert "begun by administrator" in answer.json()["detail"]


def test_api_says_beforehand_what_it_would_do_then_does_it_and_ends_it(
    administrator: Client, around: Around
) -> None:
    def post(path: str, **body: Any) -> Any:
        return administrator.post(path, json.dumps(body), content_type="application/json")

    dry = post("/api/v1/rollouts", model=MODEL, to=["gate", "barn-*"], dry_run=True)
    assert dry.status_code == 200
    plan = [(one["device"], one["step"], one["before"]) for one in dry.json()["devices"]]
    assert plan == [
        ("gate", 0, OLD_VERSION),
        ("barn-1", 1, OLD_VERSION),
        ("barn-2", 1, OLD_VERSION),
    ]
    assert not Rollout.objects.exists()
    made = post("/api/v1/rollouts", model=MODEL, to=["gate", "barn-*"], limits={"lost": 2})
    assert made.status_code == 201
    number = made.json()["id"]
    assert Rollout.objects.get().limits["lost"] == 2
    around.turn()
    told = administrator.get(f"/api/v1/rollouts/{number}").json()
    assert [one["state"] for one in told["devices"]] == ["asked", "waiting", "waiting"]
    assert told["record"][0]["text"] == "administrator began it. Devices: 3."
    assert administrator.get("/api/v1/rollouts").json()["rollouts"][0]["id"] == number
    assert post(f"/api/v1/rollouts/{number}/end", go_back=True).json()["state"] == "going back"
    assert post(f"/api/v1/rollouts/{number}/end", go_back=True).status_code == 409
    assert post("/api/v1/rollouts", model="nothing", to=["gate"]).status_code == 404
    assert post("/api/v1/rollouts", model=MODEL, to=["nobody"]).status_code == 409
    assert administrator.get("/api/v1/rollouts/0").status_code == 404


def test_api_names_all_by_which_no_device_was_found(administrator: Client, around: Around) -> None:
    wanted = {"to": ["gate"], "running": "other", "label": "fox", "camera": "yard"}
    body = json.dumps({"model": MODEL, **wanted})
    told = administrator.post("/api/v1/rollouts", body, content_type="application/json").json()
    words = "with a camera yard, that runs other, that knows or has shown fox is meant by gate."
    assert told["detail"] == f"No device {words}"


def test_list_says_why_all_went_back_and_the_record_says_once_what_several_did(
    viewer: Client, around: Around
) -> None:
    rollout = Rollout.objects.create(
        model="garden", sha256=NEW, starter_name="ann", started_at=START, until=START
    )
    rollout.devices.create(device="barn-1", step=0, state=RolloutDevice.State.BACK)
    for minutes, kind, device in (
        (0, "asked", "barn-1"),
        (0.2, "asked", "barn-2"),
        (5, "asked", "gate"),
        (6, "failed", "gate"),
        (6.1, "first failed", "gate"),
    ):
        at, detail = START + timedelta(minutes=minutes), {"message": "there is no room."}
        rollout.entries.create(at=at, kind=kind, device=device, detail=detail)
    why = "Halted, and goes back: the first device failed, or went away. there is no room."
    assert f"<b>gate</b>: {why}" in viewer.get("/rollouts").content.decode()
    page = viewer.get(f"/rollouts/{rollout.pk}").content.decode()
    record = re.findall(r"<b>([^<]*)</b><span>([^<]*)</span>", page)
    assert record == [
        ("gate", why),
        ("gate", "Did not take it: there is no room."),
        ("gate", "Is asked to run it."),
        ("barn-1, barn-2", "Is asked to run it."),
    ]


def test_device_that_is_watched_says_for_how_long(viewer: Client, around: Around) -> None:
    now = timezone.now()
    rollout = Rollout.objects.create(
        model="garden", sha256=NEW, starter_name="ann", started_at=now, until=now
    )
    for step, minutes in enumerate((10, 40)):
        rollout.devices.create(
            device=f"barn-{step}",
            step=step,
            state=RolloutDevice.State.WATCHED,
            runs_at=now - timedelta(minutes=minutes),
        )
    page = viewer.get(f"/rollouts/{rollout.pk}").content.decode()
    assert "First 1, then 10 at a time; each is watched for 30 min." in page
    assert "judged in 20 min" in page
    assert "waits for more events" in page


def test_form_has_plain_numbers(administrator: Client, around: Around) -> None:
    page = administrator.get("/rollouts/new").content.decode()
    values = re.findall(r'<input type="number" name="(\w+)" value="([^"]+)"', page)
    assert {"watch": "30", "slower": "1.5", "unknown": "10"}.items() <= dict(values).items()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("kind", sorted(ENTRIES))
def test_each_line_of_a_record_has_words_for_all_that_stands_in_it(
    kind: str, language: str
) -> None:
    finding = {"what": "unknown", "limit": 0.1, "before": 0.2, "after": 0.5, "camera": "front"}
    gaps = dict.fromkeys(
        ("who", "devices", "minutes", "message", "model", "failed", "away", "limit"), "7"
    )
    detail = {**gaps, **finding, "observations": 30}
    with translation.override(language):
        text = entry_text(RolloutEntry(kind=kind, detail=detail))
    assert text
    assert "%(" not in text


@pytest.mark.parametrize("state", list(RolloutDevice.State))
@pytest.mark.django_db
def test_every_state_of_a_device_has_a_place_on_the_page(
    viewer: Client, around: Around, state: str
) -> None:
    rollout = Rollout.objects.create(
        model="garden", sha256=NEW, starter_name="ann", started_at=START, until=START
    )
    findings = [
        {"what": what, "verdict": "worse", "limit": 1.5, "before": 0.2, "after": 0.6, "camera": ""}
        | {"observations": 3}
        for what in ("unknown", "times", "restarts", "disagreement")
    ]
    rollout.devices.create(device="gate", step=0, state=state, findings=findings)
    page = viewer.get(f"/rollouts/{rollout.pk}").content.decode()
    assert page.count('<li class="first">gate') == 1
    assert "60 %" in page
