"""A model is sent to devices, and the page shows what each of them makes of it."""

import re
from typing import Any

import pytest
from django.test import Client

from tests.web.installed_models.daemons import Change, Daemons


def test_model_is_sent_to_the_chosen_devices_that_are_there(
    administrator: Client, change: Change
) -> None:
    daemons = Daemons({"status": "ok"})
    services = change(live=daemons)
    form = {"device": ["pi", "pi", "stranger", "+/#"]}
    page = administrator.post("/models/flowers/send", form, follow=True).content.decode()
    model = services.models.find("flowers")
    assert daemons.asked == [("pi", "model", {"model": "flowers", "sha256": model.sha256})]
    assert "1 device was asked." in page
    away = Daemons({})
    change(live=away)
    page = administrator.post("/models/flowers/send", form, follow=True).content.decode()
    assert "Not asked, as they are not online: pi" in page
    page = administrator.post("/models/flowers/send", {}, follow=True).content.decode()
    assert "Choose at least one device." in page
    assert administrator.post("/models/nothing/send", form).status_code == 404


@pytest.mark.parametrize(
    ("state", "told", "shown"),
    [
        ("waiting", {}, "waits for another model"),
        ("fetching", {"share": 0.25}, "is being fetched: 25.0 %"),
        ("trying", {}, "is being tried"),
        ("loading", {}, "is being loaded"),
        ("failed", {"error": "no <b>room"}, "no &lt;b&gt;room"),
        ("another state", {}, "pi"),
    ],
)
def test_page_of_a_model_shows_what_devices_make_of_it(
    viewer: Client, change: Change, state: str, told: dict[str, Any], shown: str
) -> None:
    daemons = Daemons({}, "old@00000000")
    sha256 = change(live=daemons).models.find("flowers").sha256
    other = {"camera": "", "share": None, "error": "", **told, "state": state}
    daemons.change = {**other, "sha256": sha256}
    part = viewer.get("/models/flowers/report?part").content.decode()
    assert shown in part
    assert "old@00000000" in part
    assert shown in viewer.get("/models/flowers/report").content.decode()
    # Of another model nothing is said here.
    daemons.change = {**other, "sha256": "0" * 64}
    part = viewer.get("/models/flowers/report?part").content.decode()
    assert shown == "pi" or shown not in part


@pytest.mark.parametrize(
    ("state", "told", "shown"),
    [
        ("fetching", {"share": 0.25}, 'max="1" value="0.250"'),
        ("trying", {}, "is being tried in a process of its own"),
        ("failed", {"error": "no <b>room"}, "garden was not taken: no &lt;b&gt;room"),
    ],
)
def test_list_of_devices_shows_what_is_under_way_and_which_rules_rest(
    viewer: Client, change: Change, state: str, told: dict[str, Any], shown: str
) -> None:
    daemons = Daemons({}, "old@00000000")
    change(live=daemons)
    daemons.resting = ["cameras.front.decision.ignore: this model has no label 'cat'"]
    same = {"camera": "", "share": None, "error": "", "model": "garden", "sha256": "1" * 64}
    daemons.change = {**same, **told, "state": state}
    part = " ".join(viewer.get("/models?part").content.decode().split())
    assert shown in " ".join(re.sub(r"</?(p|b)\b[^>]*>", "", part).split())
    assert "1 rule of its settings rests" in part
    assert "<form" not in part
    daemons.change["state"] = "running"
    assert shown not in viewer.get("/models?part").content.decode()
