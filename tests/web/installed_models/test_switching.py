"""A choice beside each device and camera, and what its daemon answers."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client

from edge_classifier.errors import UnavailableError
from tests.web.installed_models.daemons import Change, Daemons


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"status": "ok", "data": {"model": "flowers@76f74563"}}, "pi now runs flowers@76f74563"),
        ({"status": "error", "error": "no such <b>model"}, "pi: No such &lt;b&gt;model."),
        ({"status": "ok", "data": []}, "pi now runs None"),
        ({"status": "ok", "data": {"fetching": "flowers"}}, "pi fetches it."),
        (
            {"status": "ok", "data": {"model": "x", "resting_rules": ["a.b: no label 'cat'"]}},
            "rest until a model has these: a.b: no label &#x27;cat&#x27;.",
        ),
        (UnavailableError("pi", "no answer in 30 s", "Is it on?"), "No answer in 30 s. Is it on?"),
    ],
)
def test_switch_tells_what_the_daemon_answers(
    administrator: Client, change: Change, answer: Mapping[str, Any] | UnavailableError, shown: str
) -> None:
    daemons = Daemons(answer)
    services = change(live=daemons)
    form = {"device": "pi", "model": "flowers"}
    page = administrator.post("/models/switch", form, follow=True).content.decode()
    (model,) = (one for one in services.models.installed() if one.name == "flowers")
    body = {"model": "flowers", "sha256": model.sha256}
    assert daemons.asked == [("pi", "model", body)]
    assert shown in page


def test_switch_offers_each_of_several_cameras_and_asks_for_that_one(
    administrator: Client, change: Change
) -> None:
    daemons = Daemons({"status": "ok", "data": {"model": "flowers@76f74563"}}, "gate@12345678")
    change(live=daemons)
    shown = administrator.get("/models").content.decode()
    assert re.findall(r'class="place">([^<]+)<', shown) == ["All cameras", "front", "The gate"]
    assert re.findall(r'name="device" value="([^"]+)"', shown) == ["pi", "pi/front", "pi/gate"]
    # What it runs is not here, and stays what it is unless another one is chosen.
    assert '<option value="gate" selected>gate</option>' in shown
    form = {"device": "pi/gate", "model": "flowers"}
    page = administrator.post("/models/switch", form, follow=True).content.decode()
    ((device, command, body),) = daemons.asked
    assert (device, command) == ("pi", "model")
    assert (body["camera"], body["model"]) == ("gate", "flowers")
    assert "pi/gate now runs flowers@76f74563" in page


@pytest.mark.parametrize(
    "form",
    [
        {"device": "+/#", "model": "flowers"},
        {"device": "pi/a\x00b", "model": "flowers"},
        {"device": "pi", "model": "x" * 201},
        {"device": "pi", "model": "a\x00b"},
    ],
)
def test_switch_to_what_is_no_name_asks_nobody(
    administrator: Client, change: Change, form: dict[str, str]
) -> None:
    daemons = Daemons({})
    change(live=daemons)
    assert (
        'class="message error"'
        in administrator.post("/models/switch", form, follow=True).content.decode()
    )
    assert daemons.asked == []
